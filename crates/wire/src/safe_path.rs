//! A relative path that is safe to create on every system, whoever wrote it.
//!
//! A [`SafePath`] comes only from [`SafePath::parse`], which refuses (PROTOCOL.md §8), or from
//! [`SafePath::from_local`], which repairs. Refused are names that leave the directory, that some system reads as
//! something else (devices, streams, drive letters), and that do not look like what they are (control, bidirectional
//! and invisible characters). It knows nothing of any disk: what exists there is the receiver's matter.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::unicode::{is_control, is_emoji, is_format, lower_case, nfc, upper_case};

/// A portable relative path: 1 to [`SafePath::MAX_DEPTH`] names joined by `/`.
///
/// It may be printed as it is: it holds no control character and nothing invisible.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath(Box<str>);

impl SafePath {
    /// Longest path in bytes: `PATH_MAX` of Linux.
    pub const MAX_LEN: usize = 4096;
    /// Longest single name in bytes: what ext4, APFS, XFS and btrfs can store.
    pub const MAX_NAME_LEN: usize = 255;
    /// Most names in a path. Trees that people make stay below 25 levels; the receiver opens one directory per level
    /// for every file, so a peer may not choose the number freely.
    pub const MAX_DEPTH: usize = 32;

    /// Parses a path from untrusted text. The text is kept as it is or refused, never repaired.
    ///
    /// # Errors
    /// A [`PathError`] that names the first rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(PathError::TooLong { len: text.len() });
        }
        let depth = text.split('/').count();
        if depth > Self::MAX_DEPTH {
            return Err(PathError::TooDeep { depth });
        }
        text.split('/').try_for_each(check_name)?;
        Ok(Self(text.into()))
    }

    /// A path that was one before it became text.
    pub(crate) fn from_checked(text: &str) -> Self {
        Self(text.into())
    }

    /// Parses a path from untrusted bytes.
    ///
    /// # Errors
    /// [`PathError::NotUtf8`], and those of [`SafePath::parse`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PathError> {
        let text = core::str::from_utf8(bytes).map_err(|_| PathError::NotUtf8)?;
        Self::parse(text)
    }

    /// The path under which a local file travels: its names, each repaired by [`sanitize_name`].
    ///
    /// Two local paths may become one; [`crate::manifest::Manifest::new`] reports that.
    ///
    /// # Errors
    /// [`PathError::Empty`], [`PathError::TooLong`] and [`PathError::TooDeep`], which no renaming cures.
    pub fn from_local<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, PathError> {
        let names: Vec<String> = names.into_iter().map(sanitize_name).collect();
        Self::parse(&names.join("/"))
    }

    /// The whole path, names joined by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names, outermost first; never empty.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// How many names it has, 1 to [`SafePath::MAX_DEPTH`].
    pub fn depth(&self) -> usize {
        self.components().count()
    }

    /// The first name: what appears in the directory that receives.
    pub fn top(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(top, _)| top)
    }

    /// The last name.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(_, name)| name)
    }

    /// The path without its last name, or `None` for a single name.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// This path with one more name.
    ///
    /// # Errors
    /// Those of [`SafePath::parse`].
    pub fn join(&self, name: &str) -> Result<Self, PathError> {
        check_name(name)?;
        Self::parse(&format!("{}/{name}", self.0))
    }

    /// Whether this is `other` or lies below it. Whole names count: `ab/c` is not below `a`.
    pub fn starts_with(&self, other: &Self) -> bool {
        let rest = self.0.strip_prefix(other.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What two paths share when some system takes them for the same file: upper and lower case, composed and
    /// decomposed accents, joiners and variation selectors make no difference (NTFS, APFS, HFS+).
    ///
    /// `key = NFC(lower(upper(lower(NFC(path)))))`, character by character: the nearest the standard library has to
    /// Unicode case folding. Names map to names, so keys of parents are prefixes of keys.
    pub fn collision_key(&self) -> String {
        if self.0.is_ascii() {
            return self.0.to_ascii_lowercase();
        }
        let visible: String = nfc(&self.0).chars().filter(|&it| !is_selector_or_joiner(it)).collect();
        // `ı` stays: its upper case is `I`, but no file system takes it for `i`.
        let folded: Vec<String> = visible.split('ı').map(fold).collect();
        nfc(&folded.join("ı"))
    }
}

impl FromStr for SafePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for SafePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a [`SafePath`]. No variant repeats the text, which may be made to deceive.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// No name at all.
    #[error("path is empty")]
    Empty,
    /// More than [`SafePath::MAX_LEN`] bytes.
    #[error("path is {len} bytes, at most {} are allowed", SafePath::MAX_LEN)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// More than [`SafePath::MAX_DEPTH`] names.
    #[error("path is {depth} levels deep, at most {} are allowed", SafePath::MAX_DEPTH)]
    TooDeep {
        /// How many names it has.
        depth: usize,
    },
    /// Not valid UTF-8.
    #[error("path is not valid UTF-8")]
    NotUtf8,
    /// An empty name: an absolute path, a doubled or a trailing `/`.
    #[error("path is absolute or has an empty name")]
    EmptyName,
    /// A name that is `.` or `..`.
    #[error("path has a `.` or `..` for a name")]
    DotName,
    /// A name of more than [`SafePath::MAX_NAME_LEN`] bytes.
    #[error("name is {len} bytes, at most {} are allowed", SafePath::MAX_NAME_LEN)]
    NameTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A character that no portable name holds: `\ : * ? " < > |`, a control or bidirectional character, a line
    /// separator, an invisible character, private use, a noncharacter or U+FFFD.
    #[error("name holds the character U+{code_point:04X}")]
    Character {
        /// Its code point.
        code_point: u32,
    },
    /// A name that ends in a dot or in white space, which Windows drops.
    #[error("name ends in a dot or in white space")]
    TrailingDotOrSpace,
    /// A name that is a device on Windows: `CON`, `nul.txt`, `COM1`, `LPT²`.
    #[error("name is a device on Windows")]
    Reserved,
}

/// Makes one local name portable: the name itself when it is a valid one, else the nearest valid name.
///
/// Visible characters that are refused become `_` (as does U+FFFD, which stands for bytes that are no text), invisible
/// ones vanish, a device name gets `_` in front, a trailing dot or space becomes `_`, a name that is too long loses
/// the end of its stem. The result is never empty.
pub fn sanitize_name(name: &str) -> String {
    let mut clean = String::with_capacity(name.len());
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        match judge(clean.chars().next_back(), character, characters.peek().copied()) {
            Verdict::Keep => clean.push(character),
            Verdict::Replace => clean.push('_'),
            Verdict::Drop => {}
        }
    }
    if is_reserved(&clean) {
        clean.insert(0, '_');
    }
    shorten(&mut clean);
    if clean.ends_with(is_dot_or_space) {
        clean.pop();
        clean.push('_');
    }
    if clean.is_empty() { "_".to_owned() } else { clean }
}

/// Checks one name of a path.
pub(crate) fn check_name(name: &str) -> Result<(), PathError> {
    if name.is_empty() {
        return Err(PathError::EmptyName);
    }
    if name == "." || name == ".." {
        return Err(PathError::DotName);
    }
    if name.len() > SafePath::MAX_NAME_LEN {
        return Err(PathError::NameTooLong { len: name.len() });
    }
    let mut before = None;
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        if judge(before, character, characters.peek().copied()) != Verdict::Keep {
            return Err(PathError::Character { code_point: character.into() });
        }
        before = Some(character);
    }
    if name.ends_with(is_dot_or_space) {
        return Err(PathError::TrailingDotOrSpace);
    }
    if is_reserved(name) { Err(PathError::Reserved) } else { Ok(()) }
}

/// What is to be done about a character of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    Replace,
    Drop,
}

/// Judges one character between its neighbours.
///
/// A code point that the Unicode tables of this build do not know is kept: a new emoji must not make an older
/// receiver refuse a whole tree. The ranges that Unicode sets aside for invisible characters are not.
fn judge(before: Option<char>, character: char, after: Option<char>) -> Verdict {
    match character {
        // Windows reads the first as a separator, the second as a drive or a stream, and cannot store the others.
        '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '/' => Verdict::Replace,
        ' '..='~' => Verdict::Keep,
        NON_JOINER | JOINER
            if before.is_some_and(|before| joins(before) || before == EMOJI_STYLE)
                && after.is_some_and(joins) =>
        {
            Verdict::Keep
        }
        TEXT_STYLE | EMOJI_STYLE if before.is_some_and(is_emoji) => Verdict::Keep,
        '\u{fffd}' => Verdict::Replace,
        _ if is_invisible(character) => Verdict::Drop,
        _ if is_control(character) || is_noncharacter(character) => Verdict::Replace,
        _ => Verdict::Keep,
    }
}

/// Whether a joiner beside this character is spelling, not disguise: in emoji sequences, and in the scripts from
/// Arabic to Sinhala, Myanmar and Khmer, whose letters it connects or parts.
fn joins(character: char) -> bool {
    match character {
        '\u{620}'..='\u{dff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17dd}' => true,
        _ => !character.is_ascii() && is_emoji(character),
    }
}

/// Format characters, the other characters that show nothing, and the code points that Unicode reserves for more of
/// them (`Default_Ignorable_Code_Point`).
fn is_invisible(character: char) -> bool {
    is_format(character)
        || matches!(
            character,
            '\u{34f}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{2065}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fff8}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The 66 code points that Unicode will never assign.
fn is_noncharacter(character: char) -> bool {
    let code_point = u32::from(character);
    (0xfdd0..=0xfdef).contains(&code_point) || code_point & 0xfffe == 0xfffe
}

fn is_selector_or_joiner(character: char) -> bool {
    matches!(character, NON_JOINER | JOINER | TEXT_STYLE | EMOJI_STYLE)
}

fn is_dot_or_space(character: char) -> bool {
    character == '.' || character.is_whitespace()
}

/// Whether Windows opens a device under this name: what counts is the part before the first dot, without spaces.
fn is_reserved(name: &str) -> bool {
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem).trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CLOCK$" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    port.is_some_and(|port| {
        let mut digits = port.chars();
        matches!(digits.next(), Some('0'..='9' | '¹' | '²' | '³')) && digits.next().is_none()
    })
}

/// Cuts a name to [`SafePath::MAX_NAME_LEN`] bytes at the end of its stem, so that it keeps its extension.
fn shorten(name: &mut String) {
    if name.len() <= SafePath::MAX_NAME_LEN {
        return;
    }
    let extension = match name.rfind('.').map(|dot| name.split_off(dot)) {
        Some(extension) if extension.len() <= MAX_EXTENSION_LEN => extension,
        Some(no_extension) => {
            name.push_str(&no_extension);
            String::new()
        }
        None => String::new(),
    };
    name.truncate(name.floor_char_boundary(SafePath::MAX_NAME_LEN - extension.len()));
    name.truncate(name.trim_end_matches(is_selector_or_joiner).len());
    name.push_str(&extension);
}

/// The case folding of every character. Where a sigma stands in its word makes no difference.
fn fold(text: &str) -> String {
    lower_case(&upper_case(&lower_case(text))).replace('ς', "σ")
}

/// ZERO WIDTH NON-JOINER.
const NON_JOINER: char = '\u{200c}';
/// ZERO WIDTH JOINER.
const JOINER: char = '\u{200d}';
/// VARIATION SELECTOR-15: the emoji before it as text.
const TEXT_STYLE: char = '\u{fe0e}';
/// VARIATION SELECTOR-16: the character before it as emoji.
const EMOJI_STYLE: char = '\u{fe0f}';

/// The longest extension that survives shortening, dot included, in bytes: `.sketchbook` and the like, with room.
const MAX_EXTENSION_LEN: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    fn refusal(text: &str) -> Option<PathError> {
        SafePath::parse(text).err()
    }

    fn key(text: &str) -> String {
        SafePath::parse(text).unwrap().collision_key()
    }

    #[test]
    fn a_path_that_climbs_out_of_the_directory_is_refused() {
        for text in
            ["../../.ssh/authorized_keys", "sub/../../escaped.txt", "a/..", "../x", "..", "../parent2/f"]
        {
            assert_eq!(refusal(text), Some(PathError::DotName), "{text}");
        }
    }

    #[test]
    fn an_absolute_path_is_refused() {
        for text in ["/etc/cron.d/x", "//x/y", "/"] {
            assert_eq!(refusal(text), Some(PathError::EmptyName), "{text}");
        }
    }

    #[test]
    fn a_path_below_a_directory_is_told_by_whole_names() {
        let parent = SafePath::parse("parent").unwrap();
        assert!(SafePath::parse("parent/f").unwrap().starts_with(&parent));
        assert!(parent.starts_with(&parent));
        assert!(!SafePath::parse("parent2/f").unwrap().starts_with(&parent));
    }

    #[test]
    fn a_windows_path_is_refused() {
        let paths = [
            r"..\..\evil.txt",
            r"C:\absolute",
            "C:rel",
            r"\\server\share",
            r"\\?\C:\x",
            r"a\b",
            "c:/windows/x",
        ];
        for text in paths {
            assert!(matches!(refusal(text), Some(PathError::Character { .. })), "{text}");
        }
    }

    #[test]
    fn a_device_name_of_windows_is_refused_in_any_case_and_with_any_extension() {
        let names =
            ["CON", "nul.txt", "COM1.log", "LPT9", "CONIN$", "conout$.x", "aux", "PRN.tar.gz", "CON .txt"];
        for text in names {
            assert_eq!(refusal(text), Some(PathError::Reserved), "{text}");
            assert_eq!(refusal(&format!("a/{text}/b")), Some(PathError::Reserved), "{text}");
        }
        assert_eq!(refusal("AUX "), Some(PathError::TrailingDotOrSpace));
    }

    #[test]
    fn a_device_name_with_a_superscript_digit_is_refused() {
        for text in ["COM\u{b9}", "LPT\u{b2}", "com\u{b3}.txt"] {
            assert_eq!(refusal(text), Some(PathError::Reserved), "{text}");
        }
    }

    #[test]
    fn an_alternate_data_stream_is_refused() {
        for text in ["file.txt:stream", "x:Zone.Identifier", "x::$DATA"] {
            assert_eq!(refusal(text), Some(PathError::Character { code_point: 0x3a }), "{text}");
        }
    }

    #[test]
    fn a_name_that_ends_in_a_dot_or_a_space_is_refused() {
        for text in ["trailing.", "trailing ", "dir /file", "...", " ", "wide\u{3000}"] {
            assert_eq!(refusal(text), Some(PathError::TrailingDotOrSpace), "{text:?}");
        }
    }

    #[test]
    fn an_empty_path_and_empty_names_are_refused() {
        assert_eq!(refusal(""), Some(PathError::Empty));
        for text in ["a//b", "a/", "./"] {
            assert!(matches!(refusal(text), Some(PathError::EmptyName | PathError::DotName)), "{text}");
        }
        assert_eq!(refusal("."), Some(PathError::DotName));
    }

    #[test]
    fn a_nul_inside_a_name_is_refused() {
        assert_eq!(refusal("harmless.txt\0.exe"), Some(PathError::Character { code_point: 0 }));
    }

    #[test]
    fn a_name_of_256_bytes_is_refused_and_one_of_255_is_not() {
        assert_eq!(refusal(&"x".repeat(255)), None);
        assert_eq!(refusal(&"x".repeat(300)), Some(PathError::NameTooLong { len: 300 }));
        assert_eq!(refusal(&"é".repeat(128)), Some(PathError::NameTooLong { len: 256 }));
    }

    #[test]
    fn a_path_of_forty_levels_is_refused_and_one_of_32_is_not() {
        assert_eq!(refusal(&vec!["d"; 32].join("/")), None);
        assert_eq!(refusal(&vec!["d"; 40].join("/")), Some(PathError::TooDeep { depth: 40 }));
    }

    #[test]
    fn a_path_of_more_than_4096_bytes_is_refused() {
        let text = vec!["x".repeat(200); 21].join("/");
        assert_eq!(refusal(&text), Some(PathError::TooLong { len: text.len() }));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        let lone_surrogate: &[u8] = b"a\xed\xa0\x80b";
        for bytes in [lone_surrogate, b"caf\xe9", b"\xc0\xaf", b"\xff"] {
            assert_eq!(SafePath::from_bytes(bytes), Err(PathError::NotUtf8));
        }
        assert_eq!(SafePath::from_bytes("café".as_bytes()).unwrap().as_str(), "café");
    }

    #[test]
    fn terminal_escapes_in_a_name_are_refused() {
        let names = [
            "\u{1b}[1A\rharmless",
            "\u{1b}]52;c;cm0gLXJm\u{7}",
            "\u{1b}]8;;http://x\u{1b}",
            "\u{9b}21t",
            "a\tb",
            "\u{7f}",
            "a\r\nb",
            "a\nSet-Cookie",
        ];
        for text in names {
            assert!(matches!(refusal(text), Some(PathError::Character { .. })), "{text:?}");
        }
    }

    #[test]
    fn a_name_that_shows_as_another_is_refused() {
        let names = [
            "\u{202e}exe.fdp.txt",
            "a\u{2066}b",
            "a\u{2069}",
            "a\u{200f}b",
            "in\u{200b}visible",
            "a\u{200d}b",
            "a\u{200c}.txt",
            "\u{feff}a",
            "a\u{ad}b",
            "a\u{2028}b",
            "a\u{2029}b",
            "a\u{3164}b",
            "a\u{34f}b",
            "a\u{fe0f}b",
            "a\u{e0041}",
            "a\u{2800}b",
        ];
        for text in names {
            assert!(matches!(refusal(text), Some(PathError::Character { .. })), "{text:?}");
        }
    }

    #[test]
    fn private_use_and_noncharacters_are_refused() {
        for text in ["\u{f022}", "a\u{f8ff}", "\u{10fffd}", "\u{ffff}", "\u{fdd0}", "\u{1fffe}", "a\u{fffd}"]
        {
            assert!(matches!(refusal(text), Some(PathError::Character { .. })), "{text:?}");
        }
    }

    #[test]
    fn markup_in_a_name_is_refused_and_a_script_address_too() {
        for text in ["<img src=x onerror=alert(1)>", "javascript:alert(1)"] {
            assert!(matches!(refusal(text), Some(PathError::Character { .. })), "{text}");
        }
    }

    #[test]
    fn ordinary_names_of_all_the_world_are_kept_as_they_are() {
        let names = [
            "holiday.mp4",
            ".bashrc",
            "..hidden",
            "...x",
            "Bericht (Kopie) – final, v2!.docx",
            "it's 100% & more; $HOME `x` ~#@^[]{}=+.txt",
            "%0d%0a",
            "__proto__",
            "constructor",
            "e\u{301}.txt",
            "Ünïcödé.txt",
            "報告書\u{3000}最終.pdf",
            "תמונה.jpg",
            "صورة ١.jpg",
            "نامه\u{200c}ها.pdf",
            "ශ්\u{200d}රී.txt",
            "🦀.rs",
            "👩\u{200d}👩\u{200d}👧.png",
            "👁️\u{200d}🗨️ ❤️ 1️⃣.txt",
            "10.00.00\u{202f}AM.png",
            "COM10",
            "CONSOLE",
            "nullable.rs",
            "com.txt",
            "ångström/ﬁle/K",
            "a\u{378}",
        ];
        for text in names {
            assert_eq!(SafePath::parse(text).as_ref().map(SafePath::as_str), Ok(text));
        }
    }

    #[test]
    fn a_path_gives_its_parts() {
        let path = SafePath::parse("a/b/c.txt").unwrap();
        assert_eq!(path.components().collect::<Vec<_>>(), ["a", "b", "c.txt"]);
        assert_eq!((path.top(), path.file_name(), path.depth()), ("a", "c.txt", 3));
        let parent = path.parent().unwrap();
        assert_eq!(parent.as_str(), "a/b");
        assert_eq!(parent.join("c.txt").as_ref(), Ok(&path));
        assert_eq!(parent.join("x/y"), Err(PathError::Character { code_point: 0x2f }));
        assert_eq!(SafePath::parse("a").unwrap().parent(), None);
    }

    #[test]
    fn names_that_differ_in_case_collide() {
        assert_eq!(key("README"), key("readme"));
        assert_eq!(key("Straße"), key("STRASSE"));
        assert_eq!(key("STRAẞE"), key("straße"));
        assert_eq!(key("ΟΔΟΣ"), key("οδος"));
        assert_eq!(key("\u{212a}"), key("k"));
        assert_ne!(key("readme"), key("read me"));
        assert_ne!(key("sık"), key("sik"));
    }

    #[test]
    fn names_that_differ_in_composition_or_joiners_collide() {
        assert_eq!(key("\u{e9}.txt"), key("e\u{301}.txt"));
        assert_eq!(key("É/x"), key("e\u{301}/X"));
        assert_eq!(key("❤\u{fe0f}"), key("❤"));
        assert_eq!(key("👩\u{200d}👧"), key("👩👧"));
    }

    #[test]
    fn a_local_name_that_is_not_portable_gets_the_nearest_one_that_is() {
        let pairs = [
            ("12:30 talk?.txt", "12_30 talk_.txt"),
            ("a\u{1b}[1Ab", "a_[1Ab"),
            ("trailing.", "trailing_"),
            ("trailing ", "trailing_"),
            ("CON", "_CON"),
            ("nul.txt", "_nul.txt"),
            ("C\u{200b}ON", "_CON"),
            ("AUX ", "_AUX_"),
            ("caf\u{fffd}.txt", "caf_.txt"),
            ("\u{202e}exe.fdp.txt", "exe.fdp.txt"),
            ("\u{200b}", "_"),
            ("", "_"),
            (".", "_"),
            ("..", "._"),
            ("a/b", "a_b"),
            ("\u{f022}", "_"),
        ];
        for (local, portable) in pairs {
            assert_eq!(sanitize_name(local), portable, "{local:?}");
        }
    }

    #[test]
    fn a_local_name_that_is_too_long_keeps_its_extension() {
        let clean = sanitize_name(&format!("{}.jpeg", "写".repeat(120)));
        assert!(clean.len() <= 255 && clean.len() > 250, "{}", clean.len());
        assert!(clean.ends_with("写.jpeg"));
        let no_extension = sanitize_name(&format!("a.{}", "x".repeat(400)));
        assert_eq!(no_extension.len(), 255);
    }

    #[test]
    fn a_local_path_is_repaired_name_by_name() {
        let path = SafePath::from_local(["notes", "9:00", "aux.txt"]).unwrap();
        assert_eq!(path.as_str(), "notes/9_00/_aux.txt");
        assert_eq!(SafePath::from_local([]), Err(PathError::Empty));
        assert_eq!(SafePath::from_local(["d"; 33]), Err(PathError::TooDeep { depth: 33 }));
    }

    /// Text in which the characters that matter here are common.
    fn tricky_text() -> impl Strategy<Value = String> {
        let tricky = prop::sample::select(
            "./\\:<>|?*\" _~%aAcCoOnNuUlLmMpPtT0123¹²³$\u{0}\r\n\u{1b}\u{7f}\u{9b}\u{ad}\u{200b}\u{200c}\u{200d}\
             \u{202e}\u{2028}\u{3000}\u{fe0f}\u{fffd}\u{ffff}\u{e000}\u{301}éßẞİıſς👩❤نශ්"
                .chars()
                .collect::<Vec<_>>(),
        );
        prop::collection::vec(prop_oneof![4 => tricky, 1 => any::<char>()], 0..300)
            .prop_map(|characters| characters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn every_local_name_becomes_a_valid_one(name in tricky_text()) {
            let clean = sanitize_name(&name);
            prop_assert_eq!(check_name(&clean), Ok(()), "{:?}", clean);
            prop_assert_eq!(sanitize_name(&clean), clean);
        }

        #[test]
        fn a_valid_name_is_not_changed(name in tricky_text()) {
            if check_name(&name).is_ok() {
                prop_assert_eq!(sanitize_name(&name), name);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_what_parses_is_kept(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(path) = SafePath::from_bytes(&bytes) {
                prop_assert_eq!(path.as_str().as_bytes(), &bytes[..]);
                prop_assert!(!path.as_str().contains(char::is_control));
            }
        }

        #[test]
        fn composing_and_changing_case_never_changes_the_key(names in prop::collection::vec(tricky_text(), 1..4)) {
            let path = SafePath::from_local(names.iter().map(String::as_str)).unwrap();
            for other in [path.as_str().nfc().collect(), path.as_str().nfd().collect(), path.as_str().to_lowercase()] {
                let other: String = other;
                if let Ok(other) = SafePath::parse(&other) {
                    prop_assert_eq!(other.collision_key(), path.collision_key());
                }
            }
        }

        #[test]
        fn the_key_of_a_parent_begins_the_key_of_its_child(names in prop::collection::vec(tricky_text(), 2..4)) {
            let path = SafePath::from_local(names.iter().map(String::as_str)).unwrap();
            let parent = path.parent().unwrap().collision_key();
            let key = path.collision_key();
            prop_assert_eq!(key.rsplit_once('/').map(|(above, _)| above), Some(parent.as_str()));
        }
    }
}
