//! The record relay: brings the two sides of a session together and passes on what they sealed, as fast as the slower reads.
//!
//! It decides here who sits where; `carrier` is the life of one side's socket. What one session may cost is bounded: in memory by its
//! two queues, in bytes and in bytes per second by its [`Usage`], and all sessions together by a [`Pace`].

mod line;
mod pace;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use wire::signaling::{CloseReason, Role, Slot};

use self::line::line;
pub(crate) use self::line::{Entrance, Exit, Parcel};
use self::pace::Pace;
use crate::config::Config;
use crate::shrink::Shrink;

/// Every session that the relay carries, and what those that it carried have used.
#[derive(Debug)]
pub(crate) struct Relays {
    state: Mutex<State>,
    most: usize,
    /// Sessions of which is remembered what they have used.
    most_remembered: usize,
    ttl: Duration,
    session_rate: Option<crate::config::Rate>,
    session_bytes: u64,
    total: Pace,
}

#[derive(Debug, Default)]
struct State {
    by_slot: HashMap<Slot, Session>,
    /// Those that both sides left, and when.
    empty: VecDeque<(Instant, Slot)>,
    /// Sessions that somebody is here for: those with a call.
    in_use: usize,
    last_seat: u64,
    is_draining: bool,
}

#[derive(Debug)]
struct Session {
    usage: Arc<Usage>,
    /// What is being carried.
    call: Option<Call>,
    emptied_at: Option<Instant>,
}

/// One generation over the relay.
#[derive(Debug)]
struct Call {
    generation: u32,
    ending: Arc<Ending>,
    sender: Chair,
    receiver: Chair,
}

/// One side's place in a call.
#[derive(Debug)]
enum Chair {
    /// Nobody has come; what is to be had here.
    Free(Entrance, Exit),
    /// Taken by the seat of this number.
    Taken(u64),
    /// Somebody was here.
    Left,
}

/// What a session has used, over all its calls.
#[derive(Debug)]
struct Usage {
    bytes: AtomicU64,
    pace: Pace,
}

/// How a call ends from outside.
#[derive(Debug, Default)]
struct Ending {
    reason: OnceLock<CloseReason>,
    over: CancellationToken,
    /// Both sides have come.
    complete: CancellationToken,
}

/// One side of a call. Dropping it leaves the call.
#[derive(Debug)]
pub(crate) struct Seat {
    relays: Arc<Relays>,
    slot: Slot,
    role: Role,
    number: u64,
    usage: Arc<Usage>,
    ending: Arc<Ending>,
    /// Taken by the two halves of the socket's task.
    ends: Option<(Entrance, Exit)>,
}

impl Relays {
    /// As many as `config` says; nobody is here yet.
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        let limits = &config.limits;
        Arc::new(Self {
            state: Mutex::default(),
            most: limits.relays,
            most_remembered: limits.meetings.max(limits.relays),
            ttl: config.times.meeting_ttl,
            session_rate: limits.relay_session_rate,
            session_bytes: limits.relay_session_bytes,
            total: Pace::new(limits.relay_total_rate),
        })
    }

    /// Seats one side of a session. Of two that name a generation the higher wins; who comes a second time takes its own place.
    ///
    /// # Errors
    /// Why there is no seat: [`CloseReason::Busy`], [`CloseReason::Quota`], [`CloseReason::Replaced`] or
    /// [`CloseReason::GoingAway`].
    pub(crate) fn join(
        self: &Arc<Self>,
        (slot, role): (Slot, Role),
        generation: u32,
        now: Instant,
    ) -> Result<Seat, CloseReason> {
        let mut state = self.state();
        if state.is_draining {
            return Err(CloseReason::GoingAway);
        }
        state.forget(now, self.ttl);
        let known = state.by_slot.get(&slot);
        if known.is_none_or(|session| session.call.is_none()) && state.in_use >= self.most {
            return Err(CloseReason::Busy);
        }
        if known.is_none() && state.by_slot.len() >= self.most_remembered {
            state.forget_oldest();
        }
        state.last_seat += 1;
        let number = state.last_seat;
        let unused = || Arc::new(Usage { bytes: AtomicU64::new(0), pace: Pace::new(self.session_rate) });
        let session = state.by_slot.entry(slot).or_insert_with(|| Session {
            usage: unused(),
            call: None,
            emptied_at: None,
        });
        if session.usage.bytes.load(Ordering::Relaxed) >= self.session_bytes {
            return Err(CloseReason::Quota);
        }
        let was_in_use = session.call.is_some();
        let (ends, ending) = session.seat(role, generation, number)?;
        let usage = Arc::clone(&session.usage);
        state.in_use += usize::from(!was_in_use);
        drop(state);
        Ok(Seat { relays: Arc::clone(self), slot, role, number, usage, ending, ends: Some(ends) })
    }

    /// Ends every call, and lets nobody join any more.
    pub(crate) fn drain(&self) {
        let mut state = self.state();
        state.is_draining = true;
        let calls = state.by_slot.values().filter_map(|session| session.call.as_ref());
        calls.for_each(|call| call.ending.set(CloseReason::GoingAway));
    }

    /// How many sessions somebody is here for.
    pub(crate) fn in_use(&self) -> usize {
        self.state().in_use
    }

    /// Gives back what is not needed any more.
    pub(crate) fn shrink(&self, now: Instant) {
        let mut state = self.state();
        state.forget(now, self.ttl);
        state.by_slot.shrink_if_sparse();
        state.empty.shrink_if_sparse();
    }

    fn leave(&self, seat: &Seat, now: Instant) {
        let mut state = self.state();
        let Some(session) = state.by_slot.get_mut(&seat.slot) else { return };
        let Some(call) = &mut session.call else { return };
        let mine = call.chair(seat.role);
        if !matches!(mine, Chair::Taken(number) if *number == seat.number) {
            return;
        }
        // With the seat its ends are dropped: the other side hears what is queued, and then that there is no more.
        *mine = Chair::Left;
        if !matches!((&call.sender, &call.receiver), (Chair::Taken(_), _) | (_, Chair::Taken(_))) {
            session.call = None;
            session.emptied_at = Some(now);
            state.in_use -= 1;
            state.empty.push_back((now, seat.slot));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops what nobody has used for long enough. The queue may hold sessions that came back since.
    fn forget(&mut self, now: Instant, ttl: Duration) {
        while self.empty.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= ttl) {
            self.forget_front();
        }
    }

    fn forget_oldest(&mut self) {
        let full = self.by_slot.len();
        while self.by_slot.len() == full && !self.empty.is_empty() {
            self.forget_front();
        }
    }

    fn forget_front(&mut self) {
        let Some((at, slot)) = self.empty.pop_front() else { return };
        if self.by_slot.get(&slot).is_some_and(|session| session.emptied_at == Some(at)) {
            self.by_slot.remove(&slot);
        }
    }
}

impl Session {
    /// Gives `role` its ends of a call of this generation, a new one if need be.
    fn seat(
        &mut self,
        role: Role,
        generation: u32,
        number: u64,
    ) -> Result<((Entrance, Exit), Arc<Ending>), CloseReason> {
        if let Some(call) = &self.call {
            let is_older = generation < call.generation;
            if is_older {
                return Err(CloseReason::Replaced);
            }
            // Whoever was taken away from somebody, or left, cannot be continued: records would be missing.
            let is_free = matches!(call.chair_of(role), Chair::Free(..));
            if generation > call.generation || !is_free {
                call.ending.set(CloseReason::Replaced);
                self.call = None;
            }
        }
        self.emptied_at = None;
        let call = self.call.get_or_insert_with(|| Call::new(generation));
        let ends = match std::mem::replace(call.chair(role), Chair::Taken(number)) {
            Chair::Free(entrance, exit) => (entrance, exit),
            Chair::Taken(_) | Chair::Left => return Err(CloseReason::Replaced),
        };
        if matches!((&call.sender, &call.receiver), (Chair::Taken(_), Chair::Taken(_))) {
            call.ending.complete.cancel();
        }
        Ok((ends, Arc::clone(&call.ending)))
    }
}

impl Call {
    fn new(generation: u32) -> Self {
        let (to_receiver, from_sender) = line();
        let (to_sender, from_receiver) = line();
        Self {
            generation,
            ending: Arc::default(),
            sender: Chair::Free(to_receiver, from_receiver),
            receiver: Chair::Free(to_sender, from_sender),
        }
    }

    fn chair(&mut self, role: Role) -> &mut Chair {
        match role {
            Role::Sender => &mut self.sender,
            Role::Receiver => &mut self.receiver,
        }
    }

    fn chair_of(&self, role: Role) -> &Chair {
        match role {
            Role::Sender => &self.sender,
            Role::Receiver => &self.receiver,
        }
    }
}

impl Ending {
    /// Only the first reason counts.
    fn set(&self, reason: CloseReason) {
        let _ = self.reason.set(reason);
        self.over.cancel();
    }

    /// Waits until the call is ended from outside.
    async fn reason(&self) -> CloseReason {
        self.over.cancelled().await;
        self.reason.get().copied().unwrap_or(CloseReason::Gone)
    }
}

impl Seat {
    /// Where this side's records go in, and where those of the other side come out. Once.
    pub(crate) fn take_ends(&mut self) -> Option<(Entrance, Exit)> {
        self.ends.take()
    }

    /// Waits until the call is ended from outside.
    pub(crate) async fn ended(&self) -> CloseReason {
        self.ending.reason().await
    }

    /// Waits until both sides are here.
    pub(crate) async fn completed(&self) {
        self.ending.complete.cancelled().await;
    }

    /// Takes note of `len` bytes of this side, and says how long they have to wait.
    ///
    /// # Errors
    /// [`CloseReason::Quota`], for both sides, when the session has used what it may.
    pub(crate) fn spend(&self, len: usize, now: Instant) -> Result<Duration, CloseReason> {
        let before = self.usage.bytes.fetch_add(len as u64, Ordering::Relaxed);
        if before.saturating_add(len as u64) > self.relays.session_bytes {
            self.ending.set(CloseReason::Quota);
            return Err(CloseReason::Quota);
        }
        Ok(self.usage.pace.take(len, now).max(self.relays.total.take(len, now)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.relays.leave(self, tokio::time::Instant::now().into_std());
    }
}

#[cfg(test)]
mod tests;
