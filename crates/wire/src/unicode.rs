//! What Unicode says about characters: from tables of our own build natively, and in a browser from the tables that
//! the browser has anyway, which would otherwise be a third of the page.
//!
//! Both know every character that matters here, or were made in different years and disagree about characters that
//! one of them has never heard of; a test of the workspace compares them, code point by code point.

#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(not(target_arch = "wasm32"))]
mod native;

#[cfg(target_arch = "wasm32")]
pub use browser::{is_control, is_emoji, is_format, lower_case, nfc, upper_case};
#[cfg(not(target_arch = "wasm32"))]
pub use native::{is_control, is_emoji, is_format, lower_case, nfc, upper_case};

/// What a browser calls [`is_format`]: a regular expression for its mode `u`.
pub const FORMAT_PATTERN: &str = r"^\p{Cf}$";

/// What a browser calls [`is_control`].
pub const CONTROL_PATTERN: &str = r"^[\p{Cc}\p{Zl}\p{Zp}\p{Co}]$";

/// What a browser calls [`is_emoji`].
pub const EMOJI_PATTERN: &str = r"^\p{Emoji}$";
