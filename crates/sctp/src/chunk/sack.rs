//! SACK (RFC 9260 §3.3.4).

use bytes::{BufMut, Bytes, BytesMut};

use crate::reader::Reader;
use crate::tsn::{Tsn, narrow, widen};
use crate::units::to_u16;

/// Of the chunk header and the fields before the blocks.
pub(crate) const HEADER_LEN: usize = 16;

/// Of a block of received TSNs, and of a TSN received twice.
pub(crate) const ENTRY_LEN: usize = 4;

/// What the peer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sack {
    pub(crate) cumulative: u32,
    /// What the peer still has room for, in bytes.
    pub(crate) window: u32,
    gaps: Bytes,
    duplicates: Bytes,
}

impl Sack {
    pub(super) fn parse(value: &Bytes) -> Option<Self> {
        let mut fields = Reader(value);
        let (cumulative, window) = (fields.u32()?, fields.u32()?);
        let (gap_count, duplicate_count) = (usize::from(fields.u16()?), usize::from(fields.u16()?));
        let gaps_end = HEADER_LEN - 4 + gap_count * ENTRY_LEN;
        let end = gaps_end + duplicate_count * ENTRY_LEN;
        if end > value.len() {
            return None;
        }
        let gaps = value.slice(HEADER_LEN - 4..gaps_end);
        Some(Self { cumulative, window, gaps, duplicates: value.slice(gaps_end..end) })
    }

    /// What was received beyond the cumulative TSN: the first and the last TSN of each block. Blocks that make no sense are
    /// left out.
    pub(crate) fn blocks(&self, cumulative: Tsn) -> impl Iterator<Item = (Tsn, Tsn)> {
        self.gaps.chunks_exact(ENTRY_LEN).filter_map(move |entry| {
            let mut fields = Reader(entry);
            let (start, end) = (fields.u16()?, fields.u16()?);
            (start > 1 && start <= end).then(|| (cumulative + u64::from(start), cumulative + u64::from(end)))
        })
    }

    /// How many blocks it reports.
    pub(crate) fn block_count(&self) -> usize {
        self.gaps.len() / ENTRY_LEN
    }

    pub(crate) fn duplicates(&self, near: Tsn) -> impl Iterator<Item = Tsn> {
        self.duplicates
            .chunks_exact(ENTRY_LEN)
            .filter_map(move |entry| Some(widen(near, Reader(entry).u32()?)))
    }
}

/// Writes one; the caller has seen to it that it fits. `blocks` and `duplicates` must not be longer than 65,535.
pub(crate) fn write(
    out: &mut BytesMut,
    (cumulative, window): (Tsn, u32),
    blocks: &[(Tsn, Tsn)],
    duplicates: &[Tsn],
) {
    let length = HEADER_LEN + (blocks.len() + duplicates.len()) * ENTRY_LEN;
    out.put_u8(super::SACK);
    out.put_u8(0);
    out.put_u16(to_u16(length));
    out.put_u32(narrow(cumulative));
    out.put_u32(window);
    out.put_u16(to_u16(blocks.len()));
    out.put_u16(to_u16(duplicates.len()));
    let offset = |tsn: Tsn| u16::try_from(tsn - cumulative).unwrap_or(u16::MAX);
    for &(start, end) in blocks {
        out.put_u16(offset(start));
        out.put_u16(offset(end));
    }
    for &tsn in duplicates {
        out.put_u32(narrow(tsn));
    }
}
