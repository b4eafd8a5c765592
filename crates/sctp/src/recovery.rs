//! What was sent and not yet acknowledged, and how its loss is found out.
//!
//! Every transmission of a chunk, a repeated one too, has a number of its own. A chunk is lost when one that was sent later has
//! been acknowledged and a reordering window has passed since (RFC 8985); so a lost repetition is found like any other. Nothing
//! here looks at the whole window: an acknowledgement costs what it newly acknowledges, and the blocks of its SACK.

mod abandon;
mod acks;
mod flight;
mod loss;
mod rtt;
mod sample;

use std::time::{Duration, Instant};

pub(crate) use acks::{AckReport, Acked, SackError};
pub(crate) use flight::{Flight, Fragment, wire_len};
pub(crate) use sample::RateSample;

use crate::units::Rate;

/// Decides how much is sent, and how fast. All amounts are bytes of DATA chunks with their headers; they are counted once, when
/// a chunk is made, and recovery, pacing and the model all use that number.
pub(crate) trait Controller: std::fmt::Debug + Send + Sync {
    /// Chunks are of so many bytes from now on.
    fn set_chunk(&mut self, chunk: u64);

    /// The handshake has measured a round trip.
    fn seed(&mut self, now: Instant, round_trip: Duration);

    /// Something was sent.
    fn on_sent(&mut self, now: Instant, flight: u64);

    /// An acknowledgement was worked through, with the losses it revealed.
    fn on_ack(&mut self, report: &AckReport);

    /// A loss was found out without an acknowledgement, by the time that has passed.
    fn on_loss(&mut self, lost: u64, flight: u64);

    /// The peer has been silent for a retransmission timeout.
    fn on_timeout(&mut self, now: Instant);

    /// What may be in flight.
    fn window(&self) -> u64;

    /// How fast it may leave.
    fn pacing_rate(&self) -> Rate;
}
