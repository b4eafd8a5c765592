//! The code a person reads aloud: `48-2093`.
//!
//! A [`Code`] is a [`Nameplate`], which the rendezvous assigns and routes on, and a [`Password`], which the sender
//! makes and the rendezvous never sees (PROTOCOL.md §3). Parsing is forgiving about spaces, dashes and full-width
//! digits and strict about everything else; it never guesses which digits are secret.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::wordlist;

/// How the password reaches the other side. It is an input of the handshake, so the two modes can never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Read aloud and typed: digits or words.
    Typed,
    /// Carried by a link or its QR code: 128 bits.
    Link,
}

impl Mode {
    /// The mode as it stands in the handshake's identities: `typed` or `link`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Typed => "typed",
            Self::Link => "link",
        }
    }
}

/// The public, routing part of a code: 2 to 6 decimal digits without a leading zero (10 to 999,999).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Nameplate(u32);

impl Nameplate {
    /// Fewest digits of a nameplate.
    pub const MIN_DIGITS: u32 = 2;
    /// Most digits of a nameplate.
    pub const MAX_DIGITS: u32 = 6;

    /// The nameplate with this number, or `None` outside 10 to 999,999.
    pub fn new(number: u32) -> Option<Self> {
        (10..=999_999).contains(&number).then_some(Self(number))
    }

    /// The number, 10 to 999,999.
    pub fn number(self) -> u32 {
        self.0
    }

    /// How many nameplates have exactly `digits` digits: `9 · 10^(digits - 1)`; 0 outside 2 to 6.
    pub fn count_of(digits: u32) -> u32 {
        if (Self::MIN_DIGITS..=Self::MAX_DIGITS).contains(&digits) { 9 * 10_u32.pow(digits - 1) } else { 0 }
    }

    /// The `index`-th nameplate of exactly `digits` digits, or `None` from [`Nameplate::count_of`] on.
    pub fn nth(digits: u32, index: u32) -> Option<Self> {
        (index < Self::count_of(digits)).then(|| Self(10_u32.pow(digits - 1) + index))
    }

    /// How many decimal digits it has, 2 to 6.
    pub fn digits(self) -> u32 {
        self.0.ilog10() + 1
    }
}

impl fmt::Display for Nameplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Nameplate> for u32 {
    fn from(nameplate: Nameplate) -> Self {
        nameplate.0
    }
}

impl TryFrom<u32> for Nameplate {
    type Error = ParseCodeError;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        Self::new(number).ok_or(ParseCodeError::Nameplate)
    }
}

/// The secret part of a code or a link. Wiped from memory when dropped; only [`Code::expose`] and
/// [`crate::link::ShareLink::expose`] turn it into text.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    mode: Mode,
    bytes: Zeroizing<Vec<u8>>,
}

impl Password {
    /// Fewest digits of a typed password.
    pub const MIN_DIGITS: usize = 4;
    /// Most digits of a typed password.
    pub const MAX_DIGITS: usize = 12;
    /// Fewest words of a typed password.
    pub const MIN_WORDS: usize = 2;
    /// Most words of a typed password.
    pub const MAX_WORDS: usize = 8;
    /// Bytes of a link password.
    pub const LINK_LEN: usize = 16;

    /// A password of `digits` decimal digits (4 to 12; clamped) drawn from `entropy`.
    ///
    /// `number = u128(entropy) mod 10^digits`: the bias is below 2^-88.
    pub fn from_digits(digits: usize, entropy: [u8; 16]) -> Self {
        let width = digits.clamp(Self::MIN_DIGITS, Self::MAX_DIGITS);
        let modulus = (0..width).fold(1_u128, |power, _| power * 10);
        let number = u128::from_be_bytes(entropy) % modulus;
        Self::typed(format!("{number:0width$}"))
    }

    /// A password of `count` words (2 to 8; clamped) of the list of 1,024, 10 bits each, drawn from `entropy`.
    pub fn from_words(count: usize, entropy: [u8; 16]) -> Self {
        let mut bits = u128::from_be_bytes(entropy);
        let mut words = Vec::new();
        for _ in 0..count.clamp(Self::MIN_WORDS, Self::MAX_WORDS) {
            words.push(wordlist::word((bits & 0x3ff) as u16));
            bits >>= 10;
        }
        Self::typed(words.join("-"))
    }

    /// The 128-bit password of a link.
    pub fn from_link(bytes: [u8; Self::LINK_LEN]) -> Self {
        Self { mode: Mode::Link, bytes: Zeroizing::new(bytes.to_vec()) }
    }

    /// How this password travels.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The bytes that key the PAKE: ASCII for typed passwords, raw for links.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn typed(text: String) -> Self {
        Self { mode: Mode::Typed, bytes: Zeroizing::new(text.into_bytes()) }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Password({}, redacted)", self.mode.as_str())
    }
}

/// What a person reads aloud: `nameplate-password`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    nameplate: Nameplate,
    password: Password,
}

impl Code {
    /// Joins the part the rendezvous gave with the part the sender made, or `None` for a link password.
    pub fn new(nameplate: Nameplate, password: Password) -> Option<Self> {
        (password.mode == Mode::Typed).then_some(Self { nameplate, password })
    }

    /// The part the rendezvous routes on.
    pub fn nameplate(&self) -> Nameplate {
        self.nameplate
    }

    /// The part that stays on this machine.
    pub fn password(&self) -> &Password {
        &self.password
    }

    /// The code as text, secret included: for the eyes of the user only.
    pub fn expose(&self) -> Zeroizing<String> {
        let secret = core::str::from_utf8(&self.password.bytes).unwrap_or_default();
        Zeroizing::new(format!("{}-{secret}", self.nameplate))
    }
}

impl FromStr for Code {
    type Err = ParseCodeError;

    /// Parses what a person typed (PROTOCOL.md §3.3).
    ///
    /// `48-2093`, `48 2093`, `482093` (exactly six digits), `48-able-acid`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let clean = Zeroizing::new(normalise(text)?);
        let (nameplate, secret) = match clean.split_once('-') {
            Some(parts) => parts,
            None => split_unseparated(&clean)?,
        };
        let password = if secret.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            parse_digits(&secret.replace('-', ""))?
        } else {
            parse_words(secret)?
        };
        Ok(Self { nameplate: nameplate.parse()?, password })
    }
}

impl FromStr for Nameplate {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = (2..=6).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && !text.starts_with('0');
        let number = text.parse().ok().filter(|_| plain);
        number.and_then(Self::new).ok_or(ParseCodeError::Nameplate)
    }
}

/// Why a text is not a code. No variant repeats what was typed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseCodeError {
    /// Nothing but separators.
    #[error("the code is empty")]
    Empty,
    /// A character that no code contains, or far too many of them.
    #[error("this is not a code: a code looks like 48-2093")]
    NotACode,
    /// Digits without a separator that could be split in more than one way.
    #[error("the code has {digits} digits and no dash: type the dash too, as in 481-2093")]
    NeedsDash {
        /// How many digits were typed.
        digits: usize,
    },
    /// The part before the dash is not 2 to 6 digits without a leading zero.
    #[error("the part before the dash must be 2 to 6 digits and must not begin with 0")]
    Nameplate,
    /// The secret is shorter than four digits or two words: refused before anything is sent.
    #[error("the part after the dash is too short: at least 4 digits or 2 words")]
    PasswordTooShort,
    /// The secret is longer than twelve digits or eight words.
    #[error("the part after the dash is too long")]
    PasswordTooLong,
    /// A word that is not on the list.
    #[error("word {position} of the code is not on the list of words")]
    UnknownWord {
        /// Its place, counted from 1.
        position: usize,
    },
}

/// Folds what people type for a dash, a digit or a letter; runs of separators become one dash.
fn normalise(text: &str) -> Result<String, ParseCodeError> {
    if text.len() > MAX_TYPED_LEN {
        return Err(ParseCodeError::NotACode);
    }
    let mut clean = String::with_capacity(text.len());
    for character in text.trim().chars() {
        match character {
            '0'..='9' | 'a'..='z' => clean.push(character),
            'A'..='Z' => clean.push(character.to_ascii_lowercase()),
            '\u{ff10}'..='\u{ff19}' => {
                clean.extend(char::from_digit(u32::from(character) - 0xff10, 10));
            }
            '-' | '_' | '.' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{ff0d}' => {
                push_dash(&mut clean);
            }
            space if space.is_whitespace() => push_dash(&mut clean),
            _ => return Err(ParseCodeError::NotACode),
        }
    }
    let trimmed = clean.trim_matches('-');
    if trimmed.is_empty() { Err(ParseCodeError::Empty) } else { Ok(trimmed.to_owned()) }
}

fn push_dash(clean: &mut String) {
    if !clean.ends_with('-') {
        clean.push('-');
    }
}

/// Six digits are two of nameplate and four of password; anything else without a separator is ambiguous.
fn split_unseparated(digits: &str) -> Result<(&str, &str), ParseCodeError> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseCodeError::NotACode);
    }
    match digits.len() {
        6 => digits.split_at_checked(2).ok_or(ParseCodeError::NotACode),
        0..=5 => Err(ParseCodeError::PasswordTooShort),
        count => Err(ParseCodeError::NeedsDash { digits: count }),
    }
}

fn parse_digits(digits: &str) -> Result<Password, ParseCodeError> {
    match digits.len() {
        0..Password::MIN_DIGITS => Err(ParseCodeError::PasswordTooShort),
        Password::MIN_DIGITS..=Password::MAX_DIGITS => Ok(Password::typed(digits.to_owned())),
        _ => Err(ParseCodeError::PasswordTooLong),
    }
}

fn parse_words(text: &str) -> Result<Password, ParseCodeError> {
    let words: Vec<&str> = text.split('-').collect();
    if let Some(index) = words.iter().position(|word| wordlist::index(word).is_none()) {
        return Err(ParseCodeError::UnknownWord { position: index + 1 });
    }
    match words.len() {
        0..Password::MIN_WORDS => Err(ParseCodeError::PasswordTooShort),
        Password::MIN_WORDS..=Password::MAX_WORDS => Ok(Password::typed(words.join("-"))),
        _ => Err(ParseCodeError::PasswordTooLong),
    }
}

/// Longest text that is looked at as a code, in bytes: eight words and a nameplate with room to spare.
const MAX_TYPED_LEN: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, ParseCodeError> {
        text.parse::<Code>().map(|code| code.expose().to_string())
    }

    #[test]
    fn every_way_of_typing_the_same_code_is_the_same_code() {
        for text in ["48-2093", "482093", "48 2093", " 48 - 2093 ", "48–2093", "48-20 93", "４８－２０９３"]
        {
            assert_eq!(parse(text).as_deref(), Ok("48-2093"), "{text}");
        }
    }

    #[test]
    fn leading_zeros_of_the_password_are_kept() {
        assert_eq!(parse("48-0042").as_deref(), Ok("48-0042"));
        assert_ne!(parse("48-0042"), parse("48-00042"));
    }

    #[test]
    fn more_than_six_digits_without_a_separator_ask_for_the_dash() {
        assert_eq!(parse("4812093"), Err(ParseCodeError::NeedsDash { digits: 7 }));
    }

    #[test]
    fn a_secret_of_less_than_four_digits_is_refused() {
        for text in ["48-209", "48209", "4", "48-", "1234-1"] {
            assert_eq!(parse(text), Err(ParseCodeError::PasswordTooShort), "{text}");
        }
    }

    #[test]
    fn a_nameplate_with_a_leading_zero_or_seven_digits_is_refused() {
        for text in ["08-2093", "1-2093", "1234567-2093", "082093"] {
            assert_eq!(parse(text), Err(ParseCodeError::Nameplate), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_code_is_told_apart_from_a_short_one() {
        for text in ["file.txt/x", "../48-2093", "48:2093", "\u{1b}[1A"] {
            assert_eq!(parse(text), Err(ParseCodeError::NotACode), "{text:?}");
        }
        assert_eq!(parse("  -- "), Err(ParseCodeError::Empty));
    }

    #[test]
    fn words_of_the_list_make_a_code() {
        let password = Password::from_words(3, [7; 16]);
        let code = Code::new(Nameplate::new(48).unwrap(), password).unwrap();
        assert_eq!(code.expose().parse::<Code>(), Ok(code));
        assert_eq!(parse("48-zzzz-zzzz"), Err(ParseCodeError::UnknownWord { position: 1 }));
    }

    #[test]
    fn drawn_digits_have_the_asked_width() {
        for digits in 4..=12 {
            assert_eq!(Password::from_digits(digits, [0; 16]).as_bytes().len(), digits);
        }
    }

    #[test]
    fn debug_output_shows_no_digit_of_the_secret() {
        let code: Code = "48-2093".parse().unwrap();
        assert!(!format!("{code:?}").contains("2093"));
    }

    #[test]
    fn nameplates_of_a_length_are_counted_and_numbered() {
        assert_eq!(Nameplate::count_of(2), 90);
        assert_eq!(Nameplate::nth(2, 0).map(Nameplate::number), Some(10));
        assert_eq!(Nameplate::nth(3, 899).map(Nameplate::number), Some(999));
        assert_eq!(Nameplate::nth(3, 900), None);
    }
}
