//! What is left on this machine after a failure.

use std::fmt;
use std::path::PathBuf;

/// What is left on this machine after a failure. Shown as the clause that follows a semicolon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many files arrived and stand under their final names. Always 0 at the sender.
    pub saved: u64,
    /// How many were to arrive. 0 at the sender, or before that is known.
    pub file_count: u64,
    /// The unfinished file that waits for another attempt, if one is kept.
    pub partial: Option<PathBuf>,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partial = self.partial.as_ref().map(|path| path.display());
        match (self.saved, partial) {
            (0, None) if self.file_count == 0 => f.write_str("nothing on this machine was changed"),
            (0, None) => f.write_str("nothing was saved"),
            (0, Some(partial)) => write!(f, "what arrived is kept in `{partial}`"),
            (saved, None) => write!(f, "{saved} of {} files were saved", self.file_count),
            (saved, Some(partial)) => {
                write!(
                    f,
                    "{saved} of {} files were saved, part of another is kept in `{partial}`",
                    self.file_count
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_told_exactly() {
        let kept = |saved, file_count, partial: Option<&str>| {
            Kept { saved, file_count, partial: partial.map(PathBuf::from) }.to_string()
        };
        assert_eq!(kept(0, 0, None), "nothing on this machine was changed");
        assert_eq!(kept(0, 5, None), "nothing was saved");
        assert_eq!(kept(3, 5, None), "3 of 5 files were saved");
        assert_eq!(kept(0, 1, Some(".a.part")), "what arrived is kept in `.a.part`");
        assert_eq!(
            kept(3, 5, Some(".a.part")),
            "3 of 5 files were saved, part of another is kept in `.a.part`"
        );
    }
}
