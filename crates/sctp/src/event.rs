//! What associations and endpoints tell their owner and each other.

use thiserror::Error;

use crate::packet::PartialDecode;
use crate::{Payload, StreamId};
use shared::TransportMessage;

/// Why an association has ended.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssociationError {
    /// The peer did not answer, or not as it should have.
    #[error("the handshake failed: {0}")]
    HandshakeFailed(String),
    /// The peer broke the rules.
    #[error("the peer broke the rules of the transport")]
    TransportError,
    /// The peer has aborted it.
    #[error("aborted by the peer")]
    AssociationClosed,
    /// The layer below is gone.
    #[error("closed by the peer")]
    ApplicationClosed,
    /// The peer has closed the stream, or aborted on purpose.
    #[error("reset by the peer")]
    Reset,
    /// The peer is silent.
    #[error("timed out")]
    TimedOut,
    /// This side has ended it.
    #[error("closed")]
    LocallyClosed,
}

/// What an association tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The association never came about.
    HandshakeFailed {
        /// Why.
        reason: AssociationError,
    },
    /// Data can be sent and will be delivered.
    Connected,
    /// A stream has ended, by itself or with the association.
    AssociationLost {
        /// Why.
        reason: AssociationError,
        /// Which one.
        id: StreamId,
    },
    /// Something happened on a stream.
    Stream(StreamEvent),
}

/// What happens on streams.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// The peer has begun to send on a stream.
    Opened {
        /// Which one.
        id: StreamId,
    },
    /// A whole message can be read.
    Readable {
        /// On which one.
        id: StreamId,
    },
    /// What waits to be acknowledged has sunk to the lower threshold.
    BufferedAmountLow {
        /// On which one.
        id: StreamId,
    },
    /// What waits to be acknowledged has risen above the upper threshold.
    BufferedAmountHigh {
        /// On which one.
        id: StreamId,
    },
    /// Bytes were acknowledged, or given up.
    BufferedAmountReleased {
        /// On which one.
        id: StreamId,
        /// How many.
        n_bytes: usize,
    },
}

/// What an endpoint tells an association.
pub struct AssociationEvent(pub(crate) TransportMessage<Payload>);

impl std::fmt::Debug for AssociationEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AssociationEvent").field(&self.0.message).finish()
    }
}

impl AssociationEvent {
    pub(crate) fn into_packet(self) -> Option<(std::time::Instant, PartialDecode)> {
        match self.0.message {
            Payload::PartialDecode(packet) => Some((self.0.now, packet)),
            Payload::RawEncode(_) => None,
        }
    }
}

/// What an association tells its endpoint: that it is no more.
#[derive(Debug)]
pub struct EndpointEvent(pub(crate) ());

impl EndpointEvent {
    /// The association was dropped by its owner.
    pub fn drained() -> Self {
        Self(())
    }

    /// Whether this is the last event of its association. There is no other.
    pub fn is_drained(&self) -> bool {
        true
    }
}
