//! SCTP for WebRTC data channels, with a sender that models its path.
//!
//! It stands in for the package of the same name that `rtc` and `rtc-datachannel` depend on: the part of its interface that
//! those use, and a different inside. It follows RFC 9260 as RFC 8831 needs it, with partial reliability (RFC 3758), stream reset
//! (RFC 6525), SACK-IMMEDIATELY (RFC 7053) and no checksums where both sides agree on that (RFC 9653).
//!
//! It does no input and output and reads no clock: packets and the time come in, packets, events and a deadline come out, and
//! the same input gives the same output.
//!
//! ```text
//!            connect                    INIT
//!               │                        │
//!          CookieWait                 Awaiting
//!               │ INIT ACK               │ COOKIE ECHO
//!         CookieEchoed                   │
//!               │ COOKIE ACK             │
//!               └────────► Established ◄─┘
//!              shutdown │              │ SHUTDOWN
//!               ShutdownPending   ShutdownReceived
//!      all acknowledged │              │ all acknowledged
//!                 ShutdownSent    ShutdownAckSent
//!          SHUTDOWN ACK │              │ SHUTDOWN COMPLETE
//!                       └──► Closed ◄──┘      (and from everywhere: ABORT)
//! ```
//!
//! Who owns what:
//!
//! | part | owns |
//! |---|---|
//! | `endpoint` | tags: which association a packet belongs to |
//! | `association` | the state above, timers, streams, and the order of things in a packet |
//! | `queue` | messages that were written and not wholly sent |
//! | `recovery` | chunks that were sent and not acknowledged, what is lost, round-trip times |
//! | `congestion` | the model of the path: how much may be in flight, and how fast it may leave |
//! | `pacer` | when the next packet may leave |
//! | `inbound` | which TSNs came, the messages they make, and the room that is left |
//!
//! `DESIGN.md` explains the laws of `congestion` and `recovery`, with units, and where and why they differ from BBR.

mod association;
mod chunk;
mod config;
mod congestion;
mod endpoint;
mod event;
mod inbound;
mod message;
mod pacer;
mod packet;
mod ppid;
mod queue;
mod reader;
mod recovery;
mod tsn;
mod units;

pub use association::stream::{ReliabilityType, Stream, StreamId};
pub use association::{Association, AssociationStats};
pub use config::{
    ClientConfig, EndpointConfig, MIN_DATA_PACKET_MTU, ServerConfig, TimerConfig, TransportConfig,
    max_payload_size_for_mtu,
};
pub use endpoint::{AssociationHandle, ConnectError, DatagramEvent, Endpoint};
pub use event::{AssociationError, AssociationEvent, EndpointEvent, Event, StreamEvent};
pub use message::Chunks;
pub use packet::PartialDecode;
pub use ppid::PayloadProtocolIdentifier;

use bytes::Bytes;

/// Who started an association.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// This side.
    #[default]
    Client,
    /// The peer.
    Server,
}

/// What travels.
#[derive(Debug)]
#[non_exhaustive]
pub enum Payload {
    /// A packet of the peer.
    PartialDecode(PartialDecode),
    /// Packets for the peer, in order.
    RawEncode(Vec<Bytes>),
}
