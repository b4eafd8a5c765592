//! DATA (RFC 9260 §3.3.1).

use bytes::{BufMut, Bytes, BytesMut};

use crate::reader::Reader;
use crate::units::{padded, to_u16};

/// Of the chunk header and the fields before the user's bytes.
pub(crate) const HEADER_LEN: usize = 16;

const END: u8 = 1;
const BEGINNING: u8 = 2;
const UNORDERED: u8 = 4;
const IMMEDIATE: u8 = 8;

/// A fragment of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "they are the flags of the chunk")]
pub(crate) struct Data {
    pub(crate) tsn: u32,
    pub(crate) stream: u16,
    pub(crate) ssn: u16,
    pub(crate) ppid: u32,
    pub(crate) is_unordered: bool,
    /// The first fragment.
    pub(crate) is_beginning: bool,
    /// The last fragment.
    pub(crate) is_end: bool,
    /// The sender waits for the acknowledgement (RFC 7053).
    pub(crate) is_immediate: bool,
    pub(crate) payload: Bytes,
}

impl Data {
    pub(super) fn parse(flags: u8, value: &Bytes) -> Option<Self> {
        let mut fields = Reader(value);
        let (tsn, stream, ssn, ppid) = (fields.u32()?, fields.u16()?, fields.u16()?, fields.u32()?);
        let payload = value.slice(HEADER_LEN - 4..);
        Some(Self {
            tsn,
            stream,
            ssn,
            ppid,
            is_unordered: flags & UNORDERED != 0,
            is_beginning: flags & BEGINNING != 0,
            is_end: flags & END != 0,
            is_immediate: flags & IMMEDIATE != 0,
            payload,
        })
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        let flag = |is_set, bit| if is_set { bit } else { 0 };
        let flags = flag(self.is_end, END)
            | flag(self.is_beginning, BEGINNING)
            | flag(self.is_unordered, UNORDERED)
            | flag(self.is_immediate, IMMEDIATE);
        let length = HEADER_LEN + self.payload.len();
        out.put_u8(super::DATA);
        out.put_u8(flags);
        out.put_u16(to_u16(length));
        out.put_u32(self.tsn);
        out.put_u16(self.stream);
        out.put_u16(self.ssn);
        out.put_u32(self.ppid);
        out.put_slice(&self.payload);
        out.put_bytes(0, padded(length) - length);
    }
}
