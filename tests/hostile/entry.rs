//! Manifests written by hand: the types of `wire` cannot hold what a hostile sender wants to say.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use wire::manifest::Purpose;
use wire::message::Message;

/// Longest body of one part, in bytes (PROTOCOL.md §8).
const PART_LEN: usize = 60_000;

/// One entry, with whatever in it.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) kind: u8,
    pub(super) mode: u16,
    pub(super) size: u64,
    pub(super) path: Vec<u8>,
    pub(super) target: Vec<u8>,
}

impl Raw {
    /// A file of `size` bytes.
    pub(super) fn file(path: impl AsRef<[u8]>, size: u64) -> Self {
        Self { kind: 1, mode: 0o644, size, path: path.as_ref().to_vec(), target: Vec::new() }
    }

    /// Something else than a file.
    pub(super) fn other(kind: u8, path: impl AsRef<[u8]>) -> Self {
        Self { kind, ..Self::file(path, 0) }
    }

    /// A symbolic link.
    pub(super) fn link(path: &str, target: &str) -> Self {
        Self { target: target.as_bytes().to_vec(), ..Self::other(3, path) }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind);
        out.extend_from_slice(&self.mode.to_be_bytes());
        out.extend_from_slice(&1_700_000_000_i64.to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        for text in [&self.path, &self.target] {
            out.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
            out.extend_from_slice(text);
        }
    }
}

/// A manifest as messages, with the digest that belongs to it.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) messages: Vec<Message<'static>>,
    pub(super) digest: [u8; 32],
}

/// The manifest of these entries, in their order, however wrong.
pub(super) fn offer(entries: &[Raw]) -> Offer {
    let mut hasher = Sha256::new_with_prefix([Purpose::Files.to_byte()]);
    let (mut messages, mut part, mut total) = (Vec::new(), Vec::new(), 0_u64);
    for entry in entries {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        hasher.update(&bytes);
        total = total.wrapping_add(entry.size);
        if part.len() + bytes.len() > PART_LEN {
            messages.push(manifest_part(std::mem::take(&mut part)));
        }
        part.append(&mut bytes);
    }
    messages.push(manifest_part(part));
    let digest = hasher.finalize().into();
    let count = u32::try_from(entries.len()).unwrap();
    messages.push(Message::ManifestEnd { entries: count, total_size: total, digest });
    Offer { messages, digest }
}

/// One part, of any bytes.
pub(super) fn manifest_part(entries: Vec<u8>) -> Message<'static> {
    Message::ManifestPart { purpose: Purpose::Files, entries: Cow::Owned(entries) }
}
