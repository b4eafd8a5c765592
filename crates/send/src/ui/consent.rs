//! The screen on which a receiver decides, and what an answer to it means.

use std::fmt::Write as _;
use std::path::Path;

use super::sanitize::escape;
use super::style::Style;
use crate::report::{Caution, Consent, EntryKind, Offer};
use crate::units::{count, size};

/// What is offered, as lines of text; the question itself is [`question`].
pub(super) fn screen(offer: &Offer, style: Style) -> String {
    let mut text = String::from("\n");
    let listed = offer.top_level.iter().take(LISTED);
    for top in listed {
        let name = escape(&top.name, NAME_LEN);
        let line = match top.kind {
            EntryKind::File => format!("  {name}  {}", style.dim(&size(top.size))),
            EntryKind::Directory => {
                let detail = format!("{}, {}", count(top.file_count, "file"), size(top.size));
                format!("  {name}/  {}", style.dim(&detail))
            }
        };
        text.push_str(&line);
        text.push('\n');
    }
    let shown = offer.top_level.len().min(LISTED) as u64;
    let more = offer.top_level.len() as u64 + offer.unlisted_count - shown;
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    if let Some((path, len)) = offer.largest.as_ref().filter(|_| offer.file_count > 1) {
        let _ = writeln!(text, "  The largest is {} ({}).", escape(path, NAME_LEN), size(*len));
    }
    text.push_str(&cautions(offer, style));
    if let Some(free) = offer.free_space {
        let _ = writeln!(text, "  Free there: {}.", size(free));
    }
    if offer.present > 0 {
        text.push_str("  To begin with the first byte instead, answer no and add --restart.\n");
    }
    text.push('\n');
    text
}

/// The question below the screen: `Receive 3 files (1.2 GB) into ~/Downloads? [Y/n] `.
pub(super) fn question(offer: &Offer, home: Option<&Path>) -> String {
    let default = match default_answer(offer) {
        Consent::Accept => "[Y/n]",
        Consent::Decline => "[y/N]",
    };
    let what = what(offer);
    let destination = escape(&display_path(&offer.destination, home), PATH_LEN);
    let total = size(offer.total_size);
    if offer.present > 0 {
        let here = size(offer.present);
        return format!("Resume {what} ({here} of {total} are in {destination})? {default} ");
    }
    format!("Receive {what} ({total}) into {destination}? {default} ")
}

/// What is said instead of asking when the user agreed beforehand.
pub(super) fn notice(offer: &Offer, home: Option<&Path>) -> String {
    let destination = escape(&display_path(&offer.destination, home), PATH_LEN);
    format!("Receiving {} ({}) into {destination}\n", what(offer), size(offer.total_size))
}

/// What an answer means; `None` asks again.
pub(super) fn parse(answer: &str, offer: &Offer) -> Option<Consent> {
    match answer.trim().to_lowercase().as_str() {
        "" => Some(default_answer(offer)),
        "y" | "yes" => Some(Consent::Accept),
        "n" | "no" => Some(Consent::Decline),
        _ => None,
    }
}

/// The path as people write it: with `~` for the home directory.
pub(super) fn display_path(path: &Path, home: Option<&Path>) -> String {
    let below =
        home.filter(|home| !home.as_os_str().is_empty()).and_then(|home| path.strip_prefix(home).ok());
    match below {
        Some(below) if below.as_os_str().is_empty() => "~".to_owned(),
        Some(below) => format!("~{}{}", std::path::MAIN_SEPARATOR, below.display()),
        None => path.display().to_string(),
    }
}

fn what(offer: &Offer) -> String {
    match (offer.top_level.as_slice(), offer.file_count) {
        ([only], _) if offer.unlisted_count == 0 => format!("`{}`", escape(&only.name, NAME_LEN)),
        (_, 0) => count(offer.directory_count, "folder"),
        (_, files) => count(files, "file"),
    }
}

/// What an empty answer means: yes, unless something among it would run without being asked to.
fn default_answer(offer: &Offer) -> Consent {
    let runs = offer.cautions.iter().any(|(_, caution)| *caution == Caution::AutoRun);
    if runs || offer.unlisted_caution_count > 0 { Consent::Decline } else { Consent::Accept }
}

fn cautions(offer: &Offer, style: Style) -> String {
    let mut text = String::new();
    for (caution, why) in [
        (Caution::AutoRun, "obeyed by other programs without asking"),
        (Caution::Executable, "can be run as a program"),
        (Caution::Hidden, "hidden"),
    ] {
        let paths: Vec<&str> = offer
            .cautions
            .iter()
            .filter(|(_, known)| *known == caution)
            .map(|(path, _)| path.as_str())
            .collect();
        if paths.is_empty() {
            continue;
        }
        let names: Vec<String> = paths.iter().take(CAUTIONS).map(|path| escape(path, NAME_LEN)).collect();
        let more = match paths.len().saturating_sub(CAUTIONS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = writeln!(text, "  {} {why}: {}{more}", style.warn("Careful,"), names.join(", "));
    }
    if offer.unlisted_caution_count > 0 {
        let more = offer.unlisted_caution_count;
        let _ = writeln!(text, "  {} there are {more} more of these.", style.warn("Careful,"));
    }
    text
}

/// Top-level names on the screen; the question must stay in sight on a terminal of 24 lines.
const LISTED: usize = 12;
/// Paths named per kind of caution.
const CAUTIONS: usize = 4;
/// Characters of a name or a path inside the offer.
const NAME_LEN: usize = 60;
/// Characters of the destination.
const PATH_LEN: usize = 200;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn offer(entries: &[(&str, u64)]) -> Offer {
        let mut offer = Offer::new(PathBuf::from("/home/me/Downloads"), Some(50_000_000_000));
        for (path, len) in entries {
            offer.add(path, EntryKind::File, *len, false);
        }
        offer
    }

    fn home() -> &'static Path {
        Path::new("/home/me")
    }

    #[test]
    fn the_question_says_how_much_goes_where() {
        let three = offer(&[("a.mp4", 1_000_000_000), ("b/c.txt", 200_000_000), ("b/d.txt", 5)]);
        assert_eq!(question(&three, Some(home())), "Receive 3 files (1.2 GB) into ~/Downloads? [Y/n] ");
        let one = offer(&[("holiday.mp4", 702_000_000)]);
        assert_eq!(question(&one, None), "Receive `holiday.mp4` (702 MB) into /home/me/Downloads? [Y/n] ");
    }

    #[test]
    fn the_question_says_what_is_here_already() {
        let mut resumed = offer(&[("holiday.mp4", 702_000_000)]);
        resumed.present = 302_000_000;
        let expected = "Resume `holiday.mp4` (302 MB of 702 MB are in ~/Downloads)? [Y/n] ";
        assert_eq!(question(&resumed, Some(home())), expected);
    }

    #[test]
    fn the_screen_shows_names_counts_sizes_the_largest_and_the_free_space() {
        let offer = offer(&[("a.mp4", 1_000_000_000), ("trip/c.jpg", 200_000), ("trip/d.jpg", 300_000)]);
        let expected = "\n  a.mp4  1.0 GB\n  trip/  2 files, 500 kB\n  The largest is a.mp4 (1.0 GB).\n  \
                        Free there: 50 GB.\n\n";
        assert_eq!(screen(&offer, Style::plain()), expected);
    }

    #[test]
    fn a_long_offer_leaves_the_question_in_sight() {
        let names: Vec<String> = (0..5_000).map(|index| format!("{index:05}.jpg")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let text = screen(&offer(&entries), Style::plain());
        assert!(text.lines().count() < 24, "{text}");
        assert!(text.contains("and 4988 more"), "{text}");
    }

    #[test]
    fn programs_and_hidden_files_are_named() {
        let text = screen(&offer(&[("setup.exe", 1), (".netrc", 1), ("a.txt", 1)]), Style::plain());
        assert!(text.contains("Careful, can be run as a program: setup.exe\n"), "{text}");
        assert!(text.contains("Careful, hidden: .netrc\n"), "{text}");
        assert!(!text.contains(": a.txt"), "{text}");
    }

    #[test]
    fn names_that_run_by_themselves_turn_the_default_to_no() {
        let risky = offer(&[("home/.bashrc", 1)]);
        assert!(question(&risky, None).ends_with("[y/N] "));
        assert_eq!(parse("", &risky), Some(Consent::Decline));
        assert_eq!(parse("y", &risky), Some(Consent::Accept));
    }

    #[test]
    fn only_clear_answers_count() {
        let plain = offer(&[("a.txt", 1)]);
        assert_eq!(parse("\n", &plain), Some(Consent::Accept));
        assert_eq!(parse(" YES \n", &plain), Some(Consent::Accept));
        assert_eq!(parse("No\n", &plain), Some(Consent::Decline));
        assert_eq!(parse("maybe\n", &plain), None);
    }

    #[test]
    fn a_hostile_name_cannot_rewrite_the_screen_or_the_question() {
        let name = "\u{1b}[1A\r\u{202e}gpj.exe";
        let offer = offer(&[(name, 1)]);
        let text = screen(&offer, Style::plain()) + &question(&offer, None);
        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{text:?}");
        assert!(text.contains("Careful, can be run"), "{text}");
    }
}
