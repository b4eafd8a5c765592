//! The QR code of a link, for the page to draw.

use qrcode::{Color, EcLevel, QrCode};
use wasm_bindgen::prelude::wasm_bindgen;

/// The modules of a QR code without a quiet zone, row after row: 1 is dark. As many rows as columns. Nothing for a text
/// that is too long.
#[wasm_bindgen(js_name = qrModules)]
#[must_use]
pub fn qr_modules(text: &str) -> Option<Vec<u8>> {
    // A screen is neither torn nor stained: the lowest level gives the largest modules.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    Some(code.to_colors().into_iter().map(|color| u8::from(color == Color::Dark)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_square_with_three_corners() {
        let modules = qr_modules("https://drop.example.org/#AAECAwQFBgcICQoLDA0ODw").unwrap();
        let side = modules.len().isqrt();
        assert_eq!(side * side, modules.len());
        let row = |y: usize, x: usize| modules[y * side + x..][..7].to_vec();
        for (y, x) in [(0, 0), (0, side - 7), (side - 7, 0)] {
            assert_eq!(row(y, x), [1; 7], "a finder pattern begins dark");
            assert_eq!(row(y + 1, x), [1, 0, 0, 0, 0, 0, 1]);
        }
        assert_eq!(qr_modules(&"x".repeat(4_000)), None);
    }
}
