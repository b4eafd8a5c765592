//! The entries of a manifest in little memory: each keeps only what it does not share with the one before it.
//!
//! Paths of a tree begin alike and are changed at about the same time, so an entry of a real tree takes about 20 bytes, whatever
//! the length of its path. Every sixteenth shares nothing: whoever wants one entry begins there.

use core::{fmt, slice};

use super::{Entry, EntryKind};
use crate::safe_path::SafePath;

/// Entries from one that shares nothing to the next: a block.
const BLOCK_LEN: usize = 16;

/// Bytes of a chunk, behind which the next block begins another. In chunks, because one piece that grows is held twice while it
/// is moved.
const CHUNK_LEN: usize = 256 * 1024;

/// Bytes that are left in a chunk when the next one begins: a block of ordinary entries fits, so that it need not grow.
const SPARE_LEN: usize = 4 * 1024;

/// Bits of a place that count bytes in a chunk, which is no longer than [`CHUNK_LEN`] and a block of the longest entries. The
/// others number the chunk: 8,192 hold more than eight times what a manifest may.
const OFFSET_BITS: u32 = 19;

/// Entries in their order. They come out by value, as they were put in.
///
/// ```text
/// kind and mode u16 ‖ shared ‖ len ‖ path[shared..] ‖ mtime less the one before ‖ size, or len ‖ target
/// ```
/// `shared` counts the bytes of the path that are those of the path before; numbers are base 128, least first.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Entries {
    chunks: Vec<Vec<u8>>,
    /// The places of the entries that share nothing.
    blocks: Vec<u32>,
    count: usize,
    last: Last,
}

/// What an entry is stored as the difference to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Last {
    path: String,
    mtime: i64,
}

impl Entries {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none. No manifest is without entries.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Entry number `index`, from 0.
    pub fn get(&self, index: usize) -> Option<Entry> {
        let mut cursor = self.block_of(index)?;
        for _ in 0..index % BLOCK_LEN {
            cursor.pass(Path::Kept)?;
        }
        cursor.next()
    }

    /// What entry number `index` is, without its path, which is most of the work.
    pub fn kind(&self, index: usize) -> Option<EntryKind> {
        self.kinds_from(index).next()
    }

    /// What the entries from number `index` on are.
    pub fn kinds_from(&self, index: usize) -> impl Iterator<Item = EntryKind> + '_ {
        let mut cursor = self.block_of(index);
        if let Some(cursor) = &mut cursor {
            for _ in 0..index % BLOCK_LEN {
                cursor.pass(Path::Skipped);
            }
        }
        core::iter::from_fn(move || cursor.as_mut()?.pass(Path::Skipped).map(|(kind, _)| kind))
    }

    /// The first entry.
    pub fn first(&self) -> Option<Entry> {
        self.get(0)
    }

    /// All of them.
    pub fn iter(&self) -> Iter<'_> {
        Iter { chunks: self.chunks.iter(), rest: &[], index: 0, last: Last::default() }
    }

    /// Adds an entry that has passed [`Entry::check`].
    pub(super) fn push(&mut self, entry: &Entry) {
        if self.count.is_multiple_of(BLOCK_LEN) {
            self.begin_block();
        }
        let path = entry.path.as_str();
        let shared = shared_len(&self.last.path, path);
        let own = path.get(shared..).unwrap_or_default();
        let head = u16::from(entry.kind.to_byte()) << MODE_BITS | entry.mode;
        self.put(&head.to_be_bytes());
        self.put_number(shared as u64);
        self.put_text(own);
        self.put_number(zigzag(entry.mtime.wrapping_sub(self.last.mtime)));
        match &entry.kind {
            EntryKind::File { size } => self.put_number(*size),
            EntryKind::Symlink { target } => self.put_text(target),
            EntryKind::Directory | EntryKind::Stream => {}
        }
        self.last.path.truncate(shared);
        self.last.path.push_str(own);
        self.last.mtime = entry.mtime;
        self.count += 1;
    }

    fn begin_block(&mut self) {
        self.last = Last::default();
        if self.chunks.last().is_none_or(|chunk| chunk.len() + SPARE_LEN > CHUNK_LEN) {
            // A short manifest needs little; behind the first there are as many as fill a chunk.
            let capacity = if self.chunks.is_empty() { 0 } else { CHUNK_LEN };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let offset = self.chunks.last().map_or(0, Vec::len);
        let place = (self.chunks.len() - 1) << OFFSET_BITS | offset;
        self.blocks.push(u32::try_from(place).unwrap_or(u32::MAX));
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.extend_from_slice(bytes);
        }
    }

    fn put_text(&mut self, text: &str) {
        self.put_number(text.len() as u64);
        self.put(text.as_bytes());
    }

    fn put_number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.put(&[number.to_le_bytes()[0] | 0x80]);
            number >>= 7;
        }
        self.put(&[number.to_le_bytes()[0]]);
    }

    /// At the entry that shares nothing before `index`.
    fn block_of(&self, index: usize) -> Option<Iter<'_>> {
        let block = index / BLOCK_LEN;
        let place = usize::try_from(*self.blocks.get(block)?).ok()?;
        let (chunk, offset) = (place >> OFFSET_BITS, place & ((1 << OFFSET_BITS) - 1));
        let mut chunks = self.chunks.get(chunk..)?.iter();
        let rest = chunks.next()?.get(offset..)?;
        Some(Iter { chunks, rest, index: block * BLOCK_LEN, last: Last::default() })
    }
}

impl fmt::Debug for Entries {
    /// How many only: file names stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("count", &self.count).finish_non_exhaustive()
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = Entry;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Goes through entries.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    chunks: slice::Iter<'a, Vec<u8>>,
    /// What is left of the chunk before them.
    rest: &'a [u8],
    index: usize,
    last: Last,
}

/// Whether the path of an entry is wanted, or that of one behind it in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    Kept,
    Skipped,
}

impl Iter<'_> {
    /// Passes one entry: its kind and its mode. Its path and time are in `last` then.
    fn pass(&mut self, path: Path) -> Option<(EntryKind, u16)> {
        if self.index.is_multiple_of(BLOCK_LEN) {
            self.last.path.clear();
            self.last.mtime = 0;
            if self.rest.is_empty() {
                self.rest = self.chunks.next()?;
            }
        }
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        let head = u16::from_be_bytes(*head);
        let shared = self.take_len()?;
        let own = self.take_text()?;
        if path == Path::Kept {
            self.last.path.truncate(shared);
            self.last.path.push_str(core::str::from_utf8(own).ok()?);
        }
        self.last.mtime = self.last.mtime.wrapping_add(unzigzag(self.take_number()?));
        let kind = match head >> MODE_BITS {
            1 => EntryKind::File { size: self.take_number()? },
            2 => EntryKind::Directory,
            3 => EntryKind::Symlink { target: core::str::from_utf8(self.take_text()?).ok()?.to_owned() },
            _ => EntryKind::Stream,
        };
        self.index += 1;
        Some((kind, head & ((1 << MODE_BITS) - 1)))
    }

    fn take_number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take_len(&mut self) -> Option<usize> {
        usize::try_from(self.take_number()?).ok()
    }
}

impl<'a> Iter<'a> {
    fn take_text(&mut self) -> Option<&'a [u8]> {
        let len = self.take_len()?;
        let (text, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(text)
    }
}

impl Iterator for Iter<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let (kind, mode) = self.pass(Path::Kept)?;
        Some(Entry { path: SafePath::from_checked(&self.last.path), kind, mode, mtime: self.last.mtime })
    }
}

/// The bits of a mode, `0o777` at most.
const MODE_BITS: u32 = 9;

/// How many bytes two paths begin with that are the same, in whole characters.
fn shared_len(one: &str, other: &str) -> usize {
    let same = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    (0..=same).rev().find(|&len| one.is_char_boundary(len)).unwrap_or(0)
}

/// A signed number as one that is small when it is near 0.
fn zigzag(number: i64) -> u64 {
    (number.wrapping_shl(1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_entry() -> impl Strategy<Value = Entry> {
        let names = prop::collection::vec(prop_oneof![9 => "[ab]{1,3}", 1 => "\\PC{1,40}"], 1..4);
        let kind = prop_oneof![
            6 => any::<u64>().prop_map(|size| EntryKind::File { size }),
            2 => Just(EntryKind::Directory),
            1 => "[a./]{0,8}".prop_map(|target| EntryKind::Symlink { target }),
            1 => Just(EntryKind::Stream),
        ];
        (names, kind, 0..=0o777_u16, any::<i64>()).prop_map(|(names, kind, mode, mtime)| {
            let path = SafePath::from_local(names.iter().map(String::as_str)).unwrap();
            Entry { path, kind, mode, mtime }
        })
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(wanted in prop::collection::vec(any_entry(), 0..60)) {
            let mut entries = Entries::default();
            for entry in &wanted {
                entries.push(entry);
            }
            prop_assert_eq!(entries.len(), wanted.len());
            prop_assert_eq!(entries.iter().collect::<Vec<_>>(), &wanted[..]);
            for (index, entry) in wanted.iter().enumerate() {
                prop_assert_eq!(entries.get(index), Some(entry.clone()));
                prop_assert_eq!(entries.kind(index), Some(entry.kind.clone()));
            }
            prop_assert_eq!(entries.get(wanted.len()), None);
            prop_assert_eq!(entries.kind(wanted.len()), None);
        }
    }

    #[test]
    fn a_million_files_of_a_tree_take_less_than_32_mib() {
        let mut entries = Entries::default();
        for number in 0..1_000_000_u32 {
            let path = format!("photos/of the year {}/holiday/{number:07}.jpeg", number / 1_000);
            let kind = EntryKind::File { size: u64::from(number % 90_000) * 97 };
            let mtime = 1_700_000_000 + i64::from(number) * 60;
            entries.push(&Entry { path: SafePath::parse(&path).unwrap(), kind, mode: 0o644, mtime });
        }
        let len = entries.chunks.iter().map(Vec::capacity).sum::<usize>() + 4 * entries.blocks.capacity();
        assert!(len < 32 << 20, "{len} bytes");
        assert_eq!(entries.iter().count(), 1_000_000);
    }

    #[test]
    fn the_longest_paths_have_their_places_too() {
        let mut entries = Entries::default();
        let path = |number: u32| format!("{number:0240}/{}", vec!["n".repeat(250); 15].join("/"));
        for number in (0..4_000).map(u32::reverse_bits) {
            let path = SafePath::parse(&path(number)).unwrap();
            entries.push(&Entry { path, kind: EntryKind::Directory, mode: 0o777, mtime: i64::MIN });
        }
        assert!(entries.chunks.iter().all(|chunk| chunk.len() < 1 << OFFSET_BITS));
        for number in [0, 1, 15, 16, 1_234, 3_999] {
            let wanted = path(u32::try_from(number).unwrap().reverse_bits());
            assert_eq!(entries.get(number).unwrap().path.as_str(), wanted);
        }
    }
}
