//! An ordered, reliable, back-pressured pipe of messages to one peer. It is not sealed and nobody has to trust it.
//!
//! A [`Transport`] is two bounded queues in front of a driver that owns the connection. That makes it usable from both
//! sides of the house: the threads that read, hash and seal block on it, tasks await it. Records are sealed above, so a
//! path that drops, reorders or alters a message is found out there; here it is only too long or not there.
//!
//! ```text
//! sealing thread ─ Outgoing ─► queue ─► driver ─► path ─► driver ─► queue ─► Incoming ─ opening thread
//! ```

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

#[cfg(test)]
pub mod memory;
pub mod relay;
pub mod webrtc;

/// Longest message either way, in bytes: one record.
pub const MAX_MESSAGE_LEN: usize = wire::record::MAX_RECORD_LEN;

/// Messages that wait between a thread and the driver, each way: 1 MiB, about 2 ms at 500 MB/s, which hides the time a
/// scheduler takes to wake the other side, and is small beside the windows below and above.
const QUEUE_LEN: usize = 16;

/// A connection to the peer: its two directions, which different threads may own, and how it runs.
#[derive(Debug)]
pub struct Transport {
    /// To the peer.
    pub sender: Outgoing,
    /// From the peer.
    pub receiver: Incoming,
    /// The way between the two.
    pub path: Path,
    /// The time to the peer and back before anything else was on the way, if that was measured.
    pub round_trip: Option<Duration>,
    /// Ends both directions at once, whatever is on its way: for a peer that has gone silent, behind whom a goodbye would
    /// wait.
    pub hangup: CancellationToken,
}

/// The way the bytes take between the two peers, the better the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// Through the rendezvous, which passes on every record.
    Relay,
    /// Through a TURN server, which passes on every datagram.
    Relayed,
    /// Straight between the two machines, across whatever networks and address translators lie between.
    Direct,
    /// Straight between two machines on one network, or within one machine.
    LocalNetwork,
}

/// Why a transport no longer carries messages, or did not take one.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// The peer cannot be reached any more.
    #[error("the connection was lost")]
    Lost,
    /// One of the two sides closed it. Whoever was not done yet has to treat that as a loss: it is not authenticated.
    #[error("the connection is closed")]
    Closed,
    /// A message is longer than any record. One that came in closed the connection; one to be sent was not sent.
    #[error("a message of {len} bytes, at most {MAX_MESSAGE_LEN} are allowed")]
    MessageTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The peer did something no peer of this protocol does.
    #[error("the peer broke the rules of the connection")]
    Misbehaved,
}

/// The direction to the peer. Dropping it closes the transport in the background, [`Outgoing::close`] waits for that.
#[derive(Debug)]
pub struct Outgoing {
    queue: mpsc::Sender<BytesMut>,
    flushed: oneshot::Receiver<Result<(), TransportError>>,
    ending: Ending,
}

impl Outgoing {
    /// Queues one message; waits while the path is busy. A message is sent whole or, when this is cancelled, not at all.
    ///
    /// # Errors
    /// [`TransportError::MessageTooLong`] leaves the transport as it was. Any other error is how the transport ended.
    pub async fn send(&mut self, message: BytesMut) -> Result<(), TransportError> {
        check_len(&message)?;
        self.queue.send(message).await.map_err(|_| self.ending.reason())
    }

    /// [`Outgoing::send`] for threads.
    ///
    /// # Errors
    /// As [`Outgoing::send`].
    ///
    /// # Panics
    /// When called from a task.
    pub fn blocking_send(&mut self, message: BytesMut) -> Result<(), TransportError> {
        check_len(&message)?;
        self.queue.blocking_send(message).map_err(|_| self.ending.reason())
    }

    /// Closes both directions once the peer has acknowledged everything queued; returns when that is done.
    ///
    /// Acknowledged means that it is in the peer's memory. A peer that has more than about 16 MiB unread at that moment may
    /// lose the end of it, which is why a receiver says in a message of its own that it has everything.
    ///
    /// # Errors
    /// How the transport ended, when the peer did not acknowledge everything in time.
    pub async fn close(self) -> Result<(), TransportError> {
        drop(self.queue);
        self.flushed.await.unwrap_or_else(|_| Err(self.ending.reason()))
    }

    /// [`Outgoing::close`] for threads.
    ///
    /// # Errors
    /// As [`Outgoing::close`].
    ///
    /// # Panics
    /// When called from a task.
    pub fn blocking_close(self) -> Result<(), TransportError> {
        drop(self.queue);
        self.flushed.blocking_recv().unwrap_or_else(|_| Err(self.ending.reason()))
    }
}

/// The direction from the peer. Whatever arrives after it was dropped is thrown away.
#[derive(Debug)]
pub struct Incoming {
    queue: mpsc::Receiver<BytesMut>,
    ending: Ending,
}

impl Incoming {
    /// The next message. Cancelling it loses nothing.
    ///
    /// # Errors
    /// How the transport ended, after every message that arrived before that; from then on always the same.
    pub async fn recv(&mut self) -> Result<BytesMut, TransportError> {
        self.queue.recv().await.ok_or_else(|| self.ending.reason())
    }

    /// [`Incoming::recv`] for threads.
    ///
    /// # Errors
    /// As [`Incoming::recv`].
    ///
    /// # Panics
    /// When called from a task.
    pub fn blocking_recv(&mut self) -> Result<BytesMut, TransportError> {
        self.queue.blocking_recv().ok_or_else(|| self.ending.reason())
    }
}

/// Why the transport ended: written once by the driver, before it lets go of the queues; read by both directions.
#[derive(Clone, Debug, Default)]
struct Ending(Arc<OnceLock<TransportError>>);

impl Ending {
    /// A driver that vanished without a word took the connection with it.
    fn reason(&self) -> TransportError {
        self.0.get().copied().unwrap_or(TransportError::Lost)
    }

    /// Only the first reason counts.
    fn set(&self, reason: TransportError) {
        let _ = self.0.set(reason);
    }
}

/// The driver's side of a [`Transport`].
#[derive(Debug)]
struct Driven {
    /// What the owner wants sent; ends when the owner closes.
    outgoing: mpsc::Receiver<BytesMut>,
    /// Where messages from the peer go.
    incoming: mpsc::Sender<BytesMut>,
    /// To be told when everything queued has been acknowledged and the connection is closed.
    flushed: oneshot::Sender<Result<(), TransportError>>,
    /// To be written before the queues are dropped.
    ending: Ending,
    /// Cancelled when the owner wants no goodbye.
    hangup: CancellationToken,
}

impl Transport {
    /// A transport over `path` and what its driver needs.
    fn driven(path: Path) -> (Self, Driven) {
        let (send_queue, outgoing) = mpsc::channel(QUEUE_LEN);
        let (incoming, recv_queue) = mpsc::channel(QUEUE_LEN);
        let (flushed, wait_flushed) = oneshot::channel();
        let ending = Ending::default();
        let hangup = CancellationToken::new();
        let sender = Outgoing { queue: send_queue, flushed: wait_flushed, ending: ending.clone() };
        let receiver = Incoming { queue: recv_queue, ending: ending.clone() };
        let driven = Driven { outgoing, incoming, flushed, ending, hangup: hangup.clone() };
        (Self { sender, receiver, path, round_trip: None, hangup }, driven)
    }
}

/// Hands a message from the peer to the owner, unless it is too long to be one; waits while the owner is busy.
async fn deliver(incoming: &mpsc::Sender<BytesMut>, message: BytesMut) -> Result<(), TransportError> {
    check_len(&message)?;
    // The owner may have dropped its end; it does not want the message then.
    let _ = incoming.send(message).await;
    Ok(())
}

fn check_len(message: &BytesMut) -> Result<(), TransportError> {
    if message.len() > MAX_MESSAGE_LEN {
        return Err(TransportError::MessageTooLong { len: message.len() });
    }
    Ok(())
}
