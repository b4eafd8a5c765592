//! A message that has begun and not ended.

use bytes::Bytes;

use super::CHUNK_COST;
use crate::chunk::data::Data;
use crate::message::Chunks;
use crate::units::to_u64;

/// A message that is there.
#[derive(Debug)]
pub(crate) struct Complete {
    pub(crate) stream: u16,
    /// Its number, if it has a place in an order.
    pub(super) ssn: Option<u16>,
    pub(crate) message: Chunks,
}

#[derive(Debug, Default)]
pub(super) struct Partial {
    stream: u16,
    ssn: u16,
    is_unordered: bool,
    pieces: Vec<Bytes>,
    length: usize,
}

impl Partial {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The length of what is there, in bytes.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Whether `data` cannot belong to what is there.
    pub(super) fn is_foreign(&self, data: &Data) -> bool {
        !self.is_empty()
            && (data.is_beginning
                || data.stream != self.stream
                || data.is_unordered != self.is_unordered
                || (!data.is_unordered && data.ssn != self.ssn))
    }

    /// Throws it away. Returns what it cost.
    pub(super) fn clear(&mut self) -> u64 {
        let cost = to_u64(self.length) + CHUNK_COST * to_u64(self.pieces.len());
        *self = Self::default();
        cost
    }

    /// Adds a piece; returns the message if that was the last.
    pub(super) fn push(&mut self, data: Data) -> Option<Complete> {
        (self.stream, self.ssn, self.is_unordered) = (data.stream, data.ssn, data.is_unordered);
        self.length += data.payload.len();
        self.pieces.push(data.payload);
        if !data.is_end {
            return None;
        }
        let partial = std::mem::take(self);
        let message = Chunks { ppi: data.ppid.into(), pieces: partial.pieces };
        let ssn = (!partial.is_unordered).then_some(partial.ssn);
        Some(Complete { stream: partial.stream, ssn, message })
    }
}
