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
use crate::code::{Code, Password};
use crate::doors::{self, Doors, Place, Typed};
use crate::generation::Generation;
use crate::handshake::{Seed, Session};
use crate::keys::{Binding, SessionSecret};
use crate::link::ShareLink;
use crate::message::{AbortReason, Message};
use crate::record::{HEADER_LEN, MAX_RECORD_LEN, Opener, Sealer, TAG_LEN};
use crate::signal::{
    CheckedDescription, DescriptionKind, Fingerprint, MAX_CANDIDATES, Signal, SignalOpener, SignalSealer,
    halves, is_usable_candidate,
};
use crate::signaling::{Body, ClientMessage, Door, ServerMessage};
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
    path: Path,
    machine: transfer::Sender,
    reading: Reading,
    pulse: Pulse,
    staging: Vec<u8>,
    outbox: VecDeque<Output>,
    records: VecDeque<Vec<u8>>,
}

/// How far the two sides know each other.
#[derive(Debug)]
enum Stage {
    Waiting(Box<Waiting>),
    Met(Box<Signals>),
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
}

/// The sealed conversation about the channel.
#[derive(Debug)]
struct Signals {
    secret: SessionSecret,
    place: Place,
    sealer: SignalSealer,
    opener: SignalOpener,
    offer: Option<Fingerprint>,
    answer: Option<Fingerprint>,
    candidate_count: usize,
    deadline: Duration,
}

/// The channel.
#[derive(Debug)]
enum Path {
    Closed,
    /// Open, and the receiver has not spoken yet.
    Opening,
    Open(Box<(Sealer, Opener)>),
}

/// When either side was heard.
#[derive(Debug)]
struct Pulse {
    beat: Duration,
    heard: Duration,
    said: Duration,
    count: u64,
}

/// The only generation of a session: this side does not meet again.
const GENERATION: u32 = 1;

/// The stream of the data channel (PROTOCOL.md §7).
const CHANNEL: u16 = 0;

/// How long two sides look for a path to each other.
const PATH_DEADLINE: Duration = Duration::from_secs(30);

#[wasm_bindgen]
impl Sending {
    /// Asks for doors. `base` is the address of the page, under which receivers find it; `entropy` is 32 fresh random bytes.
    ///
    /// # Errors
    /// An error when there is less entropy; `nothing` for an offer without files; `names` for one that cannot be made.
    #[wasm_bindgen(constructor)]
    pub fn new(base: &str, offer: &Offer, entropy: &[u8], now: f64) -> Result<Self, JsError> {
        let entropy = entropy.try_into().map_err(|_| JsError::new("entropy"))?;
        Self::open(base, offer, entropy, time(now)).map_err(JsError::new)
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
        if matches!(self.path, Path::Open(_)) {
            return;
        }
        match ServerMessage::parse(frame) {
            Ok(message) => self.handle_message(message, time(now)),
            Err(_) => self.fail("version"),
        }
    }

    /// The browser has made an offer.
    #[wasm_bindgen(js_name = handleOffer)]
    pub fn handle_offer(&mut self, sdp: &str) {
        let Stage::Met(signals) = &mut self.stage else { return };
        let Ok(own) = CheckedDescription::parse(sdp) else { return self.fail("no-channel") };
        signals.offer = Some(own.fingerprint());
        let (generation, restart, kind) = (GENERATION, 0, DescriptionKind::Offer);
        self.signal(&Signal::Description { generation, restart, kind, sdp: own.sdp().to_owned() });
    }

    /// The browser has found an address of this side.
    #[wasm_bindgen(js_name = handleCandidate)]
    pub fn handle_candidate(&mut self, candidate: String, mid: String) {
        self.signal(&Signal::Candidate { generation: GENERATION, restart: 0, candidate, mid });
    }

    /// The browser knows all its addresses.
    #[wasm_bindgen(js_name = handleEndOfCandidates)]
    pub fn handle_end_of_candidates(&mut self) {
        self.signal(&Signal::EndOfCandidates { generation: GENERATION, restart: 0 });
    }

    /// The channel is open.
    #[wasm_bindgen(js_name = handleOpen)]
    pub fn handle_open(&mut self) {
        if matches!((&self.stage, &self.path), (Stage::Met(_), Path::Closed)) {
            self.path = Path::Opening;
        }
    }

    /// A record of `len` bytes is in the staging buffer.
    #[wasm_bindgen(js_name = handleRecord)]
    pub fn handle_record(&mut self, len: usize, now: f64) {
        self.pulse.heard = time(now);
        let mut staging = std::mem::take(&mut self.staging);
        match staging.get_mut(..len) {
            Some(record) => self.take_record(record, time(now)),
            None => self.fail("receiver-failed"),
        }
        self.staging = staging;
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

    /// The user stops it.
    pub fn cancel(&mut self) {
        self.abort(AbortReason::Cancelled, None);
        self.fail("cancelled");
    }

    /// The channel is gone.
    #[wasm_bindgen(js_name = handleLost)]
    pub fn handle_lost(&mut self) {
        if !self.machine.is_done() {
            self.fail(if matches!(self.path, Path::Open(_)) { "lost" } else { "no-path" });
        }
    }

    /// The rendezvous is gone: that matters until there is a channel.
    #[wasm_bindgen(js_name = handleServerGone)]
    pub fn handle_server_gone(&mut self) {
        if matches!(self.path, Path::Closed) {
            self.fail("server-gone");
        }
    }

    /// Tells the time: at least twice a second.
    #[wasm_bindgen(js_name = handleTime)]
    pub fn handle_time(&mut self, now: f64) {
        let now = time(now);
        // A device that slept has not listened: it knows nothing about silence.
        let has_slept = now.saturating_sub(self.pulse.beat) > 2 * PING_INTERVAL;
        self.pulse.beat = now;
        match (&mut self.stage, &self.path) {
            (Stage::Waiting(waiting), _) => {
                waiting.doors.handle_time(now);
                self.drain_doors(now);
            }
            (Stage::Met(signals), Path::Closed | Path::Opening) => {
                if signals.deadline <= now {
                    self.abort(AbortReason::Internal, None);
                    self.fail("no-path");
                }
            }
            (Stage::Met(_), Path::Open(_)) => {
                if has_slept {
                    self.pulse.heard = now;
                }
                if now.saturating_sub(self.pulse.heard) >= SILENCE_LIMIT {
                    return self.handle_lost();
                }
                if now.saturating_sub(self.pulse.said) >= PING_INTERVAL {
                    self.pulse.count += 1;
                    self.send(&Message::Ping { token: self.pulse.count });
                }
            }
            (Stage::Over, _) => {}
        }
    }
}

impl Sending {
    fn open(base: &str, offer: &Offer, entropy: [u8; 32], now: Duration) -> Result<Self, &'static str> {
        let manifest = Arc::new(offer.manifest().map_err(|_| "names")?);
        let mut rng = ChaCha20Rng::from_seed(entropy);
        let mut password = [0; 16];
        rng.fill_bytes(&mut password);
        let link = ShareLink::new(base, password).ok();
        let link_password = link.as_ref().map(|link| link.password().clone());
        let doors = Doors::new(Typed::Digits(Password::MIN_DIGITS), link_password, None, now);
        let is_link_open = link.is_some();
        let waiting = Waiting { doors, code: None, is_link_open, ttl: 0, codes_left: 0 };
        let mut sending = Self {
            link,
            rng,
            stage: Stage::Waiting(Box::new(waiting)),
            path: Path::Closed,
            machine: transfer::Sender::new(Arc::clone(&manifest)),
            reading: Reading::new(manifest),
            pulse: Pulse { beat: now, heard: now, said: now, count: 0 },
            staging: vec![0; MAX_RECORD_LEN],
            outbox: VecDeque::new(),
            records: VecDeque::new(),
        };
        sending.drain_doors(now);
        Ok(sending)
    }

    fn handle_message(&mut self, message: ServerMessage, now: Duration) {
        match (&mut self.stage, message) {
            (Stage::Waiting(waiting), message) => {
                waiting.doors.handle_message(message, now, fresh(&mut self.rng));
                self.drain_doors(now);
            }
            (Stage::Met(signals), ServerMessage::Relay { door, attempt, body }) => {
                if (signals.place.door, signals.place.attempt) == (door, attempt) {
                    let opened = body.to_bytes().ok().and_then(|body| signals.opener.open(&body).ok());
                    match opened {
                        Some(signal) => self.handle_signal(signal),
                        None => self.fail("unverified"),
                    }
                }
            }
            (Stage::Met(signals), ServerMessage::Left { door, attempt, reason }) => {
                if (signals.place.door, signals.place.attempt) == (door, attempt) {
                    self.fail(output::closed(reason));
                }
            }
            (Stage::Met(_), ServerMessage::Refused { .. }) => self.fail("server-gone"),
            (Stage::Met(_) | Stage::Over, _) => {}
        }
    }

    /// Passes on what the doors have to say.
    fn drain_doors(&mut self, now: Duration) {
        while let Stage::Waiting(waiting) = &mut self.stage
            && let Some(output) = waiting.doors.poll_output()
        {
            match output {
                doors::Output::Say(message) => {
                    self.outbox.push_back(Output::Say { frame: message.to_frame() });
                }
                doors::Output::Open { code: None, .. } => {
                    self.end(output::no_door(doors::Closed::NoNameplate));
                }
                doors::Output::Open { code, reissued, ttl, codes_left } => {
                    (waiting.code, waiting.ttl, waiting.codes_left) = (code, ttl, codes_left);
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

    fn end(&mut self, (why, retry_after): (&'static str, Option<u32>)) {
        self.stage = Stage::Over;
        self.outbox.push_back(Output::Fail { why, retry_after });
    }

    fn meet(&mut self, session: Session, mut place: Place, now: Duration) {
        let Session { secret, signal_keys, .. } = session;
        let (sealer, opener) = halves(signal_keys);
        let ice_servers = std::mem::take(&mut place.ice_servers);
        let deadline = now + PATH_DEADLINE;
        let (offer, answer, candidate_count) = (None, None, 0);
        let signals = Signals { secret, place, sealer, opener, offer, answer, candidate_count, deadline };
        self.stage = Stage::Met(Box::new(signals));
        self.outbox.push_back(Output::Connect { ice_servers, channel: CHANNEL });
    }

    fn handle_signal(&mut self, signal: Signal) {
        let Stage::Met(signals) = &mut self.stage else { return };
        match signal {
            Signal::Description {
                generation: GENERATION,
                restart: 0,
                kind: DescriptionKind::Answer,
                sdp,
            } => {
                let Ok(answer) = CheckedDescription::parse(&sdp) else { return self.fail("no-channel") };
                if signals.offer.is_none() || signals.answer.replace(answer.fingerprint()).is_some() {
                    return self.fail("receiver-failed");
                }
                self.outbox.push_back(Output::Answer { sdp: answer.sdp().to_owned() });
            }
            Signal::Candidate { generation: GENERATION, restart: 0, candidate, mid } => {
                signals.candidate_count += 1;
                if signals.candidate_count <= MAX_CANDIDATES && is_usable_candidate(&candidate) {
                    self.outbox.push_back(Output::Candidate { candidate, mid });
                }
            }
            Signal::Abort { reason } => self.fail(output::aborted(AbortReason::from_code(reason))),
            Signal::Generations { .. }
            | Signal::Description { .. }
            | Signal::Candidate { .. }
            | Signal::EndOfCandidates { .. }
            | Signal::Relay { .. }
            | Signal::Unknown => {}
        }
    }

    /// Opens a record in place and does what it says.
    fn take_record(&mut self, record: &mut [u8], now: Duration) {
        match std::mem::replace(&mut self.path, Path::Closed) {
            Path::Opening => self.open_generation(record, now),
            Path::Open(mut halves) => {
                let Ok(plaintext) = halves.1.open(record) else { return self.fail("receiver-failed") };
                self.path = Path::Open(halves);
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
            Path::Closed => {}
        }
    }

    /// The receiver proves over the channel that it holds the session; this side does the same.
    fn open_generation(&mut self, record: &[u8], now: Duration) {
        let seed = fresh(&mut self.rng);
        let Stage::Met(signals) = &mut self.stage else { return };
        let (Some(own), Some(theirs)) = (signals.offer, signals.answer) else {
            return self.fail("receiver-failed");
        };
        let binding = Binding::webrtc(&own.0, &theirs.0);
        let generation = Generation::new(signals.secret.clone(), GENERATION, binding);
        match generation.and_then(|generation| generation.sender(record, seed)) {
            Ok((sealer, opener, answer)) => {
                self.path = Path::Open(Box::new((sealer, opener)));
                self.pulse.said = now;
                self.transmit(answer);
                self.outbox.push_back(Output::Offered);
                self.machine.handle_generation();
                self.work();
            }
            Err(_) => self.fail("unverified"),
        }
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
        if matches!(self.path, Path::Open(_)) {
            self.reading.stop();
            self.machine.handle_abort(reason, file);
            self.work();
        } else {
            self.signal(&Signal::Abort { reason: reason.code() });
        }
    }

    fn signal(&mut self, signal: &Signal) {
        if let Stage::Met(signals) = &mut self.stage {
            let body = Body::from_bytes(&signals.sealer.seal(signal));
            let Place { door, attempt, .. } = signals.place;
            let frame = ClientMessage::Relay { door, attempt, body }.to_frame();
            self.outbox.push_back(Output::Say { frame });
        }
    }

    fn send(&mut self, message: &Message<'_>) {
        self.seal(draft(message));
    }

    /// Seals a record that was drafted, and sends it.
    fn seal(&mut self, mut record: Vec<u8>) {
        let Path::Open(halves) = &mut self.path else { return };
        if halves.0.seal(&mut record).is_ok() {
            self.pulse.said = self.pulse.beat.max(self.pulse.heard);
            self.transmit(record);
        }
    }

    fn transmit(&mut self, record: Vec<u8>) {
        self.records.push_back(record);
        self.outbox.push_back(Output::Transmit);
    }

    fn fail(&mut self, why: &'static str) {
        if !matches!(self.stage, Stage::Over) {
            self.stage = Stage::Over;
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

/// A record of one message before it is sealed.
fn draft(message: &Message<'_>) -> Vec<u8> {
    let mut record = vec![0; HEADER_LEN];
    message.encode_into(&mut record);
    record.resize(record.len() + TAG_LEN, 0);
    record
}

/// Milliseconds as a browser gives them.
fn time(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1_000.0).unwrap_or_default()
}
