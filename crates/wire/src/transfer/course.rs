//! Which entries were asked for, and how far they have come: the same on both sides.

use std::collections::VecDeque;

use super::Violation;
use crate::manifest::{EntryKind, Manifest};
use crate::message::CHUNK_LEN;

/// STARTs that may wait to be served.
const MAX_RANGES: usize = 65_536;

/// The queue of STARTs, in ascending order without overlap.
#[derive(Debug, Default)]
pub(super) struct Course {
    ranges: VecDeque<Range>,
    /// The first entry that no START has named yet.
    floor: u32,
    /// Whether a START reached the last entry.
    closed: bool,
}

#[derive(Debug)]
struct Range {
    next: u32,
    offset: u64,
    until: u32,
}

/// The file whose turn it is, and how much of it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) file: u32,
    pub(super) offset: u64,
    pub(super) size: Size,
}

/// How long a file is going to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// As long as the manifest says, in bytes.
    Declared(u64),
    /// As long as its source lasts.
    Stream,
}

impl Course {
    /// Adds the entries `first..until`, the first from `offset` on.
    pub(super) fn push(
        &mut self,
        manifest: &Manifest,
        first: u32,
        offset: u64,
        until: u32,
    ) -> Result<(), Violation> {
        let count = entry_count(manifest);
        let ordered = !self.closed && self.floor <= first && first <= until && until <= count;
        if !ordered || (first == until && (until != count || offset != 0)) {
            return Err(Violation::Range);
        }
        if offset != 0 {
            resumable(manifest, first, offset)?;
        }
        if self.ranges.len() == MAX_RANGES {
            return Err(Violation::Flood);
        }
        self.ranges.push_back(Range { next: first, offset, until });
        (self.floor, self.closed) = (until, until == count);
        Ok(())
    }

    /// How many ranges may be added before the last. Leaves one to the other side, which may be a step behind.
    pub(super) fn room(&self) -> usize {
        MAX_RANGES.saturating_sub(self.ranges.len() + 2)
    }

    /// The file whose turn it is; steps over entries that are no files. `None` when everything asked for is done.
    pub(super) fn position(&mut self, manifest: &Manifest) -> Option<Position> {
        while let Some(range) = self.ranges.front_mut() {
            while range.next < range.until {
                if let Some(size) = file_size(manifest, range.next) {
                    return Some(Position { file: range.next, offset: range.offset, size });
                }
                (range.next, range.offset) = (range.next + 1, 0);
            }
            self.ranges.pop_front();
        }
        None
    }

    /// `len` bytes of the file whose turn it is are done.
    pub(super) fn advance(&mut self, len: u64) {
        if let Some(range) = self.ranges.front_mut() {
            range.offset += len;
        }
    }

    /// The file whose turn it is is done.
    pub(super) fn finish_file(&mut self) {
        if let Some(range) = self.ranges.front_mut() {
            (range.next, range.offset) = (range.next + 1, 0);
        }
    }

    /// The first entry behind the range whose turn it is: a batch does not reach beyond it.
    pub(super) fn batch_until(&self) -> u32 {
        self.ranges.front().map_or(0, |range| range.until)
    }

    /// Whether everything up to the last entry was asked for and is done.
    pub(super) fn is_complete(&mut self, manifest: &Manifest) -> bool {
        self.closed && self.position(manifest).is_none()
    }
}

/// How many entries a manifest has.
pub(super) fn entry_count(manifest: &Manifest) -> u32 {
    u32::try_from(manifest.entries().len()).expect("a manifest has at most a million entries")
}

/// Whether a file may be continued at `offset`: a multiple of a chunk or the size, and not beyond it.
pub(super) fn resumable(manifest: &Manifest, file: u32, offset: u64) -> Result<(), Violation> {
    let Some(Size::Declared(size)) = file_size(manifest, file) else { return Err(Violation::Range) };
    let aligned = offset.is_multiple_of(CHUNK_LEN as u64) || offset == size;
    if aligned && offset <= size { Ok(()) } else { Err(Violation::Range) }
}

/// The size of a file, or `None` for what is no file.
pub(super) fn file_size(manifest: &Manifest, file: u32) -> Option<Size> {
    match manifest.entries().kind(usize::try_from(file).ok()?)? {
        EntryKind::File { size } => Some(Size::Declared(size)),
        EntryKind::Stream => Some(Size::Stream),
        EntryKind::Directory | EntryKind::Symlink { .. } => None,
    }
}
