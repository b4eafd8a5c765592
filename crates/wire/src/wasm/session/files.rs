//! What the transfer wants done, as outputs for the page: questions, writes and verified files.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::digest::Output as Digest;
use sha2::{Digest as _, Sha256};

use super::super::output::Output;
use super::Session;
use crate::manifest::{EntryKind, Manifest, Purpose};
use crate::message::{AbortReason, CHUNK_LEN, Sha256Digest};
use crate::record::HEADER_LEN;
use crate::transfer::receiver::{self, Held};

/// What is stored of all files. They come one after the other.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Verified files and their lengths.
    complete: Vec<(u32, u64)>,
    /// The file that is being written, and what is stored of it.
    file: Option<u32>,
    stored: Stored,
    /// What was stored by an instance before this one and is not begun yet, by file.
    earlier: BTreeMap<u32, Beginning>,
    /// What was read so far of one of those.
    read: Stored,
}

/// What is stored of one file.
#[derive(Debug, Default)]
struct Stored {
    all: Beginning,
    /// As much of it as whole chunks: from there another connection can go on.
    chunks: Beginning,
}

/// The first `len` bytes of a file.
#[derive(Clone, Debug, Default)]
struct Beginning {
    len: u64,
    hash: Sha256,
}

impl Stored {
    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let to_boundary = CHUNK_LEN as u64 - self.all.len % CHUNK_LEN as u64;
            let to_boundary = usize::try_from(to_boundary).unwrap_or(CHUNK_LEN);
            let (part, rest) = bytes.split_at_checked(to_boundary).unwrap_or((bytes, &[]));
            self.all.hash.update(part);
            self.all.len += part.len() as u64;
            if self.all.len.is_multiple_of(CHUNK_LEN as u64) {
                self.chunks = self.all.clone();
            }
            bytes = rest;
        }
    }
}

impl From<Beginning> for Stored {
    /// Where one can go on.
    fn from(beginning: Beginning) -> Self {
        Self { all: beginning.clone(), chunks: beginning }
    }
}

impl Beginning {
    fn held(&self, file: u32) -> Held {
        Held { file, offset: self.len, digest: Some(self.hash.clone().finalize().into()) }
    }
}

impl Progress {
    /// What the sender need not send again, ascending by file.
    pub(super) fn held(&self) -> Vec<Held> {
        let complete = self.complete.iter().map(|&(file, offset)| Held { file, offset, digest: None });
        let begun =
            self.file.filter(|_| self.stored.chunks.len > 0).map(|file| self.stored.chunks.held(file));
        let earlier = self.earlier.iter().map(|(&file, beginning)| beginning.held(file));
        let mut held: Vec<_> = complete.chain(begun).chain(earlier).collect();
        held.sort_by_key(|held| held.file);
        held
    }

    /// The next bytes of a file that is stored were read.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.read.append(bytes);
    }

    /// What was read is how `file`, which has `size` bytes, begins in the storage. How much of that is of use.
    pub(super) fn hold(&mut self, file: u32, size: u64) -> u64 {
        let Stored { all, chunks } = std::mem::take(&mut self.read);
        let beginning = if all.len == size { all } else { chunks };
        let len = beginning.len;
        if len > 0 && len <= size {
            self.earlier.insert(file, beginning);
        }
        len
    }

    /// What is stored of this file is not the sender's.
    fn forget(&mut self, file: u32) {
        self.earlier.remove(&file);
    }

    /// The digest of a file that an earlier instance has stored as a whole.
    fn finish_earlier(&mut self, file: u32, len: u64) -> Option<Digest<Sha256>> {
        let beginning = self.earlier.remove(&file).filter(|beginning| beginning.len == len)?;
        self.complete.push((file, len));
        Some(beginning.hash.finalize())
    }

    /// Whether the next byte that is written without being told where goes to `offset` of `file`. If not, it has to be told.
    fn seek(&mut self, file: u32, offset: u64) -> bool {
        if self.file == Some(file) && self.stored.all.len == offset {
            return true;
        }
        let earlier = self.earlier.remove(&file).filter(|beginning| beginning.len == offset);
        let chunks = std::mem::take(&mut self.stored).chunks;
        let goes_on = self.file == Some(file) && chunks.len == offset;
        let is_new = self.file.replace(file) != Some(file);
        let is_told = earlier.is_none() && is_new;
        self.stored = if goes_on { chunks } else { earlier.unwrap_or_default() }.into();
        is_told
    }

    fn append(&mut self, bytes: &[u8]) {
        self.stored.append(bytes);
    }

    /// The digest of the file that is complete.
    fn finish(&mut self, file: u32, len: u64) -> Digest<Sha256> {
        let stored = std::mem::take(&mut self.stored);
        let is_begun = self.file.take() == Some(file);
        self.complete.push((file, len));
        if is_begun { stored.all.hash } else { Sha256::new() }.finalize()
    }
}

/// Names what is stored of a file of this path and size, whoever sends it.
pub(super) fn key(path: &str, size: u64) -> String {
    let digest = Sha256::new().chain_update(size.to_be_bytes()).chain_update(path).finalize();
    format!("{digest:x}").split_at_checked(32).map(|(key, _)| key.to_owned()).unwrap_or_default()
}

impl Session {
    /// Turns what the machine wants into what the page has to do. Whether there was anything to write.
    pub(super) fn work(&mut self, plaintext: &[u8]) -> bool {
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
                receiver::Output::GoOn { file, offset } => self.go_on(file, offset),
                receiver::Output::StartOver { file } => self.progress.forget(file),
                receiver::Output::Finish => self.outbox.push_back(Output::Finish),
                receiver::Output::Done => self.outbox.push_back(Output::Done),
            }
        }
        has_writes
    }

    fn ask(&mut self, manifest: Arc<Manifest>) {
        let is_link = |kind: &EntryKind| matches!(kind, EntryKind::Symlink { .. });
        let links = manifest.entries().iter().filter(|entry| is_link(&entry.kind)).count();
        let words = self.connection().and_then(|connection| connection.words());
        self.outbox.push_back(Output::Ask {
            files: manifest.file_count(),
            size: manifest.total_size(),
            is_stream: manifest.is_stream(),
            is_text: manifest.purpose() == Purpose::Text,
            left_out: u32::try_from(links).unwrap_or(u32::MAX),
            words,
        });
        self.manifest = Some(manifest);
    }

    /// What is stored of the file is how the sender's begins. It may be all of it, of which nothing more is heard; for the
    /// rest it has its turn later.
    fn go_on(&mut self, file: u32, offset: u64) {
        if self.size(file) != Some(offset) {
            return;
        }
        let earlier = self.progress.finish_earlier(file, offset);
        let is_held = earlier.is_some();
        let found = earlier.unwrap_or_else(|| {
            self.rewind(file, offset);
            self.progress.finish(file, offset)
        });
        self.outbox.push_back(Output::Commit { file, len: offset, sha256: format!("{found:x}"), is_held });
    }

    fn rewind(&mut self, file: u32, offset: u64) {
        if !self.progress.seek(file, offset) {
            self.outbox.push_back(Output::Rewind { file, offset });
        }
    }

    fn write(&mut self, file: u32, offset: u64, plaintext: &[u8], bytes: core::ops::Range<usize>) {
        let (start, len) = (HEADER_LEN + bytes.start, bytes.len());
        self.rewind(file, offset);
        self.progress.append(plaintext.get(bytes).unwrap_or_default());
        if len > 0 {
            self.outbox.push_back(Output::Write { file, start, len });
        }
    }

    fn commit(&mut self, file: u32, len: u64, digest: &Sha256Digest) {
        let found = self.progress.finish(file, len);
        if found[..] == *digest {
            let sha256 = format!("{found:x}");
            self.outbox.push_back(Output::Commit { file, len, sha256, is_held: false });
        } else {
            self.machine.handle_abort(AbortReason::Integrity, Some(file));
            self.fail("damaged");
        }
    }

    pub(super) fn size(&self, file: u32) -> Option<u64> {
        let entry = self.manifest.as_ref()?.entries().get(usize::try_from(file).ok()?)?;
        Some(entry.kind.size()).filter(|_| !matches!(entry.kind, EntryKind::Stream))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::manifest::Entry;
    use crate::safe_path::SafePath;
    use crate::wasm::ticket::Ticket;

    fn digest(bytes: &[u8]) -> Sha256Digest {
        Sha256::digest(bytes).into()
    }

    #[test]
    fn a_file_goes_on_from_its_last_whole_chunk_whatever_came_behind_it() {
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * CHUNK_LEN + 7).collect();
        let mut progress = Progress::default();
        assert!(progress.seek(3, 0), "nothing to take back");
        for part in bytes.chunks(1_000) {
            progress.append(part);
        }
        let whole = 2 * CHUNK_LEN as u64;
        let held = Held { file: 3, offset: whole, digest: Some(digest(&bytes[..2 * CHUNK_LEN])) };
        assert_eq!(progress.held(), [held]);
        assert!(!progress.seek(3, whole), "seven bytes have to be taken back");
        progress.append(b"another end");
        let expected = [&bytes[..2 * CHUNK_LEN], b"another end"].concat();
        assert_eq!(progress.finish(3, whole + 11)[..], digest(&expected));
        assert_eq!(progress.held(), [Held { file: 3, offset: whole + 11, digest: None }]);
    }

    #[test]
    fn a_file_that_is_not_the_senders_starts_over() {
        let mut progress = Progress::default();
        progress.seek(0, 0);
        progress.append(&vec![1; CHUNK_LEN]);
        assert!(!progress.seek(0, 0), "everything has to be taken back");
        assert_eq!(progress.held(), []);
        progress.append(b"new");
        assert_eq!(progress.finish(0, 3)[..], digest(b"new"));
    }

    #[test]
    fn what_an_earlier_page_stored_is_offered_until_it_is_begun() {
        let mut progress = Progress::default();
        // All of one file, whole chunks of another, and nothing of a third.
        for (file, len, size, kept) in
            [(5, CHUNK_LEN + 9, 80_000, CHUNK_LEN), (2, 7, 7, 7), (9, 60_000, 80_000, 0)]
        {
            progress.read(&vec![1; len]);
            assert_eq!(progress.hold(file, size), kept as u64);
        }
        let of = |file, len| Held { file, offset: len as u64, digest: Some(digest(&vec![1; len])) };
        assert_eq!(progress.held(), [of(2, 7), of(5, CHUNK_LEN)]);
        assert_eq!(progress.finish_earlier(2, 7).unwrap()[..], digest(&[1; 7]), "complete as it is");
        assert_eq!(progress.held(), [Held { file: 2, offset: 7, digest: None }, of(5, CHUNK_LEN)]);
        assert!(progress.seek(3, 0), "a new file begins at its beginning");
        progress.finish(3, 0);
        assert!(!progress.seek(5, CHUNK_LEN as u64), "the storage has to be told where it goes on");
        progress.append(b"end");
        let whole = [vec![1; CHUNK_LEN], b"end".to_vec()].concat();
        assert_eq!(progress.finish(5, whole.len() as u64)[..], digest(&whole));
        progress.read(b"other");
        progress.hold(7, 5);
        progress.forget(7);
        assert!(progress.seek(7, 0), "what is not the sender's is forgotten");
        progress.append(b"new");
        assert_eq!(progress.finish(7, 3)[..], digest(b"new"));
    }

    #[test]
    fn what_is_to_be_read_is_asked_about_as_a_text() {
        let ticket = Ticket::parse("48-2093").ok().unwrap();
        let mut session = Session::new(&ticket, &[7; 64]).ok().unwrap();
        let path = SafePath::parse("text.txt").unwrap();
        for (purpose, is_text) in [(Purpose::Files, false), (Purpose::Text, true)] {
            let entry =
                Entry { path: path.clone(), kind: EntryKind::File { size: 5 }, mode: 0o644, mtime: 0 };
            session.outbox.clear();
            session.ask(Arc::new(Manifest::new(purpose, &[entry]).unwrap()));
            let asked: Value = serde_json::from_str(&session.poll().unwrap()).unwrap();
            assert_eq!((&asked["do"], &asked["isText"]), (&json!("ask"), &json!(is_text)));
        }
    }
}
