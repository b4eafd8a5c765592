//! A message as it is handed to the reader.

use bytes::{Bytes, BytesMut};
use shared::error::{Error, Result};

use crate::PayloadProtocolIdentifier;

/// A whole message, in the pieces in which it came.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    /// What it is.
    pub ppi: PayloadProtocolIdentifier,
    pub(crate) pieces: Vec<Bytes>,
}

impl Chunks {
    /// The length of the message in bytes.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Whether the message is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message in one buffer of its own.
    ///
    /// # Errors
    /// [`Error::ErrShortBuffer`] when it is longer than `max_len`.
    pub fn to_payload(&self, max_len: usize) -> Result<BytesMut> {
        let length = self.len();
        if length > max_len {
            return Err(Error::ErrShortBuffer);
        }
        let mut payload = BytesMut::with_capacity(length);
        for piece in &self.pieces {
            payload.extend_from_slice(piece);
        }
        Ok(payload)
    }
}
