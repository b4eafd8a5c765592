//! What a sender offers: the list of files, directories and links, checked as a whole before the first byte.
//!
//! A [`Manifest`] exists only when every rule holds for all of its entries together (PROTOCOL.md §8), so whoever has
//! one may create its entries in any order. The sender makes it with [`Manifest::new`] and sends its
//! [`Manifest::parts`]; the receiver feeds those to a [`ManifestBuilder`]. It says what is offered, not what is
//! wanted: refusing symbolic links, or a size, is policy of the receiver.

mod builder;
mod entries;
mod entry;
mod names;

use core::fmt;
use core::iter::Peekable;
use std::collections::BTreeMap;

use thiserror::Error;

use crate::safe_path::PathError;

pub use self::builder::ManifestBuilder;
pub use self::entries::{Entries, Iter};
pub use self::entry::{Entry, EntryKind};

/// Most entries of a manifest.
pub const MAX_ENTRIES: usize = 1_000_000;

/// Longest encoding of all entries together, in bytes: a million entries of 268 bytes.
pub const MAX_ENCODED_LEN: usize = 256 * 1024 * 1024;

/// Longest part, in bytes. A part is the body of one message, which must fit one record of 65,536 bytes of plaintext.
pub const MAX_PART_LEN: usize = 60_000;

/// Longest text that travels as [`Purpose::Text`], in bytes. The receiver holds it in memory and prints it.
pub const MAX_TEXT_LEN: u64 = 1024 * 1024;

/// What the entries are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Files to be saved.
    Files,
    /// A text to be shown: one file of at most [`MAX_TEXT_LEN`] bytes.
    Text,
}

impl Purpose {
    /// The byte that stands for it, on the wire and in the digest: 1 or 2.
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Files => 1,
            Self::Text => 2,
        }
    }

    /// The purpose that `byte` stands for, if any.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Files),
            2 => Some(Self::Text),
            _ => None,
        }
    }
}

/// A list of entries that is valid as a whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Manifest {
    purpose: Purpose,
    entries: Entries,
    digest: [u8; 32],
    total_size: u64,
    file_count: u32,
}

impl Manifest {
    /// Checks the entries, in the order in which they will travel.
    ///
    /// # Errors
    /// The [`ManifestError`] of the first entry that breaks a rule or contradicts an earlier one.
    pub fn new(purpose: Purpose, entries: &[Entry]) -> Result<Self, ManifestError> {
        let mut builder = ManifestBuilder::new(purpose);
        entries.iter().try_for_each(|entry| builder.push(entry))?;
        builder.seal()
    }

    /// What the entries are for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The entries in their order; at least one, at most [`MAX_ENTRIES`].
    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    /// `SHA-256(purpose ‖ entry ‖ entry ‖ …)`: purpose as one byte, entries as they are encoded. It does not depend
    /// on how they are cut into parts.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The sizes of all files together, in bytes; a stream counts as 0.
    pub fn total_size(&self) -> u64 {
        self.total_size
    }

    /// How many entries have content: files and streams.
    pub fn file_count(&self) -> u32 {
        self.file_count
    }

    /// Whether the only entry is a stream, whose size nobody knows beforehand.
    pub fn is_stream(&self) -> bool {
        self.entries.kind(0) == Some(EntryKind::Stream)
    }

    /// What will appear in the directory that receives, in order of first mention.
    pub fn top_level(&self) -> Vec<TopLevel> {
        let mut found: Vec<TopLevel> = Vec::new();
        let mut places: BTreeMap<Box<str>, usize> = BTreeMap::new();
        for entry in &self.entries {
            let name = entry.path.top();
            let place = places.get(name).copied().unwrap_or_else(|| {
                found.push(TopLevel { name: name.into(), is_directory: false, file_count: 0, size: 0 });
                places.insert(name.into(), found.len() - 1);
                found.len() - 1
            });
            if let Some(top) = found.get_mut(place) {
                top.is_directory |= entry.kind == EntryKind::Directory || entry.path.as_str() != name;
                top.file_count += u32::from(entry.kind.has_content());
                top.size += entry.kind.size();
            }
        }
        found
    }

    /// The only name that will appear in the directory that receives, if there is but one.
    pub fn only_name(&self) -> Option<Box<str>> {
        let mut entries = self.entries.iter();
        let first = entries.next()?;
        entries.all(|entry| entry.path.top() == first.path.top()).then(|| first.path.top().into())
    }

    /// The encoded entries, cut between entries into bodies of at most [`MAX_PART_LEN`] bytes.
    pub fn parts(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        Parts { entries: self.entries.iter().peekable() }
    }
}

impl fmt::Debug for Manifest {
    /// Counts only: a million names help nobody, and file names stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("purpose", &self.purpose)
            .field("entries", &self.entries.len())
            .field("total_size", &self.total_size)
            .finish_non_exhaustive()
    }
}

/// One name in the directory that receives, with all that is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopLevel {
    /// The name, fit to be printed.
    pub name: Box<str>,
    /// Whether it is a directory, listed or implied by what is in it.
    pub is_directory: bool,
    /// How many files and streams it is or holds.
    pub file_count: u32,
    /// Their sizes together, in bytes.
    pub size: u64,
}

/// Why a list of entries is no manifest. Indices count entries from 0.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestError {
    /// No entry at all.
    #[error("manifest is empty")]
    Empty,
    /// More than [`MAX_ENTRIES`] entries, or more than twice as many with the directories that they imply.
    #[error("manifest has too many entries, at most {MAX_ENTRIES} are allowed")]
    TooManyEntries,
    /// More than [`MAX_ENCODED_LEN`] bytes.
    #[error("manifest is too long, at most {MAX_ENCODED_LEN} bytes are allowed")]
    TooLong,
    /// A part that is empty or longer than [`MAX_PART_LEN`] bytes.
    #[error("manifest part is {len} bytes, 1 to {MAX_PART_LEN} are allowed")]
    PartLen {
        /// Its length in bytes.
        len: usize,
    },
    /// A part ends inside an entry.
    #[error("manifest part ends inside entry {index}")]
    Truncated {
        /// The entry that is cut.
        index: usize,
    },
    /// A kind of entry that this version does not know: a hard link, a device.
    #[error("entry {index} is of unknown kind {kind}")]
    UnknownKind {
        /// The entry.
        index: usize,
        /// The byte that names its kind.
        kind: u8,
    },
    /// An entry with a size that is no file, or with a target that is no symbolic link.
    #[error("entry {index} carries a size or a target that its kind does not have")]
    Superfluous {
        /// The entry.
        index: usize,
    },
    /// An entry whose path is not portable.
    #[error("path of entry {index}")]
    Path {
        /// The entry.
        index: usize,
        /// The rule its path breaks.
        source: PathError,
    },
    /// Bits beyond `0o777`: set-user-ID, set-group-ID, sticky.
    #[error("mode of entry {index} is {mode:#o}, at most 0o777 is allowed")]
    Mode {
        /// The entry.
        index: usize,
        /// Its mode.
        mode: u16,
    },
    /// A file of 2^63 bytes or more, which no file offset reaches; or a text of more than [`MAX_TEXT_LEN`].
    #[error("entry {index} is said to have {size} bytes, which is too many")]
    Size {
        /// The entry.
        index: usize,
        /// Its size in bytes.
        size: u64,
    },
    /// All sizes up to this entry together do not fit 64 bits.
    #[error("sizes of the entries up to {index} overflow")]
    TotalSize {
        /// The entry.
        index: usize,
    },
    /// One path twice.
    #[error("entries {first} and {second} have the same path")]
    Duplicate {
        /// The earlier entry.
        first: usize,
        /// The later entry.
        second: usize,
    },
    /// Two paths, or directories on the way to them, that are one file where case or composition does not count.
    #[error("paths of entries {first} and {second} differ only in case or composition")]
    Collision {
        /// The earlier entry.
        first: usize,
        /// The later entry.
        second: usize,
    },
    /// A path that leads through something that is no directory.
    #[error("entry {child} lies below entry {parent}, which is no directory")]
    NotADirectory {
        /// The file, link or stream.
        parent: usize,
        /// The entry below it.
        child: usize,
    },
    /// A symbolic link to anywhere but inside its own top-level directory.
    #[error("target of symbolic link {index} is not portable or leaves the tree")]
    Target {
        /// The entry.
        index: usize,
    },
    /// A stream among other entries.
    #[error("entry {index} is a stream and not alone")]
    StreamNotAlone {
        /// The stream, or the entry that came after it.
        index: usize,
    },
    /// A text that is not exactly one file.
    #[error("entry {index} does not belong to a text, which is one file")]
    NotAText {
        /// The entry.
        index: usize,
    },
    /// What arrived is not what was announced: count, total size or digest differ.
    #[error("manifest is not the announced one")]
    Mismatch,
}

/// Cuts the encoding of entries into parts, whole entries each.
struct Parts<'a> {
    entries: Peekable<Iter<'a>>,
}

impl Iterator for Parts<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut part = Vec::new();
        while let Some(entry) = self.entries.next_if(|entry| part.len() + entry.encoded_len() <= MAX_PART_LEN)
        {
            entry.encode(&mut part);
        }
        (!part.is_empty()).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::safe_path::SafePath;

    const FILE: EntryKind = EntryKind::File { size: 1 };
    const DIRECTORY: EntryKind = EntryKind::Directory;

    fn entry(path: &str, kind: EntryKind) -> Entry {
        Entry { path: SafePath::parse(path).unwrap(), kind, mode: 0o644, mtime: 0 }
    }

    fn link(path: &str, target: &str) -> Entry {
        entry(path, EntryKind::Symlink { target: target.to_owned() })
    }

    fn manifest(entries: &[Entry]) -> Result<Manifest, ManifestError> {
        Manifest::new(Purpose::Files, entries)
    }

    fn refusal(entries: &[Entry]) -> Option<ManifestError> {
        manifest(entries).err()
    }

    fn files(paths: &[&str]) -> Vec<Entry> {
        paths.iter().map(|path| entry(path, FILE)).collect()
    }

    /// What a builder makes of the parts of `manifest`.
    fn rebuild(manifest: &Manifest) -> Result<Manifest, ManifestError> {
        let mut builder = ManifestBuilder::new(manifest.purpose());
        manifest.parts().try_for_each(|part| builder.push_part(&part))?;
        let count = manifest.entries().len().try_into().unwrap();
        builder.finish(count, manifest.total_size(), *manifest.digest())
    }

    /// An encoded entry with every field chosen freely.
    fn raw(kind: u8, mode: u16, size: u64, path: &[u8], target: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(mode.to_be_bytes());
        bytes.extend(0_i64.to_be_bytes());
        bytes.extend(size.to_be_bytes());
        for text in [path, target] {
            bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend(text);
        }
        bytes
    }

    fn push_part(part: &[u8]) -> Option<ManifestError> {
        ManifestBuilder::new(Purpose::Files).push_part(part).err()
    }

    #[test]
    fn an_entry_is_encoded_as_the_protocol_says() {
        let file = Entry {
            path: SafePath::parse("a/b").unwrap(),
            kind: EntryKind::File { size: 0x0102 },
            mode: 0o755,
            mtime: -2,
        };
        let only = manifest(&[file]).unwrap();
        let mut expected =
            b"\x01\x01\xed\xff\xff\xff\xff\xff\xff\xff\xfe\0\0\0\0\0\0\x01\x02\0\x03a/b\0\0".to_vec();
        assert_eq!(only.parts().collect::<Vec<_>>(), slice::from_ref(&expected));
        expected.insert(0, 1);
        assert_eq!(only.digest()[..], Sha256::digest(&expected)[..]);
    }

    #[test]
    fn two_names_that_differ_in_case_are_refused() {
        let collision = Some(ManifestError::Collision { first: 0, second: 1 });
        assert_eq!(refusal(&files(&["README", "readme"])), collision);
        assert_eq!(refusal(&files(&["src/a", "Src/b"])), collision);
        assert_eq!(refusal(&files(&["x/y/A/1", "x/y/a"])), collision);
    }

    #[test]
    fn two_names_that_differ_in_composition_are_refused() {
        let paths = files(&["z", "\u{e9}.txt", "e\u{301}.txt"]);
        assert_eq!(refusal(&paths), Some(ManifestError::Collision { first: 1, second: 2 }));
    }

    #[test]
    fn a_file_that_is_the_parent_of_another_entry_is_refused_in_either_order() {
        let parent_first = files(&["parent", "parent/child"]);
        assert_eq!(refusal(&parent_first), Some(ManifestError::NotADirectory { parent: 0, child: 1 }));
        let child_first = files(&["parent/sub/child", "parent/sub"]);
        assert_eq!(refusal(&child_first), Some(ManifestError::NotADirectory { parent: 1, child: 0 }));
    }

    #[test]
    fn a_symbolic_link_that_is_the_parent_of_another_entry_is_refused() {
        let entries = [entry("d/x", FILE), link("d/l", "x"), entry("d/l/authorized_keys", FILE)];
        assert_eq!(refusal(&entries), Some(ManifestError::NotADirectory { parent: 1, child: 2 }));
    }

    #[test]
    fn a_file_and_a_directory_of_one_name_are_refused() {
        let duplicate = Some(ManifestError::Duplicate { first: 0, second: 1 });
        assert_eq!(refusal(&[entry("a", FILE), entry("a", DIRECTORY)]), duplicate);
        assert_eq!(refusal(&[entry("a", DIRECTORY), entry("a", FILE)]), duplicate);
    }

    #[test]
    fn a_path_listed_twice_is_refused() {
        let duplicate = Some(ManifestError::Duplicate { first: 0, second: 2 });
        assert_eq!(refusal(&files(&["a/b", "c", "a/b"])), duplicate);
        let directories = [entry("a", DIRECTORY), entry("b", FILE), entry("a", DIRECTORY)];
        assert_eq!(refusal(&directories), duplicate);
    }

    #[test]
    fn directories_may_be_listed_before_after_or_never() {
        let entries = [
            entry("a/b/c/1", FILE),
            entry("a/b", DIRECTORY),
            entry("a/b/2", FILE),
            entry("a", DIRECTORY),
            entry("empty/inner", DIRECTORY),
            entry("implied/3", FILE),
            link("a/b/l", "../../a/b/2"),
        ];
        assert!(manifest(&entries).is_err());
        let mut entries = entries.to_vec();
        entries[6] = link("a/b/l", "../b/2");
        let rebuilt = rebuild(&manifest(&entries).unwrap()).unwrap();
        assert_eq!(rebuilt.entries().iter().collect::<Vec<_>>(), entries);
    }

    #[test]
    fn a_parent_whose_name_another_begins_with_is_no_parent() {
        assert_eq!(refusal(&files(&["parent", "parent2/f", "parent.d/f", "paren/t"])), None);
    }

    #[test]
    fn a_symbolic_link_inside_its_tree_is_kept() {
        for target in ["x", "sub/x", "..", "../x", "../../d/x", ".hidden"] {
            let entries = [link("top/d/e/l", target), link("top/d/e/m", "l")];
            assert_eq!(refusal(&entries), None, "{target}");
        }
    }

    #[test]
    fn a_symbolic_link_that_could_leave_its_tree_is_refused() {
        let long = vec!["x"; 2100].join("/");
        let targets = [
            "",
            "/etc/passwd",
            "../../x",
            "../../../x",
            "../..",
            ".",
            "x/..",
            "m/../x",
            "x//y",
            "x/",
            "C:/x",
            "a\\b",
            "x\0y",
            "\u{1b}[2J",
            "CON",
            &long,
        ];
        for target in targets {
            let entries = [link("top/d/l", target)];
            assert_eq!(refusal(&entries), Some(ManifestError::Target { index: 0 }), "{target:?}");
        }
        assert_eq!(refusal(&[link("l", "x")]), Some(ManifestError::Target { index: 0 }));
    }

    #[test]
    fn hard_links_and_devices_have_no_kind() {
        for kind in [0, 5, 6, b'l', 255] {
            assert_eq!(
                push_part(&raw(kind, 0, 0, b"a", b"")),
                Some(ManifestError::UnknownKind { index: 0, kind })
            );
        }
    }

    #[test]
    fn a_field_that_its_kind_does_not_have_is_refused() {
        let parts = [
            raw(1, 0, 1, b"a", b"x"),
            raw(2, 0, 1, b"a", b""),
            raw(2, 0, 0, b"a", b"x"),
            raw(3, 0, 1, b"a/l", b"x"),
            raw(4, 0, 1, b"a", b""),
        ];
        for part in parts {
            assert_eq!(push_part(&part), Some(ManifestError::Superfluous { index: 0 }));
        }
    }

    #[test]
    fn a_hostile_path_is_refused_with_its_index() {
        let mut part = raw(1, 0o600, 1, b"ok", b"");
        part.extend(raw(1, 0o600, 1, b"../x", b""));
        let climbs = ManifestError::Path { index: 1, source: PathError::DotName };
        assert_eq!(push_part(&part), Some(climbs));
        let not_text = raw(1, 0o600, 1, b"\xff", b"");
        let no_text = ManifestError::Path { index: 0, source: PathError::NotUtf8 };
        assert_eq!(push_part(&not_text), Some(no_text));
    }

    #[test]
    fn set_user_id_and_sticky_bits_are_refused() {
        for mode in [0o4755, 0o2755, 0o1777, 0o100_644] {
            assert_eq!(push_part(&raw(1, mode, 0, b"a", b"")), Some(ManifestError::Mode { index: 0, mode }));
        }
    }

    #[test]
    fn a_size_of_2_to_the_63_is_refused_and_so_is_a_sum_beyond_64_bits() {
        let largest = EntryKind::File { size: (1 << 63) - 1 };
        let too_large = entry("a", EntryKind::File { size: 1 << 63 });
        assert_eq!(refusal(&[too_large]), Some(ManifestError::Size { index: 0, size: 1 << 63 }));
        let two = [entry("a", largest.clone()), entry("b", largest.clone())];
        assert_eq!(manifest(&two).map(|two| two.total_size()), Ok(u64::MAX - 1));
        let three = [two.to_vec(), vec![entry("c", largest)]].concat();
        assert_eq!(refusal(&three), Some(ManifestError::TotalSize { index: 2 }));
    }

    #[test]
    fn the_entry_after_the_millionth_is_refused() {
        let mut builder = ManifestBuilder::new(Purpose::Files);
        for number in 0..MAX_ENTRIES {
            builder.push(&entry(&format!("d{}/{number}", number / 1000), FILE)).unwrap();
        }
        assert_eq!(builder.push(&entry("one more", FILE)), Err(ManifestError::TooManyEntries));
    }

    #[test]
    fn entries_that_imply_millions_of_directories_are_refused() {
        let mut builder = ManifestBuilder::new(Purpose::Files);
        let mut outcome = Ok(());
        for number in 0..MAX_ENTRIES {
            outcome = builder.push(&entry(&format!("{number}/{}f", "d/".repeat(30)), FILE));
            if outcome.is_err() {
                break;
            }
        }
        assert_eq!(outcome, Err(ManifestError::TooManyEntries));
        assert!(builder.entry_count() < 70_000, "{}", builder.entry_count());
    }

    #[test]
    fn a_manifest_of_more_than_256_mib_is_refused() {
        let mut builder = ManifestBuilder::new(Purpose::Files);
        let directory = vec!["d".repeat(250); 16].join("/");
        let outcome = (0..MAX_ENTRIES)
            .try_for_each(|number| builder.push(&entry(&format!("{directory}/{number}"), FILE)));
        assert_eq!(outcome, Err(ManifestError::TooLong));
        assert!(builder.entry_count() < 70_000, "{}", builder.entry_count());
    }

    #[test]
    fn a_stream_stands_alone() {
        let stream = entry("stdin", EntryKind::Stream);
        let alone = manifest(slice::from_ref(&stream)).unwrap();
        assert!(alone.is_stream());
        assert_eq!((alone.total_size(), alone.file_count()), (0, 1));
        let other = entry("b", FILE);
        let not_alone = Some(ManifestError::StreamNotAlone { index: 1 });
        assert_eq!(refusal(&[stream.clone(), other.clone()]), not_alone);
        assert_eq!(refusal(&[other, stream]), not_alone);
    }

    #[test]
    fn a_text_is_one_file_of_bounded_size() {
        let text = |entries: &[Entry]| Manifest::new(Purpose::Text, entries);
        let note = entry("text", EntryKind::File { size: MAX_TEXT_LEN });
        assert_eq!(text(slice::from_ref(&note)).map(|text| text.purpose()), Ok(Purpose::Text));
        assert_eq!(text(&[note, entry("b", FILE)]), Err(ManifestError::NotAText { index: 1 }));
        let size = MAX_TEXT_LEN + 1;
        assert_eq!(
            text(&[entry("text", EntryKind::File { size })]),
            Err(ManifestError::Size { index: 0, size })
        );
        for kind in [EntryKind::Stream, DIRECTORY] {
            assert_eq!(text(&[entry("text", kind)]), Err(ManifestError::NotAText { index: 0 }));
        }
    }

    #[test]
    fn a_part_that_ends_inside_an_entry_is_refused_wherever_it_is_cut() {
        let part = raw(3, 0o777, 0, b"top/link", b"target");
        assert_eq!(push_part(&part), None);
        for len in 1..part.len() {
            assert_eq!(push_part(&part[..len]), Some(ManifestError::Truncated { index: 0 }), "{len}");
        }
        let trailing = [part, vec![1]].concat();
        assert_eq!(push_part(&trailing), Some(ManifestError::Truncated { index: 1 }));
    }

    #[test]
    fn an_empty_part_and_one_of_60_001_bytes_are_refused() {
        assert_eq!(push_part(&[]), Some(ManifestError::PartLen { len: 0 }));
        assert_eq!(push_part(&vec![1; 60_001]), Some(ManifestError::PartLen { len: 60_001 }));
    }

    #[test]
    fn a_manifest_without_entries_is_refused() {
        assert_eq!(refusal(&[]), Some(ManifestError::Empty));
        assert_eq!(ManifestBuilder::new(Purpose::Files).finish(0, 0, [0; 32]), Err(ManifestError::Empty));
    }

    #[test]
    fn a_manifest_that_is_not_the_announced_one_is_refused() {
        let sent = manifest(&files(&["a", "b"])).unwrap();
        let received = || {
            let mut builder = ManifestBuilder::new(Purpose::Files);
            sent.parts().try_for_each(|part| builder.push_part(&part)).unwrap();
            builder
        };
        assert_eq!(received().finish(2, 2, *sent.digest()).as_ref(), Ok(&sent));
        assert_eq!(received().finish(3, 2, *sent.digest()), Err(ManifestError::Mismatch));
        assert_eq!(received().finish(2, 3, *sent.digest()), Err(ManifestError::Mismatch));
        assert_eq!(received().finish(2, 2, [0; 32]), Err(ManifestError::Mismatch));
    }

    #[test]
    fn the_digest_covers_the_purpose_and_every_field() {
        let base = entry("a", FILE);
        let changed = [
            base.clone(),
            Entry { mode: 0o600, ..base.clone() },
            Entry { mtime: 1, ..base.clone() },
            entry("b", FILE),
            entry("a", EntryKind::File { size: 2 }),
            entry("a", DIRECTORY),
        ];
        let mut digests: Vec<_> =
            changed.iter().map(|entry| *manifest(slice::from_ref(entry)).unwrap().digest()).collect();
        digests.push(*Manifest::new(Purpose::Text, &[base]).unwrap().digest());
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 7);
    }

    #[test]
    fn parts_are_filled_and_never_too_long() {
        let directory = vec!["d".repeat(250); 16].join("/");
        let entries: Vec<_> =
            (0..100).map(|number| entry(&format!("{directory}/{number:03}"), FILE)).collect();
        let manifest = manifest(&entries).unwrap();
        let lens: Vec<usize> = manifest.parts().map(|part| part.len()).collect();
        assert!(lens.iter().all(|&len| len <= MAX_PART_LEN), "{lens:?}");
        assert!(lens[..lens.len() - 1].iter().all(|&len| len > MAX_PART_LEN - 4096 - 23), "{lens:?}");
        assert_eq!(rebuild(&manifest), Ok(manifest));
    }

    #[test]
    fn the_top_level_counts_what_lies_below_each_name() {
        let entries = [
            entry("photos/1.jpg", EntryKind::File { size: 10 }),
            entry("note.txt", EntryKind::File { size: 5 }),
            entry("photos/old", DIRECTORY),
            entry("photos/old/2.jpg", EntryKind::File { size: 20 }),
            entry("empty", DIRECTORY),
        ];
        let manifest = manifest(&entries).unwrap();
        let expected = [
            TopLevel { name: "photos".into(), is_directory: true, file_count: 2, size: 30 },
            TopLevel { name: "note.txt".into(), is_directory: false, file_count: 1, size: 5 },
            TopLevel { name: "empty".into(), is_directory: true, file_count: 0, size: 0 },
        ];
        assert_eq!(manifest.top_level(), expected);
        assert_eq!((manifest.file_count(), manifest.total_size()), (3, 35));
    }

    #[test]
    fn debug_output_shows_no_name() {
        let manifest = manifest(&files(&["divorce.pdf"])).unwrap();
        assert!(!format!("{manifest:?}").contains("divorce"));
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let names = prop::collection::vec(prop_oneof![9 => "[abAB]{1,2}", 1 => "\\PC{1,40}"], 1..5);
        let kind = prop_oneof![
            6 => (0_u64..1 << 63).prop_map(|size| EntryKind::File { size }),
            3 => Just(EntryKind::Directory),
            1 => "[a./]{0,8}".prop_map(|target| EntryKind::Symlink { target }),
            1 => Just(EntryKind::Stream),
        ];
        (names, kind, 0..=0o777_u16, any::<i64>()).prop_map(|(names, kind, mode, mtime)| {
            let path = SafePath::from_local(names.iter().map(String::as_str)).unwrap();
            Entry { path, kind, mode, mtime }
        })
    }

    /// As many of `entries` as fit together.
    fn compatible(entries: Vec<Entry>) -> Vec<Entry> {
        let mut kept = Vec::new();
        for entry in entries {
            kept.push(entry);
            if manifest(&kept).is_err() {
                kept.pop();
            }
        }
        kept
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_arrives(entries in prop::collection::vec(any_entry(), 0..30)) {
            let entries = compatible(entries);
            prop_assume!(!entries.is_empty());
            let sent = manifest(&entries).unwrap();
            prop_assert_eq!(sent.entries().iter().collect::<Vec<_>>(), entries);
            prop_assert_eq!(rebuild(&sent), Ok(sent));
        }

        #[test]
        fn the_order_of_entries_never_decides_whether_they_fit(
            entries in prop::collection::vec(any_entry(), 1..12),
            swap in any::<prop::sample::Index>(),
        ) {
            let mut turned = entries.clone();
            turned.rotate_left(swap.index(entries.len()));
            prop_assert_eq!(manifest(&entries).is_ok(), manifest(&turned).is_ok());
            turned.reverse();
            prop_assert_eq!(manifest(&entries).is_ok(), manifest(&turned).is_ok());
        }

        #[test]
        fn arbitrary_parts_never_panic(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4)) {
            let mut builder = ManifestBuilder::new(Purpose::Files);
            let _ = parts.iter().try_for_each(|part| builder.push_part(part));
        }

        #[test]
        fn a_part_with_a_byte_changed_is_refused_or_another_manifest(
            entries in prop::collection::vec(any_entry(), 1..8),
            place in any::<prop::sample::Index>(),
            flip in 1..=255_u8,
        ) {
            let entries = compatible(entries);
            prop_assume!(!entries.is_empty());
            let sent = manifest(&entries).unwrap();
            let mut part = sent.parts().next().unwrap();
            let place = place.index(part.len());
            part[place] ^= flip;
            let mut builder = ManifestBuilder::new(Purpose::Files);
            if builder.push_part(&part).is_ok() {
                let received = builder.seal().unwrap();
                prop_assert_ne!(received.digest(), sent.digest());
                prop_assert_eq!(received.parts().next(), Some(part));
            }
        }
    }
}
