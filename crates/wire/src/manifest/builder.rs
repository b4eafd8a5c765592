//! How a manifest comes to be: entry by entry, refused at the first one that does not fit.

use sha2::{Digest, Sha256};

use crate::manifest::names::Names;
use crate::manifest::{
    Entries, Entry, EntryKind, MAX_ENCODED_LEN, MAX_ENTRIES, MAX_PART_LEN, MAX_TEXT_LEN, Manifest,
    ManifestError, Purpose,
};

/// Collects the parts of a manifest as they arrive, checking each entry against all before it.
///
/// Memory grows with what arrived, never with what was announced. After an error the builder is of no further use.
#[derive(Debug)]
pub struct ManifestBuilder {
    purpose: Purpose,
    entries: Entries,
    names: Names,
    hasher: Sha256,
    scratch: Vec<u8>,
    encoded_len: usize,
    total_size: u64,
    file_count: u32,
}

impl ManifestBuilder {
    /// A builder without entries.
    pub fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            entries: Entries::default(),
            names: Names::default(),
            hasher: Sha256::new_with_prefix([purpose.to_byte()]),
            scratch: Vec::new(),
            encoded_len: 0,
            total_size: 0,
            file_count: 0,
        }
    }

    /// Adds the entries of one part.
    ///
    /// # Errors
    /// The [`ManifestError`] of the part, or of the first entry in it that breaks a rule or contradicts an earlier one.
    pub fn push_part(&mut self, part: &[u8]) -> Result<(), ManifestError> {
        if part.is_empty() || part.len() > MAX_PART_LEN {
            return Err(ManifestError::PartLen { len: part.len() });
        }
        let mut rest = part;
        while !rest.is_empty() {
            let entry = Entry::decode(&mut rest, self.entries.len())?;
            self.push(&entry)?;
        }
        Ok(())
    }

    /// Adds one entry.
    ///
    /// # Errors
    /// The [`ManifestError`] of an entry that breaks a rule or contradicts an earlier one.
    pub fn push(&mut self, entry: &Entry) -> Result<(), ManifestError> {
        let index = self.entries.len();
        if index >= MAX_ENTRIES {
            return Err(ManifestError::TooManyEntries);
        }
        entry.check(index)?;
        self.check_company(entry)?;
        let encoded_len = self.encoded_len + entry.encoded_len();
        if encoded_len > MAX_ENCODED_LEN {
            return Err(ManifestError::TooLong);
        }
        let total_size = self.total_size.checked_add(entry.kind.size());
        let total_size = total_size.ok_or(ManifestError::TotalSize { index })?;
        self.names.insert(&self.entries, entry)?;

        self.scratch.clear();
        entry.encode(&mut self.scratch);
        self.hasher.update(&self.scratch);
        self.encoded_len = encoded_len;
        self.total_size = total_size;
        self.file_count += u32::from(entry.kind.has_content());
        self.entries.push(entry);
        Ok(())
    }

    /// What the transfer is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// How many entries there are so far.
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// The manifest, if it is the one that was announced.
    ///
    /// # Errors
    /// [`ManifestError::Mismatch`] when count, total size or digest differ; [`ManifestError::Empty`].
    pub fn finish(
        self,
        entry_count: u32,
        total_size: u64,
        digest: [u8; 32],
    ) -> Result<Manifest, ManifestError> {
        let manifest = self.seal()?;
        let is_announced = u32::try_from(manifest.entries.len()) == Ok(entry_count)
            && manifest.total_size == total_size
            && manifest.digest == digest;
        if is_announced { Ok(manifest) } else { Err(ManifestError::Mismatch) }
    }

    /// The manifest of what was added.
    ///
    /// # Errors
    /// [`ManifestError::Empty`].
    pub fn seal(self) -> Result<Manifest, ManifestError> {
        if self.entries.is_empty() {
            return Err(ManifestError::Empty);
        }
        let Self { purpose, entries, hasher, total_size, file_count, .. } = self;
        Ok(Manifest { purpose, entries, digest: hasher.finalize().into(), total_size, file_count })
    }

    /// Checks what an entry may stand beside, and what the purpose allows.
    fn check_company(&self, entry: &Entry) -> Result<(), ManifestError> {
        let index = self.entries.len();
        if self.purpose == Purpose::Text {
            return match entry.kind {
                EntryKind::File { size } if size > MAX_TEXT_LEN => Err(ManifestError::Size { index, size }),
                EntryKind::File { .. } if index == 0 => Ok(()),
                EntryKind::File { .. }
                | EntryKind::Directory
                | EntryKind::Symlink { .. }
                | EntryKind::Stream => Err(ManifestError::NotAText { index }),
            };
        }
        let follows_stream = index == 1 && self.entries.kind(0) == Some(EntryKind::Stream);
        let is_late_stream = entry.kind == EntryKind::Stream && index > 0;
        if follows_stream || is_late_stream { Err(ManifestError::StreamNotAlone { index }) } else { Ok(()) }
    }
}
