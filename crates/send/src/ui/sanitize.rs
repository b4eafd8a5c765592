//! Text of the peer, the server or the file system on its way to a terminal: nothing in it can move the cursor, change
//! colours, write to the clipboard, reorder other text or stay invisible.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Escapes every character that a terminal could obey or a reader could not see, and keeps at most `max` characters.
///
/// Controls, format characters, line and paragraph separators, private use and unassigned ones become `\u{…}`. What is too
/// long loses its middle, so that the ending of a name stays in sight.
pub(super) fn escape(text: &str, max: usize) -> String {
    let head: Vec<char> = text.chars().take(max + 1).collect();
    if head.len() <= max {
        return shorten(&mut head.into_iter().map(escape_char), max);
    }
    // Escapes make text longer, never shorter: 2 · max characters from both ends decide the result.
    let tail: Vec<char> = text.chars().rev().take(max).collect();
    let ending = tail.into_iter().rev();
    let mut pieces: Vec<String> = head.into_iter().map(escape_char).collect();
    pieces.extend(ending.map(escape_char));
    cut_middle(&pieces, max)
}

/// Whether a terminal could obey this character, or a reader not see it.
pub(super) fn is_hostile(character: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Surrogate, Unassigned,
    };
    let category = character.general_category();
    matches!(
        category,
        Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | Surrogate | Unassigned
    )
}

/// The pieces joined, or cut in the middle where they are more than `max` characters.
fn shorten(pieces: &mut dyn Iterator<Item = String>, max: usize) -> String {
    let pieces: Vec<String> = pieces.collect();
    if pieces.iter().map(|piece| piece.chars().count()).sum::<usize>() <= max {
        pieces.concat()
    } else {
        cut_middle(&pieces, max)
    }
}

/// Whole pieces from both ends around an ellipsis: at most `max` characters in all, and never half an escape.
fn cut_middle(pieces: &[String], max: usize) -> String {
    let room = max.saturating_sub(1);
    let head = fitting(pieces.iter(), room - room / 2).concat();
    let mut tail = fitting(pieces.iter().rev(), room / 2);
    tail.reverse();
    format!("{head}…{}", tail.concat())
}

/// The first pieces that together have at most `room` characters.
fn fitting<'a>(pieces: impl Iterator<Item = &'a String>, room: usize) -> Vec<&'a str> {
    let mut used = 0;
    let fits = |piece: &&'a String| {
        used += piece.chars().count();
        used <= room
    };
    pieces.take_while(fits).map(String::as_str).collect()
}

fn escape_char(character: char) -> String {
    if is_hostile(character) { character.escape_unicode().to_string() } else { character.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        escape(text, 100)
    }

    #[test]
    fn cursor_movement_cannot_hide_the_line_above() {
        assert_eq!(escaped("\u{1b}[1A\rharmless"), r"\u{1b}[1A\u{d}harmless");
        assert_eq!(escaped("\u{9b}2Jx"), r"\u{9b}2Jx");
    }

    #[test]
    fn osc_52_cannot_write_to_the_clipboard() {
        assert_eq!(escaped("\u{1b}]52;c;cm0gLXJm\u{7}"), r"\u{1b}]52;c;cm0gLXJm\u{7}");
        assert_eq!(escaped("\u{9d}52;c;x\u{9c}"), r"\u{9d}52;c;x\u{9c}");
    }

    #[test]
    fn osc_8_cannot_make_a_link_of_a_name() {
        let text = "\u{1b}]8;;https://evil.example\u{1b}\\report.pdf\u{1b}]8;;\u{1b}\\";
        assert!(!escaped(text).contains('\u{1b}'));
    }

    #[test]
    fn a_title_report_cannot_be_asked_for() {
        assert_eq!(escaped("\u{1b}[21t"), r"\u{1b}[21t");
    }

    #[test]
    fn carriage_return_and_newline_cannot_overwrite_or_forge_a_line() {
        assert_eq!(escaped("a.txt\rb.exe"), r"a.txt\u{d}b.exe");
        assert_eq!(escaped("a\nerror: forged"), r"a\u{a}error: forged");
        assert_eq!(escaped("a\u{2028}b\u{2029}c\u{85}d"), r"a\u{2028}b\u{2029}c\u{85}d");
    }

    #[test]
    fn right_to_left_override_cannot_disguise_an_ending() {
        assert_eq!(escaped("photo_\u{202e}gpj.exe"), r"photo_\u{202e}gpj.exe");
        assert_eq!(escaped("\u{2066}x\u{2069}"), r"\u{2066}x\u{2069}");
    }

    #[test]
    fn invisible_and_private_characters_are_shown() {
        assert_eq!(escaped("a\u{200b}b\u{feff}"), r"a\u{200b}b\u{feff}");
        assert_eq!(escaped("\u{e000}\u{e0041}\u{378}"), r"\u{e000}\u{e0041}\u{378}");
    }

    #[test]
    fn names_of_every_script_stay_readable() {
        for name in ["Übung.txt", "写真.jpg", "фото.png", "क्षि.txt", "😀.gif", "a b'c\"d%s.txt", ""]
        {
            assert_eq!(escaped(name), name);
        }
    }

    #[test]
    fn a_long_name_loses_its_middle_and_keeps_its_ending() {
        let name = format!("{}.pdf.exe", "x".repeat(5_000));
        let short = escape(&name, 20);
        assert_eq!(short, "xxxxxxxxxx…x.pdf.exe");
    }

    #[test]
    fn escapes_count_and_are_never_cut_in_half() {
        let name = "\u{202e}".repeat(1_000);
        for max in 1..40 {
            let short = escape(&name, max);
            assert!(short.chars().count() <= max, "{short}");
            assert_eq!(short.matches('{').count(), short.matches('}').count(), "{short}");
        }
        let just_fitting = "abcde";
        assert_eq!(escape(just_fitting, 5), just_fitting);
    }
}
