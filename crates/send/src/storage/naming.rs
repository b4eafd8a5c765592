//! Names made from other names: the next free one, that of a partial, that of its record.

use data_encoding::HEXLOWER;

use super::digest::Hasher;

/// The longest name that file systems in use accept, in bytes (`NAME_MAX` of Linux; APFS and NTFS count 255 units of
/// their own, which are never more than the bytes).
pub(super) const NAME_MAX: usize = 255;

/// The `number`th name to try where `name` is taken: `report (1).pdf`, `photos (1)`.
///
/// Number 0 is `name` itself. A long stem is cut so that the result fits [`NAME_MAX`] bytes.
pub(super) fn numbered(name: &str, kind: Named, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    let (stem, extension) = match kind {
        Named::File => split_extension(name),
        Named::Directory => (name, ""),
    };
    let suffix = format!(" ({number}){extension}");
    format!("{}{suffix}", truncated(stem, NAME_MAX.saturating_sub(suffix.len())))
}

/// What a name stands for, which decides where a number goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The number goes before the extension.
    File,
    /// The number goes last.
    Directory,
}

/// The name of the partial of file `name`: `.NAME.part`, or `.NAME.2.part` for the second `attempt` and so on.
///
/// A name that would not leave room for [`record_name`] is cut and told apart by a hash of itself.
pub(super) fn part_name(name: &str, attempt: u32) -> String {
    hidden_name(name, attempt, "part")
}

/// The name of the record of a transfer whose first name is `name`: `.NAME.parts.json`, or `.NAME.2.parts.json` and so on.
pub(super) fn parts_name(name: &str, attempt: u32) -> String {
    record_name(&hidden_name(name, attempt, "parts"))
}

fn hidden_name(name: &str, attempt: u32, what: &str) -> String {
    let suffix = if attempt < 2 { format!(".{what}") } else { format!(".{attempt}.{what}") };
    let room = NAME_MAX - ".".len() - suffix.len() - RECORD_SUFFIX.len();
    if name.len() <= room {
        return format!(".{name}{suffix}");
    }
    let digest = Hasher::of(name.as_bytes());
    let hash = HEXLOWER.encode(digest.first_chunk::<8>().unwrap_or(&[0; 8]));
    let stem = truncated(name, room.saturating_sub(1 + hash.len()));
    format!(".{stem}~{hash}{suffix}")
}

/// The name of the record beside the partial `part`.
pub(super) fn record_name(part: &str) -> String {
    format!("{part}{RECORD_SUFFIX}")
}

const RECORD_SUFFIX: &str = ".json";

/// Splits at the last dot, unless that leaves an empty stem (`.bashrc`) or something too long to be an extension.
fn split_extension(name: &str) -> (&str, &str) {
    /// Bytes, dot included: longer than any extension in use, `.tar.gz` and `.jpeg` included.
    const EXTENSION_MAX: usize = 16;
    let stem_len = name
        .strip_suffix(".gz")
        .or_else(|| name.strip_suffix(".xz"))
        .or_else(|| name.strip_suffix(".zst"))
        .or_else(|| name.strip_suffix(".bz2"))
        .filter(|rest| rest.len() > ".tar".len())
        .and_then(|rest| rest.strip_suffix(".tar"))
        .map(str::len)
        .or_else(|| name.rfind('.'));
    match stem_len.and_then(|len| name.split_at_checked(len)) {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= EXTENSION_MAX => (stem, extension),
        Some(_) | None => (name, ""),
    }
}

/// The longest prefix of `text` of at most `max` bytes that ends between characters.
fn truncated(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_number_goes_before_the_extension_of_a_file() {
        for (name, expected) in [
            ("report.pdf", "report (1).pdf"),
            ("README", "README (1)"),
            (".bashrc", ".bashrc (1)"),
            ("a.b.c", "a.b (1).c"),
            ("backup.tar.gz", "backup (1).tar.gz"),
            (".tar.gz", ".tar (1).gz"),
            ("Version 1.this is no extension", "Version 1.this is no extension (1)"),
        ] {
            assert_eq!(numbered(name, Named::File, 1), expected);
        }
    }

    #[test]
    fn the_number_goes_last_in_the_name_of_a_directory() {
        assert_eq!(numbered("photos.2024", Named::Directory, 3), "photos.2024 (3)");
    }

    #[test]
    fn long_names_that_differ_only_at_the_end_have_different_partials() {
        let (one, two) = (format!("{}1", "x".repeat(254)), format!("{}2", "x".repeat(254)));
        assert_ne!(part_name(&one, 1), part_name(&two, 1));
    }

    proptest! {
        #[test]
        fn every_name_made_fits_a_file_system(name in "\\PC{1,255}", number in 0_u32..100_000) {
            prop_assume!(name.len() <= NAME_MAX);
            prop_assert!(numbered(&name, Named::File, number).len() <= NAME_MAX);
            prop_assert!(numbered(&name, Named::Directory, number).len() <= NAME_MAX);
            let part = part_name(&name, number);
            prop_assert!(part.starts_with('.'));
            prop_assert!(part.strip_suffix(".part").is_some());
            prop_assert!(record_name(&part).len() <= NAME_MAX);
        }
    }
}
