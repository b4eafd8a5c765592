//! Chunks as the wire has them (RFC 9260 §3.3).

pub(crate) mod control;
pub(crate) mod data;
pub(crate) mod forward;
pub(crate) mod init;
pub(crate) mod reset;
pub(crate) mod sack;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::reader::{Reader, take_tlv};
use control::cause_code;
use data::Data;
use forward::ForwardTsn;
use init::Init;
use reset::ResetParam;
use sack::Sack;

pub(crate) const DATA: u8 = 0;
pub(crate) const INIT: u8 = 1;
pub(crate) const INIT_ACK: u8 = 2;
pub(crate) const SACK: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 4;
pub(crate) const HEARTBEAT_ACK: u8 = 5;
pub(crate) const ABORT: u8 = 6;
pub(crate) const SHUTDOWN: u8 = 7;
pub(crate) const SHUTDOWN_ACK: u8 = 8;
pub(crate) const ERROR: u8 = 9;
pub(crate) const COOKIE_ECHO: u8 = 10;
pub(crate) const COOKIE_ACK: u8 = 11;
pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
pub(crate) const RE_CONFIG: u8 = 130;
pub(crate) const PAD: u8 = 132;
pub(crate) const FORWARD_TSN: u8 = 192;

/// One chunk of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    Data(Data),
    Init(Init),
    InitAck(Init),
    Sack(Sack),
    /// The information to send back.
    Heartbeat(Bytes),
    /// The information that was sent.
    HeartbeatAck(Bytes),
    /// Its first cause, if it names one.
    Abort(Option<u16>),
    /// The cumulative TSN the peer has.
    Shutdown(u32),
    ShutdownAck,
    Error(Option<u16>),
    CookieEcho(Bytes),
    CookieAck,
    ShutdownComplete,
    Reset(Vec<ResetParam>),
    ForwardTsn(ForwardTsn),
    /// Of a type nobody here knows. The two upper bits say what to do about it (RFC 9260 §3.2).
    Unknown(u8),
}

/// The chunks of one packet. Ends at the first that is malformed: what follows has no beginning.
#[derive(Debug)]
pub(crate) struct Chunks(pub(crate) Bytes);

impl Iterator for Chunks {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        let tlv = take_tlv(&mut self.0)?;
        let [kind, flags] = tlv.head;
        let chunk = parse(kind, flags, tlv.value);
        if chunk.is_none() {
            self.0.clear();
        }
        chunk
    }
}

fn parse(kind: u8, flags: u8, value: Bytes) -> Option<Chunk> {
    Some(match kind {
        DATA => Chunk::Data(Data::parse(flags, &value)?),
        INIT => Chunk::Init(Init::parse(&value)?),
        INIT_ACK => Chunk::InitAck(Init::parse(&value)?),
        SACK => Chunk::Sack(Sack::parse(&value)?),
        HEARTBEAT => Chunk::Heartbeat(value),
        HEARTBEAT_ACK => Chunk::HeartbeatAck(value),
        ABORT => Chunk::Abort(cause_code(value)),
        SHUTDOWN => Chunk::Shutdown(Reader(&value).u32()?),
        SHUTDOWN_ACK => Chunk::ShutdownAck,
        ERROR => Chunk::Error(cause_code(value)),
        COOKIE_ECHO => Chunk::CookieEcho(value),
        COOKIE_ACK => Chunk::CookieAck,
        SHUTDOWN_COMPLETE => Chunk::ShutdownComplete,
        RE_CONFIG => Chunk::Reset(ResetParam::parse_all(value)),
        FORWARD_TSN => Chunk::ForwardTsn(ForwardTsn::parse(&value)?),
        _ => Chunk::Unknown(kind),
    })
}
