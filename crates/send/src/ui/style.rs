//! Colours, where a terminal shows them and the user has not forbidden them. Every text is complete without.

use std::ffi::OsString;

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// No escape sequence at all.
    Plain,
    /// Bold, dim and a few colours of the terminal's own palette.
    Coloured,
}

impl Style {
    /// Without colours.
    pub(super) fn plain() -> Self {
        Self::Plain
    }

    /// What suits a terminal, with `var` to look up `NO_COLOR` (no-color.org) and `TERM`.
    pub(super) fn of_terminal(var: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let forbidden = var("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = var("TERM").is_some_and(|value| value == "dumb");
        if forbidden || dumb { Self::Plain } else { Self::Coloured }
    }

    /// What matters most on the screen: the code.
    pub(super) fn strong(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What matters least.
    pub(super) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// What went well.
    pub(super) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// What deserves attention.
    pub(super) fn warn(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// What went wrong.
    pub(super) fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    fn wrap(self, attributes: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{attributes}m{text}\u{1b}[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(name: &'static str, value: &'static str) -> Style {
        Style::of_terminal(&|asked| (asked == name).then(|| OsString::from(value)))
    }

    #[test]
    fn no_color_and_dumb_terminals_get_plain_text() {
        assert_eq!(style("NO_COLOR", "1"), Style::Plain);
        assert_eq!(style("NO_COLOR", ""), Style::Coloured, "an empty NO_COLOR says nothing");
        assert_eq!(style("TERM", "dumb"), Style::Plain);
        assert_eq!(style("TERM", "xterm-256color"), Style::Coloured);
    }

    #[test]
    fn plain_text_has_no_escape_sequences() {
        assert_eq!(Style::Plain.bad("error:"), "error:");
        assert_eq!(Style::Coloured.good("x"), "\u{1b}[32mx\u{1b}[0m");
    }
}
