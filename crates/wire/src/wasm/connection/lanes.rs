//! The paths of a connection: those that come up, the one that both sides begin with, and the move from one to another
//! (PROTOCOL.md §6.1, §6.4). A path has the number of its generation.

use core::time::Duration;
use std::collections::VecDeque;

use super::{Output, Received, Trouble, draft};
use crate::generation::{AwaitingSender, Generation};
use crate::handshake::Seed;
use crate::message::Message;
use crate::record::{HEADER_LEN, Opener, Sealer, TAG_LEN};
use crate::signaling::Role;
use crate::transfer::Crossing;
use crate::transfer::crossing::{self, Fate, SWITCH_LEN, switch};

/// How long the sender gives a better path to come up once the relay works: on most networks one does, and the transfer need not
/// begin with a move.
const HEAD_START: Duration = Duration::from_millis(400);

/// What carries a generation. The better is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::wasm) enum Kind {
    /// The relay of the rendezvous.
    Relay,
    /// WebRTC.
    Direct,
}

#[derive(Debug)]
struct Lane {
    number: u32,
    kind: Kind,
    state: State,
}

/// How far a path is.
#[derive(Debug)]
enum State {
    /// The browser opens it.
    Connecting,
    /// Open, and the other side has yet to prove itself over it.
    AwaitingSender(Box<AwaitingSender>),
    AwaitingReceiver(Box<(Generation, Seed)>),
    Open(Box<(Sealer, Opener)>),
}

/// All paths of one side.
#[derive(Debug)]
pub(super) struct Lanes {
    role: Role,
    all: Vec<Lane>,
    /// Since both have begun.
    crossing: Option<Crossing>,
    /// Where this side says what it says.
    sending: u32,
    /// Whether both try more than one path, so that the sender says which they begin with.
    is_race: bool,
    /// Whether the transfer is to be told of a generation.
    has_begun: bool,
    /// Whether there is no way on.
    is_over: bool,
    outbox: VecDeque<Output>,
    records: VecDeque<Vec<u8>>,
}

impl Lanes {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            all: Vec::new(),
            crossing: None,
            sending: 0,
            is_race: false,
            has_begun: false,
            is_over: false,
            outbox: VecDeque::new(),
            records: VecDeque::new(),
        }
    }

    /// The browser is about to open a path.
    pub(super) fn expect(&mut self, number: u32, kind: Kind) {
        if self.find(number).is_none() {
            self.all.push(Lane { number, kind, state: State::Connecting });
        }
    }

    /// Both sides try more than one path.
    pub(super) fn race(&mut self) {
        self.is_race = true;
    }

    pub(super) fn is_race(&self) -> bool {
        self.is_race
    }

    /// Whether one of them carries the transfer.
    pub(super) fn is_begun(&self) -> bool {
        self.crossing.is_some()
    }

    /// Whether the browser has opened one, as far as this side was told.
    pub(super) fn has_channel(&self) -> bool {
        self.all.iter().any(|lane| !matches!(lane.state, State::Connecting))
    }

    /// The path whose records are read, and what carries it.
    pub(super) fn current(&self) -> Option<(u32, Kind)> {
        let current = self.crossing.as_ref()?.current();
        self.all.iter().find(|lane| lane.number == current).map(|lane| (current, lane.kind))
    }

    /// What carries a path that is not open yet.
    pub(super) fn connecting(&self, number: u32) -> Option<Kind> {
        let lane = self.all.iter().find(|lane| lane.number == number)?;
        matches!(lane.state, State::Connecting).then_some(lane.kind)
    }

    /// Whether the transfer is to be told of a generation now.
    pub(super) fn take_begun(&mut self) -> bool {
        std::mem::take(&mut self.has_begun)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// What to do next, in this order; the records to transmit go behind `records`.
    pub(super) fn drain(&mut self, outbox: &mut VecDeque<Output>, records: &mut VecDeque<Vec<u8>>) {
        outbox.append(&mut self.outbox);
        records.append(&mut self.records);
    }

    /// A path is open: the receiver proves itself over it first.
    pub(super) fn handle_open(&mut self, number: u32, generation: Generation, seed: Seed) {
        let state = match self.role {
            Role::Sender => State::AwaitingReceiver(Box::new((generation, seed))),
            Role::Receiver => {
                let (waiting, record) = generation.receiver(seed);
                self.transmit(number, record);
                State::AwaitingSender(Box::new(waiting))
            }
        };
        self.set(number, state);
    }

    /// Opens a record of a path in place, if it is its turn.
    pub(super) fn handle_record<'a>(
        &mut self,
        number: u32,
        record: &'a mut [u8],
    ) -> Result<Received<'a>, Trouble> {
        let Some(lane) = self.all.iter_mut().find(|lane| lane.number == number) else {
            return Ok(Received::Nothing);
        };
        match (&mut lane.state, &mut self.crossing) {
            (State::Open(halves), Some(crossing)) if crossing.current() == number && crossing.reads() => {
                let plaintext = halves.1.open(record).map_err(|_| Trouble::Violation)?;
                let fate = crossing.handle_record(plaintext).map_err(|_| Trouble::Violation)?;
                self.cross();
                Ok(if fate == Fate::Deliver { Received::Plaintext(plaintext) } else { Received::Nothing })
            }
            (State::Open(halves), None) if self.role == Role::Receiver => {
                if !says_first(&mut halves.1, number, record) {
                    return Ok(Received::Held);
                }
                self.begin(number);
                Ok(Received::Nothing)
            }
            (State::Open(_), _) => Ok(Received::Held),
            (State::Connecting | State::AwaitingSender(_) | State::AwaitingReceiver(_), _) => {
                self.prove(number, record).map(|()| Received::Nothing)
            }
        }
    }

    /// The first record of the other side is its proof.
    fn prove(&mut self, number: u32, record: &[u8]) -> Result<(), Trouble> {
        let Some(lane) = self.find(number) else { return Ok(()) };
        let proven = match std::mem::replace(&mut lane.state, State::Connecting) {
            State::AwaitingSender(waiting) => waiting.receive(record),
            State::AwaitingReceiver(waiting) => {
                let (generation, seed) = *waiting;
                generation.sender(record, seed).map(|(sealer, opener, answer)| {
                    self.transmit(number, answer);
                    (sealer, opener)
                })
            }
            State::Connecting | State::Open(_) => return Ok(()),
        };
        match proven {
            Ok(halves) => {
                self.set(number, State::Open(Box::new(halves)));
                self.handle_proven(number);
                Ok(())
            }
            // One of several that leads elsewhere is no path, and that is all.
            Err(_) if self.is_race || self.is_begun() => {
                self.handle_lost(number);
                Ok(())
            }
            Err(_) => Err(Trouble::Unverified),
        }
    }

    /// A path leads to the other side.
    fn handle_proven(&mut self, number: u32) {
        let is_direct = self.find(number).is_some_and(|lane| lane.kind == Kind::Direct);
        match self.role {
            _ if self.is_begun() => self.offer(number),
            Role::Receiver if self.is_race => {}
            Role::Sender if !is_direct && self.looks_for_better() => {
                let time = u64::try_from(HEAD_START.as_millis()).unwrap_or(u64::MAX);
                self.outbox.push_back(Output::Wait { time });
            }
            Role::Receiver | Role::Sender => self.begin(number),
        }
    }

    /// The sender has waited long enough for something better.
    pub(super) fn handle_waited(&mut self) {
        let open = self.all.iter().find(|lane| matches!(lane.state, State::Open(_)));
        if let Some(number) = open.map(|lane| lane.number).filter(|_| !self.is_begun()) {
            self.begin(number);
        }
    }

    /// A path is gone, or did not come about. Whether there is another, or may be.
    pub(super) fn handle_lost(&mut self, number: u32) -> bool {
        let Some(index) = self.all.iter().position(|lane| lane.number == number) else { return true };
        let was_open = matches!(self.all.swap_remove(index).state, State::Open(_));
        self.leave(number);
        let is_last_try = self.role == Role::Sender && !self.looks_for_better();
        match &mut self.crossing {
            None if is_last_try => self.handle_waited(),
            Some(crossing) if crossing.current() == number => crossing.handle_lost(),
            Some(crossing) if was_open || !crossing.reads() => crossing.handle_next_lost(),
            None | Some(_) => {}
        }
        self.cross();
        self.is_begun() || !self.all.is_empty()
    }

    /// Nobody was heard for too long.
    pub(super) fn handle_silence(&mut self) {
        let Some(crossing) = &mut self.crossing else { return };
        let current = crossing.current();
        if crossing.reads() {
            self.handle_lost(current);
        } else {
            crossing.handle_next_lost();
            self.cross();
        }
    }

    /// Seals a record that was drafted, and sends it, once both have begun.
    pub(super) fn seal(&mut self, record: Vec<u8>) -> bool {
        self.is_begun() && self.seal_to(self.sending, record)
    }

    fn seal_to(&mut self, number: u32, mut record: Vec<u8>) -> bool {
        let Some(Lane { state: State::Open(halves), .. }) = self.find(number) else { return false };
        let is_sealed = halves.0.seal(&mut record).is_ok();
        if is_sealed {
            self.transmit(number, record);
        }
        is_sealed
    }

    /// This is the path that both begin with.
    fn begin(&mut self, number: u32) {
        self.crossing = Some(Crossing::new(self.role, number));
        (self.sending, self.has_begun) = (number, true);
        if self.is_race && self.role == Role::Sender {
            self.say_switch(number);
        }
        self.outbox.push_back(Output::Turn { lane: number });
        match self.role {
            // The sender begins with the best that it has, and needs nothing that is no better.
            Role::Sender => {
                let kind = self.current().map(|current| current.1);
                self.drop_lanes(|lane| lane.number != number && Some(lane.kind) <= kind);
            }
            Role::Receiver => {
                let is_other = |lane: &&Lane| matches!(lane.state, State::Open(_)) && lane.number != number;
                let others: Vec<_> = self.all.iter().filter(is_other).map(|lane| lane.number).collect();
                for other in others {
                    self.offer(other);
                }
            }
        }
    }

    /// There is another path than the one that is used.
    fn offer(&mut self, number: u32) {
        let kind = self.find(number).map(|lane| lane.kind);
        let is_better = self.role == Role::Receiver || kind > self.current().map(|current| current.1);
        let Some(crossing) = &mut self.crossing else { return };
        let current = crossing.current();
        if is_better && crossing.handle_open(number) {
            // Before that one the sender did not go to another that it had: it never will.
            self.drop_open(|lane| ![current, number].contains(&lane));
        } else {
            self.drop_lanes(|lane| lane.number == number);
        }
        self.cross();
    }

    /// Does what the crossing says.
    fn cross(&mut self) {
        while let Some(output) = self.crossing.as_mut().and_then(Crossing::poll_output) {
            match output {
                crossing::Output::Leave { next } => {
                    self.say_switch(next);
                    self.sending = next;
                }
                crossing::Output::Arrive => self.arrive(),
                crossing::Output::Restart { mark } => {
                    self.arrive();
                    if mark.is_some() {
                        self.say_switch(self.sending);
                    }
                    self.has_begun = true;
                }
                crossing::Output::Lost => self.is_over = true,
            }
        }
    }

    /// The next path is the current one now.
    fn arrive(&mut self) {
        let Some(current) = self.crossing.as_ref().map(Crossing::current) else { return };
        self.sending = current;
        self.drop_open(|lane| lane != current);
        self.outbox.push_back(Output::Turn { lane: current });
    }

    /// Lets go of the open paths with such numbers.
    fn drop_open(&mut self, is_left: impl Fn(u32) -> bool) {
        self.drop_lanes(|lane| matches!(lane.state, State::Open(_)) && is_left(lane.number));
    }

    fn drop_lanes(&mut self, is_left: impl Fn(&Lane) -> bool) {
        let (left, kept) = std::mem::take(&mut self.all).into_iter().partition(|lane| is_left(lane));
        self.all = kept;
        let left: Vec<Lane> = left;
        for lane in left {
            self.leave(lane.number);
        }
    }

    fn leave(&mut self, number: u32) {
        self.outbox.push_back(Output::Leave { lane: number });
    }

    /// Says, as the last record where this side speaks, or the first where it begins, that it goes on at this generation.
    fn say_switch(&mut self, next: u32) {
        self.seal_to(self.sending, draft(&Message::Switch { next }));
    }

    fn transmit(&mut self, lane: u32, record: Vec<u8>) {
        self.records.push_back(record);
        self.outbox.push_back(Output::Transmit { lane });
    }

    /// Whether a direct path may yet come up.
    fn looks_for_better(&self) -> bool {
        self.all.iter().any(|lane| lane.kind == Kind::Direct && !matches!(lane.state, State::Open(_)))
    }

    fn set(&mut self, number: u32, state: State) {
        if let Some(lane) = self.find(number) {
            lane.state = state;
        }
    }

    fn find(&mut self, number: u32) -> Option<&mut Lane> {
        self.all.iter_mut().find(|lane| lane.number == number)
    }
}

/// Whether the first record that is sealed for a path says that both begin with it. Any other stays as it is, and is read later.
fn says_first(opener: &mut Opener, number: u32, record: &mut [u8]) -> bool {
    if record.len() != HEADER_LEN + SWITCH_LEN + TAG_LEN {
        return false;
    }
    let is_first = |plaintext: &[u8]| switch(plaintext) == Some(number);
    opener.open_if(&mut record.to_vec(), is_first)
}
