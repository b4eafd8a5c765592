//! Whether what is received can be saved here, and what has to be remembered be kept.

use std::path::Path;

use super::super::{Error, Kept, failure};
use super::diagnosis::problem;
use crate::config::Config;
use crate::report::{Check, Fact, Finding};
use crate::storage::OutputDir;
use crate::tried::{self, Tried};
use crate::units;

/// Below this, in bytes, a disk is as good as full: the photos of one day.
const LITTLE: u64 = 100_000_000;

/// The directory that received files go to.
pub(super) fn output(config: &Config) -> Finding {
    let path = std::path::absolute(&config.output).unwrap_or_else(|_| config.output.clone());
    let opened = OutputDir::open(&path).and_then(|dir| dir.free_space());
    let finding = match opened {
        Ok(free) => room(&path, free),
        Err(error) => problem(Check::Disk, &failure::sink(error, Kept::default())),
    };
    finding.with("path", Fact::Text(path.display().to_string()))
}

fn room(path: &Path, free: Option<u64>) -> Finding {
    let place = path.display();
    let Some(free) = free else {
        return Finding::good(Check::Disk, "writable", format!("Files can be saved in {place}."));
    };
    let size = units::size(free);
    let finding = if free < LITTLE {
        let message = format!("Only {size} are free in {place}.");
        Finding::warning(Check::Disk, "little_room", message)
            .advise("make room, or save elsewhere with --output DIR")
    } else {
        Finding::good(
            Check::Disk,
            "writable",
            format!("Files can be saved in {place}, where {size} are free."),
        )
    };
    finding.with("free", Fact::Number(i64::try_from(free).unwrap_or(i64::MAX)))
}

/// The directory of this user in which used codes are remembered.
pub(super) fn state() -> Finding {
    let Some(directory) = tried::default_directory() else {
        return forgetful("This user has no home directory to remember used codes in.".to_owned());
    };
    let place = directory.display().to_string();
    let finding = match Tried::open(&directory).and_then(|tried| tried.check()) {
        Ok(()) => Finding::good(Check::State, "remembered", format!("Used codes are remembered in {place}.")),
        Err(error) => {
            let cause = Error::Output { path: directory, source: error };
            let reason = std::error::Error::source(&cause).map(ToString::to_string).unwrap_or_default();
            forgetful(format!("Used codes cannot be remembered in {place}: {reason}."))
        }
    };
    finding.with("path", Fact::Text(place))
}

fn forgetful(message: String) -> Finding {
    Finding::warning(Check::State, "not_remembered", message).advise(
        "make that directory writable, or name another by XDG_STATE_HOME; until then a server may try a code twice",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict;

    #[test]
    fn a_disk_that_is_as_good_as_full_is_warned_of() {
        let verdict = |free| room(Path::new("/in"), free).verdict;
        assert_eq!(verdict(Some(LITTLE)), Verdict::Good);
        assert_eq!(verdict(Some(LITTLE - 1)), Verdict::Warning);
        assert_eq!(verdict(None), Verdict::Good);
        assert!(room(Path::new("/in"), Some(3_000_000)).message.contains("3.0 MB"));
    }
}
