//! The connection of one side over a whole session, the same for both: the sealed conversation about a channel, the
//! generation that is open on it, and the meeting after it broke (PROTOCOL.md §4.3, §6.1, §7).

mod lanes;
mod talk;

use std::collections::VecDeque;

use serde::Serialize;

use self::lanes::Lanes;
use self::talk::Talk;
use crate::generation::{Generation, MAX_GENERATIONS};
use crate::handshake::{Seed, Session, is_confirmation};
use crate::keys::{Binding, SessionSecret, Verifier};
use crate::message::{AbortReason, Message};
use crate::record::{HEADER_LEN, TAG_LEN};
use crate::signal::{CheckedDescription, DescriptionKind, Meeting, Signal, halves, is_usable_candidate};
use crate::signaling::{
    Body, ClientMessage, CloseReason, Door, IceServer, Join, Role, SIGNALING_VERSION, ServerMessage,
    relay_name,
};

pub(super) use self::lanes::Kind;
pub(super) use self::talk::Handed;

/// One thing to do, in the order given; becomes JSON.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum Output {
    /// Send this frame to the rendezvous.
    Say { frame: String },
    /// Make a connection with a channel of this number: answer this offer, or without one make an offer.
    Connect {
        #[serde(skip_serializing_if = "Option::is_none")]
        sdp: Option<String>,
        ice_servers: Vec<IceServer>,
        channel: u16,
        /// The number of the path that it becomes.
        lane: u32,
    },
    /// Open a socket at this path below the address of the page, and say this frame there first: it is the path of this number.
    Relay { lane: u32, path: String, frame: String },
    /// The other side's answer.
    Answer { sdp: String },
    /// Try this address of the other side.
    Candidate { candidate: String, mid: String },
    /// Send the next record over this path.
    Transmit { lane: u32 },
    /// It is the turn of this path: what was put back comes first.
    Turn { lane: u32 },
    /// This path is not needed any more.
    Leave { lane: u32 },
    /// Say so when so many milliseconds have passed.
    Wait { time: u64 },
    /// The connection is gone: `join` over a new socket, after some seconds if so many are given.
    Apart { retry_after: Option<u32> },
}

/// Why it cannot go on like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// What came is not from the other side.
    Unverified,
    /// A description without what the channel needs.
    NoChannel,
    /// The other side does not keep to the protocol.
    Violation,
    /// The other side has given up.
    Aborted(AbortReason),
    /// The rendezvous or the other side has ended the conversation; and how long to wait, in seconds.
    Closed(CloseReason, Option<u32>),
}

impl Trouble {
    /// Whether trying again is of no use. A side that only failed to find a path says so as an internal failure.
    fn is_final(self) -> bool {
        matches!(self, Self::Aborted(reason) if reason != AbortReason::Internal)
    }
}

/// What has become of a record.
#[derive(Debug)]
pub(super) enum Received<'a> {
    /// What was sealed in it.
    Plaintext(&'a [u8]),
    /// It is not its turn: it is still as it came, and to be given again.
    Held,
    /// Nothing that concerns the transfer.
    Nothing,
}

/// One side's connection, without a socket, a clock or a browser.
#[derive(Debug)]
pub(super) struct Connection {
    role: Role,
    secret: SessionSecret,
    /// What both may compare, unless this side has lost it.
    verifier: Option<Verifier>,
    /// The generation of WebRTC; that of the relay is the next.
    generation: u32,
    /// The highest generation that this side has seen.
    highest: u32,
    stage: Stage,
    lanes: Lanes,
    /// Whether the two sides have had a channel. From then on they look for each other when they lose it.
    was_open: bool,
    /// How often the transfer was told to begin.
    begun_count: u32,
    /// Whether they look for each other without having had one: the rendezvous was lost when they had proved themselves.
    lost_server: bool,
    /// What a sender repeats first wherever the two meet, until the receiver has shown that it has it (PROTOCOL.md §5.6).
    confirmation: Option<Vec<u8>>,
    /// Why this side gives up, as long as the other has yet to be told.
    leaving: Option<AbortReason>,
    outbox: VecDeque<Output>,
    records: VecDeque<Vec<u8>>,
}

/// How far the two sides are with talking to each other.
#[derive(Debug)]
enum Stage {
    Apart,
    /// At the meeting point, alone.
    Waiting(Seed),
    /// Both are there, and make keys for what they have to say.
    Keying(Box<(Place, Meeting, Handed)>),
    Talking(Box<Talk>),
}

/// Where the rendezvous passes bodies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) door: Door,
    pub(super) attempt: u32,
}

/// The stream of the data channel (PROTOCOL.md §7).
const CHANNEL: u16 = 0;

impl Connection {
    /// The two sides have proved themselves at a door, and go on talking there.
    pub(super) fn new(session: Session, role: Role, place: Place, handed: Handed) -> Self {
        let Session { secret, signal_keys, confirmation, verifier, .. } = session;
        let talk = Talk::new(place, halves(signal_keys), handed);
        let mut connection = Self::at(Stage::Talking(Box::new(talk)), secret, role);
        connection.confirmation = confirmation;
        connection.verifier = Some(verifier);
        connection.begin_generation();
        connection
    }

    /// The two had a channel, and this side has lost it and everything else but the secret.
    #[cfg(any(test, not(feature = "sending")))]
    pub(super) fn restore(secret: SessionSecret, role: Role) -> Self {
        let mut connection = Self::at(Stage::Apart, secret, role);
        connection.was_open = true;
        connection.part(None);
        connection
    }

    /// The two have met again before they had a channel: the sender's confirmation came from there.
    #[cfg(any(test, not(feature = "sending")))]
    pub(super) fn confirmed(
        session: Session,
        role: Role,
        (place, handed): (Place, Handed),
        seed: Seed,
    ) -> Self {
        let mut connection = Self::at(Stage::Waiting(seed), session.secret, role);
        connection.verifier = Some(session.verifier);
        connection.lost_server = true;
        connection.meet(place, handed);
        connection
    }

    /// In the first generation: the other side knows which it was if there were more.
    fn at(stage: Stage, secret: SessionSecret, role: Role) -> Self {
        Self {
            role,
            secret,
            verifier: None,
            generation: 1,
            highest: 1,
            stage,
            lanes: Lanes::new(role),
            was_open: false,
            begun_count: 0,
            lost_server: false,
            confirmation: None,
            leaving: None,
            outbox: VecDeque::new(),
            records: VecDeque::new(),
        }
    }

    #[cfg(any(test, not(feature = "sending")))]
    pub(super) fn secret(&self) -> &SessionSecret {
        &self.secret
    }

    /// Four words, which are the same on both sides unless somebody stands between them.
    pub(super) fn words(&self) -> Option<String> {
        self.verifier.map(|verifier| verifier.words().join(" "))
    }

    /// What to do next, in this order. The records to transmit go behind `records`.
    pub(super) fn take_outputs(&mut self, records: &mut VecDeque<Vec<u8>>) -> VecDeque<Output> {
        records.append(&mut self.records);
        std::mem::take(&mut self.outbox)
    }

    /// Whether a path carries the transfer.
    pub(super) fn is_open(&self) -> bool {
        self.lanes.is_begun()
    }

    /// The path that carries the transfer, and what it is.
    pub(super) fn current(&self) -> Option<(u32, Kind)> {
        self.lanes.current()
    }

    /// Whether the transfer is to begin, or to begin again, in a generation.
    pub(super) fn take_begun(&mut self) -> bool {
        let has_begun = self.lanes.take_begun();
        self.begun_count += u32::from(has_begun);
        has_begun
    }

    pub(super) fn was_open(&self) -> bool {
        self.was_open
    }

    /// Whether the two go on with what they have begun, or have met more than once.
    pub(super) fn is_again(&self) -> bool {
        self.generation > 1 || self.begun_count > 1
    }

    /// A message of the rendezvous.
    ///
    /// # Errors
    /// [`Trouble`] that is the end of it.
    pub(super) fn handle_message(&mut self, message: ServerMessage) -> Result<(), Trouble> {
        let taken = self.take_message(message);
        self.survive(taken)
    }

    fn take_message(&mut self, message: ServerMessage) -> Result<(), Trouble> {
        match message {
            // What is still said about a path may bring a better one; that nothing comes of it changes nothing.
            ServerMessage::Relay { door, attempt, body } if self.is_open() => {
                if let (true, Ok(body)) = (self.is_talking(Place { door, attempt }), body.to_bytes()) {
                    let _ = self.handle_body(&body);
                }
                Ok(())
            }
            _ if self.is_open() => Ok(()),
            ServerMessage::Paired { door: Door::Meeting, attempt, ice_servers, relay } => {
                self.meet(Place { door: Door::Meeting, attempt }, Handed { ice_servers, relay });
                Ok(())
            }
            ServerMessage::Relay { door, attempt, body } if self.place() == Some(Place { door, attempt }) => {
                self.handle_body(&body.to_bytes().map_err(|_| Trouble::Unverified)?)
            }
            ServerMessage::Left { door, attempt, reason }
                if self.place() == Some(Place { door, attempt }) =>
            {
                // Somebody who has proved himself and left before there was a channel may only have lost the rendezvous.
                self.lost_server |= !self.was_open && door != Door::Meeting;
                Err(Trouble::Closed(reason, None))
            }
            ServerMessage::Refused { reason, retry_after } => Err(Trouble::Closed(reason, retry_after)),
            ServerMessage::Paired { .. }
            | ServerMessage::Relay { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::Created { .. }
            | ServerMessage::DoorClosed { .. }
            | ServerMessage::Challenge(_)
            | ServerMessage::Unknown => Ok(()),
        }
    }

    /// The browser has made this side's description: an offer or an answer.
    ///
    /// # Errors
    /// [`Trouble::NoChannel`].
    pub(super) fn handle_description(&mut self, description: &str) -> Result<(), Trouble> {
        let generation = self.generation;
        let kind = self.kind();
        let Stage::Talking(talk) = &mut self.stage else { return Ok(()) };
        let Ok(own) = CheckedDescription::parse(description) else {
            return self.survive(Err(Trouble::NoChannel));
        };
        talk.own = Some(own.fingerprint());
        let sdp = own.sdp().to_owned();
        self.signal(&Signal::Description { generation, restart: 0, kind, sdp });
        Ok(())
    }

    /// The browser has found an address of this side.
    pub(super) fn handle_candidate(&mut self, candidate: String, mid: String) {
        self.signal(&Signal::Candidate { generation: self.generation, restart: 0, candidate, mid });
    }

    /// The browser knows all its addresses.
    pub(super) fn handle_end_of_candidates(&mut self) {
        self.signal(&Signal::EndOfCandidates { generation: self.generation, restart: 0 });
    }

    /// A path is open: the receiver proves itself over it first.
    pub(super) fn handle_open(&mut self, lane: u32, seed: Seed) {
        let Some(kind) = self.lanes.connecting(lane) else { return };
        if let Some(generation) = self.opening(lane, kind) {
            self.lanes.handle_open(lane, generation, seed);
            self.follow();
        }
    }

    /// Opens a record of a path in place.
    ///
    /// # Errors
    /// [`Trouble`] that is the end of it.
    pub(super) fn handle_record<'a>(
        &mut self,
        lane: u32,
        record: &'a mut [u8],
    ) -> Result<Received<'a>, Trouble> {
        let taken = self.lanes.handle_record(lane, record);
        self.follow();
        taken.or_else(|trouble| self.survive(Err(trouble)).map(|()| Received::Nothing))
    }

    /// The sender has waited for a better path.
    #[cfg(any(test, feature = "sending"))]
    pub(super) fn handle_waited(&mut self) {
        self.lanes.handle_waited();
        self.follow();
    }

    /// A path is gone, or did not come about. Whether there is another way on.
    pub(super) fn handle_lane_lost(&mut self, lane: u32) -> bool {
        let goes_on = self.lanes.handle_lost(lane);
        self.follow();
        goes_on || self.handle_lost()
    }

    /// Nobody was heard for too long.
    pub(super) fn handle_silence(&mut self) {
        self.lanes.handle_silence();
        self.follow();
    }

    /// Does what follows from what happened to the paths.
    fn follow(&mut self) {
        self.was_open |= self.lanes.is_begun();
        self.lanes.drain(&mut self.outbox, &mut self.records);
        if self.lanes.is_over() {
            self.part(None);
        }
    }

    /// Seals a message and sends it, if the generation is open.
    #[cfg(any(test, not(feature = "sending")))]
    pub(super) fn send(&mut self, message: &Message<'_>) -> bool {
        self.seal(draft(message))
    }

    /// Seals a record that was drafted, and sends it, if the generation is open.
    pub(super) fn seal(&mut self, record: Vec<u8>) -> bool {
        let is_sealed = self.lanes.seal(record);
        self.lanes.drain(&mut self.outbox, &mut self.records);
        is_sealed
    }

    /// Tells the other side that this one gives up, where there is no channel for it. One that has yet to be met, and may be
    /// looking for this one, is told there: [`Connection::join`] follows while [`Connection::is_leaving`] says so.
    pub(super) fn abort(&mut self, reason: AbortReason) {
        match &self.stage {
            Stage::Talking(_) => self.signal(&Signal::Abort { reason: reason.code() }),
            Stage::Apart | Stage::Waiting(_) | Stage::Keying(_) => {
                self.leaving = Some(reason).filter(|_| self.was_open);
            }
        }
    }

    /// Whether the other side has yet to be told that this one gives up.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// The channel is gone, or what was to become another has come to nothing. Whether the two may find each other again.
    pub(super) fn handle_lost(&mut self) -> bool {
        if self.may_rejoin() {
            self.part(None);
        }
        self.may_rejoin()
    }

    /// The rendezvous is gone. Without a channel the two go on where they meet again; with one they need none.
    pub(super) fn handle_server_lost(&mut self) {
        if !self.lanes.has_channel() {
            self.lost_server = true;
            self.part(None);
        }
    }

    fn may_rejoin(&self) -> bool {
        self.was_open || self.lost_server
    }

    /// Goes to where both sides meet again, over a new socket.
    pub(super) fn join(&mut self, seed: Seed) {
        self.lanes = Lanes::new(self.role);
        self.stage = Stage::Waiting(seed);
        let (slot, role) = (self.secret.resume_slot(), self.role);
        self.say(&ClientMessage::Meet { v: SIGNALING_VERSION, slot, role });
    }

    /// Once the two are on their way to another channel, what goes wrong there is a reason to try again and no end.
    fn survive(&mut self, handled: Result<(), Trouble>) -> Result<(), Trouble> {
        match handled {
            Err(trouble) if self.may_rejoin() && !self.is_open() && !trouble.is_final() => {
                self.part(if let Trouble::Closed(_, retry_after) = trouble { retry_after } else { None });
                Ok(())
            }
            other => other,
        }
    }

    fn part(&mut self, retry_after: Option<u32>) {
        (self.stage, self.lanes) = (Stage::Apart, Lanes::new(self.role));
        self.records.clear();
        self.outbox.clear();
        self.outbox.push_back(Output::Apart { retry_after });
    }

    /// The other side is there as well.
    fn meet(&mut self, place: Place, handed: Handed) {
        match std::mem::replace(&mut self.stage, Stage::Apart) {
            Stage::Waiting(seed) => {
                if let Some(confirmation) = self.confirmation.clone() {
                    self.relay(place, &confirmation);
                }
                let (meeting, body) = Meeting::new(self.secret.clone(), self.role, seed);
                self.relay(place, &body);
                self.stage = Stage::Keying(Box::new((place, meeting, handed)));
            }
            other @ (Stage::Apart | Stage::Keying(_) | Stage::Talking(_)) => self.stage = other,
        }
    }

    fn handle_body(&mut self, body: &[u8]) -> Result<(), Trouble> {
        match std::mem::replace(&mut self.stage, Stage::Apart) {
            // It was verified when it came first.
            Stage::Keying(keying) if self.role == Role::Receiver && is_confirmation(body) => {
                self.stage = Stage::Keying(keying);
                Ok(())
            }
            Stage::Keying(keying) => {
                let (place, meeting, handed) = *keying;
                let halves = meeting.receive(body).map_err(|_| Trouble::Unverified)?;
                let mut talk = Talk::new(place, halves, handed);
                talk.is_agreed = false;
                self.stage = Stage::Talking(Box::new(talk));
                self.signal(&Signal::Generations { highest: self.highest });
                if let Some(reason) = self.leaving.take() {
                    self.signal(&Signal::Abort { reason: reason.code() });
                }
                Ok(())
            }
            Stage::Talking(mut talk) => {
                let opened = talk.opener.open(body);
                self.stage = Stage::Talking(talk);
                let signal = opened.map_err(|_| Trouble::Unverified)?;
                // It can only be sealed by somebody who has heard it.
                self.confirmation = None;
                self.handle_signal(signal)
            }
            other @ (Stage::Apart | Stage::Waiting(_)) => {
                self.stage = other;
                Ok(())
            }
        }
    }

    fn handle_signal(&mut self, signal: Signal) -> Result<(), Trouble> {
        let (generation, role, own_kind) = (self.generation, self.role, self.kind());
        let Stage::Talking(talk) = &mut self.stage else { return Ok(()) };
        match signal {
            Signal::Generations { highest } if !talk.is_agreed => {
                let next = self.highest.max(highest).saturating_add(1);
                if next > MAX_GENERATIONS {
                    return Err(Trouble::Violation);
                }
                talk.is_agreed = true;
                (self.generation, self.highest) = (next, next);
                self.begin_generation();
            }
            Signal::Description { generation: of, restart: 0, kind, sdp }
                if talk.is_agreed && of == generation && kind != own_kind =>
            {
                return self.handle_their_description(&sdp);
            }
            Signal::Candidate { generation: of, restart: 0, candidate, mid }
                if talk.is_agreed && of == generation =>
            {
                if talk.counts_candidate() && is_usable_candidate(&candidate) {
                    let output = Output::Candidate { candidate, mid };
                    // The receiver has nothing to try it with before the offer.
                    let is_early = role == Role::Receiver && talk.theirs.is_none();
                    if is_early { talk.early.push(output) } else { self.outbox.push_back(output) }
                }
            }
            Signal::Relay { generation: of } if talk.is_agreed && of == generation + 1 => self.handle_relay(),
            Signal::Abort { reason } => return Err(Trouble::Aborted(AbortReason::from_code(reason))),
            Signal::Generations { .. }
            | Signal::Description { .. }
            | Signal::Candidate { .. }
            | Signal::EndOfCandidates { .. }
            | Signal::Relay { .. }
            | Signal::Unknown => {}
        }
        Ok(())
    }

    fn handle_their_description(&mut self, description: &str) -> Result<(), Trouble> {
        let Stage::Talking(talk) = &mut self.stage else { return Ok(()) };
        let checked = CheckedDescription::parse(description).map_err(|_| Trouble::NoChannel)?;
        let is_too_early = self.role == Role::Sender && talk.own.is_none();
        if is_too_early || talk.theirs.replace(checked.fingerprint()).is_some() {
            return Err(Trouble::Violation);
        }
        let sdp = checked.sdp().to_owned();
        match self.role {
            Role::Sender => self.outbox.push_back(Output::Answer { sdp }),
            Role::Receiver => {
                let ice_servers = std::mem::take(&mut talk.handed.ice_servers);
                let (sdp, lane) = (Some(sdp), self.generation);
                self.outbox.push_back(Output::Connect { sdp, ice_servers, channel: CHANNEL, lane });
                self.outbox.extend(talk.early.drain(..));
                self.lanes.expect(lane, Kind::Direct);
            }
        }
        Ok(())
    }

    /// It is the sender who offers.
    fn begin_generation(&mut self) {
        if self.role == Role::Sender {
            self.join_relay();
        }
        if self.role == Role::Sender
            && let Stage::Talking(talk) = &mut self.stage
        {
            let ice_servers = std::mem::take(&mut talk.handed.ice_servers);
            let lane = self.generation;
            self.outbox.push_back(Output::Connect { sdp: None, ice_servers, channel: CHANNEL, lane });
            self.lanes.expect(lane, Kind::Direct);
        }
    }

    /// The other side opens the generation of the relay.
    fn handle_relay(&mut self) {
        match self.role {
            // Nobody says so who was not asked.
            Role::Sender => self.lanes.race(),
            Role::Receiver if self.lanes.is_race() || self.is_open() => {}
            Role::Receiver => {
                if self.join_relay() {
                    self.lanes.race();
                }
            }
        }
    }

    /// Says so and opens the generation of the relay, if the rendezvous offers one.
    fn join_relay(&mut self) -> bool {
        let Stage::Talking(talk) = &mut self.stage else { return false };
        let Some(ticket) = talk.handed.relay.take() else { return false };
        let (generation, role, slot) = (self.generation + 1, self.role, self.secret.resume_slot());
        self.highest = self.highest.max(generation);
        self.signal(&Signal::Relay { generation });
        let path = format!("{}/{}", super::RELAY_PATH, relay_name(&slot));
        let frame = Join { v: SIGNALING_VERSION, slot, role, generation, ticket }.to_frame();
        self.outbox.push_back(Output::Relay { lane: generation, path, frame });
        self.lanes.expect(generation, Kind::Relay);
        true
    }

    /// What opens the generation over a path.
    fn opening(&self, lane: u32, kind: Kind) -> Option<Generation> {
        let binding = match (kind, &self.stage) {
            (Kind::Relay, _) => Binding::relay(&self.secret.resume_slot()),
            (Kind::Direct, Stage::Talking(talk)) => talk.binding(self.role)?,
            (Kind::Direct, _) => return None,
        };
        Generation::new(self.secret.clone(), lane, binding).ok()
    }

    /// What this side's descriptions are.
    fn kind(&self) -> DescriptionKind {
        match self.role {
            Role::Sender => DescriptionKind::Offer,
            Role::Receiver => DescriptionKind::Answer,
        }
    }

    fn is_talking(&self, place: Place) -> bool {
        matches!(&self.stage, Stage::Talking(talk) if talk.place == place)
    }

    fn place(&self) -> Option<Place> {
        match &self.stage {
            Stage::Keying(keying) => Some(keying.0),
            Stage::Talking(talk) => Some(talk.place),
            Stage::Apart | Stage::Waiting(_) => None,
        }
    }

    fn signal(&mut self, signal: &Signal) {
        if let Stage::Talking(talk) = &mut self.stage {
            let (place, body) = (talk.place, talk.sealer.seal(signal));
            self.relay(place, &body);
        }
    }

    fn relay(&mut self, Place { door, attempt }: Place, body: &[u8]) {
        self.say(&ClientMessage::Relay { door, attempt, body: Body::from_bytes(body) });
    }

    fn say(&mut self, message: &ClientMessage) {
        self.outbox.push_back(Output::Say { frame: message.to_frame() });
    }
}

/// A record of one message before it is sealed.
pub(super) fn draft(message: &Message<'_>) -> Vec<u8> {
    let mut record = vec![0; HEADER_LEN];
    message.encode_into(&mut record);
    record.resize(record.len() + TAG_LEN, 0);
    record
}
