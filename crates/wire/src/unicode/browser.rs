//! What the browser knows.

use std::cell::OnceCell;

use wasm_bindgen::prelude::wasm_bindgen;

use super::{CONTROL_PATTERN, EMOJI_PATTERN, FORMAT_PATTERN};

#[wasm_bindgen]
extern "C" {
    type RegExp;
    #[wasm_bindgen(constructor)]
    fn new(pattern: &str, flags: &str) -> RegExp;
    #[wasm_bindgen(method)]
    fn test(this: &RegExp, text: &str) -> bool;

    #[wasm_bindgen(js_name = String)]
    type Text;
    #[wasm_bindgen(js_name = String)]
    fn browser_string(text: &str) -> Text;
    #[wasm_bindgen(method, js_class = "String")]
    fn normalize(this: &Text, form: &str) -> String;
    #[wasm_bindgen(method, js_class = "String", js_name = toLowerCase)]
    fn to_lower_case(this: &Text) -> String;
    #[wasm_bindgen(method, js_class = "String", js_name = toUpperCase)]
    fn to_upper_case(this: &Text) -> String;
}

thread_local! {
    static FORMAT: OnceCell<RegExp> = const { OnceCell::new() };
    static CONTROL: OnceCell<RegExp> = const { OnceCell::new() };
    static EMOJI: OnceCell<RegExp> = const { OnceCell::new() };
}

/// Whether this is a format character: it shows nothing itself and changes how others are shown.
pub fn is_format(character: char) -> bool {
    FORMAT.with(|pattern| is_match(pattern, FORMAT_PATTERN, character))
}

/// Whether this is a control character, breaks lines, or is for private use, which shows as anything.
pub fn is_control(character: char) -> bool {
    CONTROL.with(|pattern| is_match(pattern, CONTROL_PATTERN, character))
}

/// Whether this may be shown as an emoji; digits are among them.
pub fn is_emoji(character: char) -> bool {
    EMOJI.with(|pattern| is_match(pattern, EMOJI_PATTERN, character))
}

/// The composed form, Normalization Form C.
pub fn nfc(text: &str) -> String {
    browser_string(text).normalize("NFC")
}

/// The lower case of every character. A sigma at the end of a word becomes the final one.
pub fn lower_case(text: &str) -> String {
    browser_string(text).to_lower_case()
}

/// The upper case of every character.
pub fn upper_case(text: &str) -> String {
    browser_string(text).to_upper_case()
}

fn is_match(pattern: &OnceCell<RegExp>, source: &str, character: char) -> bool {
    pattern.get_or_init(|| RegExp::new(source, "u")).test(character.encode_utf8(&mut [0; 4]))
}
