//! What waits to be sent to one socket: bounded, so that a client that does not read costs no memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::signaling::CloseReason;

use crate::config::Limits;

/// The queue between the hub and a socket's task.
#[derive(Debug)]
pub(crate) struct Outbox {
    most_frames: usize,
    most_bytes: usize,
    /// At the other end, unless that is another instance.
    client: Option<Client>,
    queue: Mutex<Queue>,
    changed: Notify,
    abandoned: CancellationToken,
}

/// Whose socket it is.
#[derive(Debug)]
pub(crate) struct Client {
    /// By which name or address it came, if it said so.
    pub(crate) host: Option<String>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<(String, Instant)>,
    len: usize,
    closing: Option<CloseReason>,
}

/// The next thing for a socket's task to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// Send this text, which has waited since then.
    Frame(String, Instant),
    /// Close the socket; nothing comes after.
    Close(CloseReason),
}

/// The client has not read for so long that the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

impl Outbox {
    /// An empty queue, as long as configured.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            most_frames: limits.queued_frames,
            most_bytes: limits.queued_bytes,
            client: None,
            queue: Mutex::default(),
            changed: Notify::new(),
            abandoned: CancellationToken::new(),
        }
    }

    /// The same to the socket of a client that came by `host`.
    pub(crate) fn for_client(self, host: Option<String>) -> Self {
        Self { client: Some(Client { host }), ..self }
    }

    /// Who is at the other end, unless that is another instance.
    pub(crate) fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// Queues a frame; after [`Outbox::close`] it is dropped.
    ///
    /// # Errors
    /// [`Overflow`] when as many wait as may. The queue is then gone, and the socket is to
    /// be closed as [`CloseReason::SlowReader`] even if its task is in the middle of sending.
    pub(crate) fn push(&self, frame: String) -> Result<(), Overflow> {
        let mut queue = self.queue();
        if queue.closing.is_some() {
            return Ok(());
        }
        if queue.frames.len() >= self.most_frames || queue.len + frame.len() > self.most_bytes {
            *queue = Queue { closing: Some(CloseReason::SlowReader), ..Queue::default() };
            drop(queue);
            self.abandoned.cancel();
            self.changed.notify_one();
            return Err(Overflow);
        }
        queue.len += frame.len();
        queue.frames.push_back((frame, Instant::now()));
        drop(queue);
        self.changed.notify_one();
        Ok(())
    }

    /// Ends the queue: what is in it is still sent.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.queue().closing.get_or_insert(reason);
        self.changed.notify_one();
    }

    /// Waits for the next thing to do. May be dropped while waiting; one task only may wait.
    pub(crate) async fn next(&self) -> Outgoing {
        loop {
            if let Some(outgoing) = self.pop() {
                return outgoing;
            }
            self.changed.notified().await;
        }
    }

    /// Waits until sending has become pointless.
    pub(crate) async fn abandoned(&self) {
        self.abandoned.cancelled().await;
    }

    fn pop(&self) -> Option<Outgoing> {
        let mut queue = self.queue();
        let Some((frame, since)) = queue.frames.pop_front() else {
            return queue.closing.map(Outgoing::Close);
        };
        queue.len -= frame.len();
        Some(Outgoing::Frame(frame, since))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_in_order_and_then_the_close() {
        let outbox = Outbox::new(&Limits::default());
        outbox.push("one".to_owned()).unwrap();
        outbox.push("two".to_owned()).unwrap();
        outbox.close(CloseReason::Expired);
        outbox.push("late".to_owned()).unwrap();
        for expected in ["one", "two"] {
            assert!(matches!(outbox.next().await, Outgoing::Frame(frame, _) if frame == expected));
        }
        assert_eq!(outbox.next().await, Outgoing::Close(CloseReason::Expired));
    }

    #[tokio::test]
    async fn thirty_three_frames_or_more_than_64_kib_overflow() {
        for (count, len) in [(32, 1), (4, 16 * 1024)] {
            let outbox = Outbox::new(&Limits::default());
            for _ in 0..count {
                assert_eq!(outbox.push("x".repeat(len)), Ok(()));
            }
            assert_eq!(outbox.push("x".to_owned()), Err(Overflow));
            outbox.abandoned().await;
            assert_eq!(outbox.next().await, Outgoing::Close(CloseReason::SlowReader));
        }
    }
}
