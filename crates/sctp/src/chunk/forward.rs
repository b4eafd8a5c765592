//! FORWARD TSN (RFC 3758 §3.2).

use bytes::{BufMut, Bytes, BytesMut};

use crate::reader::Reader;
use crate::tsn::{Tsn, narrow};
use crate::units::to_u16;

const HEADER_LEN: usize = 8;

/// What the sender will not send any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForwardTsn {
    /// Nothing up to here is to be waited for.
    pub(crate) cumulative: u32,
    streams: Bytes,
}

impl ForwardTsn {
    pub(super) fn parse(value: &Bytes) -> Option<Self> {
        Some(Self { cumulative: Reader(value).u32()?, streams: value.slice(HEADER_LEN - 4..) })
    }

    /// The streams with ordered messages among them, each with the last number that was given up.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (u16, u16)> {
        self.streams.chunks_exact(4).filter_map(|entry| {
            let mut fields = Reader(entry);
            Some((fields.u16()?, fields.u16()?))
        })
    }
}

/// The chunk.
pub(crate) fn encode(cumulative: Tsn, streams: &[(u16, u16)]) -> Bytes {
    let length = HEADER_LEN + streams.len() * 4;
    let mut out = BytesMut::with_capacity(length);
    out.put_u8(super::FORWARD_TSN);
    out.put_u8(0);
    out.put_u16(to_u16(length));
    out.put_u32(narrow(cumulative));
    for &(stream, ssn) in streams {
        out.put_u16(stream);
        out.put_u16(ssn);
    }
    out.freeze()
}
