//! What `send doctor` found, as a table that grows line by line.
//!
//! ```text
//! good     Server     https://drop.example.org answers after 45 ms.
//! warning  UDP        No STUN server answers (203.0.113.5:3478): UDP is blocked on the
//!                     way, or these ports are where the server is.
//!                     → allow outgoing UDP in the firewall; …
//! ```

use std::fmt::Write as _;

use super::sanitize::escape;
use super::style::Style;
use crate::report::{Check, Finding, Verdict};
use crate::units::count;

/// Columns of the table, which every terminal is taken to have.
const COLUMNS: usize = 80;
/// Of the verdict, and the space behind it.
const VERDICT_COLUMNS: usize = 9;
/// Of the name of what was looked at, and the space behind it.
const NAME_COLUMNS: usize = 11;
/// Where the text begins.
const INDENT: usize = VERDICT_COLUMNS + NAME_COLUMNS;
/// Characters of a text: there may be a list of addresses in it.
const TEXT_LEN: usize = 1_000;

/// The lines for one finding.
pub(super) fn lines(finding: &Finding, style: Style) -> String {
    let (verdict, coloured) = match finding.verdict {
        Verdict::Good => ("good", style.good("good")),
        Verdict::Note => ("note", style.dim("note")),
        Verdict::Warning => ("warning", style.warn("warning")),
        Verdict::Problem { .. } => ("problem", style.bad("problem")),
    };
    let gap = " ".repeat(VERDICT_COLUMNS - verdict.len());
    let mut text = format!("{coloured}{gap}{:<NAME_COLUMNS$}", name(finding.check));
    text.push_str(&wrapped(&escape(&finding.message, TEXT_LEN)));
    if let Some(advice) = &finding.advice {
        let advice = wrapped(&format!("→ {}", escape(advice, TEXT_LEN)));
        let _ = write!(text, "{}{advice}", " ".repeat(INDENT));
    }
    text
}

/// What it comes to when there is no problem.
pub(super) fn conclusion(warnings: usize, style: Style) -> String {
    let done = style.good("Files can be sent and received.");
    match warnings {
        0 => format!("\n{done}\n"),
        _ => format!("\n{done} Not in every case, though: {} above.\n", count(warnings as u64, "warning")),
    }
}

fn name(check: Check) -> &'static str {
    match check {
        Check::Disk => "Disk",
        Check::State => "State",
        Check::Multicast => "mDNS",
        Check::Server => "Server",
        Check::Clock => "Clock",
        Check::Code => "Code",
        Check::Addresses => "Addresses",
        Check::Udp => "UDP",
        Check::Router => "Router",
        Check::Turn => "TURN",
        Check::Relay => "Relay",
        Check::Transfer => "Transfer",
    }
}

/// Lines that end before the last column, all but the first indented. A word that is longer than a line has one to itself.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > COLUMNS - 1 - INDENT {
            let _ = write!(lines, "\n{}", " ".repeat(INDENT));
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += len;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_row_with_what_to_do_below() {
        let message =
            "No STUN server answers (203.0.113.5:3478): UDP is blocked on the way, or these ports are.";
        let found = Finding::warning(Check::Udp, "blocked", message).advise("allow outgoing UDP");
        let expected = "\
warning  UDP        No STUN server answers (203.0.113.5:3478): UDP is blocked
                    on the way, or these ports are.
                    → allow outgoing UDP
";
        assert_eq!(lines(&found, Style::plain()), expected);
    }

    #[test]
    fn no_line_is_longer_than_a_terminal_is_wide_and_nothing_hostile_gets_through() {
        let message = "word ".repeat(60) + "\u{1b}[2J";
        let found = Finding::good(Check::Disk, "writable", message);
        let text = lines(&found, Style::plain());
        assert!(text.lines().all(|line| line.chars().count() < COLUMNS), "{text}");
        assert!(!text.contains('\u{1b}') && text.ends_with("\\u{1b}[2J\n"), "{text}");
    }

    #[test]
    fn warnings_are_counted() {
        assert_eq!(conclusion(0, Style::plain()), "\nFiles can be sent and received.\n");
        assert!(conclusion(1, Style::plain()).ends_with("1 warning above.\n"));
    }
}
