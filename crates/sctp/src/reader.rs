//! Reads big-endian fields off the front of a slice; there is no way to read past its end.

use bytes::Bytes;

use crate::units::padded;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*head))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*head))
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }
}

/// A header of four bytes with the value it announces, as chunks, parameters and error causes have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tlv {
    /// The first two bytes: a type, or a type and flags.
    pub(crate) head: [u8; 2],
    pub(crate) value: Bytes,
}

/// Takes the next one off the front of `rest`; `None` when what is there is not one. Padding that the end of the buffer cuts
/// short is forgiven (RFC 9260 §3.2).
pub(crate) fn take_tlv(rest: &mut Bytes) -> Option<Tlv> {
    let mut reader = Reader(rest);
    let head = [reader.u8()?, reader.u8()?];
    let length = usize::from(reader.u16()?);
    if length < 4 || length > rest.len() {
        return None;
    }
    let value = rest.slice(4..length);
    *rest = rest.slice(padded(length).min(rest.len())..);
    Some(Tlv { head, value })
}
