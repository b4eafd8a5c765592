//! One attempt to receive, from the claim to the sender's last word.

mod channel;
mod door;
mod files;
mod signals;

use std::collections::VecDeque;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use super::output::{self, Output};
use super::ticket::Ticket;
use crate::generation::Generation;
use crate::handshake::Seed;
use crate::keys::Binding;
use crate::manifest::Manifest;
use crate::message::{AbortReason, DeclineReason, Message};
use crate::record::MAX_RECORD_LEN;
use crate::signal::{CheckedDescription, DescriptionKind, Signal};
use crate::signaling::{ClientMessage, Door, IceServer, SIGNALING_VERSION, ServerMessage};
use crate::transfer;
use channel::Path;
use door::Stage;

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

/// The first generation of a session; this side does not meet again.
const GENERATION: u32 = 1;

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
        let Ok(generation) = Generation::new(signals.secret.clone(), GENERATION, binding) else { return };
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
        let shown = output::File { path: entry.path.as_str(), size: entry.kind.size() };
        serde_json::to_string(&shown).ok().filter(|_| entry.kind.has_content())
    }

    /// How many entries the manifest has.
    #[wasm_bindgen(getter, js_name = entryCount)]
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.manifest.as_ref().map_or(0, |manifest| manifest.entries().len())
    }
}

impl Session {
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

    pub(super) fn fail(&mut self, why: &'static str) {
        self.work(&[]);
        self.stage = Stage::Over;
        self.outbox.push_back(Output::Fail { why, retry_after: None });
    }
}
