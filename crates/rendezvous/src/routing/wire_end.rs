//! What both ends of a link do alike: transmit what is due, repeat it, and notice that the other end is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time;

use crate::hub::now;
use crate::mesh::frame::{Body, Frame};
use crate::mesh::stream::{Overflow, Stream};
use crate::mesh::{LinkPlace, Mesh};

/// One end of a link, with the clock and the channel that its [`Stream`] has not.
pub(super) struct WireEnd {
    mesh: Arc<Mesh>,
    place: LinkPlace,
    stream: Stream,
    deaths: watch::Receiver<u64>,
    is_reset: bool,
}

impl WireEnd {
    /// An end on which nothing was said.
    pub(super) fn new(mesh: Arc<Mesh>, place: LinkPlace) -> Self {
        let deaths = mesh.deaths();
        Self { mesh, place, stream: Stream::new(), deaths, is_reset: false }
    }

    /// Says something to the other end.
    pub(super) fn say(&mut self, body: Body) -> Result<(), Overflow> {
        self.stream.say(body)
    }

    /// Takes in a frame; what is new in it comes out.
    pub(super) fn hear(&mut self, frame: Frame) -> Option<Body> {
        if frame.from != self.place.peer {
            return None;
        }
        self.is_reset |= frame.body == Body::Reset;
        self.stream.handle_frame(frame, now())
    }

    /// Transmits what is due. What does not get through is due again later.
    pub(super) async fn flush(&mut self) {
        while let Some((number, acknowledged, body)) = self.stream.poll_transmit(now()) {
            let frame = Frame { link: self.place.id, from: self.mesh.id, number, acknowledged, body };
            if self.mesh.tell(self.place.peer, &frame).await.is_err() {
                break;
            }
        }
    }

    /// Waits for the next frame; `None` when there is something to transmit, or to find out. May be dropped.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let due = self.stream.poll_timeout();
        let until_due = async {
            match due {
                Some(due) => time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            frame = self.place.inbox.recv() => frame,
            _ = self.deaths.changed() => None,
            () = until_due => None,
        }
    }

    /// Whether the other end is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.is_reset || self.mesh.is_dead(self.place.peer) || self.is_overdue(now())
    }

    /// Whether all was acknowledged, both ways.
    pub(super) fn is_settled(&self) -> bool {
        self.stream.is_settled() && self.stream.poll_timeout().is_none()
    }

    /// Whether the other end has answered at all.
    pub(super) fn is_established(&self) -> bool {
        self.stream.is_established()
    }

    /// Nobody can answer while Redis is away, which a link survives for a while.
    fn is_overdue(&self, now: Instant) -> bool {
        let Some(owed_since) = self.stream.owed_since() else { return false };
        let waited = |since: Instant| now.saturating_duration_since(since);
        let counted = self.mesh.ready_since().is_some_and(|ready| waited(owed_since.max(ready)) >= PATIENCE);
        counted || waited(owed_since) >= OUTAGE_PATIENCE
    }
}

/// How long the other end may leave something unacknowledged.
const PATIENCE: Duration = Duration::from_secs(6);

/// How long a link with something to say survives a Redis that is away.
const OUTAGE_PATIENCE: Duration = Duration::from_secs(30);
