//! The tables of the crates that exist for this.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};

/// Whether this is a format character: it shows nothing itself and changes how others are shown.
pub fn is_format(character: char) -> bool {
    character.general_category() == GeneralCategory::Format
}

/// Whether this is a control character, breaks lines, or is for private use, which shows as anything.
pub fn is_control(character: char) -> bool {
    matches!(
        character.general_category(),
        GeneralCategory::Control
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
    )
}

/// Whether this may be shown as an emoji; digits are among them.
pub fn is_emoji(character: char) -> bool {
    character.is_emoji_char()
}

/// The composed form, Normalization Form C.
pub fn nfc(text: &str) -> String {
    text.nfc().collect()
}

/// The lower case of every character. A sigma at the end of a word becomes the final one.
pub fn lower_case(text: &str) -> String {
    text.to_lowercase()
}

/// The upper case of every character.
pub fn upper_case(text: &str) -> String {
    text.to_uppercase()
}
