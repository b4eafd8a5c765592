//! One attempt to receive, from the claim to the sender's last word.

mod door;
mod files;

use std::collections::VecDeque;
use std::sync::Arc;

use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use self::door::Stage;
use self::files::Progress;
use super::connection::{self, Connection, Handed, Kind, Place, Received, Trouble};
use super::output::{self, Output};
use super::ticket::Ticket;
use crate::handshake::Seed;
use crate::keys::SessionSecret;
use crate::manifest::Manifest;
use crate::message::{AbortReason, DeclineReason, Message};
use crate::pow::Search;
use crate::record::MAX_RECORD_LEN;
use crate::signaling::{ClientMessage, Role, ServerMessage};
use crate::transfer;

/// The receiver's side of everything, without a socket, a clock or a disk.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Session {
    place: Option<Place>,
    handed: Handed,
    stage: Stage,
    machine: transfer::Receiver,
    manifest: Option<Arc<Manifest>>,
    progress: Progress,
    ping_count: u64,
    /// The work that the rendezvous wants.
    search: Option<Search>,
    is_challenged: bool,
    staging: Vec<u8>,
    outbox: VecDeque<Output>,
    records: VecDeque<Vec<u8>>,
}

#[wasm_bindgen]
impl Session {
    /// Claims the door that `ticket` names. `entropy` is 32 fresh random bytes.
    ///
    /// # Errors
    /// An error when there is less entropy.
    #[wasm_bindgen(constructor)]
    pub fn new(ticket: &Ticket, entropy: &[u8]) -> Result<Self, JsError> {
        let handshake = seed(entropy).ok_or_else(|| JsError::new("entropy"))?;
        let mut session = Self::at(Stage::Over);
        session.claim(ticket.clone(), handshake);
        Ok(session)
    }

    /// Goes on with what an instance before this one has left, whose connection is lost with it: `join` follows. The sender
    /// offers everything again; what is stored is said by [`Session::hold`] and agreed to by [`Session::accept`].
    ///
    /// # Errors
    /// An error when `token` is not what [`Session::token`] gave.
    pub fn restore(token: &[u8]) -> Result<Self, JsError> {
        let secret = token.try_into().map(SessionSecret::from_token).map_err(|_| JsError::new("token"))?;
        let mut session = Self::at(Stage::Met(Box::new(Connection::restore(secret, Role::Receiver))));
        session.settle(Ok(()));
        Ok(session)
    }

    /// What [`Session::restore`] goes on with, once the two have had a channel: 32 bytes that are secret.
    #[must_use]
    pub fn token(&self) -> Option<Vec<u8>> {
        let Stage::Met(connection) = &self.stage else { return None };
        Some(connection.secret().to_token().to_vec()).filter(|_| connection.was_open())
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
        let Ok(message) = ServerMessage::parse(frame) else { return self.fail("version") };
        match self.connection() {
            Some(connection) => {
                let handled = connection.handle_message(message);
                self.settle(handled);
            }
            None => self.handle_at_door(message),
        }
    }

    /// Does a slice of the work that the rendezvous wants; what is next says whether there is more.
    pub fn search(&mut self) {
        self.go_on_searching();
    }

    /// The browser answers the offer.
    #[wasm_bindgen(js_name = handleAnswer)]
    pub fn handle_answer(&mut self, sdp: &str) {
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

    /// A path is open. `entropy` is 32 fresh random bytes.
    ///
    /// # Errors
    /// An error when there is less entropy.
    #[wasm_bindgen(js_name = handleOpen)]
    pub fn handle_open(&mut self, lane: u32, entropy: &[u8]) -> Result<(), JsError> {
        let seed = seed(entropy).ok_or_else(|| JsError::new("entropy"))?;
        if let Some(connection) = self.connection() {
            connection.handle_open(lane, seed);
            self.settle(Ok(()));
        }
        Ok(())
    }

    /// A record of `len` bytes that came over this path is in the staging buffer. `false` when it is not its turn: it is to be
    /// given again, once `turn` is said of the path.
    #[wasm_bindgen(js_name = handleRecord)]
    pub fn handle_record(&mut self, lane: u32, len: usize) -> bool {
        let mut staging = std::mem::take(&mut self.staging);
        let is_taken = if let Some(record) = staging.get_mut(..len) {
            self.take_record(lane, record)
        } else {
            self.fail("violation");
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

    /// Nobody was heard for too long on the path that carries the transfer.
    #[wasm_bindgen(js_name = handleSilence)]
    pub fn handle_silence(&mut self) {
        if !self.machine.is_done()
            && let Some(connection) = self.connection()
        {
            connection.handle_silence();
            self.settle(Ok(()));
        }
    }

    /// What was to become a connection came to nothing.
    #[wasm_bindgen(js_name = handleLost)]
    pub fn handle_lost(&mut self) {
        if self.machine.is_done() {
            return;
        }
        if matches!(
            self.stage,
            Stage::Unclaimed(_) | Stage::Claiming(_) | Stage::Greeting(_) | Stage::Unanswered(_)
        ) {
            return self.handle_server_gone();
        }
        if self.connection().is_some_and(Connection::handle_lost) {
            self.settle(Ok(()));
        } else {
            self.fail("no-path");
        }
    }

    /// The rendezvous is gone: that matters until there is a channel.
    #[wasm_bindgen(js_name = handleServerGone)]
    pub fn handle_server_gone(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Proving(confirmed) => self.listen_again(confirmed, None),
            Stage::Unanswered(unanswered) => self.listen_again(unanswered.confirmed, None),
            Stage::Met(mut connection) => {
                connection.handle_server_lost();
                self.stage = Stage::Met(connection);
                self.settle(Ok(()));
            }
            Stage::Unclaimed(ticket) => self.give_up_claim(*ticket),
            Stage::Claiming(claiming) => self.give_up_claim(claiming.0),
            Stage::Greeting(greeting) => self.give_up_claim(greeting.0),
            Stage::Over => {}
        }
    }

    /// Looks for the sender where the two meet again, or at its door as long as nothing was proved there, over a new socket.
    /// `entropy` is 32 fresh random bytes.
    ///
    /// # Errors
    /// An error when there is less entropy.
    pub fn join(&mut self, entropy: &[u8]) -> Result<(), JsError> {
        let meeting = seed(entropy).ok_or_else(|| JsError::new("entropy"))?;
        match &mut self.stage {
            Stage::Met(connection) => {
                connection.join(meeting);
                self.settle(Ok(()));
            }
            Stage::Unclaimed(ticket) => {
                let ticket = Ticket::clone(ticket);
                self.claim(ticket, meeting);
            }
            Stage::Unanswered(_) => self.meet_unanswered(meeting),
            Stage::Claiming(_) | Stage::Greeting(_) | Stage::Proving(_) | Stage::Over => {}
        }
        Ok(())
    }

    /// The writes of a record of `len` bytes are done.
    #[wasm_bindgen(js_name = handleWritten)]
    pub fn handle_written(&mut self, len: usize) {
        self.machine.handle_written(len);
        self.work(&[]);
    }

    /// The first `len` bytes at [`Session::staging`] are the next of a file of which something is stored.
    #[wasm_bindgen(js_name = readHeld)]
    pub fn read_held(&mut self, len: usize) {
        let staging = std::mem::take(&mut self.staging);
        self.take_held(staging.get(..len).unwrap_or_default());
        self.staging = staging;
    }

    /// What was read of file number `file` since it was called last is how it begins in the storage; to be said before
    /// [`Session::accept`]. How many bytes of that are of use: all of them, or whole chunks. Whether the sender's file begins
    /// like that shows afterwards.
    pub fn hold(&mut self, file: u32) -> u64 {
        let size = self.size(file).unwrap_or_default();
        self.progress.hold(file, size)
    }

    /// The user agrees.
    pub fn accept(&mut self) {
        self.machine.handle_accept(self.progress.held());
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

    /// Whether this side has given up while the two were apart, and the sender has yet to be told: after `join`, over a new
    /// socket, it will be if it comes.
    #[wasm_bindgen(getter, js_name = isLeaving)]
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(&self.stage, Stage::Met(connection) if connection.is_leaving())
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

    /// File number `file`, counted as the manifest does, as JSON: `path`, `size`, and `key`, which is the same for every file
    /// of this path and size; nothing for what is not a file.
    #[must_use]
    pub fn file(&self, file: usize) -> Option<String> {
        let entry = self.manifest.as_ref()?.entries().get(file)?;
        let (path, size) = (entry.path.as_str(), entry.kind.size());
        let shown = output::File { path, size, key: files::key(path, size) };
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
    fn at(stage: Stage) -> Self {
        Self {
            place: None,
            handed: Handed::default(),
            stage,
            machine: transfer::Receiver::with_window(transfer::PAGE_CREDIT_WINDOW),
            manifest: None,
            progress: Progress::default(),
            ping_count: 0,
            search: None,
            is_challenged: false,
            staging: vec![0; MAX_RECORD_LEN],
            outbox: VecDeque::new(),
            records: VecDeque::new(),
        }
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
        if self.connection().is_some_and(Connection::take_begun) {
            self.begin_generation();
        }
    }

    /// Opens a record of a path in place and does what it says; `false` when it is not its turn.
    pub(super) fn take_record(&mut self, lane: u32, record: &mut [u8]) -> bool {
        let record_len = record.len();
        let Some(connection) = self.connection() else { return true };
        match connection.handle_record(lane, record) {
            Ok(Received::Held) => return false,
            Ok(Received::Plaintext(plaintext)) => {
                let handled = self.machine.handle_record(plaintext, record_len);
                if self.work(plaintext) {
                    self.outbox.push_back(Output::Written { len: record_len });
                }
                if let Err(error) = handled {
                    self.fail(output::transfer(error));
                }
            }
            Ok(Received::Nothing) => self.settle(Ok(())),
            Err(trouble) => self.settle(Err(trouble)),
        }
        true
    }

    /// The next bytes of a file of which something is stored.
    pub(super) fn take_held(&mut self, bytes: &[u8]) {
        self.progress.read(bytes);
    }

    /// Tells the sender what is here; after the first time, where it goes on.
    fn begin_generation(&mut self) {
        self.machine.handle_generation();
        if self.machine.is_resuming() {
            self.machine.handle_accept(self.progress.held());
        }
        if self.connection().is_some_and(|connection| connection.is_again()) {
            self.outbox.push_back(Output::Back);
        }
        self.work(&[]);
    }

    fn decline_because(&mut self, reason: DeclineReason) {
        self.machine.handle_decline(reason);
        self.work(&[]);
    }

    /// Gives up and says why, on the channel or, before there is one, in a signal.
    fn abort(&mut self, reason: AbortReason) {
        let Some(connection) = self.connection() else { return self.stage = Stage::Over };
        if connection.is_open() {
            self.machine.handle_abort(reason, None);
            self.work(&[]);
        } else {
            connection.abort(reason);
            let is_leaving = connection.is_leaving();
            self.settle(Ok(()));
            if !is_leaving {
                self.stage = Stage::Over;
            }
        }
    }

    fn send(&mut self, message: &Message<'_>) {
        if let Some(connection) = self.connection() {
            connection.send(message);
            self.settle(Ok(()));
        }
    }

    fn say(&mut self, message: &ClientMessage) {
        let frame = message.to_frame();
        self.outbox.push_back(Output::Connection(connection::Output::Say { frame }));
    }

    fn fail(&mut self, why: &'static str) {
        self.fail_until(why, None);
    }

    /// It is over. Trying again is worth it after so many seconds.
    fn fail_until(&mut self, why: &'static str, retry_after: Option<u32>) {
        self.work(&[]);
        self.stage = Stage::Over;
        self.outbox.push_back(Output::Fail { why, retry_after });
    }
}

/// A seed from 32 bytes.
fn seed(entropy: &[u8]) -> Option<Seed> {
    Some(Seed::new(*entropy.first_chunk()?))
}
