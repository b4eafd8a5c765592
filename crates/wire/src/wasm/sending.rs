//! One attempt to send, from the doors to the receiver's last word.

mod offer;
mod output;
mod reading;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use self::output::Output;
use self::reading::{Product, Reading};
use super::SEARCH_SLICE;
use super::connection::{self, Connection, Handed, Kind, Received, Trouble};
use crate::code::{Code, Password};
use crate::doors::{self, Doors, Typed};
use crate::handshake::{Seed, Session};
use crate::link::ShareLink;
use crate::message::{AbortReason, Message};
use crate::pow::Search;
use crate::record::MAX_RECORD_LEN;
use crate::signaling::{ClientMessage, Door, ReportedPath, Role, ServerMessage, Slot};
use crate::transfer::{self, PING_INTERVAL, SILENCE_LIMIT, sender};

pub use offer::Offer;

/// The sender's side of everything, without a socket, a clock or a disk. Times are in milliseconds, from any beginning.
///
/// After whatever happened: [`Sending::poll`] until it gives nothing.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Sending {
    link: Option<ShareLink>,
    rng: ChaCha20Rng,
    stage: Stage,
    machine: transfer::Sender,
    reading: Reading,
    pulse: Pulse,
    /// How the two sides are connected, as far as the page has found out.
    path: Option<ReportedPath>,
    staging: Vec<u8>,
    outbox: VecDeque<Output>,
    records: VecDeque<Vec<u8>>,
}

/// How far the two sides know each other.
#[derive(Debug)]
enum Stage {
    Waiting(Box<Waiting>),
    Met(Box<Connection>),
    Over,
}

/// The doors, and what of them is shown.
#[derive(Debug)]
struct Waiting {
    doors: Doors,
    code: Option<Code>,
    is_link_open: bool,
    /// How long a door stays open, in seconds.
    ttl: u32,
    codes_left: u8,
    /// Until when there is something to come back to when the socket breaks.
    open_until: Duration,
    /// The work that the rendezvous wants.
    search: Option<Search>,
}

/// When either side was heard.
#[derive(Debug)]
struct Pulse {
    beat: Duration,
    heard: Duration,
    said: Duration,
    count: u64,
    /// Until when the two sides look for their first path.
    deadline: Duration,
}

/// How long two sides look for a path to each other.
const PATH_DEADLINE: Duration = Duration::from_secs(30);

/// How long the other side may take to answer a device that woke up.
const AWAKE_PATIENCE: Duration = Duration::from_secs(3);

#[wasm_bindgen]
impl Sending {
    /// Asks for doors. `base` is the address of the page, under which receivers find it; a private rendezvous asks for its
    /// `token`; `entropy` is 32 fresh random bytes.
    ///
    /// # Errors
    /// An error when there is less entropy; `nothing` for an offer without files; `names` for one that cannot be made.
    #[wasm_bindgen(constructor)]
    pub fn new(
        base: &str,
        offer: &Offer,
        token: Option<String>,
        entropy: &[u8],
        now: f64,
    ) -> Result<Self, JsError> {
        let entropy = entropy.try_into().map_err(|_| JsError::new("entropy"))?;
        Self::open(base, offer, token, entropy, time(now)).map_err(JsError::new)
    }

    /// What to do next, as JSON; nothing until something happens.
    #[must_use]
    pub fn poll(&mut self) -> Option<String> {
        let output = self.outbox.pop_front()?;
        serde_json::to_string(&output).ok()
    }

    /// The record to transmit.
    #[must_use]
    pub fn record(&mut self) -> Option<Vec<u8>> {
        self.records.pop_front()
    }

    /// Where a record goes before [`Sending::handle_record`], as an address in the module's memory.
    #[must_use]
    pub fn staging(&mut self) -> *mut u8 {
        self.staging.as_mut_ptr()
    }

    /// Bytes at [`Sending::staging`]: no record is longer.
    #[wasm_bindgen(getter, js_name = stagingLen)]
    #[must_use]
    pub fn staging_len(&self) -> usize {
        self.staging.len()
    }

    /// Where the bytes go that were asked for, as an address in the module's memory.
    #[must_use]
    pub fn room(&mut self) -> *mut u8 {
        self.reading.room().as_mut_ptr()
    }

    /// Bytes at [`Sending::room`]: as many as were asked for, and none once nobody waits for them.
    #[wasm_bindgen(getter, js_name = roomLen)]
    #[must_use]
    pub fn room_len(&mut self) -> usize {
        self.reading.room().len()
    }

    /// Whether somebody has proved that they know the password.
    #[wasm_bindgen(getter, js_name = isMet)]
    #[must_use]
    pub fn is_met(&self) -> bool {
        matches!(self.stage, Stage::Met(_))
    }

    /// Whether the receiver has everything.
    #[wasm_bindgen(getter, js_name = isDone)]
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.machine.is_done()
    }

    /// A frame of the rendezvous arrived.
    #[wasm_bindgen(js_name = handleFrame)]
    pub fn handle_frame(&mut self, frame: &str, now: f64) {
        let Ok(message) = ServerMessage::parse(frame) else { return self.fail("version") };
        match &mut self.stage {
            Stage::Waiting(waiting) => {
                let was_returning = waiting.doors.is_returning();
                waiting.doors.handle_message(message, time(now), fresh(&mut self.rng));
                self.drain_doors(time(now));
                if was_returning && !self.is_returning() {
                    self.outbox.push_back(Output::Here);
                }
            }
            Stage::Met(connection) => {
                let handled = connection.handle_message(message);
                self.settle(handled);
            }
            Stage::Over => {}
        }
    }

    /// Does a slice of the work that the rendezvous wants; what is next says whether there is more.
    pub fn search(&mut self, now: f64) {
        let Stage::Waiting(waiting) = &mut self.stage else { return };
        let Some(search) = &mut waiting.search else { return };
        match search.step(SEARCH_SLICE) {
            Some(counter) => {
                waiting.search = None;
                waiting.doors.handle_stamp(counter, time(now));
                self.drain_doors(time(now));
            }
            None => self.outbox.push_back(Output::Search),
        }
    }

    /// The browser has made an offer.
    #[wasm_bindgen(js_name = handleOffer)]
    pub fn handle_offer(&mut self, sdp: &str) {
        if let Some(connection) = self.connection() {
            let handled = connection.handle_description(sdp);
            self.settle(handled);
        }
    }

    /// The browser has found an address of this side.
    #[wasm_bindgen(js_name = handleCandidate)]
    pub fn handle_candidate(&mut self, candidate: String, mid: String) {
        if let Some(connection) = self.connection() {
            connection.handle_candidate(candidate, mid);
            self.settle(Ok(()));
        }
    }

    /// The browser knows all its addresses.
    #[wasm_bindgen(js_name = handleEndOfCandidates)]
    pub fn handle_end_of_candidates(&mut self) {
        if let Some(connection) = self.connection() {
            connection.handle_end_of_candidates();
            self.settle(Ok(()));
        }
    }

    /// A path is open.
    #[wasm_bindgen(js_name = handleOpen)]
    pub fn handle_open(&mut self, lane: u32) {
        let seed = fresh(&mut self.rng);
        if let Some(connection) = self.connection() {
            connection.handle_open(lane, seed);
            self.settle(Ok(()));
        }
    }

    /// The time has passed that `wait` asked for.
    #[wasm_bindgen(js_name = handleWaited)]
    pub fn handle_waited(&mut self) {
        if let Some(connection) = self.connection() {
            connection.handle_waited();
            self.settle(Ok(()));
        }
    }

    /// A record of `len` bytes that came over this path is in the staging buffer. `false` when it is not its turn: it is to be
    /// given again, once `turn` is said of the path.
    #[wasm_bindgen(js_name = handleRecord)]
    pub fn handle_record(&mut self, lane: u32, len: usize, now: f64) -> bool {
        self.pulse.heard = time(now);
        let mut staging = std::mem::take(&mut self.staging);
        let is_taken = if let Some(record) = staging.get_mut(..len) {
            self.take_record(lane, record)
        } else {
            self.fail("receiver-failed");
            true
        };
        self.staging = staging;
        is_taken
    }

    /// The number of the path that carries the transfer, once one does.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn lane(&self) -> Option<u32> {
        let Stage::Met(connection) = &self.stage else { return None };
        connection.current().map(|(lane, _)| lane)
    }

    /// Whether the rendezvous carries the transfer.
    #[wasm_bindgen(getter, js_name = isRelayed)]
    #[must_use]
    pub fn is_relayed(&self) -> bool {
        matches!(&self.stage, Stage::Met(connection) if connection.current().is_some_and(|(_, kind)| kind == Kind::Relay))
    }

    /// A path is gone, or did not come about.
    #[wasm_bindgen(js_name = handleLaneLost)]
    pub fn handle_lane_lost(&mut self, lane: u32) {
        if self.machine.is_done() {
            return;
        }
        let Some(connection) = self.connection() else { return };
        if connection.handle_lane_lost(lane) {
            self.settle(Ok(()));
        } else {
            self.fail("no-path");
        }
    }

    /// The bytes that were asked for are where they go.
    #[wasm_bindgen(js_name = handleRead)]
    pub fn handle_read(&mut self) {
        match self.reading.finish() {
            Some(Product::Record(record)) => self.seal(record),
            Some(Product::Prefix { file, offset, digest }) => {
                self.machine.handle_prefix(file, offset, digest);
            }
            Some(Product::Unfinished) => {
                if let Some(parts) = self.reading.go_on() {
                    self.outbox.push_back(Output::Read { parts, done: None });
                }
            }
            None => {}
        }
        self.work();
    }

    /// A file cannot be read any more, or has changed.
    #[wasm_bindgen(js_name = handleUnreadable)]
    pub fn handle_unreadable(&mut self, file: u32) {
        self.abort(AbortReason::SourceChanged, Some(file));
        self.fail("unreadable");
    }

    /// The page has found out how the two sides are connected, in the words it shows: `network`, `direct` or `relayed`.
    #[wasm_bindgen(js_name = handlePath)]
    pub fn handle_path(&mut self, path: &str) {
        self.path = match path {
            "network" => Some(ReportedPath::LocalNetwork),
            "direct" => Some(ReportedPath::Direct),
            "relayed" => Some(ReportedPath::Turn),
            _ => None,
        };
    }

    /// The user stops it.
    pub fn cancel(&mut self) {
        self.abort(AbortReason::Cancelled, None);
        self.fail("cancelled");
    }

    /// Whether this side has given up while the two were apart, and the receiver has yet to be told: after `join`, over a new
    /// socket, it will be if it comes.
    #[wasm_bindgen(getter, js_name = isLeaving)]
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(&self.stage, Stage::Met(connection) if connection.is_leaving())
    }

    /// What was to become a connection came to nothing.
    #[wasm_bindgen(js_name = handleLost)]
    pub fn handle_lost(&mut self, now: f64) {
        if self.machine.is_done() {
            return;
        }
        if let Stage::Waiting(_) = &self.stage {
            self.part(output::no_door(doors::Closed::Silent), time(now));
        } else if self.connection().is_some_and(Connection::handle_lost) {
            self.reading.stop();
            self.settle(Ok(()));
        } else {
            self.fail("no-path");
        }
    }

    /// Looks, over a new socket, for the receiver where the two meet again; or before there was one, for the doors.
    pub fn join(&mut self, now: f64) {
        if let Stage::Waiting(waiting) = &mut self.stage {
            waiting.doors.handle_return(time(now));
            return self.drain_doors(time(now));
        }
        let seed = fresh(&mut self.rng);
        if let Some(connection) = self.connection() {
            connection.join(seed);
            self.settle(Ok(()));
        }
    }

    /// The rendezvous is gone: that matters until there is a channel.
    #[wasm_bindgen(js_name = handleServerGone)]
    pub fn handle_server_gone(&mut self, now: f64) {
        match &mut self.stage {
            Stage::Met(connection) => {
                connection.handle_server_lost();
                self.settle(Ok(()));
            }
            Stage::Waiting(_) => self.part(output::no_door(doors::Closed::Silent), time(now)),
            Stage::Over => {}
        }
    }

    /// The page is looked at again, or the network is another: whether the other side is still there shows within seconds.
    #[wasm_bindgen(js_name = handleAwake)]
    pub fn handle_awake(&mut self, now: f64) {
        let now = time(now);
        (self.pulse.beat, self.pulse.heard) = (now, (now + AWAKE_PATIENCE).saturating_sub(SILENCE_LIMIT));
        self.ping();
    }

    /// Tells the time: at least twice a second.
    #[wasm_bindgen(js_name = handleTime)]
    pub fn handle_time(&mut self, now: f64) {
        let now = time(now);
        // A device that slept has not listened: it knows nothing about silence.
        let has_slept = now.saturating_sub(self.pulse.beat) > 2 * PING_INTERVAL;
        self.pulse.beat = now;
        match &mut self.stage {
            Stage::Waiting(waiting) => {
                waiting.doors.handle_time(now);
                self.drain_doors(now);
            }
            Stage::Met(connection) if connection.is_open() => {
                if has_slept {
                    self.pulse.heard = now;
                }
                if now.saturating_sub(self.pulse.heard) >= SILENCE_LIMIT {
                    return self.handle_silence(now);
                }
                if now.saturating_sub(self.pulse.said) >= PING_INTERVAL {
                    self.ping();
                }
            }
            Stage::Met(connection) if !connection.was_open() && self.pulse.deadline <= now => {
                self.abort(AbortReason::Internal, None);
                self.fail("no-path");
            }
            Stage::Met(_) | Stage::Over => {}
        }
    }
}

impl Sending {
    /// The path that carries the transfer is given up for another, if there is one.
    fn handle_silence(&mut self, now: Duration) {
        self.pulse.heard = now;
        if !self.machine.is_done()
            && let Some(connection) = self.connection()
        {
            connection.handle_silence();
            self.settle(Ok(()));
        }
    }

    fn ping(&mut self) {
        self.pulse.count += 1;
        self.send(&Message::Ping { token: self.pulse.count });
    }

    fn open(
        base: &str,
        offer: &Offer,
        token: Option<String>,
        entropy: [u8; 32],
        now: Duration,
    ) -> Result<Self, &'static str> {
        let manifest = Arc::new(offer.manifest().map_err(|_| "names")?);
        let mut rng = ChaCha20Rng::from_seed(entropy);
        let mut password = [0; 16];
        rng.fill_bytes(&mut password);
        let link = ShareLink::new(base, password).ok();
        let link_password = link.as_ref().map(|link| link.password().clone());
        let mut return_slot = [0; 16];
        rng.fill_bytes(&mut return_slot);
        let return_slot = Some(Slot::new(return_slot));
        let doors = Doors::new(Typed::Digits(Password::MIN_DIGITS), link_password, token, return_slot, now);
        let is_link_open = link.is_some();
        let waiting =
            Waiting { doors, code: None, is_link_open, ttl: 0, codes_left: 0, open_until: now, search: None };
        let mut sending = Self {
            link,
            rng,
            stage: Stage::Waiting(Box::new(waiting)),
            machine: transfer::Sender::new(Arc::clone(&manifest)),
            reading: Reading::new(manifest),
            pulse: Pulse { beat: now, heard: now, said: now, count: 0, deadline: now },
            path: None,
            staging: vec![0; MAX_RECORD_LEN],
            outbox: VecDeque::new(),
            records: VecDeque::new(),
        };
        sending.drain_doors(now);
        Ok(sending)
    }

    fn connection(&mut self) -> Option<&mut Connection> {
        if let Stage::Met(connection) = &mut self.stage { Some(connection) } else { None }
    }

    /// Does what the connection wants after something happened to it.
    fn settle(&mut self, handled: Result<(), Trouble>) {
        if let Stage::Met(connection) = &mut self.stage {
            let outputs = connection.take_outputs(&mut self.records);
            self.outbox.extend(outputs.into_iter().map(Output::Connection));
        }
        if let Err(trouble) = handled {
            self.fail(output::trouble(trouble));
        }
        if self.connection().is_some_and(|connection| !connection.is_open()) {
            self.reading.stop();
        }
        if self.connection().is_some_and(Connection::take_begun) {
            self.begin_generation();
        }
    }

    /// Passes on what the doors have to say.
    fn drain_doors(&mut self, now: Duration) {
        while let Stage::Waiting(waiting) = &mut self.stage
            && let Some(output) = waiting.doors.poll_output()
        {
            match output {
                doors::Output::Say(message) => {
                    let frame = message.to_frame();
                    self.outbox.push_back(Output::Connection(connection::Output::Say { frame }));
                }
                doors::Output::Search(search) => {
                    waiting.search = Some(*search);
                    self.outbox.push_back(Output::Search);
                }
                doors::Output::Open { code: None, .. } => {
                    self.end(output::no_door(doors::Closed::NoNameplate));
                }
                doors::Output::Open { code, reissued, ttl, codes_left } => {
                    (waiting.code, waiting.ttl, waiting.codes_left) = (code, ttl, codes_left);
                    waiting.open_until = now + Duration::from_secs(ttl.into());
                    self.show(reissued.map(output::attempt));
                }
                doors::Output::Shut { door, failure } => {
                    match door {
                        Door::Typed | Door::Meeting => waiting.code = None,
                        Door::Link => waiting.is_link_open = false,
                    }
                    self.show(failure.map(output::attempt));
                }
                doors::Output::Knocked => self.outbox.push_back(Output::Knocked),
                doors::Output::Failed(failure) => {
                    self.outbox.push_back(Output::Visited { why: output::attempt(failure) });
                }
                doors::Output::Met(met) => self.meet(met.0, met.1, now),
                doors::Output::Closed(why) if why.is_passing() => self.part(output::no_door(why), now),
                doors::Output::Closed(why) => self.end(output::no_door(why)),
            }
        }
    }

    /// Shows which doors are open now.
    fn show(&mut self, closed: Option<&'static str>) {
        let Stage::Waiting(waiting) = &self.stage else { return };
        let code = waiting.code.as_ref().map(|code| code.expose().to_string());
        let link = self.link.as_ref().filter(|_| waiting.is_link_open).map(|link| link.expose().to_string());
        let (ttl, codes_left) = (waiting.ttl, waiting.codes_left);
        self.outbox.push_back(Output::Show { code, link, ttl, codes_left, closed });
    }

    fn is_returning(&self) -> bool {
        matches!(&self.stage, Stage::Waiting(waiting) if waiting.doors.is_returning())
    }

    /// The way to the rendezvous broke: while the doors are kept, another is looked for.
    fn part(&mut self, why: (&'static str, Option<u32>), now: Duration) {
        let Stage::Waiting(waiting) = &self.stage else { return };
        if waiting.doors.may_return() && now < waiting.open_until {
            self.outbox.push_back(Output::Away { retry_after: why.1 });
        } else {
            self.end(why);
        }
    }

    fn end(&mut self, (why, retry_after): (&'static str, Option<u32>)) {
        self.stage = Stage::Over;
        self.outbox.push_back(Output::Fail { why, retry_after });
    }

    fn meet(&mut self, session: Session, place: doors::Place, now: Duration) {
        let doors::Place { door, attempt, ice_servers, relay } = place;
        let there = connection::Place { door, attempt };
        self.stage = Stage::Met(Box::new(Connection::new(
            session,
            Role::Sender,
            there,
            Handed { ice_servers, relay },
        )));
        self.pulse.deadline = now + PATH_DEADLINE;
        self.settle(Ok(()));
    }

    /// Opens a record of a path in place and does what it says; `false` when it is not its turn.
    fn take_record(&mut self, lane: u32, record: &mut [u8]) -> bool {
        let Some(connection) = self.connection() else { return true };
        match connection.handle_record(lane, record) {
            Ok(Received::Held) => return false,
            Ok(Received::Plaintext(plaintext)) => {
                let handled = self.machine.handle_record(plaintext);
                if handled.is_err() {
                    // What was to be read would only delay the last words.
                    self.reading.stop();
                }
                self.work();
                if let Err(error) = handled {
                    self.fail(output::transfer(error));
                }
            }
            Ok(Received::Nothing) => self.settle(Ok(())),
            Err(trouble) => self.settle(Err(trouble)),
        }
        true
    }

    /// The two sides have proved themselves over the path that they begin with, or begin anew with.
    fn begin_generation(&mut self) {
        self.reading.stop();
        if let Some(connection) = self.connection() {
            let words = connection.words();
            let output = if connection.is_again() { Output::Back } else { Output::Offered { words } };
            self.outbox.push_back(output);
        }
        self.machine.handle_generation();
        self.work();
    }

    /// Turns what the machine wants into what the page has to do. Bytes are asked for one record at a time.
    fn work(&mut self) {
        while !self.reading.is_waiting()
            && let Some(output) = self.machine.poll_output()
        {
            match output {
                sender::Output::Send(message) => self.send(&message),
                sender::Output::SendManifest => self.send_manifest(),
                sender::Output::Accepted => self.outbox.push_back(Output::Accepted),
                sender::Output::HashPrefix { file, offset } => {
                    let parts = self.reading.begin_prefix(file, offset);
                    self.outbox.push_back(Output::Read { parts, done: None });
                }
                sender::Output::Read(read) => {
                    let Some((parts, done)) = self.reading.begin(read) else {
                        self.abort(AbortReason::Protocol, None);
                        return self.fail("receiver-failed");
                    };
                    self.outbox.push_back(Output::Read { parts, done: Some(done) });
                }
                sender::Output::Done => {
                    self.send(&Message::Bye);
                    self.report(true);
                    self.outbox.push_back(Output::Done);
                }
            }
        }
    }

    fn send_manifest(&mut self) {
        let manifest = Arc::clone(self.reading.manifest());
        let purpose = manifest.purpose();
        for part in manifest.parts() {
            self.send(&Message::ManifestPart { purpose, entries: part.into() });
        }
        let entries = u32::try_from(manifest.entries().len()).unwrap_or(u32::MAX);
        let (total_size, digest) = (manifest.total_size(), *manifest.digest());
        self.send(&Message::ManifestEnd { entries, total_size, digest });
    }

    /// Gives up and says why, on the channel or, before there is one, in a signal.
    fn abort(&mut self, reason: AbortReason, file: Option<u32>) {
        let Some(connection) = self.connection() else { return };
        if connection.is_open() {
            self.reading.stop();
            self.machine.handle_abort(reason, file);
            self.work();
        } else {
            connection.abort(reason);
            self.settle(Ok(()));
        }
    }

    /// Tells the rendezvous how it ended, if it brought the two sides together.
    fn report(&mut self, ok: bool) {
        let Stage::Met(connection) = &self.stage else { return };
        let path = match self.path {
            _ if self.is_relayed() => ReportedPath::Relay,
            Some(path) => path,
            None if connection.was_open() => ReportedPath::Direct,
            None => ReportedPath::None,
        };
        let frame = ClientMessage::Report { path, ok }.to_frame();
        self.outbox.push_back(Output::Connection(connection::Output::Say { frame }));
    }

    fn send(&mut self, message: &Message<'_>) {
        self.seal(connection::draft(message));
    }

    /// Seals a record that was drafted, and sends it.
    fn seal(&mut self, record: Vec<u8>) {
        if self.connection().is_some_and(|connection| connection.seal(record)) {
            self.pulse.said = self.pulse.beat.max(self.pulse.heard);
            self.settle(Ok(()));
        }
    }

    fn fail(&mut self, why: &'static str) {
        if !matches!(self.stage, Stage::Over) {
            self.report(false);
            if !self.is_leaving() {
                self.stage = Stage::Over;
            }
            self.reading.stop();
            self.outbox.push_back(Output::Fail { why, retry_after: None });
        }
    }
}

fn fresh(rng: &mut ChaCha20Rng) -> Seed {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    Seed::new(bytes)
}

/// Milliseconds as a browser gives them.
fn time(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1_000.0).unwrap_or_default()
}
