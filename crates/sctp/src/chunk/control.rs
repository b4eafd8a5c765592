//! Chunks with nothing, or one thing, in them.

use bytes::{BufMut, Bytes, BytesMut};

use crate::reader::take_tlv;
use crate::units::{padded, to_u16};

/// A cause of an ABORT: the user wants it so (RFC 9260 §3.3.10.12).
pub(crate) const USER_INITIATED: u16 = 12;
/// A cause of an ABORT: the peer broke the rules (RFC 9260 §3.3.10.13).
pub(crate) const PROTOCOL_VIOLATION: u16 = 13;
/// A cause of an ERROR: nobody knows this chunk (RFC 9260 §3.3.10.6).
pub(crate) const UNRECOGNIZED_CHUNK: u16 = 6;

/// The first cause of an ABORT or ERROR.
pub(crate) fn cause_code(mut value: Bytes) -> Option<u16> {
    take_tlv(&mut value).map(|cause| u16::from_be_bytes(cause.head))
}

/// The one parameter of a HEARTBEAT (RFC 9260 §3.3.5).
const HEARTBEAT_INFO: [u8; 2] = [0, 1];

/// What somebody wanted to have back.
pub(crate) fn heartbeat_info(value: &Bytes) -> Option<Bytes> {
    take_tlv(&mut value.clone()).filter(|info| info.head == HEARTBEAT_INFO).map(|info| info.value)
}

/// A chunk of these bytes.
pub(crate) fn encode(kind: u8, value: &[u8]) -> Bytes {
    let length = 4 + value.len();
    let mut out = BytesMut::with_capacity(padded(length));
    out.put_u8(kind);
    out.put_u8(0);
    out.put_u16(to_u16(length));
    out.put_slice(value);
    out.put_bytes(0, padded(length) - length);
    out.freeze()
}

/// An ABORT or ERROR with one cause.
pub(crate) fn encode_cause(kind: u8, code: u16, detail: &[u8]) -> Bytes {
    let mut cause = BytesMut::with_capacity(4 + detail.len());
    cause.put_u16(code);
    cause.put_u16(to_u16(4 + detail.len()));
    cause.put_slice(detail);
    encode(kind, &cause)
}
