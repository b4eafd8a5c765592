//! A whole transfer in memory: both machines, real records between them, and disks that are maps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wire::handshake::Session;
use wire::manifest::{Entry, EntryKind, Manifest, Purpose};
use wire::message::{AbortReason, Batch, CHUNK_LEN, DeclineReason, Message, Sha256Digest};
use wire::safe_path::SafePath;
use wire::transfer::crossing::Fate;
use wire::transfer::receiver::{self, Held};
use wire::transfer::sender::{self, Read};
use wire::transfer::{Crossing, Receiver, Sender, TransferError};

use super::{Keys, encode, open_generation, seal, sessions};

/// What the receiving user says when asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Consent {
    Accept,
    Decline,
    /// Nothing yet.
    Hesitate,
}

/// The sender's machine, its files, and its end of the transport.
pub(crate) struct SendingEnd {
    pub(crate) machine: Sender,
    manifest: Arc<Manifest>,
    /// Content by entry; `None` for what is no file.
    pub(crate) files: Vec<Option<Vec<u8>>>,
    pub(crate) keys: Option<Keys>,
    pub(crate) error: Option<TransferError>,
    /// A side that says only what is forged in its name, and hears nothing.
    pub(crate) is_puppet: bool,
    /// How often [`sender::Output::Accepted`] came.
    pub(crate) accepted: usize,
    /// Whether it reads one record's worth at a time, and not as much as it may send.
    pub(crate) is_slow: bool,
    /// Counted bytes sealed in this generation.
    counted: u64,
    /// Stands before the machine where there is more than one generation.
    pub(crate) crossing: Option<Crossing>,
}

/// The receiver's machine, its disk, and its end of the transport.
pub(crate) struct ReceivingEnd {
    pub(crate) machine: Receiver,
    pub(crate) manifest: Option<Arc<Manifest>>,
    pub(crate) consent: Consent,
    /// Bytes by entry, finished or not.
    pub(crate) disk: BTreeMap<u32, Vec<u8>>,
    /// Entries that are verified and in place.
    pub(crate) committed: BTreeSet<u32>,
    /// Entries that turned out to begin differently.
    pub(crate) started_over: Vec<u32>,
    pub(crate) keys: Option<Keys>,
    pub(crate) error: Option<TransferError>,
    /// Records that the disk has not taken yet, by their length. Only a slow writer lets them wait.
    unwritten: VecDeque<usize>,
    pub(crate) slow_writer: bool,
    /// A side that says only what is forged in its name, and hears nothing.
    pub(crate) is_puppet: bool,
    /// The highest grant of this generation.
    granted: u64,
    /// Stands before the machine where there is more than one generation.
    pub(crate) crossing: Option<Crossing>,
}

/// Two ends of one session and the records between them.
pub(crate) struct Pair {
    pub(super) sessions: (Session, Session),
    pub(crate) generation: u32,
    pub(crate) sender: SendingEnd,
    pub(crate) receiver: ReceivingEnd,
    /// Records on their way to the receiver.
    pub(crate) s2r: VecDeque<Vec<u8>>,
    /// Records on their way to the sender.
    pub(crate) r2s: VecDeque<Vec<u8>>,
    /// Records that a puppet of a sender did not hear.
    pub(crate) told_to_sender: Vec<Vec<u8>>,
    /// Records delivered in all.
    pub(crate) delivered: usize,
}

/// An entry and what is in it.
pub(crate) fn file(path: &str, content: Vec<u8>) -> (Entry, Option<Vec<u8>>) {
    (entry(path, EntryKind::File { size: content.len() as u64 }), Some(content))
}

pub(crate) fn directory(path: &str) -> (Entry, Option<Vec<u8>>) {
    (entry(path, EntryKind::Directory), None)
}

pub(crate) fn symlink(path: &str, target: &str) -> (Entry, Option<Vec<u8>>) {
    (entry(path, EntryKind::Symlink { target: target.to_owned() }), None)
}

pub(crate) fn stream(path: &str, content: Vec<u8>) -> (Entry, Option<Vec<u8>>) {
    (entry(path, EntryKind::Stream), Some(content))
}

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry { path: SafePath::parse(path).unwrap(), kind, mode: 0o644, mtime: 1_700_000_000 }
}

/// Bytes that differ from place to place and from salt to salt.
pub(crate) fn content(len: usize, salt: u64) -> Vec<u8> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    core::iter::repeat_with(next).take(len).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256::digest(bytes).into()
}

impl Pair {
    /// Both ends of a session that offers these entries, before any generation.
    pub(crate) fn new(entries: Vec<(Entry, Option<Vec<u8>>)>) -> Self {
        let (entries, files): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        let manifest = Arc::new(Manifest::new(Purpose::Files, &entries).unwrap());
        Self {
            sessions: sessions(1),
            generation: 0,
            sender: SendingEnd {
                machine: Sender::new(Arc::clone(&manifest)),
                manifest,
                files,
                keys: None,
                error: None,
                is_puppet: false,
                accepted: 0,
                is_slow: false,
                counted: 0,
                crossing: None,
            },
            receiver: ReceivingEnd {
                machine: Receiver::new(),
                manifest: None,
                consent: Consent::Accept,
                disk: BTreeMap::new(),
                committed: BTreeSet::new(),
                started_over: Vec::new(),
                keys: None,
                error: None,
                unwritten: VecDeque::new(),
                slow_writer: false,
                is_puppet: false,
                granted: 0,
                crossing: None,
            },
            s2r: VecDeque::new(),
            r2s: VecDeque::new(),
            told_to_sender: Vec::new(),
            delivered: 0,
        }
    }

    /// The same, with the first generation open.
    pub(crate) fn connected(entries: Vec<(Entry, Option<Vec<u8>>)>) -> Self {
        let mut pair = Self::new(entries);
        pair.connect();
        pair
    }

    /// Opens the next generation; what was on its way in the old one is lost.
    pub(crate) fn connect(&mut self) {
        self.cut();
        self.generation += 1;
        let (keys_s, keys_r) = open_generation(&self.sessions, self.generation).unwrap();
        (self.sender.keys, self.receiver.keys) = (Some(keys_s), Some(keys_r));
        self.restart_sender();
        self.restart_receiver();
    }

    /// The sender goes on by what the receiver will state.
    pub(crate) fn restart_sender(&mut self) {
        self.sender.counted = 0;
        self.sender.machine.handle_generation();
    }

    /// The receiver states what it knows.
    pub(crate) fn restart_receiver(&mut self) {
        self.receiver.granted = 0;
        self.receiver.unwritten.clear();
        self.receiver.machine.handle_generation();
        self.receiver.resume();
    }

    /// The transport dies with everything on it.
    pub(crate) fn cut(&mut self) {
        (self.sender.keys, self.receiver.keys) = (None, None);
        self.s2r.clear();
        self.r2s.clear();
        self.receiver.unwritten.clear();
    }

    /// Carries records until nothing moves any more.
    pub(crate) fn run(&mut self) {
        while self.step() {}
    }

    /// Carries records until `count` in all were delivered, or nothing moves any more.
    pub(crate) fn run_until_delivered(&mut self, count: usize) {
        while self.delivered < count && self.step() {}
    }

    /// Lets both ends speak, then delivers one record. Whether anything happened.
    pub(crate) fn step(&mut self) -> bool {
        self.speak();
        if self.receiver.slow_writer {
            // As far ahead of the disk as the credit lets it: everything arrives before anything is written.
            let moved = self.deliver_to_receiver() || self.deliver_to_sender();
            return moved || self.receiver.write_one();
        }
        let sender_is_due = !self.delivered.is_multiple_of(2) && self.deliver_to_sender();
        let moved = sender_is_due || self.deliver_to_receiver() || self.deliver_to_sender();
        while self.receiver.write_one() {}
        moved
    }

    /// Puts everything that both ends have to say on its way.
    pub(crate) fn speak(&mut self) {
        self.sender.speak(self.receiver.granted, &mut self.s2r);
        self.receiver.act(&[], &mut self.r2s);
    }

    fn deliver_to_receiver(&mut self) -> bool {
        let Some(record) = self.s2r.pop_front() else { return false };
        self.delivered += 1;
        self.receiver.take(record, &mut self.r2s);
        true
    }

    fn deliver_to_sender(&mut self) -> bool {
        let Some(record) = self.r2s.pop_front() else { return false };
        self.delivered += 1;
        if self.sender.is_puppet {
            self.told_to_sender.push(record.clone());
        }
        self.sender.take(record);
        self.sender.speak(self.receiver.granted, &mut self.s2r);
        true
    }

    /// Seals messages with the sender's real keys, as a hostile sender would, and puts them on their way.
    pub(crate) fn forge_from_sender(&mut self, messages: &[Message<'_>]) {
        let (sealer, _) = self.sender.keys.as_mut().unwrap();
        self.s2r.push_back(seal(sealer, &encode(messages)));
    }

    /// Seals messages with the receiver's real keys, as a hostile receiver would, and puts them on their way.
    pub(crate) fn forge_from_receiver(&mut self, messages: &[Message<'_>]) {
        for message in messages {
            self.receiver.note_grant(message);
        }
        let (sealer, _) = self.receiver.keys.as_mut().unwrap();
        self.r2s.push_back(seal(sealer, &encode(messages)));
    }

    /// Gives the receiver a record that its disk does not take.
    pub(crate) fn deliver_unwritten(&mut self, record: Vec<u8>) {
        self.receiver.take(record, &mut self.r2s);
        self.receiver.unwritten.clear();
    }

    /// The last thing that a puppet of a sender did not hear.
    pub(crate) fn last_told_to_sender(&mut self) -> Vec<u8> {
        let (_, opener) = self.sender.keys.as_mut().unwrap();
        let opened = self.told_to_sender.iter_mut().filter_map(|record| opener.open(record).ok());
        opened.last().unwrap().to_vec()
    }

    /// What was offered.
    pub(crate) fn digest(&self) -> Sha256Digest {
        *self.receiver.manifest.as_ref().unwrap().digest()
    }

    /// Asserts that both sides succeeded and every file arrived as it was.
    pub(crate) fn assert_success(&self) {
        assert_eq!((self.sender.error, self.receiver.error), (None, None));
        assert!(self.sender.machine.is_done(), "the sender does not know");
        assert!(self.receiver.machine.is_done(), "the receiver does not know");
        self.assert_arrived();
    }

    /// Asserts that every file arrived as it was.
    pub(crate) fn assert_arrived(&self) {
        assert!(self.receiver.machine.is_complete());
        for (index, offered) in self.sender.files.iter().enumerate() {
            let index = u32::try_from(index).unwrap();
            let arrived = self.receiver.disk.get(&index);
            assert_eq!(arrived, offered.as_ref(), "entry {index}");
            assert_eq!(self.receiver.committed.contains(&index), offered.is_some(), "entry {index}");
        }
    }
}

impl SendingEnd {
    /// Bytes of counted records sealed in this generation.
    pub(crate) fn counted(&self) -> u64 {
        self.counted
    }

    pub(crate) fn speak(&mut self, granted: u64, out: &mut VecDeque<Vec<u8>>) {
        if self.keys.is_none() || self.is_puppet {
            return;
        }
        while let Some(output) = self.machine.poll_output() {
            match output {
                sender::Output::Send(message) => self.seal(&[message], granted, out),
                sender::Output::SendManifest => self.send_manifest(granted, out),
                sender::Output::Accepted => self.accepted += 1,
                sender::Output::HashPrefix { file, offset } => {
                    let len = usize::try_from(offset).unwrap();
                    let digest = sha256(&self.content(file)[..len]);
                    self.machine.handle_prefix(file, offset, digest);
                }
                sender::Output::Read(read) => {
                    self.send_read(&read, granted, out);
                    if self.is_slow {
                        return;
                    }
                }
                sender::Output::Done => {}
            }
        }
    }

    fn send_manifest(&mut self, granted: u64, out: &mut VecDeque<Vec<u8>>) {
        let manifest = Arc::clone(&self.manifest);
        for part in manifest.parts() {
            let message = Message::ManifestPart { purpose: manifest.purpose(), entries: part.into() };
            self.seal(&[message], granted, out);
        }
        let end = Message::ManifestEnd {
            entries: u32::try_from(manifest.entries().len()).unwrap(),
            total_size: manifest.total_size(),
            digest: *manifest.digest(),
        };
        self.seal(&[end], granted, out);
    }

    fn send_read(&mut self, read: &Read, granted: u64, out: &mut VecDeque<Vec<u8>>) {
        match read {
            Read::Batch { files } => {
                let contents: Vec<_> = files.iter().map(|file| self.content(*file).to_vec()).collect();
                let len = |bytes: &Vec<u8>| u32::try_from(bytes.len()).unwrap();
                let item = |(file, bytes): (&u32, &Vec<u8>)| (*file, len(bytes), sha256(bytes));
                let items = files.iter().zip(&contents).map(item).collect();
                let batch = Batch { items, bytes: contents.concat().into() };
                self.seal(&[Message::Batch(batch)], granted, out);
            }
            Read::Chunk { file, offset, len, ends } => {
                let content = self.content(*file).to_vec();
                let start = usize::try_from(*offset).unwrap();
                let bytes = &content[start..content.len().min(start + len)];
                let stream_ends = bytes.len() < *len;
                let mut messages = Vec::new();
                if !bytes.is_empty() {
                    messages.push(Message::Data { file: *file, offset: *offset, bytes: bytes.into() });
                }
                if *ends || stream_ends {
                    let digest = sha256(&content);
                    messages.push(Message::FileEnd { file: *file, len: content.len() as u64, digest });
                }
                self.seal(&messages, granted, out);
                if stream_ends {
                    self.machine.handle_stream_end();
                }
            }
        }
    }

    fn seal(&mut self, messages: &[Message<'_>], granted: u64, out: &mut VecDeque<Vec<u8>>) {
        let Some((sealer, _)) = self.keys.as_mut() else { return };
        let record = seal(sealer, &encode(messages));
        if messages.iter().any(Message::is_counted) {
            self.counted += record.len() as u64;
            assert!(self.counted <= granted, "{} bytes sent, {granted} granted", self.counted);
        }
        out.push_back(record);
    }

    pub(crate) fn take(&mut self, mut record: Vec<u8>) {
        let Some((_, opener)) = self.keys.as_mut().filter(|_| !self.is_puppet) else { return };
        let Ok(plaintext) = opener.open(&mut record) else {
            self.keys = None;
            return;
        };
        match self.crossing.as_mut().map_or(Ok(Fate::Deliver), |crossing| crossing.handle_record(plaintext)) {
            Ok(Fate::Deliver) => {}
            Ok(Fate::Drop) => return,
            Err(violation) => {
                self.error = Some(violation.into());
                return;
            }
        }
        let error = self.machine.handle_record(plaintext).err();
        self.error = self.error.or(error);
    }

    fn content(&self, file: u32) -> &[u8] {
        self.files[file as usize].as_ref().unwrap()
    }
}

impl ReceivingEnd {
    /// Says what is on disk when the manifest was accepted in an earlier generation.
    fn resume(&mut self) {
        if self.manifest.is_some() && !self.machine.is_complete() && matches!(self.consent, Consent::Accept) {
            let held = self.held();
            self.machine.handle_accept(held);
        }
    }

    /// What is on disk: whole files that are in place, and whole chunks of others.
    pub(crate) fn held(&mut self) -> Vec<Held> {
        let mut held = Vec::new();
        for (&file, bytes) in &mut self.disk {
            if !self.committed.contains(&file) {
                // The last chunk of a file that is not in place is fetched again, with the FILE_END behind it.
                let whole = bytes.len().saturating_sub(1) / CHUNK_LEN * CHUNK_LEN;
                bytes.truncate(whole);
            }
            let is_stream = self.manifest.as_ref().is_some_and(|manifest| manifest.is_stream());
            if is_stream {
                bytes.clear();
            } else if self.committed.contains(&file) || !bytes.is_empty() {
                held.push(Held { file, offset: bytes.len() as u64, digest: Some(sha256(bytes)) });
            }
        }
        held
    }

    /// Does what the machine wants done; bytes to write are those of the record just handled.
    pub(crate) fn act(&mut self, plaintext: &[u8], out: &mut VecDeque<Vec<u8>>) {
        let answers = self.perform(plaintext);
        for message in &answers {
            self.seal(message, out);
        }
    }

    fn perform(&mut self, plaintext: &[u8]) -> Vec<Message<'static>> {
        let mut answers = Vec::new();
        while let Some(output) = self.machine.poll_output() {
            match output {
                receiver::Output::Send(message) => answers.push(message),
                receiver::Output::Ask(manifest) => self.ask(manifest),
                receiver::Output::Write { file, offset, bytes } => {
                    let disk = self.disk.entry(file).or_default();
                    assert_eq!(disk.len() as u64, offset, "a hole in entry {file}");
                    disk.extend_from_slice(&plaintext[bytes]);
                }
                receiver::Output::WriteWhole { file, bytes, digest } => {
                    self.disk.insert(file, plaintext[bytes].to_vec());
                    self.commit(file, digest);
                }
                receiver::Output::Commit { file, len, digest } => {
                    assert_eq!(self.disk.entry(file).or_default().len() as u64, len);
                    self.commit(file, digest);
                }
                receiver::Output::GoOn { file, offset } => {
                    self.disk.get_mut(&file).unwrap().truncate(usize::try_from(offset).unwrap());
                }
                receiver::Output::StartOver { file } => {
                    self.disk.remove(&file);
                    self.committed.remove(&file);
                    self.started_over.push(file);
                }
                receiver::Output::Finish => self.machine.handle_finished(),
                receiver::Output::Done => assert!(self.machine.is_done()),
            }
        }
        answers
    }

    fn ask(&mut self, manifest: Arc<Manifest>) {
        self.manifest = Some(manifest);
        match self.consent {
            Consent::Accept => {
                let held = self.held();
                self.machine.handle_accept(held);
            }
            Consent::Decline => self.machine.handle_decline(DeclineReason::User),
            Consent::Hesitate => {}
        }
    }

    fn note_grant(&mut self, message: &Message<'_>) {
        if let Message::Start { credit: total, .. } | Message::Credit { total } = message {
            self.granted = self.granted.max(*total);
        }
    }

    pub(crate) fn seal(&mut self, message: &Message<'_>, out: &mut VecDeque<Vec<u8>>) {
        self.note_grant(message);
        if let Some((sealer, _)) = self.keys.as_mut() {
            out.push_back(seal(sealer, &encode(core::slice::from_ref(message))));
        }
    }

    pub(crate) fn take(&mut self, record: Vec<u8>, out: &mut VecDeque<Vec<u8>>) {
        let answers = self.take_silently(record);
        for message in &answers {
            self.seal(message, out);
        }
    }

    /// Takes a record, and gives what is to be answered.
    pub(crate) fn take_silently(&mut self, mut record: Vec<u8>) -> Vec<Message<'static>> {
        let len = record.len();
        let Some((_, opener)) = self.keys.as_mut().filter(|_| !self.is_puppet) else { return Vec::new() };
        let Ok(plaintext) = opener.open(&mut record) else {
            self.keys = None;
            return Vec::new();
        };
        match self.crossing.as_mut().map_or(Ok(Fate::Deliver), |crossing| crossing.handle_record(plaintext)) {
            Ok(Fate::Deliver) => {}
            Ok(Fate::Drop) => return Vec::new(),
            Err(violation) => {
                self.error = Some(violation.into());
                return Vec::new();
            }
        }
        let error = self.machine.handle_record(plaintext, len).err();
        self.error = self.error.or(error);
        self.unwritten.push_back(len);
        self.perform(plaintext)
    }

    /// Puts a file in place, if it is what the sender says it is.
    fn commit(&mut self, file: u32, digest: Sha256Digest) {
        if sha256(&self.disk[&file]) == digest {
            assert!(self.committed.insert(file), "entry {file} arrived twice");
        } else {
            self.machine.handle_abort(AbortReason::Integrity, Some(file));
        }
    }

    /// Lets the disk take one record.
    pub(crate) fn write_one(&mut self) -> bool {
        let Some(len) = self.unwritten.pop_front() else { return false };
        self.machine.handle_written(len);
        true
    }
}
