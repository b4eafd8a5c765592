//! One attempt to receive, from the claim to the sender's last word.

use std::collections::VecDeque;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use super::output::{self, Output};
use super::ticket::Ticket;
use crate::generation::{AwaitingSender, Generation};
use crate::handshake::{self, Confirmed, Seed};
use crate::keys::Binding;
use crate::manifest::{EntryKind, Manifest};
use crate::message::{AbortReason, DeclineReason, Message, Sha256Digest};
use crate::record::{HEADER_LEN, MAX_RECORD_LEN, Opener, Sealer, TAG_LEN};
use crate::signal::{
    CheckedDescription, DescriptionKind, Fingerprint, MAX_CANDIDATES, Signal, SignalOpener, SignalSealer,
    first_meeting, is_usable_candidate,
};
use crate::signaling::{Body, ClientMessage, Door, IceServer, SIGNALING_VERSION, ServerMessage};
use crate::transfer::{self, receiver};

/// The receiver's side of everything, without a socket, a clock or a disk.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Session {
    ticket: Ticket,
    place: Option<(Door, u32)>,
    ice_servers: Vec<IceServer>,
    stage: Stage,
    path: Path,
    generation_seed: Option<Seed>,
    machine: transfer::Receiver,
    manifest: Option<Arc<Manifest>>,
    hash: Sha256,
    ping_count: u64,
    staging: Vec<u8>,
    outbox: VecDeque<Output>,
    records: VecDeque<Vec<u8>>,
}

/// How far the two sides know each other.
#[derive(Debug)]
enum Stage {
    Claiming(Seed),
    Greeting(Box<handshake::Receiver>),
    Proving(Box<Confirmed>),
    Met(Box<Signals>),
    Over,
}

/// The sealed conversation about the channel.
#[derive(Debug)]
struct Signals {
    session: handshake::Session,
    sealer: SignalSealer,
    opener: SignalOpener,
    offer: Option<Fingerprint>,
    binding: Option<Binding>,
    /// Candidates that came before the offer.
    early: Vec<Output>,
    candidate_count: usize,
}

/// The channel.
#[derive(Debug)]
enum Path {
    Closed,
    Opening(Box<AwaitingSender>),
    Open(Box<(Sealer, Opener)>),
}

/// The first generation of a session; this side does not meet again.
const GENERATION: u32 = 1;

/// The stream of the data channel (PROTOCOL.md §7).
const CHANNEL: u16 = 0;

#[wasm_bindgen]
impl Session {
    /// Claims the door that `ticket` names. `entropy` is 64 fresh random bytes.
    ///
    /// # Errors
    /// An error when there is less entropy.
    #[wasm_bindgen(constructor)]
    pub fn new(ticket: &Ticket, entropy: &[u8]) -> Result<Self, JsError> {
        let (first, rest) = entropy.split_first_chunk().ok_or_else(|| JsError::new("entropy"))?;
        let second = rest.first_chunk().ok_or_else(|| JsError::new("entropy"))?;
        let claim = ClientMessage::Claim { v: SIGNALING_VERSION, at: ticket.at };
        Ok(Self {
            ticket: ticket.clone(),
            place: None,
            ice_servers: Vec::new(),
            stage: Stage::Claiming(Seed::new(*first)),
            path: Path::Closed,
            generation_seed: Some(Seed::new(*second)),
            machine: transfer::Receiver::new(),
            manifest: None,
            hash: Sha256::new(),
            ping_count: 0,
            staging: vec![0; MAX_RECORD_LEN],
            outbox: VecDeque::from([Output::Say { frame: claim.to_frame() }]),
            records: VecDeque::new(),
        })
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

    /// Where a record goes before [`Session::handle_record`], as an address in the module's memory.
    #[must_use]
    pub fn staging(&mut self) -> *mut u8 {
        self.staging.as_mut_ptr()
    }

    /// Bytes at [`Session::staging`]: no record is longer.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn room(&self) -> usize {
        self.staging.len()
    }

    /// Whether everything is here, verified and stored.
    #[wasm_bindgen(getter, js_name = isComplete)]
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.machine.is_complete()
    }

    /// A frame of the rendezvous arrived.
    #[wasm_bindgen(js_name = handleFrame)]
    pub fn handle_frame(&mut self, frame: &str) {
        if matches!(self.path, Path::Open(_)) {
            return;
        }
        match ServerMessage::parse(frame) {
            Ok(ServerMessage::Paired { door, attempt, ice_servers }) => {
                self.handle_paired(door, attempt, ice_servers);
            }
            Ok(ServerMessage::Relay { door, attempt, body }) if self.place == Some((door, attempt)) => {
                match body.to_bytes() {
                    Ok(body) => self.handle_body(&body),
                    Err(_) => self.fail("unverified"),
                }
            }
            Ok(ServerMessage::Left { door, attempt, reason }) if self.place == Some((door, attempt)) => {
                self.fail(output::closed(reason));
            }
            Ok(ServerMessage::Refused { reason, retry_after }) => {
                self.stage = Stage::Over;
                self.outbox.push_back(Output::Fail { why: output::closed(reason), retry_after });
            }
            Ok(
                ServerMessage::Created { .. }
                | ServerMessage::Relay { .. }
                | ServerMessage::Left { .. }
                | ServerMessage::DoorClosed { .. }
                | ServerMessage::Unknown,
            ) => {}
            Err(_) => self.fail("version"),
        }
    }

    /// The browser answers the offer.
    #[wasm_bindgen(js_name = handleAnswer)]
    pub fn handle_answer(&mut self, sdp: &str) {
        let Stage::Met(signals) = &mut self.stage else { return };
        let (Some(theirs), Ok(own)) = (signals.offer, CheckedDescription::parse(sdp)) else {
            return self.fail("no-channel");
        };
        signals.binding = Some(Binding::webrtc(&theirs.0, &own.fingerprint().0));
        let (generation, restart, kind) = (GENERATION, 0, DescriptionKind::Answer);
        let signal = Signal::Description { generation, restart, kind, sdp: own.sdp().to_owned() };
        self.signal(&signal);
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
        let Stage::Met(signals) = &mut self.stage else { return };
        let (Some(binding), Some(seed)) = (signals.binding.take(), self.generation_seed.take()) else {
            return;
        };
        let generation = Generation::new(signals.session.secret().clone(), GENERATION, binding);
        let (waiting, record) = generation.receiver(seed);
        self.path = Path::Opening(Box::new(waiting));
        self.transmit(record);
    }

    /// A record of `len` bytes is in the staging buffer.
    #[wasm_bindgen(js_name = handleRecord)]
    pub fn handle_record(&mut self, len: usize) {
        let mut staging = std::mem::take(&mut self.staging);
        match staging.get_mut(..len) {
            Some(record) => self.take_record(record),
            None => self.fail("violation"),
        }
        self.staging = staging;
    }

    /// The writes of a record of `len` bytes are done.
    #[wasm_bindgen(js_name = handleWritten)]
    pub fn handle_written(&mut self, len: usize) {
        self.machine.handle_written(len);
        self.work(&[]);
    }

    /// The user agrees.
    pub fn accept(&mut self) {
        self.machine.handle_accept(Vec::new());
        self.work(&[]);
    }

    /// The user does not agree.
    pub fn decline(&mut self) {
        self.decline_because(DeclineReason::User);
    }

    /// There is no room here, or nothing to store so much in.
    #[wasm_bindgen(js_name = declineForSpace)]
    pub fn decline_for_space(&mut self) {
        self.decline_because(DeclineReason::NoSpace);
    }

    /// Everything is stored.
    #[wasm_bindgen(js_name = handleFinished)]
    pub fn handle_finished(&mut self) {
        self.machine.handle_finished();
        self.work(&[]);
    }

    /// The user stops it.
    pub fn cancel(&mut self) {
        self.abort(AbortReason::Cancelled);
    }

    /// The browser's storage is full.
    #[wasm_bindgen(js_name = handleStorageFull)]
    pub fn handle_storage_full(&mut self) {
        self.abort(AbortReason::DiskFull);
    }

    /// The browser's storage refuses.
    #[wasm_bindgen(js_name = handleStorageError)]
    pub fn handle_storage_error(&mut self) {
        self.abort(AbortReason::DiskError);
    }

    /// Shows the sender that this side is alive.
    pub fn ping(&mut self) {
        self.ping_count += 1;
        self.send(&Message::Ping { token: self.ping_count });
    }

    /// Tells the sender that this side leaves.
    pub fn leave(&mut self) {
        self.send(&Message::Bye);
    }

    /// File number `file`, counted as the manifest does, as JSON: `path` and `size`; nothing for what is not a file.
    #[must_use]
    pub fn file(&self, file: usize) -> Option<String> {
        let entry = self.manifest.as_ref()?.entries().get(file)?;
        let shown = serde_json::json!({ "path": entry.path.as_str(), "size": entry.kind.size() });
        entry.kind.has_content().then(|| shown.to_string())
    }

    /// How many entries the manifest has.
    #[wasm_bindgen(getter, js_name = entryCount)]
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.manifest.as_ref().map_or(0, |manifest| manifest.entries().len())
    }
}

impl Session {
    fn handle_paired(&mut self, door: Door, attempt: u32, ice_servers: Vec<IceServer>) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Claiming(seed) => {
                (self.place, self.ice_servers) = (Some((door, attempt)), ice_servers);
                let (receiver, hello) =
                    handshake::Receiver::new(&self.ticket.password, &self.ticket.at, seed);
                self.stage = Stage::Greeting(Box::new(receiver));
                self.relay(&hello);
            }
            stage => self.stage = stage,
        }
    }

    fn handle_body(&mut self, body: &[u8]) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Greeting(receiver) => match receiver.receive_hello(body) {
                Ok((confirmed, proof)) => {
                    self.stage = Stage::Proving(Box::new(confirmed));
                    self.outbox.push_back(Output::Prove);
                    self.relay(&proof);
                }
                Err(error) => self.fail(output::handshake(error)),
            },
            Stage::Proving(confirmed) => match confirmed.receive_confirm(body) {
                Ok(session) => self.stage = Stage::Met(Box::new(Signals::new(session))),
                Err(error) => self.fail(output::handshake(error)),
            },
            Stage::Met(mut signals) => {
                let opened = signals.opener.open(body);
                self.stage = Stage::Met(signals);
                match opened {
                    Ok(signal) => self.handle_signal(signal),
                    Err(_) => self.fail("unverified"),
                }
            }
            stage @ (Stage::Claiming(_) | Stage::Over) => self.stage = stage,
        }
    }

    fn handle_signal(&mut self, signal: Signal) {
        let Stage::Met(signals) = &mut self.stage else { return };
        match signal {
            Signal::Description { generation: GENERATION, restart: 0, kind: DescriptionKind::Offer, sdp } => {
                let Ok(offer) = CheckedDescription::parse(&sdp) else { return self.fail("no-channel") };
                if signals.offer.replace(offer.fingerprint()).is_some() {
                    return self.fail("violation");
                }
                let (sdp, ice_servers) = (offer.sdp().to_owned(), std::mem::take(&mut self.ice_servers));
                self.outbox.push_back(Output::Connect { sdp, ice_servers, channel: CHANNEL });
                self.outbox.extend(signals.early.drain(..));
            }
            Signal::Candidate { generation: GENERATION, restart: 0, candidate, mid } => {
                signals.candidate_count += 1;
                if signals.candidate_count <= MAX_CANDIDATES && is_usable_candidate(&candidate) {
                    let output = Output::Candidate { candidate, mid };
                    if signals.offer.is_some() {
                        self.outbox.push_back(output);
                    } else {
                        signals.early.push(output);
                    }
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
    fn take_record(&mut self, record: &mut [u8]) {
        let record_len = record.len();
        match std::mem::replace(&mut self.path, Path::Closed) {
            Path::Opening(waiting) => match waiting.receive(record) {
                Ok(halves) => {
                    self.path = Path::Open(Box::new(halves));
                    self.machine.handle_generation();
                    self.work(&[]);
                }
                Err(_) => self.fail("unverified"),
            },
            Path::Open(mut halves) => {
                let Ok(plaintext) = halves.1.open(record) else { return self.fail("violation") };
                self.path = Path::Open(halves);
                let handled = self.machine.handle_record(plaintext, record_len);
                if self.work(plaintext) {
                    self.outbox.push_back(Output::Written { len: record_len });
                }
                if let Err(error) = handled {
                    self.fail(output::transfer(error));
                }
            }
            Path::Closed => {}
        }
    }

    /// Turns what the machine wants into what the page has to do. Whether there was anything to write.
    fn work(&mut self, plaintext: &[u8]) -> bool {
        let mut has_writes = false;
        while let Some(output) = self.machine.poll_output() {
            has_writes |= !matches!(output, receiver::Output::Send(_) | receiver::Output::Ask(_));
            match output {
                receiver::Output::Send(message) => self.send(&message),
                receiver::Output::Ask(manifest) => self.ask(manifest),
                receiver::Output::Write { file, offset, bytes } => {
                    self.write(file, offset, plaintext, bytes);
                }
                receiver::Output::WriteWhole { file, bytes, digest } => {
                    let len = bytes.len() as u64;
                    self.write(file, 0, plaintext, bytes);
                    self.commit(file, len, &digest);
                }
                receiver::Output::Commit { file, len, digest } => self.commit(file, len, &digest),
                receiver::Output::Finish => self.outbox.push_back(Output::Finish),
                receiver::Output::Done => self.outbox.push_back(Output::Done),
                receiver::Output::StartOver { .. } => {}
            }
        }
        has_writes
    }

    fn ask(&mut self, manifest: Arc<Manifest>) {
        let is_link = |kind: &EntryKind| matches!(kind, EntryKind::Symlink { .. });
        let links = manifest.entries().iter().filter(|entry| is_link(&entry.kind)).count();
        self.outbox.push_back(Output::Ask {
            files: manifest.file_count(),
            size: manifest.total_size(),
            is_stream: manifest.is_stream(),
            left_out: u32::try_from(links).unwrap_or(u32::MAX),
        });
        self.manifest = Some(manifest);
    }

    fn write(&mut self, file: u32, offset: u64, plaintext: &[u8], bytes: core::ops::Range<usize>) {
        let (start, len) = (HEADER_LEN + bytes.start, bytes.len());
        self.hash.update(plaintext.get(bytes).unwrap_or_default());
        if len > 0 {
            self.outbox.push_back(Output::Write { file, offset, start, len });
        }
    }

    /// Files come one after the other and from their first byte, so one hash serves them all.
    fn commit(&mut self, file: u32, len: u64, digest: &Sha256Digest) {
        let found: Sha256Digest = self.hash.finalize_reset().into();
        if found == *digest {
            self.outbox.push_back(Output::Commit { file, len, sha256: HEXLOWER.encode(&found) });
        } else {
            self.machine.handle_abort(AbortReason::Integrity, Some(file));
            self.fail("damaged");
        }
    }

    fn decline_because(&mut self, reason: DeclineReason) {
        self.machine.handle_decline(reason);
        self.work(&[]);
    }

    /// Gives up and says why, on the channel or, before there is one, in a signal.
    fn abort(&mut self, reason: AbortReason) {
        if matches!(self.path, Path::Open(_)) {
            self.machine.handle_abort(reason, None);
            self.work(&[]);
        } else {
            self.signal(&Signal::Abort { reason: reason.code() });
            self.stage = Stage::Over;
        }
    }

    fn signal(&mut self, signal: &Signal) {
        if let Stage::Met(signals) = &mut self.stage {
            let body = signals.sealer.seal(signal);
            self.relay(&body);
        }
    }

    fn relay(&mut self, body: &[u8]) {
        if let Some((door, attempt)) = self.place {
            let frame = ClientMessage::Relay { door, attempt, body: Body::from_bytes(body) }.to_frame();
            self.outbox.push_back(Output::Say { frame });
        }
    }

    fn send(&mut self, message: &Message<'_>) {
        let Path::Open(halves) = &mut self.path else { return };
        let mut record = vec![0; HEADER_LEN];
        message.encode_into(&mut record);
        record.resize(record.len() + TAG_LEN, 0);
        if halves.0.seal(&mut record).is_ok() {
            self.transmit(record);
        }
    }

    fn transmit(&mut self, record: Vec<u8>) {
        self.records.push_back(record);
        self.outbox.push_back(Output::Transmit);
    }

    fn fail(&mut self, why: &'static str) {
        self.work(&[]);
        self.stage = Stage::Over;
        self.outbox.push_back(Output::Fail { why, retry_after: None });
    }
}

impl Signals {
    fn new(session: handshake::Session) -> Self {
        let (sealer, opener) = first_meeting(&session);
        let early = Vec::new();
        Self { session, sealer, opener, offer: None, binding: None, early, candidate_count: 0 }
    }
}
