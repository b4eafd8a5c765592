//! INIT and INIT ACK (RFC 9260 §3.3.2, §3.3.3) with the extensions that data channels use.

use bytes::{BufMut, Bytes, BytesMut};

use super::{FORWARD_TSN, RE_CONFIG};
use crate::reader::{Reader, take_tlv};
use crate::units::{padded, to_u16};

const STATE_COOKIE: u16 = 7;
const SUPPORTED_EXTENSIONS: u16 = 0x8008;
const FORWARD_TSN_SUPPORTED: u16 = 0xc000;
const ZERO_CHECKSUM: u16 = 0x8001;
/// Of this implementation alone: the longest packet that a side takes, in bytes, as 32 bits. The first bits of its number have everybody
/// else skip it without a word (RFC 9260 §3.2.1).
const LONGEST_PACKET: u16 = 0xb16c;

/// The error detection method that stands in for the checksum: DTLS (RFC 9653 §8).
const OVER_DTLS: u32 = 1;

/// Of the chunk header and the fields before the parameters.
const HEADER_LEN: usize = 20;

/// How a side introduces itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Init {
    /// What the other side is to put into every packet.
    pub(crate) tag: u32,
    pub(crate) window: u32,
    pub(crate) outbound_streams: u16,
    pub(crate) inbound_streams: u16,
    pub(crate) first_tsn: u32,
    /// In an INIT ACK: what the other side is to show.
    pub(crate) cookie: Option<Bytes>,
    /// Whether messages may be given up (RFC 3758).
    pub(crate) has_forward_tsn: bool,
    /// Whether streams can be reset (RFC 6525).
    pub(crate) has_reset: bool,
    /// Whether packets may come without a checksum (RFC 9653).
    pub(crate) takes_zero_checksum: bool,
    /// The longest packet it takes for certain, in bytes; 0 when it does not say.
    pub(crate) longest_packet: u32,
}

impl Init {
    pub(super) fn parse(value: &Bytes) -> Option<Self> {
        let mut fields = Reader(value);
        let mut init = Self {
            tag: fields.u32()?,
            window: fields.u32()?,
            outbound_streams: fields.u16()?,
            inbound_streams: fields.u16()?,
            first_tsn: fields.u32()?,
            ..Self::default()
        };
        let mut parameters = value.slice(HEADER_LEN - 4..);
        while let Some(parameter) = take_tlv(&mut parameters) {
            init.take(u16::from_be_bytes(parameter.head), parameter.value);
        }
        Some(init)
    }

    /// Parameters that nobody here knows are skipped; of those that data channels use none asks for more.
    fn take(&mut self, kind: u16, value: Bytes) {
        match kind {
            STATE_COOKIE => self.cookie = Some(value),
            FORWARD_TSN_SUPPORTED => self.has_forward_tsn = true,
            ZERO_CHECKSUM => self.takes_zero_checksum = Reader(&value).u32() == Some(OVER_DTLS),
            LONGEST_PACKET => self.longest_packet = Reader(&value).u32().unwrap_or(0),
            SUPPORTED_EXTENSIONS => {
                self.has_reset |= value.contains(&RE_CONFIG);
                self.has_forward_tsn |= value.contains(&FORWARD_TSN);
            }
            _ => {}
        }
    }

    /// The chunk, as an INIT or an INIT ACK.
    pub(crate) fn encode(&self, kind: u8) -> Bytes {
        let mut out = BytesMut::with_capacity(128);
        out.put_u8(kind);
        out.put_u8(0);
        let cookie_len = self.cookie.as_ref().map_or(0, |cookie| 4 + padded(cookie.len()));
        // The last parameter's padding does not count; every one of these is a multiple of four but the extensions.
        let extensions = [RE_CONFIG, FORWARD_TSN];
        let zero_len = if self.takes_zero_checksum { 8 } else { 0 };
        let longest_len = if self.longest_packet > 0 { 8 } else { 0 };
        let length = HEADER_LEN + cookie_len + 4 + zero_len + longest_len + 4 + extensions.len();
        out.put_u16(to_u16(length));
        out.put_u32(self.tag);
        out.put_u32(self.window);
        out.put_u16(self.outbound_streams);
        out.put_u16(self.inbound_streams);
        out.put_u32(self.first_tsn);
        if let Some(cookie) = &self.cookie {
            put_parameter(&mut out, STATE_COOKIE, cookie);
        }
        put_parameter(&mut out, FORWARD_TSN_SUPPORTED, &[]);
        if self.takes_zero_checksum {
            put_parameter(&mut out, ZERO_CHECKSUM, &OVER_DTLS.to_be_bytes());
        }
        if self.longest_packet > 0 {
            put_parameter(&mut out, LONGEST_PACKET, &self.longest_packet.to_be_bytes());
        }
        put_parameter(&mut out, SUPPORTED_EXTENSIONS, &extensions);
        out.freeze()
    }
}

fn put_parameter(out: &mut BytesMut, kind: u16, value: &[u8]) {
    let length = 4 + value.len();
    out.put_u16(kind);
    out.put_u16(to_u16(length));
    out.put_slice(value);
    out.put_bytes(0, padded(length) - length);
}
