//! What the transfer wants done, as outputs for the page: questions, writes and verified files.

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
    /// The file that is being written.
    file: Option<u32>,
    stored: Beginning,
    /// As much of it as whole chunks: from there another connection can go on.
    chunks: Beginning,
}

/// The first `len` bytes of a file.
#[derive(Clone, Debug, Default)]
struct Beginning {
    len: u64,
    hash: Sha256,
}

impl Progress {
    /// What the sender need not send again.
    pub(super) fn held(&self) -> Vec<Held> {
        let complete = self.complete.iter().map(|&(file, offset)| Held { file, offset, digest: None });
        let Beginning { len: offset, hash } = &self.chunks;
        let digest = Some(hash.clone().finalize().into());
        let begun = self.file.filter(|_| *offset > 0).map(|file| Held { file, offset: *offset, digest });
        complete.chain(begun).collect()
    }

    /// Whether writing at `offset` of `file` goes on where it was. If not, it does from now on.
    fn seek(&mut self, file: u32, offset: u64) -> bool {
        if self.file == Some(file) && self.stored.len == offset {
            return true;
        }
        let goes_on = self.file == Some(file) && self.chunks.len == offset;
        self.stored = if goes_on { self.chunks.clone() } else { Beginning::default() };
        let is_new = self.file.replace(file) != Some(file);
        self.chunks = self.stored.clone();
        is_new
    }

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let to_boundary = CHUNK_LEN as u64 - self.stored.len % CHUNK_LEN as u64;
            let to_boundary = usize::try_from(to_boundary).unwrap_or(CHUNK_LEN);
            let (part, rest) = bytes.split_at_checked(to_boundary).unwrap_or((bytes, &[]));
            self.stored.hash.update(part);
            self.stored.len += part.len() as u64;
            if self.stored.len.is_multiple_of(CHUNK_LEN as u64) {
                self.chunks = self.stored.clone();
            }
            bytes = rest;
        }
    }

    /// The digest of the file that is complete.
    fn finish(&mut self, file: u32, len: u64) -> Digest<Sha256> {
        let hash = if self.file.take() == Some(file) {
            std::mem::take(&mut self.stored).hash
        } else {
            Sha256::new()
        };
        (self.stored, self.chunks) = (Beginning::default(), Beginning::default());
        self.complete.push((file, len));
        hash.finalize()
    }
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
                receiver::Output::StartOver { file } => self.rewind(file, 0),
                receiver::Output::Finish => self.outbox.push_back(Output::Finish),
                receiver::Output::Done => self.outbox.push_back(Output::Done),
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
            is_text: manifest.purpose() == Purpose::Text,
            left_out: u32::try_from(links).unwrap_or(u32::MAX),
        });
        self.manifest = Some(manifest);
    }

    /// What is stored of the file is how the sender's begins. It may be all of it, of which nothing more is heard.
    fn go_on(&mut self, file: u32, offset: u64) {
        self.rewind(file, offset);
        if self.size(file) == Some(offset) {
            let sha256 = format!("{:x}", self.progress.finish(file, offset));
            self.outbox.push_back(Output::Commit { file, len: offset, sha256 });
        }
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
            self.outbox.push_back(Output::Commit { file, len, sha256: format!("{found:x}") });
        } else {
            self.machine.handle_abort(AbortReason::Integrity, Some(file));
            self.fail("damaged");
        }
    }

    fn size(&self, file: u32) -> Option<u64> {
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
    fn what_is_to_be_read_is_asked_about_as_a_text() {
        let ticket = Ticket::parse("48-2093").ok().unwrap();
        let mut session = Session::new(&ticket, &[7; 64]).ok().unwrap();
        let path = SafePath::parse("text.txt").unwrap();
        for (purpose, is_text) in [(Purpose::Files, false), (Purpose::Text, true)] {
            let entry =
                Entry { path: path.clone(), kind: EntryKind::File { size: 5 }, mode: 0o644, mtime: 0 };
            session.outbox.clear();
            session.ask(Arc::new(Manifest::new(purpose, vec![entry]).unwrap()));
            let asked: Value = serde_json::from_str(&session.poll().unwrap()).unwrap();
            assert_eq!((&asked["do"], &asked["isText"]), (&json!("ask"), &json!(is_text)));
        }
    }
}
