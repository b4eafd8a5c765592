//! The receiver's machine: takes the manifest, asks for consent, and checks that every byte is the next one.

use core::ops::Range;
use std::collections::VecDeque;
use std::sync::Arc;

use super::course::{Course, Position, Size, entry_count, file_size, resumable};
use super::{CREDIT_WINDOW, MAX_CREDIT_WINDOW, MAX_RESUMES, TransferError, Violation};
use crate::manifest::{Manifest, ManifestBuilder};
use crate::message::{AbortReason, Batch, DeclineReason, Message, Sha256Digest};

/// What the driver has to do, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this message.
    Send(Message<'static>),
    /// The manifest is here: ask the user, then [`Receiver::handle_accept`] or [`Receiver::handle_decline`].
    Ask(Arc<Manifest>),
    /// Write bytes of the record just handled.
    Write {
        /// Which entry.
        file: u32,
        /// Where in the file, in bytes.
        offset: u64,
        /// Which bytes of the plaintext.
        bytes: Range<usize>,
    },
    /// Write a whole file from bytes of the record just handled, and commit it.
    WriteWhole {
        /// Which entry.
        file: u32,
        /// Which bytes of the plaintext.
        bytes: Range<usize>,
        /// What its digest must be.
        digest: Sha256Digest,
    },
    /// A file is complete: verify, sync, put in place.
    Commit {
        /// Which entry.
        file: u32,
        /// Its length, in bytes.
        len: u64,
        /// What its digest must be.
        digest: Sha256Digest,
    },
    /// What is on disk of this file is how the sender's file begins: it goes on there, or is complete with that.
    GoOn {
        /// Which entry.
        file: u32,
        /// How many bytes stay.
        offset: u64,
    },
    /// What is on disk of this file is not how the sender's file begins: it starts over.
    StartOver {
        /// Which entry.
        file: u32,
    },
    /// Everything has arrived: complete directories, sync, then [`Receiver::handle_finished`].
    Finish,
    /// The sender knows that everything is here.
    Done,
}

/// A beginning of a file that is on disk from an earlier attempt.
///
/// A file may be held more than once, with ascending offsets: the sender is asked about each, and the longest that is its
/// own counts. That way a beginning whose end was lost with the power is not lost as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which entry.
    pub file: u32,
    /// How many bytes: a multiple of a chunk below the size, or the size of a file that is verified and in place. A file
    /// that is held as a whole is not heard of again.
    pub offset: u64,
    /// SHA-256 of these bytes as they are on disk; `None` for a whole file that was verified in this session, about
    /// which the sender is not asked.
    pub digest: Option<Sha256Digest>,
}

/// Answers that may wait to be sent; a sender that asks for more floods.
const MAX_PONGS: usize = 256;

#[derive(Debug)]
enum State {
    Listening,
    Asking,
    Receiving,
    Finishing,
    Ending,
    Done,
    Failed,
}

/// The receiver's end of one session, across generations.
#[derive(Debug)]
pub struct Receiver {
    state: State,
    builder: Option<ManifestBuilder>,
    manifest: Option<Arc<Manifest>>,
    accepted: bool,
    outbox: VecDeque<Output>,
    first_window: u64,
    generation: Generation,
}

/// What is forgotten when a generation ends.
#[derive(Debug, Default)]
struct Generation {
    course: Course,
    plan: Plan,
    flow: Flow,
}

/// How far this side and the sender are in one generation, in bytes of counted records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// What arrived.
    pub received: u64,
    /// What is on disk.
    pub written: u64,
    /// What the sender was told it may send.
    pub granted: u64,
    /// How far it may be ahead of the disk.
    pub window: u64,
}

impl Default for Flow {
    fn default() -> Self {
        Self { received: 0, written: 0, granted: 0, window: CREDIT_WINDOW }
    }
}

/// Which beginnings are still to be proven, and what is to be asked for next.
#[derive(Debug, Default)]
struct Plan {
    waiting: VecDeque<Held>,
    asked: VecDeque<Held>,
    /// The longest proven beginning of the file that is being asked about.
    proven: Option<u64>,
    /// Whether the last START has been sent.
    closed: bool,
    next: u32,
    offset: u64,
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// A receiver that knows nothing yet. Call [`Receiver::handle_generation`] when the first generation is open.
    pub fn new() -> Self {
        Self {
            state: State::Listening,
            builder: None,
            manifest: None,
            accepted: false,
            outbox: VecDeque::new(),
            first_window: CREDIT_WINDOW,
            generation: Generation::default(),
        }
    }

    /// One that lets the sender be `first_window` bytes of records ahead of its disk to begin with; at least two records.
    #[must_use]
    pub fn with_window(first_window: u64) -> Self {
        let first_window = first_window.max(2 * crate::record::MAX_RECORD_LEN as u64);
        let flow = Flow { window: first_window, ..Flow::default() };
        Self { first_window, generation: Generation { flow, ..Generation::default() }, ..Self::new() }
    }

    /// A generation is open: the sender is told what this side knows. While [`Receiver::is_resuming`] says so after that,
    /// [`Receiver::handle_accept`] must follow with what is on disk.
    pub fn handle_generation(&mut self) {
        if self.is_over() {
            return;
        }
        self.outbox.clear();
        self.builder = None;
        let flow = Flow { window: self.first_window, ..Flow::default() };
        self.generation = Generation { flow, ..Generation::default() };
        let manifest = self.manifest.as_ref().map(|manifest| *manifest.digest());
        self.send(Message::State { manifest, accepted: self.accepted, next: 0 });
        match self.state {
            State::Ending => self.send_done(),
            State::Receiving => self.state = State::Asking,
            State::Listening | State::Asking | State::Finishing | State::Done | State::Failed => {}
        }
    }

    /// A record of the sender was opened. `record_len` is its length on the transport, in bytes. Nothing changes success
    /// or failure any more.
    ///
    /// # Errors
    /// [`TransferError`] when the transfer is over; send what [`Receiver::poll_output`] still gives.
    pub fn handle_record(&mut self, plaintext: &[u8], record_len: usize) -> Result<(), TransferError> {
        let mut counted = false;
        for decoded in crate::message::decode(plaintext) {
            let handled = match decoded {
                Ok((message, body)) => {
                    counted |= message.is_counted();
                    self.handle_message(&message, &body)
                }
                Err(_) => Err(Violation::Unreadable.into()),
            };
            if let Err(error) = handled
                && !self.is_over()
            {
                return Err(self.fail(error));
            }
        }
        if counted {
            self.generation.flow.received += record_len as u64;
        }
        if self.generation.flow.received > self.generation.flow.granted {
            return Err(self.fail(Violation::Credit.into()));
        }
        // What was served has made room for more.
        if let Ok(manifest) = self.receiving() {
            self.ask_for_more(&manifest);
        }
        Ok(())
    }

    /// The user agreed. `held` are the beginnings on disk, ascending by entry and offset; empty when everything is new.
    /// Those that cannot be asked for are left out: their files come from the first byte.
    pub fn handle_accept(&mut self, mut held: Vec<Held>) {
        let Some(manifest) = self.manifest.clone() else { return };
        if !matches!(self.state, State::Asking) {
            return;
        }
        if !self.accepted {
            self.send(Message::Accept { digest: *manifest.digest() });
        }
        (self.state, self.accepted) = (State::Receiving, true);
        self.generation.flow.granted = self.generation.flow.window;
        let mut last = None;
        held.retain(|held| {
            let ascends = last.is_none_or(|last| last < (held.file, held.offset));
            let whole = file_size(&manifest, held.file) == Some(Size::Declared(held.offset));
            let fits = ascends
                && resumable(&manifest, held.file, held.offset).is_ok()
                && (held.digest.is_some() || whole);
            last = if fits { Some((held.file, held.offset)) } else { last };
            fits
        });
        self.generation.plan = Plan { waiting: held.into(), ..Plan::default() };
        self.ask_for_more(&manifest);
    }

    /// The user said no, or something else speaks against it.
    pub fn handle_decline(&mut self, reason: DeclineReason) {
        if matches!(self.state, State::Asking) {
            self.state = State::Failed;
            self.send(Message::Decline { reason });
        }
    }

    /// A record of `record_len` bytes on the transport is written to disk, as far as it held counted messages.
    pub fn handle_written(&mut self, record_len: usize) {
        let flow = &mut self.generation.flow;
        flow.written = flow.received.min(flow.written.saturating_add(record_len as u64));
        self.grant();
    }

    /// How far the generation is.
    pub fn flow(&self) -> Flow {
        self.generation.flow
    }

    /// The sender could be further ahead: from here on it may be twice as far, up to [`MAX_CREDIT_WINDOW`], for the rest of the
    /// generation.
    pub fn widen(&mut self) {
        let flow = &mut self.generation.flow;
        flow.window = (flow.window * 2).min(MAX_CREDIT_WINDOW);
        self.grant();
    }

    /// Tells the sender what it may send, if that is worth a message.
    fn grant(&mut self) {
        let flow = &mut self.generation.flow;
        let total = flow.written + flow.window;
        if total >= flow.granted + self.first_window / 8 && matches!(self.state, State::Receiving) {
            flow.granted = total;
            self.send(Message::Credit { total });
        }
    }

    /// Everything is verified, synced and in place.
    pub fn handle_finished(&mut self) {
        if matches!(self.state, State::Finishing) {
            self.state = State::Ending;
            self.send_done();
        }
    }

    /// This side gives up: the sender will be told.
    pub fn handle_abort(&mut self, reason: AbortReason, file: Option<u32>) {
        if !self.is_over() {
            self.state = State::Failed;
            self.outbox.clear();
            self.send(Message::Abort { reason, file });
        }
    }

    /// What to do next, or `None` until something happens.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// Whether the user agreed in an earlier generation, and [`Receiver::handle_accept`] has yet to say what is on disk in
    /// this one.
    pub fn is_resuming(&self) -> bool {
        self.accepted && matches!(self.state, State::Asking)
    }

    /// Whether the sender has confirmed that it knows of the success.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether this side has everything, verified and in place.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Ending | State::Done)
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed)
    }

    fn handle_message(&mut self, message: &Message<'_>, body: &Range<usize>) -> Result<(), TransferError> {
        match message {
            _ if self.is_over() => {}
            Message::Ping { token } if self.outbox.len() < MAX_PONGS => {
                self.send(Message::Pong { token: *token });
            }
            Message::Ping { .. } => return Err(Violation::Flood.into()),
            Message::Pong { .. } => {}
            Message::Bye if self.is_complete() => {}
            Message::Bye => return Err(TransferError::PeerLeft),
            Message::Abort { reason, file } => {
                return Err(TransferError::Aborted { reason: *reason, file: *file });
            }
            Message::ManifestPart { purpose, entries } => {
                self.require_listening()?;
                let builder = self.builder.get_or_insert_with(|| ManifestBuilder::new(*purpose));
                if builder.purpose() != *purpose {
                    return Err(Violation::OtherManifest.into());
                }
                builder.push_part(entries)?;
            }
            Message::ManifestEnd { entries, total_size, digest } => {
                self.handle_manifest_end(*entries, *total_size, *digest)?;
            }
            Message::Prefix { file, offset, digest } => self.handle_prefix(*file, *offset, digest)?,
            Message::Data { file, offset, bytes } => self.handle_data(*file, *offset, bytes.len(), body)?,
            Message::Batch(batch) => self.handle_batch(batch, body)?,
            Message::FileEnd { file, len, digest } => self.handle_file_end(*file, *len, *digest)?,
            Message::TransferEnd { digest } => self.handle_transfer_end(digest)?,
            Message::DoneAck => self.handle_done_ack()?,
            Message::Accept { .. }
            | Message::Decline { .. }
            | Message::State { .. }
            | Message::Resume { .. }
            | Message::Start { .. }
            | Message::Done { .. }
            | Message::Credit { .. }
            | Message::Switch { .. } => return Err(Violation::OutOfPlace.into()),
        }
        Ok(())
    }

    fn handle_manifest_end(
        &mut self,
        entries: u32,
        total_size: u64,
        digest: Sha256Digest,
    ) -> Result<(), TransferError> {
        self.require_listening()?;
        let builder = self.builder.take().ok_or(Violation::OutOfPlace)?;
        let manifest = Arc::new(builder.finish(entries, total_size, digest)?);
        self.manifest = Some(Arc::clone(&manifest));
        self.state = State::Asking;
        self.outbox.push_back(Output::Ask(manifest));
        Ok(())
    }

    fn handle_prefix(&mut self, file: u32, offset: u64, digest: &Sha256Digest) -> Result<(), Violation> {
        let manifest = self.receiving()?;
        let plan = &mut self.generation.plan;
        let held = plan.asked.pop_front().filter(|held| (held.file, held.offset) == (file, offset));
        let held = held.ok_or(Violation::OutOfPlace)?;
        if held.digest.as_ref() == Some(digest) {
            plan.proven = Some(offset);
        }
        let next = plan.asked.front().or_else(|| plan.waiting.front());
        if next.is_none_or(|next| next.file != file) {
            match plan.proven.take() {
                Some(proven) => {
                    self.outbox.push_back(Output::GoOn { file, offset: proven });
                    self.skip_to(&manifest, file, proven)?;
                }
                None => self.outbox.push_back(Output::StartOver { file }),
            }
        }
        self.ask_for_more(&manifest);
        Ok(())
    }

    /// Asks for everything before byte `offset` of `file`, from which on it goes on later.
    fn skip_to(&mut self, manifest: &Manifest, file: u32, offset: u64) -> Result<(), Violation> {
        let plan = &mut self.generation.plan;
        let whole = file_size(manifest, file) == Some(Size::Declared(offset));
        let (first, start) = (plan.next, plan.offset);
        (plan.next, plan.offset) = if whole { (file + 1, 0) } else { (file, offset) };
        if first < file { self.start(manifest, first, start, file) } else { Ok(()) }
    }

    fn handle_data(
        &mut self,
        file: u32,
        offset: u64,
        len: usize,
        body: &Range<usize>,
    ) -> Result<(), Violation> {
        let position = self.position(file)?;
        if position.offset != offset {
            return Err(Violation::Order);
        }
        let end = offset.checked_add(len as u64).ok_or(Violation::TooLong)?;
        if matches!(position.size, Size::Declared(size) if end > size) {
            return Err(Violation::TooLong);
        }
        self.generation.course.advance(len as u64);
        let bytes = body.end - len..body.end;
        self.outbox.push_back(Output::Write { file, offset, bytes });
        Ok(())
    }

    fn handle_batch(&mut self, batch: &Batch<'_>, body: &Range<usize>) -> Result<(), Violation> {
        let ranges = batch.ranges().ok_or(Violation::Unreadable)?;
        let start = body.end - batch.bytes.len();
        for ((file, len, digest), range) in batch.items.iter().zip(ranges) {
            let position = self.position(*file)?;
            if position.offset != 0 {
                return Err(Violation::Order);
            }
            require_size(position.size, u64::from(*len))?;
            self.generation.course.finish_file();
            let bytes = start + range.start..start + range.end;
            self.outbox.push_back(Output::WriteWhole { file: *file, bytes, digest: *digest });
        }
        Ok(())
    }

    fn handle_file_end(&mut self, file: u32, len: u64, digest: Sha256Digest) -> Result<(), Violation> {
        let position = self.position(file)?;
        require_size(position.size, len)?;
        require_size(Size::Declared(len), position.offset)?;
        self.generation.course.finish_file();
        self.outbox.push_back(Output::Commit { file, len, digest });
        Ok(())
    }

    fn handle_transfer_end(&mut self, digest: &Sha256Digest) -> Result<(), Violation> {
        let manifest = self.receiving()?;
        if digest != manifest.digest() {
            return Err(Violation::OtherManifest);
        }
        if !self.generation.course.is_complete(&manifest) {
            return Err(Violation::TooShort);
        }
        self.state = State::Finishing;
        self.outbox.push_back(Output::Finish);
        Ok(())
    }

    fn handle_done_ack(&mut self) -> Result<(), Violation> {
        if !matches!(self.state, State::Ending) {
            return Err(Violation::OutOfPlace);
        }
        self.state = State::Done;
        self.outbox.push_back(Output::Done);
        Ok(())
    }

    /// Asks for proofs of as many beginnings as may wait, and for everything else once all are proven. A proof may take a
    /// START, so there have to be places for those too.
    fn ask_for_more(&mut self, manifest: &Manifest) {
        if self.generation.plan.closed {
            return;
        }
        while self.generation.plan.asked.len() < MAX_RESUMES.min(self.generation.course.room()) {
            let Some(held) = self.generation.plan.waiting.pop_front() else { break };
            self.generation.plan.asked.push_back(held);
            if held.digest.is_some() {
                self.send(Message::Resume { file: held.file, offset: held.offset });
            }
            self.skip_verified(manifest);
        }
        self.skip_verified(manifest);
        if self.generation.plan.asked.is_empty() && self.generation.plan.waiting.is_empty() {
            self.generation.plan.closed = true;
            let Plan { next, offset, .. } = self.generation.plan;
            self.start(manifest, next, offset, entry_count(manifest))
                .expect("a plan of this side's own asks in order");
        }
    }

    /// Passes over files that were verified in this session, as far as it is their turn.
    fn skip_verified(&mut self, manifest: &Manifest) {
        while let Some(held) = self.generation.plan.asked.pop_front_if(|held| held.digest.is_none()) {
            self.skip_to(manifest, held.file, held.offset).expect("a plan of this side's own asks in order");
        }
    }

    fn start(&mut self, manifest: &Manifest, first: u32, offset: u64, until: u32) -> Result<(), Violation> {
        self.generation.course.push(manifest, first, offset, until)?;
        self.send(Message::Start { first, offset, until, credit: self.generation.flow.granted });
        Ok(())
    }

    /// The file whose turn it is, if it is this one.
    fn position(&mut self, file: u32) -> Result<Position, Violation> {
        let manifest = self.receiving()?;
        let position = self.generation.course.position(&manifest);
        position.filter(|position| position.file == file).ok_or(Violation::Order)
    }

    fn receiving(&self) -> Result<Arc<Manifest>, Violation> {
        match (&self.state, &self.manifest) {
            (State::Receiving, Some(manifest)) => Ok(Arc::clone(manifest)),
            _ => Err(Violation::OutOfPlace),
        }
    }

    fn require_listening(&self) -> Result<(), Violation> {
        if matches!(self.state, State::Listening) { Ok(()) } else { Err(Violation::OutOfPlace) }
    }

    fn send_done(&mut self) {
        if let Some(manifest) = &self.manifest {
            let digest = *manifest.digest();
            self.send(Message::Done { digest });
        }
    }

    fn send(&mut self, message: Message<'static>) {
        self.outbox.push_back(Output::Send(message));
    }

    fn fail(&mut self, error: TransferError) -> TransferError {
        match error {
            TransferError::Violation(_) => self.handle_abort(AbortReason::Protocol, None),
            TransferError::Manifest(_) => {
                self.state = State::Asking;
                self.handle_decline(DeclineReason::InvalidManifest);
            }
            TransferError::Aborted { .. } | TransferError::Declined(_) | TransferError::PeerLeft => {}
        }
        self.state = State::Failed;
        error
    }
}

/// A file must be as long as it was declared; a stream declares nothing.
fn require_size(declared: Size, len: u64) -> Result<(), Violation> {
    match declared {
        Size::Declared(size) if len < size => Err(Violation::TooShort),
        Size::Declared(size) if len > size => Err(Violation::TooLong),
        Size::Declared(_) | Size::Stream => Ok(()),
    }
}
