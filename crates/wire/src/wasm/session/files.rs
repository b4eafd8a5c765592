//! What the transfer wants done, as outputs for the page: questions, writes and verified files.

use std::sync::Arc;

use sha2::Digest as _;

use crate::manifest::{EntryKind, Manifest};
use crate::message::{AbortReason, Sha256Digest};
use crate::record::HEADER_LEN;
use crate::transfer::receiver;

use super::super::output::Output;
use super::Session;

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
                receiver::Output::Finish => self.outbox.push_back(Output::Finish),
                receiver::Output::Done => self.outbox.push_back(Output::Done),
                // The page offers no beginning of its own.
                receiver::Output::GoOn { .. } | receiver::Output::StartOver { .. } => {}
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
        let found = self.hash.finalize_reset();
        if found[..] == *digest {
            self.outbox.push_back(Output::Commit { file, len, sha256: format!("{found:x}") });
        } else {
            self.machine.handle_abort(AbortReason::Integrity, Some(file));
            self.fail("damaged");
        }
    }
}
