//! Bytes of files on their way into records: read by the page to where they will be sealed, and hashed there.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::output::Part;
use crate::manifest::Manifest;
use crate::message::{Batch, CHUNK_LEN, DATA_PREFIX_LEN, Message, Sha256Digest, data_prefix};
use crate::record::{HEADER_LEN, TAG_LEN};
use crate::transfer::sender::Read;

/// The bytes that are wanted next, and what they are for.
#[derive(Debug)]
pub(super) struct Reading {
    manifest: Arc<Manifest>,
    /// Header and message in front of the bytes, the bytes, and room for what follows them.
    draft: Vec<u8>,
    /// How many bytes are wanted, and where in the draft they go.
    wanted: Option<(usize, usize)>,
    purpose: Purpose,
    /// The file that is being sent, how much of it was, and its hash so far.
    current: Option<(u32, u64, Sha256)>,
    /// The beginning of each file that the receiver has asked about last, so that what comes behind it can be sent.
    prefixes: BTreeMap<u32, (u64, Sha256)>,
}

#[derive(Debug)]
enum Purpose {
    Nothing,
    Send(Read),
    /// The hash of the first `until` bytes of a file, of which `at` are hashed.
    Prove {
        file: u32,
        at: u64,
        until: u64,
        hash: Sha256,
    },
}

/// What the bytes that were read have become.
#[derive(Debug)]
pub(super) enum Product {
    /// A record to seal: a header to be filled in, a plaintext, and room for the tag.
    Record(Vec<u8>),
    /// The digest of a beginning.
    Prefix { file: u32, offset: u64, digest: Sha256Digest },
    /// A beginning is not read to its end yet.
    Unfinished,
}

impl Reading {
    pub(super) fn new(manifest: Arc<Manifest>) -> Self {
        let (wanted, current, prefixes) = (None, None, BTreeMap::new());
        Self { manifest, draft: Vec::new(), wanted, purpose: Purpose::Nothing, current, prefixes }
    }

    pub(super) fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// Whether the page has not brought yet what it was asked for.
    pub(super) fn is_waiting(&self) -> bool {
        self.wanted.is_some()
    }

    /// Forgets what the page was asked for.
    pub(super) fn stop(&mut self) {
        (self.wanted, self.purpose) = (None, Purpose::Nothing);
    }

    /// Where the bytes go that were asked for.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let (start, len) = self.wanted.unwrap_or_default();
        self.draft.get_mut(start..start + len).unwrap_or_default()
    }

    /// Asks for one record's worth of file. With it, so many bytes of all files are read. Nothing for one that goes on behind
    /// a beginning that was not proven last.
    pub(super) fn begin(&mut self, read: Read) -> Option<(Vec<Part>, u64)> {
        let (start, parts) = match &read {
            Read::Chunk { file, offset, .. } if !self.has_hash(*file, *offset) => return None,
            Read::Chunk { file, offset, len, .. } => {
                let start = if *len == 0 { HEADER_LEN } else { HEADER_LEN + DATA_PREFIX_LEN };
                (start, vec![Part { file: *file, offset: *offset, len: *len }])
            }
            Read::Batch { files } => {
                let part = |file: &u32| Part { file: *file, offset: 0, len: self.size(*file) };
                (0, files.iter().map(part).collect())
            }
        };
        let last = parts.last().map_or((0, 0), |part| (part.file, part.offset + part.len as u64));
        let len = parts.iter().map(|part| part.len).sum();
        self.draft.clear();
        self.draft.resize(start + len, 0);
        (self.wanted, self.purpose) = (Some((start, len)), Purpose::Send(read));
        Some((parts, self.size_before(last.0) + last.1))
    }

    /// Asks for the beginning of a file.
    pub(super) fn begin_prefix(&mut self, file: u32, offset: u64) -> Vec<Part> {
        self.prove(file, 0, offset, Sha256::new())
    }

    /// Asks for more of a beginning, if it is not read to its end.
    pub(super) fn go_on(&mut self) -> Option<Vec<Part>> {
        match std::mem::replace(&mut self.purpose, Purpose::Nothing) {
            Purpose::Prove { file, at, until, hash } => Some(self.prove(file, at, until, hash)),
            other @ (Purpose::Nothing | Purpose::Send(_)) => {
                self.purpose = other;
                None
            }
        }
    }

    /// The bytes are there.
    pub(super) fn finish(&mut self) -> Option<Product> {
        let (start, len) = self.wanted.take()?;
        match std::mem::replace(&mut self.purpose, Purpose::Nothing) {
            Purpose::Nothing => None,
            Purpose::Prove { file, at, until, mut hash } => {
                hash.update(self.draft.get(start..start + len)?);
                let at = at + len as u64;
                if at < until {
                    self.purpose = Purpose::Prove { file, at, until, hash };
                    return Some(Product::Unfinished);
                }
                self.prefixes.insert(file, (until, hash.clone()));
                Some(Product::Prefix { file, offset: until, digest: hash.finalize().into() })
            }
            Purpose::Send(Read::Chunk { file, offset, len: _, ends }) => self.chunk(file, offset, len, ends),
            Purpose::Send(Read::Batch { files }) => self.batch(&files),
        }
    }

    fn chunk(&mut self, file: u32, offset: u64, len: usize, ends: bool) -> Option<Product> {
        let mut hash = self.hash_at(file, offset)?;
        let mut record = std::mem::take(&mut self.draft);
        if len > 0 {
            let prefix = data_prefix(file, offset, len);
            record.get_mut(HEADER_LEN..HEADER_LEN + DATA_PREFIX_LEN)?.copy_from_slice(&prefix);
            hash.update(record.get(HEADER_LEN + DATA_PREFIX_LEN..)?);
        }
        let end = offset + len as u64;
        if ends {
            let digest = hash.finalize().into();
            Message::FileEnd { file, len: end, digest }.encode_into(&mut record);
        } else {
            self.current = Some((file, end, hash));
        }
        record.resize(record.len() + TAG_LEN, 0);
        Some(Product::Record(record))
    }

    fn batch(&mut self, files: &[u32]) -> Option<Product> {
        let bytes = std::mem::take(&mut self.draft);
        let mut rest = bytes.as_slice();
        let mut items = Vec::with_capacity(files.len());
        for &file in files {
            let (whole, after) = rest.split_at_checked(self.size(file))?;
            items.push((file, u32::try_from(whole.len()).ok()?, Sha256::digest(whole).into()));
            rest = after;
        }
        Some(Product::Record(super::super::connection::draft(&Message::Batch(Batch {
            items,
            bytes: bytes.into(),
        }))))
    }

    /// The hash of everything before `offset`: of the chunk before, or of a proven beginning.
    fn hash_at(&mut self, file: u32, offset: u64) -> Option<Sha256> {
        if offset == 0 {
            return Some(Sha256::new());
        }
        if let Some((.., hash)) = self.current.take_if(|(each, at, _)| (*each, *at) == (file, offset)) {
            return Some(hash);
        }
        self.prefixes.get(&file).filter(|(at, _)| *at == offset).map(|(_, hash)| hash.clone())
    }

    fn has_hash(&self, file: u32, offset: u64) -> bool {
        let is_current = self.current.as_ref().is_some_and(|(each, at, _)| (*each, *at) == (file, offset));
        offset == 0 || is_current || self.prefixes.get(&file).is_some_and(|(at, _)| *at == offset)
    }

    fn prove(&mut self, file: u32, at: u64, until: u64, hash: Sha256) -> Vec<Part> {
        let len = usize::try_from(until - at).map_or(CHUNK_LEN, |left| left.min(CHUNK_LEN));
        self.draft.clear();
        self.draft.resize(len, 0);
        (self.wanted, self.purpose) = (Some((0, len)), Purpose::Prove { file, at, until, hash });
        vec![Part { file, offset: at, len }]
    }

    fn size(&self, file: u32) -> usize {
        let entry = usize::try_from(file).ok().and_then(|file| self.manifest.entries().get(file));
        entry.and_then(|entry| usize::try_from(entry.kind.size()).ok()).unwrap_or(0)
    }

    /// How many bytes all files before this one have.
    fn size_before(&self, file: u32) -> u64 {
        let before = usize::try_from(file).unwrap_or(0);
        self.manifest.entries().iter().take(before).map(|entry| entry.kind.size()).sum()
    }
}
