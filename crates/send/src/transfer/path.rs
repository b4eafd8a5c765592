//! The paths of a connection that is up: the one that is used, and perhaps another to which it moves.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::message::Message;
use wire::signaling::{ReportedPath, Role};
use wire::transfer::Crossing;
use wire::transfer::crossing::{Fate, Output};

use super::Error;
use super::pipe::{Draft, Opened, Pipe};
use super::pulse::{Beat, Pulse};
use crate::connect::{Channel, Lane, Race};
use crate::transport::Path;

/// How long the last words over a path that is left may take.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(10);

/// A path whose records are sealed and opened.
struct Track {
    number: u32,
    path: Path,
    round_trip: Option<Duration>,
    pipe: Pipe,
}

/// The paths that there are, and the search for better ones.
pub(super) struct Way {
    role: Role,
    current: Track,
    next: Option<Track>,
    /// Whether what this side says goes to the next one already.
    has_left: bool,
    crossing: Crossing,
    pulse: Pulse,
    race: Race,
}

/// What happens to a connection that is up.
pub(super) enum Heard {
    /// A record of the current path, or how that ended.
    Record(Result<Opened, Error>),
    /// The pulse beats.
    Beat(Beat),
    /// There is another path; or the other side has given up those that there are.
    Lane(Option<Box<Lane>>),
}

/// What a move means for the task.
pub(super) enum Moved {
    /// SWITCH to this generation is the last that goes where it went; what follows goes to this queue.
    Leave(u32, mpsc::Sender<Draft>),
    /// The other path carries everything.
    Arrived(Path),
    /// The other path carries what follows, from where both sides say. This side says SWITCH to this generation first.
    Restart(Path, Option<u32>),
    /// No path leads on.
    Lost,
}

impl Track {
    fn start(lane: Lane) -> io::Result<Self> {
        let Lane { number, sealer, opener, transport, early } = lane;
        let (path, round_trip) = (transport.path, transport.round_trip);
        Ok(Self { number, path, round_trip, pipe: Pipe::start((sealer, opener), transport, early)? })
    }

    /// Says goodbye in the background.
    fn retire(self) {
        in_background(self.pipe.close());
    }
}

impl Way {
    /// A connection over one path.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(channel: Channel, role: Role) -> io::Result<Self> {
        let Channel { lane, race } = channel;
        let crossing = Crossing::new(role, lane.number);
        let current = Track::start(lane)?;
        let pulse = Pulse::new(Arc::clone(&current.pipe.sent_count));
        Ok(Self { role, current, next: None, has_left: false, crossing, pulse, race })
    }

    /// The path that is used.
    pub(super) fn path(&self) -> Path {
        self.current.path
    }

    /// The time to the peer and back over it, if that was measured.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.current.round_trip
    }

    /// Waits for what happens next; for records only if they are wanted. Cancelling it loses nothing.
    pub(super) async fn next(&mut self, wants_records: bool) -> Heard {
        let reads = wants_records && self.crossing.reads();
        tokio::select! {
            biased;
            opened = self.current.pipe.opened.recv(), if reads => {
                Heard::Record(opened.unwrap_or(Err(Error::Lost)))
            }
            beat = self.pulse.beat() => Heard::Beat(beat),
            lane = self.race.next() => Heard::Lane(lane.map(Box::new)),
        }
    }

    /// Looks at a record; gives it back if it is the transfer's.
    pub(super) fn take(&mut self, opened: Opened) -> Result<Option<Opened>, Error> {
        self.pulse.handle_heard();
        let fate = self.crossing.handle_record(opened.plaintext());
        let fate = fate.map_err(|violation| Error::Peer(violation.into()))?;
        Ok((fate == Fate::Deliver).then_some(opened))
    }

    /// This side was busy and could not listen.
    pub(super) fn handle_heard(&mut self) {
        self.pulse.handle_heard();
    }

    /// Takes in another path.
    pub(super) fn add(&mut self, lane: Lane) -> io::Result<()> {
        let is_better = self.role == Role::Receiver || lane.transport.path > self.current.path;
        if is_better && self.crossing.handle_open(lane.number) {
            // Before that one the sender did not go to another that it had: it never will.
            if let Some(older) = self.next.replace(Track::start(lane)?) {
                older.pipe.hang_up();
            }
        }
        Ok(())
    }

    /// The current path is gone, or the one to which the other side went does not come.
    pub(super) fn handle_lost(&mut self) {
        if self.crossing.reads() {
            self.crossing.handle_lost();
        } else {
            self.crossing.handle_next_lost();
        }
    }

    /// Does what the crossing says, as far as it is done here.
    pub(super) fn poll_move(&mut self) -> Option<Moved> {
        while let Some(output) = self.crossing.poll_output() {
            match output {
                Output::Leave { next } => {
                    self.has_left = true;
                    if self.role == Role::Sender {
                        return Some(Moved::Leave(next, self.drafts().clone()));
                    }
                    // It has the last place in the queue: nothing else is sent there.
                    let drafts = self.current.pipe.drafts.clone();
                    in_background(async move {
                        let _ = drafts.send(Draft::of(&Message::Switch { next })).await;
                    });
                }
                Output::Arrive => {
                    if let Some(old) = self.arrive() {
                        old.retire();
                        return Some(Moved::Arrived(self.current.path));
                    }
                }
                Output::Restart { mark } => {
                    if let Some(old) = self.arrive() {
                        old.pipe.hang_up();
                    }
                    return Some(Moved::Restart(self.current.path, mark));
                }
                Output::Lost => return Some(Moved::Lost),
            }
        }
        None
    }

    /// The next path is the current one now; gives the one before.
    fn arrive(&mut self) -> Option<Track> {
        let next = self.next.take_if(|next| next.number == self.crossing.current())?;
        self.has_left = false;
        self.pulse = Pulse::new(Arc::clone(&next.pipe.sent_count));
        Some(std::mem::replace(&mut self.current, next))
    }

    /// Where records to be sealed go.
    pub(super) fn drafts(&self) -> &mpsc::Sender<Draft> {
        let track = self.next.as_ref().filter(|_| self.has_left).unwrap_or(&self.current);
        &track.pipe.drafts
    }

    /// Tells the rendezvous how the session ended.
    pub(super) async fn report(&mut self, path: ReportedPath, ok: bool) {
        self.race.report(path, ok).await;
    }

    /// Ends every path at once.
    pub(super) fn hang_up(self) {
        self.current.pipe.hang_up();
        self.next.into_iter().for_each(|next| next.pipe.hang_up());
    }

    /// Sends what is queued, and closes; returns when the other side has it all, or the transports gave up waiting for that.
    pub(super) async fn close(self) {
        // The path that is left is only waited for where this side has not left it yet.
        match self.next.filter(|_| self.has_left) {
            Some(next) => {
                self.current.retire();
                next.pipe.close().await;
            }
            None => self.current.pipe.close().await,
        }
    }
}

fn in_background(saying: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        let _ = timeout(GOODBYE_DEADLINE, saying).await;
    });
}
