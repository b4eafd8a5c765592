//! Packets: a common header and chunks (RFC 9260 §3).

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::chunk::{self, Chunks};
use crate::reader::Reader;

/// Of the header that every packet has, in bytes.
pub(crate) const HEADER_LEN: usize = 12;

/// Where in it the checksum is.
const CHECKSUM_AT: std::ops::Range<usize> = 8..12;

/// Ports and tag: what is the same in every packet of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// What the receiver asked for in its INIT or INIT ACK.
    pub(crate) tag: u32,
}

/// A packet of the peer whose header was read and whose chunks were not.
#[derive(Debug)]
pub struct PartialDecode {
    pub(crate) header: Header,
    checksum: Checksum,
    body: Bytes,
}

/// What the checksum of a packet was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// It is right.
    Right,
    /// There is none: good enough for those who agreed on that (RFC 9653).
    Zero,
}

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum PacketError {
    #[error("the packet is too short")]
    TooShort,
    #[error("the packet names port zero")]
    PortZero,
    #[error("the checksum of the packet is wrong")]
    WrongChecksum,
}

impl PartialDecode {
    /// Reads the header and checks the sum, if there is one.
    pub(crate) fn read(packet: &Bytes) -> Result<Self, PacketError> {
        let mut fields = Reader(packet);
        let (Some(source_port), Some(destination_port), Some(tag), Some(sum)) =
            (fields.u16(), fields.u16(), fields.u32(), fields.take(4))
        else {
            return Err(PacketError::TooShort);
        };
        if source_port == 0 || destination_port == 0 {
            return Err(PacketError::PortZero);
        }
        // A sum that happens to be zero is taken for none; the odds are one in four billion.
        let checksum = if sum == [0; 4] {
            Checksum::Zero
        } else if checksum(packet).to_le_bytes() == sum {
            Checksum::Right
        } else {
            return Err(PacketError::WrongChecksum);
        };
        let header = Header { source_port, destination_port, tag };
        Ok(Self { header, checksum, body: packet.slice(HEADER_LEN..) })
    }

    pub(crate) fn checksum(&self) -> Checksum {
        self.checksum
    }

    /// The length of all its chunks, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn into_chunks(self) -> Chunks {
        Chunks(self.body)
    }

    /// The tag that the sender of an INIT asks for; `None` for every other packet. An INIT travels alone, without a tag and
    /// with a checksum (RFC 9260 §8.5.1, RFC 9653 §5.2).
    pub(crate) fn initiate_tag(&self) -> Option<u32> {
        let is_init = self.body.first() == Some(&chunk::INIT);
        if !is_init || self.header.tag != 0 || self.checksum != Checksum::Right {
            return None;
        }
        let mut fields = Reader(self.body.get(4..)?);
        fields.u32()
    }
}

/// `CRC32c` over the packet with zeros where the sum goes (RFC 9260 appendix A).
fn checksum(packet: &[u8]) -> u32 {
    let (before, after) = packet.split_at_checked(CHECKSUM_AT.start).unwrap_or((packet, &[]));
    let after = after.get(4..).unwrap_or_default();
    let sum = crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]);
    crc32c::crc32c_append(sum, after)
}

/// Starts a packet at the end of `out`, which must be empty.
pub(crate) fn begin(out: &mut BytesMut, header: Header) {
    out.put_u16(header.source_port);
    out.put_u16(header.destination_port);
    out.put_u32(header.tag);
    out.put_u32(0);
}

/// Takes the packet that `out` holds.
pub(crate) fn finish(out: &mut BytesMut, with_checksum: bool) -> Bytes {
    if with_checksum {
        let sum = checksum(out).to_le_bytes();
        if let Some(place) = out.get_mut(CHECKSUM_AT) {
            place.copy_from_slice(&sum);
        }
    }
    out.split().freeze()
}
