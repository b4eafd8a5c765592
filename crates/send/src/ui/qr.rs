//! The QR code of a link, drawn with half-block characters.

use qrcode::{Color, EcLevel, QrCode};

/// Draws `text` as a QR code that a phone can read off any terminal, or `None` when it would be wider than `columns`.
///
/// One character is two modules, one above the other. Both colours are set explicitly, black on white, so that dark and
/// light terminals show the same picture. Lines end with `\n`.
pub(super) fn draw(text: &str, columns: usize) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let modules = code.to_colors();
    let width = code.width();
    let side = width + 2 * QUIET_ZONE;
    if side > columns {
        return None;
    }
    let dark = |x: usize, y: usize| {
        let (Some(x), Some(y)) = (x.checked_sub(QUIET_ZONE), y.checked_sub(QUIET_ZONE)) else { return false };
        x < width && modules.get(y * width + x) == Some(&Color::Dark)
    };
    let mut picture = String::new();
    for y in (0..side).step_by(2) {
        picture.push_str(BLACK_ON_WHITE);
        for x in 0..side {
            picture.push(match (dark(x, y), dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        picture.push_str(RESET);
        picture.push('\n');
    }
    Some(picture)
}

/// Light modules around the code. ISO/IEC 18004 asks for four; every phone camera reads two when the frame is white, and
/// the code stays small enough for a terminal of 24 lines.
const QUIET_ZONE: usize = 2;
/// Colours 16 and 231 of the 256: black and white whatever palette the terminal has for the first sixteen.
const BLACK_ON_WHITE: &str = "\u{1b}[38;5;16;48;5;231m";
const RESET: &str = "\u{1b}[0m";

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://drop.example.org/#AAECAwQFBgcICQoLDA0ODw";

    fn rows(picture: &str) -> Vec<Vec<char>> {
        picture
            .lines()
            .map(|line| line.trim_start_matches(BLACK_ON_WHITE).trim_end_matches(RESET).chars().collect())
            .collect()
    }

    #[test]
    fn a_link_fits_a_terminal_of_80_columns_and_24_lines() {
        let picture = draw(LINK, 80).unwrap();
        let rows = rows(&picture);
        assert!(rows.len() <= 20, "{} lines", rows.len());
        assert!(rows.iter().all(|row| row.len() == rows[0].len() && row.len() <= 80));
        assert!(draw(&LINK.repeat(5), 80).is_none_or(|larger| rows_width(&larger) <= 80));
        assert_eq!(draw(&LINK.repeat(20), 80), None, "better none than one that wraps");
        assert_eq!(draw(LINK, 20), None);
    }

    fn rows_width(picture: &str) -> usize {
        rows(picture).iter().map(Vec::len).max().unwrap_or_default()
    }

    #[test]
    fn finder_patterns_are_dark_on_light_within_a_quiet_zone() {
        let picture = draw(LINK, 80).unwrap();
        let rows = rows(&picture);
        let row = |y: usize| rows[y].iter().take(QUIET_ZONE + 8).collect::<String>();
        assert_eq!(row(0), "          ", "the first row is quiet zone only");
        assert_eq!(row(1), "  █▀▀▀▀▀█ ");
        assert_eq!(row(2), "  █ ███ █ ");
        assert_eq!(row(3), "  █ ▀▀▀ █ ");
        assert_eq!(row(4), "  ▀▀▀▀▀▀▀ ");
    }

    #[test]
    fn both_colours_are_set_on_every_line_and_reset_at_its_end() {
        let picture = draw(LINK, 80).unwrap();
        for line in picture.lines() {
            assert!(line.starts_with(BLACK_ON_WHITE) && line.ends_with(RESET));
        }
    }
}
