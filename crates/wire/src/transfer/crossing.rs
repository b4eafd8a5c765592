//! From one generation to another in mid-file (PROTOCOL.md §6.4).
//!
//! Two generations may be live: the *current* one, whose records are read, and the *next*, which is open and not read yet.
//! A [`Crossing`] says when the next becomes the current, with every record of the old one delivered before the first of the
//! new one; or, when the old one died before that, has both sides exchange over the new one where to go on.
//!
//! ```text
//! clean:   S ─ SWITCH n ─►│ R        old generation: the last record of S, then of R
//!            ◄─ SWITCH n ─│          the new one carries what follows, and counts on
//! broken:  S ─ SWITCH n ─►│ R        new generation: from here on S goes by what R states
//!            ◄─── STATE ──│          from here on R does; either may be first, and what comes before is dropped
//! ```
//!
//! The driver hands every opened record of the current generation to [`Crossing::handle_record`] before the transfer's machine
//! sees it, and does what [`Crossing::poll_output`] says after each call.

use std::collections::VecDeque;

use super::Violation;
use crate::message::{Message, decode};
use crate::signaling::Role;

/// What becomes of a record of the current generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is the transfer's: its machine takes it.
    Deliver,
    /// It was for the crossing, or belongs to what was given up.
    Drop,
}

/// What the driver has to do, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send SWITCH to this generation as the last record of the current one, behind everything that is queued for it; whatever
    /// is sent after that goes to the next one.
    Leave {
        /// The next generation.
        next: u32,
    },
    /// The current generation has carried everything; close it. The next is the current one now.
    Arrive,
    /// The current generation died half-way. The next is the current one now: drop whatever was queued for either and call
    /// `handle_generation` of the transfer's machine. What that says goes out behind SWITCH to this generation, if there
    /// is one here.
    Restart {
        /// What the sender says first.
        mark: Option<u32>,
    },
    /// Neither generation leads on; both sides have to meet again.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The current generation carries both directions.
    Steady,
    /// S: SWITCH is sent, that of R has not come.
    Leaving,
    /// R: SWITCH to this generation has come, which is not open here yet.
    Called(u32),
    /// The other side has yet to say where its restart begins.
    Restarting,
    /// Both are gone.
    Over,
}

/// One side's view of the generations of a session, while a path lasts. Each meeting of the two sides begins another.
#[derive(Debug)]
pub struct Crossing {
    role: Role,
    current: u32,
    next: Option<u32>,
    state: State,
    /// Whether the current generation was gone to from another, so that the other side may still ask to restart in it.
    has_crossed: bool,
    outbox: VecDeque<Output>,
}

impl Crossing {
    /// A session that is carried by the generation `current`.
    pub fn new(role: Role, current: u32) -> Self {
        Self { role, current, next: None, state: State::Steady, has_crossed: false, outbox: VecDeque::new() }
    }

    /// The generation whose records are to be read.
    pub fn current(&self) -> u32 {
        self.current
    }

    /// Whether a record of the current generation may be read; otherwise it has ended, and the next is waited for.
    pub fn reads(&self) -> bool {
        !matches!(self.state, State::Called(_) | State::Over)
    }

    /// Another generation is open. S goes there; R does when it is called. `false` when it is of no use: whoever holds it lets
    /// go of it. Otherwise whoever holds an older one that was not gone to lets go of that.
    #[must_use]
    pub fn handle_open(&mut self, generation: u32) -> bool {
        let is_wanted = match self.role {
            Role::Sender => self.state == State::Steady && self.next.is_none(),
            // S may have let go of one that this side still holds.
            Role::Receiver => matches!(self.state, State::Steady | State::Called(_)),
        };
        if !is_wanted || generation == self.current {
            return false;
        }
        self.next = Some(generation);
        match (self.role, self.state) {
            (Role::Sender, _) => {
                self.state = State::Leaving;
                self.outbox.push_back(Output::Leave { next: generation });
            }
            (Role::Receiver, State::Called(wanted)) if wanted == generation => self.answer(generation),
            (Role::Receiver, State::Called(_)) => self.end(),
            (Role::Receiver, _) => {}
        }
        true
    }

    /// The plaintext of a record of the current generation.
    ///
    /// # Errors
    /// [`Violation::OutOfPlace`] for a SWITCH that leads nowhere.
    pub fn handle_record(&mut self, plaintext: &[u8]) -> Result<Fate, Violation> {
        if let Some(next) = switch(plaintext) {
            return self.handle_switch(next).map(|()| Fate::Drop);
        }
        match self.state {
            State::Restarting if self.role == Role::Sender && is_state(plaintext) => {
                self.state = State::Steady;
                Ok(Fate::Deliver)
            }
            State::Restarting | State::Called(_) | State::Over => Ok(Fate::Drop),
            State::Steady | State::Leaving => Ok(Fate::Deliver),
        }
    }

    /// The current generation is gone.
    pub fn handle_lost(&mut self) {
        match (self.next.take(), self.state) {
            (Some(next), State::Steady | State::Leaving) => {
                self.current = next;
                self.restart();
                self.state = State::Restarting;
            }
            // Its last record was read, and it is the other side that closed it.
            (None, State::Called(_)) => {}
            _ => self.end(),
        }
    }

    /// The next generation is gone, or will not be opened.
    pub fn handle_next_lost(&mut self) {
        self.next = None;
        if matches!(self.state, State::Leaving | State::Called(_)) {
            self.end();
        }
    }

    /// What to do next, or `None` until something happens.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    fn handle_switch(&mut self, generation: u32) -> Result<(), Violation> {
        match (self.role, self.state) {
            (Role::Sender, State::Leaving) if self.next == Some(generation) => {
                self.arrive(generation);
                Ok(())
            }
            (Role::Receiver, State::Steady) if self.next == Some(generation) => {
                self.answer(generation);
                Ok(())
            }
            (Role::Receiver, State::Steady) if generation > self.current => {
                // One that S has let go of is no way on.
                self.next = None;
                self.state = State::Called(generation);
                Ok(())
            }
            (Role::Receiver, State::Restarting) if generation == self.current => {
                self.state = State::Steady;
                Ok(())
            }
            (Role::Receiver, State::Steady) if generation == self.current && self.has_crossed => {
                self.restart();
                Ok(())
            }
            // What S said in a generation that this side has given up comes before its restart.
            (_, State::Restarting | State::Over) => Ok(()),
            (Role::Sender | Role::Receiver, State::Steady | State::Leaving | State::Called(_)) => {
                Err(Violation::OutOfPlace)
            }
        }
    }

    /// R has heard the last of S in the current generation, and says its own.
    fn answer(&mut self, generation: u32) {
        self.outbox.push_back(Output::Leave { next: generation });
        self.arrive(generation);
    }

    fn arrive(&mut self, generation: u32) {
        (self.current, self.next, self.state) = (generation, None, State::Steady);
        self.has_crossed = true;
        self.outbox.push_back(Output::Arrive);
    }

    fn restart(&mut self) {
        // Once per generation: whoever restarted in it will not again.
        self.has_crossed = false;
        self.outbox.clear();
        let mark = (self.role == Role::Sender).then_some(self.current);
        self.outbox.push_back(Output::Restart { mark });
    }

    fn end(&mut self) {
        if self.state != State::Over {
            self.state = State::Over;
            self.outbox.push_back(Output::Lost);
        }
    }
}

/// Where to, if this record is a SWITCH, which is a record of its own.
pub fn switch(plaintext: &[u8]) -> Option<u32> {
    match decode(plaintext).next() {
        Some(Ok((Message::Switch { next }, _))) if plaintext.len() == SWITCH_LEN => Some(next),
        _ => None,
    }
}

fn is_state(plaintext: &[u8]) -> bool {
    matches!(decode(plaintext).next(), Some(Ok((Message::State { .. }, _))))
}

/// Length of a SWITCH: type, length and number.
pub const SWITCH_LEN: usize = 1 + 4 + 4;
