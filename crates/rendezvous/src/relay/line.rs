//! One direction of a relayed session: a queue of records whose length is counted in bytes, and that never drops one.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes that may wait in one direction; then its reader stops reading.
pub(crate) const MOST_QUEUED: u32 = 256 * 1024;

/// What a record counts at least, or very many short ones could wait.
const LEAST_COUNTED: u32 = 512;

/// Where one side's records go in.
#[derive(Debug)]
pub(crate) struct Entrance {
    room: Arc<Semaphore>,
    queue: mpsc::UnboundedSender<Parcel>,
}

/// Where they come out for the other side.
#[derive(Debug)]
pub(crate) struct Exit(mpsc::UnboundedReceiver<Parcel>);

/// A record that waits, and the room that it takes until it is dropped.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) record: Bytes,
    _room: OwnedSemaphorePermit,
}

/// The other side does not take anything any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Severed;

/// An empty queue.
pub(crate) fn line() -> (Entrance, Exit) {
    // It is the room that bounds it.
    let (queue, exit) = mpsc::unbounded_channel();
    (Entrance { room: Arc::new(Semaphore::new(MOST_QUEUED as usize)), queue }, Exit(exit))
}

impl Entrance {
    /// Puts a record in, once there is room for it.
    ///
    /// # Errors
    /// [`Severed`], also while it waits.
    pub(crate) async fn push(&self, record: Bytes) -> Result<(), Severed> {
        let len = u32::try_from(record.len()).unwrap_or(MOST_QUEUED).clamp(LEAST_COUNTED, MOST_QUEUED);
        let room = tokio::select! {
            room = Arc::clone(&self.room).acquire_many_owned(len) => room.map_err(|_| Severed)?,
            () = self.queue.closed() => return Err(Severed),
        };
        self.queue.send(Parcel { record, _room: room }).map_err(|_| Severed)
    }
}

impl Exit {
    /// The next record; `None` when there are no more, and will be none. Cancelling it loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Parcel> {
        self.0.recv().await
    }

    /// The next record if it is here already.
    pub(crate) fn ready(&mut self) -> Option<Parcel> {
        self.0.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn filled(len: usize) -> (usize, Entrance, Exit) {
        let (entrance, exit) = line();
        let mut count = 0;
        while timeout(Duration::from_secs(1), entrance.push(vec![0; len].into())).await.is_ok() {
            count += 1;
        }
        (count, entrance, exit)
    }

    #[tokio::test(start_paused = true)]
    async fn a_quarter_of_a_megabyte_waits_and_nothing_is_dropped() {
        for (len, most) in [(64 * 1024, 4), (66_066, 3), (1, 512), (0, 512)] {
            let (count, entrance, mut exit) = filled(len).await;
            assert_eq!(count, most, "{len}");
            drop(exit.next().await);
            assert_eq!(timeout(Duration::from_secs(1), entrance.push(vec![0; len].into())).await, Ok(Ok(())));
            drop(entrance);
            let mut left = 0;
            while exit.next().await.is_some() {
                left += 1;
            }
            assert_eq!(left, most, "{len}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_room_hears_that_nobody_takes_it() {
        let (_, entrance, exit) = filled(64 * 1024).await;
        let waiting = tokio::spawn(async move { entrance.push(vec![0; 64 * 1024].into()).await });
        drop(exit);
        assert_eq!(waiting.await.unwrap(), Err(Severed));
    }
}
