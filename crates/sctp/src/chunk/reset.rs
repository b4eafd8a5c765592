//! RE-CONFIG, as far as data channels close streams with it (RFC 6525 §3.1, §4).

use bytes::{BufMut, Bytes, BytesMut};

use crate::reader::{Reader, take_tlv};
use crate::units::{padded, to_u16};

const OUTGOING_RESET: u16 = 13;
const RESPONSE: u16 = 16;

/// Nothing was to be done.
pub(crate) const NOTHING_TO_DO: u32 = 0;
/// The streams are reset.
pub(crate) const PERFORMED: u32 = 1;
/// The number of the request is not the next one.
pub(crate) const BAD_SEQUENCE: u32 = 5;
/// Not yet; ask again.
pub(crate) const IN_PROGRESS: u32 = 6;

/// One parameter of the chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResetParam {
    /// The sender has closed some of its streams.
    Request(ResetRequest),
    /// What became of a request.
    Response { sequence: u32, result: u32 },
    /// Of a kind that data channels do not use.
    Other(u16),
}

/// The streams a side has closed; all of them when it names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResetRequest {
    pub(crate) sequence: u32,
    /// Of the request of the other side that this one answers.
    pub(crate) response_sequence: u32,
    /// Everything on the streams was sent up to here.
    pub(crate) last_tsn: u32,
    pub(crate) streams: Vec<u16>,
}

impl ResetParam {
    pub(super) fn parse_all(mut value: Bytes) -> Vec<Self> {
        // A chunk holds one or two (RFC 6525 §3.1).
        std::iter::from_fn(|| take_tlv(&mut value))
            .take(2)
            .filter_map(|tlv| Self::parse(u16::from_be_bytes(tlv.head), &tlv.value))
            .collect()
    }

    fn parse(kind: u16, value: &[u8]) -> Option<Self> {
        let mut fields = Reader(value);
        Some(match kind {
            OUTGOING_RESET => {
                let (sequence, response_sequence, last_tsn) = (fields.u32()?, fields.u32()?, fields.u32()?);
                let streams = std::iter::from_fn(|| fields.u16()).collect();
                Self::Request(ResetRequest { sequence, response_sequence, last_tsn, streams })
            }
            RESPONSE => Self::Response { sequence: fields.u32()?, result: fields.u32()? },
            _ => Self::Other(kind),
        })
    }

    /// A chunk with this parameter alone.
    pub(crate) fn encode(&self) -> Bytes {
        let mut value = BytesMut::new();
        let kind = match self {
            Self::Request(request) => {
                value.put_u32(request.sequence);
                value.put_u32(request.response_sequence);
                value.put_u32(request.last_tsn);
                for &stream in &request.streams {
                    value.put_u16(stream);
                }
                OUTGOING_RESET
            }
            Self::Response { sequence, result } => {
                value.put_u32(*sequence);
                value.put_u32(*result);
                RESPONSE
            }
            Self::Other(kind) => *kind,
        };
        let length = 4 + value.len();
        let mut out = BytesMut::with_capacity(4 + padded(length));
        out.put_u8(super::RE_CONFIG);
        out.put_u8(0);
        out.put_u16(to_u16(4 + length));
        out.put_u16(kind);
        out.put_u16(to_u16(length));
        out.put_slice(&value);
        out.put_bytes(0, padded(length) - length);
        out.freeze()
    }
}
