//! The project's files, and Rust text without what is not code.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, iter};

/// One file of Rust: where it is, and what it says.
pub(super) struct Source {
    /// Relative to the workspace, with `/`.
    pub(super) path: String,
    /// Without comments, contents of strings and test modules; lines stay where they are.
    pub(super) code: String,
}

/// The directory that holds the workspace.
pub(super) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the workspace")
}

/// A file of the workspace as it is.
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below `directory`, but not what tools put there, in a stable order; paths as in [`Source::path`].
pub(super) fn files(directory: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(&workspace().join(directory), &mut found);
    found.sort();
    found
}

fn collect(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !BUILT.iter().any(|name| path.file_name() == Some(OsStr::new(name))) {
            collect(&path, found);
        } else if kind.is_file() && path.file_name() != Some(OsStr::new(".git")) {
            found.push(relative(&path));
        }
    }
}

/// Directories that hold nothing of the project's own.
const BUILT: [&str; 5] = [".git", "target", "node_modules", "__pycache__", ".venv"];

fn relative(path: &Path) -> String {
    let inside = path.strip_prefix(workspace()).unwrap();
    inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// The product code of a crate: every module but those that only tests compile.
pub(super) fn sources(krate: &str) -> Vec<Source> {
    let is_code = |path: &String| {
        let path = PathBuf::from(path);
        let is_test = path.with_extension("").iter().any(|name| name == "tests");
        path.extension() == Some(OsStr::new("rs")) && !is_test
    };
    let found: Vec<_> = files(&format!("crates/{krate}/src")).into_iter().filter(is_code).collect();
    assert!(!found.is_empty(), "no sources of {krate}");
    found.into_iter().map(|path| Source { code: code(&read(&path)), path }).collect()
}

/// `text` with blanks for comments, for what stands in quotes, and for items under `#[cfg(test)]`.
pub(super) fn code(text: &str) -> String {
    let mut plain = blank_quotes_and_comments(text);
    while let Some(start) = plain.find(TEST_ONLY) {
        let item = plain.get(start + TEST_ONLY.len()..).unwrap_or_default();
        let end = start + TEST_ONLY.len() + item_len(item);
        let blank: String = plain[start..end].chars().filter(|character| *character == '\n').collect();
        plain.replace_range(start..end, &blank);
    }
    plain
}

const TEST_ONLY: &str = "#[cfg(test)]";

/// Up to the `;` or the closing brace that ends the item `text` begins with.
fn item_len(text: &str) -> usize {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn blank_quotes_and_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let named = plain.ends_with(is_name);
        let hidden = hidden_len(rest, named);
        let (skipped, after) = rest.split_at(if hidden == 0 { first.len_utf8() } else { hidden });
        if hidden == 0 {
            plain.push(first);
        } else {
            plain.extend(skipped.chars().filter(|character| *character == '\n'));
            plain.push(' ');
        }
        rest = after;
    }
    plain
}

/// How much of the beginning of `text` is a comment or a literal in quotes; 0 when it begins with code. `named` says
/// whether a name goes on here, so that an `r` in it opens no raw string.
fn hidden_len(text: &str, named: bool) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(text.len(), |end| end + 2);
    }
    let raw = text.strip_prefix('r').filter(|_| !named);
    if let Some(quoted) = raw.filter(|raw| raw.trim_start_matches('#').starts_with('"')) {
        let hashes = quoted.len() - quoted.trim_start_matches('#').len();
        let close: String = iter::once('"').chain(iter::repeat_n('#', hashes)).collect();
        let body = hashes + 2;
        return text
            .get(body..)
            .and_then(|rest| rest.find(&close))
            .map_or(text.len(), |end| body + end + close.len());
    }
    match text.chars().next() {
        Some('"') => quoted_len(text, '"'),
        // A lifetime has no second quote where a character would have it.
        Some('\'') if is_character(text) => quoted_len(text, '\''),
        _ => 0,
    }
}

fn is_character(text: &str) -> bool {
    let mut inside = text.chars().skip(1);
    matches!((inside.next(), inside.next()), (Some('\\'), _) | (Some(_), Some('\'')))
}

/// The length of a literal between two of `quote`, escapes counted.
fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            end if end == quote => return at + end.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Where `word` stands in `code` as a whole name.
pub(super) fn occurrences<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let (before, after) = (&code[..*at], &code[at + word.len()..]);
        !before.ends_with(is_name) && !after.starts_with(is_name)
    })
}

/// Whether a character can stand in a name.
pub(super) fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The name that `text` begins with; empty when it begins with none.
pub(super) fn name(text: &str) -> &str {
    text.split(|character| !is_name(character)).next().unwrap_or_default()
}

#[test]
fn comments_strings_and_tests_are_not_code() {
    let text = "a(); // b\n/* c\n */ d(\"e \\\" f\", r#\"g \" h\"#, '\"', 'i', b\"j\"); fn k<'l>() {}\n\
                #[cfg(test)]\nmod m { fn n() { } }\n#[cfg(test)] use o;\np";
    let plain = code(text);
    let found: Vec<char> = "abcdefghijklmnop"
        .chars()
        .filter(|word| occurrences(&plain, &word.to_string()).next().is_some())
        .collect();
    // The `b` is the one before a byte string.
    assert_eq!(found, ['a', 'b', 'd', 'k', 'l', 'p'], "{plain}");
    assert_eq!(plain.matches('\n').count(), text.matches('\n').count(), "lines stay where they are");
}

#[test]
fn a_name_is_found_whole_only() {
    assert_eq!(occurrences("stdout my_stdout stdout2 (stdout)", "stdout").collect::<Vec<_>>(), [0, 26]);
}
