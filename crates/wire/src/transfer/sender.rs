//! The sender's machine: offers the manifest, proves beginnings, and says which bytes to read next.

use std::collections::VecDeque;
use std::sync::Arc;

use super::course::{Course, Position, Size, file_size, resumable};
use super::{MAX_RESUMES, TransferError, Violation};
use crate::manifest::Manifest;
use crate::message::{
    AbortReason, CHUNK_LEN, DATA_PREFIX_LEN, FILE_END_LEN, MAX_BATCHED_LEN, Message, Sha256Digest, batch_len,
};
use crate::record::{MAX_PLAINTEXT_LEN, record_len};

/// What the driver has to do, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this message.
    Send(Message<'static>),
    /// Send the whole manifest: every part, then MANIFEST_END.
    SendManifest,
    /// The receiver agreed. For the user.
    Accepted,
    /// Hash the first `offset` bytes of a file and call [`Sender::handle_prefix`].
    HashPrefix {
        /// Which entry.
        file: u32,
        /// How many bytes.
        offset: u64,
    },
    /// Read and send one record.
    Read(Read),
    /// The receiver has everything.
    Done,
}

/// One record's worth of file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// One DATA message (none if `len` is 0), and FILE_END behind it if it is the last of its file.
    Chunk {
        /// Which entry.
        file: u32,
        /// Where to read, in bytes.
        offset: u64,
        /// How many bytes. A stream that has fewer ends with them.
        len: usize,
        /// Whether the file ends with it. Never for a stream: the driver sees the end, sends FILE_END behind the last
        /// bytes, and calls [`Sender::handle_stream_end`].
        ends: bool,
    },
    /// One BATCH of these whole files.
    Batch {
        /// Entries, ascending.
        files: Vec<u32>,
    },
}

/// Proven beginnings that a START may name: those a receiver waits for, and as many that it is about to go on behind.
const MAX_PROVEN: usize = 2 * MAX_RESUMES;

/// Answers that may wait to be sent; a receiver that asks for more floods.
const MAX_OUTBOX: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Offering,
    Serving,
    Ending,
    Done,
    Failed,
}

/// The sender's end of one session, across generations.
#[derive(Debug)]
pub struct Sender {
    manifest: Arc<Manifest>,
    state: State,
    outbox: VecDeque<Output>,
    /// Whether the user knows that the receiver agreed.
    accepted: bool,
    /// Whether TRANSFER_END was ever sent: only then can DONE be true.
    ended: bool,
    generation: Generation,
    generation_count: u32,
    /// The token of the last PONG.
    pong: Option<u64>,
}

/// What is forgotten when a generation ends.
#[derive(Debug, Default)]
struct Generation {
    manifest_sent: bool,
    state_received: bool,
    credit: u64,
    used: u64,
    course: Course,
    resumes: VecDeque<(u32, u64)>,
    hashing: bool,
    proven: Vec<(u32, u64)>,
}

impl Sender {
    /// A sender that offers `manifest`. Call [`Sender::handle_generation`] when the first generation is open.
    pub fn new(manifest: Arc<Manifest>) -> Self {
        Self {
            manifest,
            state: State::Offering,
            outbox: VecDeque::new(),
            accepted: false,
            ended: false,
            generation: Generation::default(),
            generation_count: 0,
            pong: None,
        }
    }

    /// A generation is open. In the first the manifest goes out at once; in later ones the receiver says what it knows.
    pub fn handle_generation(&mut self) {
        if self.is_over() {
            return;
        }
        self.state = State::Offering;
        self.outbox.clear();
        self.generation = Generation::default();
        if self.generation_count == 0 {
            self.send_manifest();
        }
        self.generation_count += 1;
    }

    /// A record of the receiver was opened. Nothing changes success or failure any more.
    ///
    /// # Errors
    /// [`TransferError`] when the transfer is over; send what [`Sender::poll_output`] still gives.
    pub fn handle_record(&mut self, plaintext: &[u8]) -> Result<(), TransferError> {
        for decoded in crate::message::decode(plaintext) {
            let handled = match decoded {
                Ok((message, _)) => self.handle_message(&message),
                Err(_) => Err(Violation::Unreadable.into()),
            };
            if let Err(error) = handled
                && !self.is_over()
            {
                return Err(self.fail(error));
            }
        }
        Ok(())
    }

    /// The digest that [`Output::HashPrefix`] asked for.
    pub fn handle_prefix(&mut self, file: u32, offset: u64, digest: Sha256Digest) {
        if self.generation.resumes.front() == Some(&(file, offset)) {
            self.generation.resumes.pop_front();
            self.generation.hashing = false;
            if self.generation.proven.len() == MAX_PROVEN {
                self.generation.proven.remove(0);
            }
            self.generation.proven.push((file, offset));
            self.outbox.push_back(Output::Send(Message::Prefix { file, offset, digest }));
        }
    }

    /// The stream ended: the driver has read its last byte and sent FILE_END.
    pub fn handle_stream_end(&mut self) {
        let position = self.generation.course.position(&self.manifest);
        if position.is_some_and(|position| position.size == Size::Stream) {
            self.generation.used += record_len(FILE_END_LEN) as u64;
            self.generation.course.finish_file();
        }
    }

    /// This side gives up: the receiver will be told.
    pub fn handle_abort(&mut self, reason: AbortReason, file: Option<u32>) {
        if !self.is_over() {
            self.state = State::Failed;
            self.outbox.clear();
            self.outbox.push_back(Output::Send(Message::Abort { reason, file }));
        }
    }

    /// What to do next, or `None` until something happens.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outbox.pop_front() {
            return Some(output);
        }
        if self.state != State::Serving {
            return None;
        }
        if let Some(&(file, offset)) = self.generation.resumes.front().filter(|_| !self.generation.hashing) {
            self.generation.hashing = true;
            return Some(Output::HashPrefix { file, offset });
        }
        if let Some(read) = self.next_read() {
            return Some(Output::Read(read));
        }
        self.end_when_served()
    }

    /// The token of the last PONG: the receiver has handled everything that was sent before that PING.
    pub fn last_pong(&self) -> Option<u64> {
        self.pong
    }

    /// Whether the receiver has confirmed that it has everything.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether everything was sent, in this generation or an earlier one: from then on the receiver may have it all.
    pub fn has_sent_all(&self) -> bool {
        self.ended
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed)
    }

    fn handle_message(&mut self, message: &Message<'_>) -> Result<(), TransferError> {
        match message {
            _ if self.is_over() => self.handle_late(message),
            Message::Ping { token } => self.answer(Message::Pong { token: *token })?,
            Message::Pong { token } => self.pong = Some(*token),
            Message::Bye => return Err(TransferError::PeerLeft),
            Message::Abort { reason, file } => {
                return Err(TransferError::Aborted { reason: *reason, file: *file });
            }
            Message::Decline { reason } => return Err(TransferError::Declined(*reason)),
            Message::State { manifest, accepted, .. } => self.handle_state(*manifest, *accepted)?,
            Message::Accept { digest } => self.handle_accept(digest)?,
            Message::Resume { file, offset } => self.handle_resume(*file, *offset)?,
            Message::Start { first, offset, until, credit } => {
                self.handle_start(*first, *offset, *until)?;
                self.handle_credit(*credit)?;
            }
            Message::Credit { total } => self.handle_credit(*total)?,
            Message::Done { digest } => self.handle_done(digest)?,
            Message::ManifestPart { .. }
            | Message::ManifestEnd { .. }
            | Message::Prefix { .. }
            | Message::Data { .. }
            | Message::Batch(_)
            | Message::FileEnd { .. }
            | Message::TransferEnd { .. }
            | Message::DoneAck
            | Message::Switch { .. } => return Err(Violation::OutOfPlace.into()),
        }
        Ok(())
    }

    /// A receiver that does not know of the success yet is told again.
    fn handle_late(&mut self, message: &Message<'_>) {
        let has_room = self.state == State::Done && self.outbox.len() < MAX_OUTBOX;
        if has_room && matches!(message, Message::Done { .. }) {
            self.outbox.push_back(Output::Send(Message::DoneAck));
        }
    }

    fn handle_state(&mut self, known: Option<Sha256Digest>, accepted: bool) -> Result<(), Violation> {
        if core::mem::replace(&mut self.generation.state_received, true) {
            return Err(Violation::OutOfPlace);
        }
        match known {
            None if accepted => return Err(Violation::OutOfPlace),
            None if self.generation.manifest_sent => {}
            None => self.send_manifest(),
            Some(digest) => {
                self.require_manifest(&digest)?;
                if accepted && self.state == State::Offering {
                    self.serve();
                }
            }
        }
        Ok(())
    }

    fn handle_accept(&mut self, digest: &Sha256Digest) -> Result<(), Violation> {
        self.require_manifest(digest)?;
        if self.state != State::Offering || !self.generation.state_received {
            return Err(Violation::OutOfPlace);
        }
        self.serve();
        Ok(())
    }

    fn serve(&mut self) {
        self.state = State::Serving;
        if !core::mem::replace(&mut self.accepted, true) {
            self.outbox.push_back(Output::Accepted);
        }
    }

    fn handle_resume(&mut self, file: u32, offset: u64) -> Result<(), Violation> {
        self.require_serving()?;
        resumable(&self.manifest, file, offset)?;
        if self.generation.resumes.len() == MAX_RESUMES {
            return Err(Violation::Flood);
        }
        self.generation.resumes.push_back((file, offset));
        Ok(())
    }

    fn handle_start(&mut self, first: u32, offset: u64, until: u32) -> Result<(), Violation> {
        self.require_serving()?;
        if offset != 0 {
            let proven = &mut self.generation.proven;
            let index = proven.iter().position(|pair| *pair == (first, offset));
            proven.drain(..=index.ok_or(Violation::Range)?);
        }
        self.generation.course.push(&self.manifest, first, offset, until)
    }

    fn handle_credit(&mut self, total: u64) -> Result<(), Violation> {
        self.require_serving()?;
        if total < self.generation.credit {
            return Err(Violation::Credit);
        }
        self.generation.credit = total;
        Ok(())
    }

    fn handle_done(&mut self, digest: &Sha256Digest) -> Result<(), Violation> {
        self.require_manifest(digest)?;
        if !self.ended {
            return Err(Violation::OutOfPlace);
        }
        self.state = State::Done;
        self.outbox.push_back(Output::Send(Message::DoneAck));
        self.outbox.push_back(Output::Done);
        Ok(())
    }

    /// The next record of file bytes, if something was asked for and the credit covers all of it.
    fn next_read(&mut self) -> Option<Read> {
        let Position { file, offset, size } = self.generation.course.position(&self.manifest)?;
        let (read, plaintext_len) = match size {
            Size::Declared(size) if offset == 0 && size <= MAX_BATCHED_LEN => self.gather_batch(file),
            Size::Declared(size) => chunk(file, offset, size - offset),
            Size::Stream => chunk(file, offset, u64::MAX),
        };
        let used = self.generation.used + record_len(plaintext_len) as u64;
        // Any chunk of a stream may turn out to be its last.
        let end = if size == Size::Stream { record_len(FILE_END_LEN) as u64 } else { 0 };
        if used + end > self.generation.credit {
            return None;
        }
        self.generation.used = used;
        match &read {
            Read::Chunk { len, ends, .. } => {
                self.generation.course.advance(*len as u64);
                if *ends {
                    self.generation.course.finish_file();
                }
            }
            Read::Batch { files } => {
                for _ in files {
                    self.generation.course.position(&self.manifest);
                    self.generation.course.finish_file();
                }
            }
        }
        Some(read)
    }

    /// As many small files from `first` on as fit one record, with the length of its plaintext. Stops at the first entry
    /// that is no small file, or that was not asked for.
    fn gather_batch(&self, first: u32) -> (Read, usize) {
        let (mut files, mut bytes) = (Vec::new(), 0);
        for file in first..self.generation.course.batch_until() {
            let Some(size) = small_size(&self.manifest, file) else { break };
            let len = batch_len(files.len() + 1, bytes + size);
            if bytes + size > CHUNK_LEN || len > MAX_PLAINTEXT_LEN {
                break;
            }
            bytes += size;
            files.push(file);
        }
        let len = batch_len(files.len(), bytes);
        (Read::Batch { files }, len)
    }

    fn end_when_served(&mut self) -> Option<Output> {
        let len = record_len(5 + 32) as u64;
        let covered = self.generation.used + len <= self.generation.credit;
        if !covered || !self.generation.course.is_complete(&self.manifest) {
            return None;
        }
        self.generation.used += len;
        (self.state, self.ended) = (State::Ending, true);
        Some(Output::Send(Message::TransferEnd { digest: *self.manifest.digest() }))
    }

    fn send_manifest(&mut self) {
        self.generation.manifest_sent = true;
        self.outbox.push_back(Output::SendManifest);
    }

    fn answer(&mut self, message: Message<'static>) -> Result<(), Violation> {
        if self.outbox.len() >= MAX_OUTBOX {
            return Err(Violation::Flood);
        }
        self.outbox.push_back(Output::Send(message));
        Ok(())
    }

    fn require_manifest(&self, digest: &Sha256Digest) -> Result<(), Violation> {
        if digest == self.manifest.digest() { Ok(()) } else { Err(Violation::OtherManifest) }
    }

    fn require_serving(&self) -> Result<(), Violation> {
        if matches!(self.state, State::Serving | State::Ending) { Ok(()) } else { Err(Violation::OutOfPlace) }
    }

    fn fail(&mut self, error: TransferError) -> TransferError {
        if matches!(error, TransferError::Violation(_)) {
            self.handle_abort(AbortReason::Protocol, None);
        }
        self.state = State::Failed;
        error
    }
}

/// The size of a file that may travel in a batch.
fn small_size(manifest: &Manifest, file: u32) -> Option<usize> {
    match file_size(manifest, file)? {
        Size::Declared(size) if size <= MAX_BATCHED_LEN => usize::try_from(size).ok(),
        Size::Declared(_) | Size::Stream => None,
    }
}

/// The next chunk of a file of which `left` bytes are left, with the length of its record's plaintext.
fn chunk(file: u32, offset: u64, left: u64) -> (Read, usize) {
    let len = usize::try_from(left).map_or(CHUNK_LEN, |left| left.min(CHUNK_LEN));
    let ends = left <= CHUNK_LEN as u64;
    let plaintext_len = DATA_PREFIX_LEN + len + if ends { FILE_END_LEN } else { 0 };
    (Read::Chunk { file, offset, len, ends }, plaintext_len)
}
