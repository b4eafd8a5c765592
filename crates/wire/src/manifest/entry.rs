//! One entry of a manifest: its fields, its bytes, and the rules that concern it alone.

use crate::manifest::ManifestError;
use crate::safe_path::{SafePath, check_name};

/// One thing to be created at the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where, relative to the directory that receives.
    pub path: SafePath,
    /// What.
    pub kind: EntryKind,
    /// Permission bits, at most `0o777`.
    pub mode: u16,
    /// Time of last modification in seconds since 1970-01-01 UTC; may be negative.
    pub mtime: i64,
}

/// What an entry is. There is no kind for hard links, devices and sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Its size in bytes, below 2^63.
        size: u64,
    },
    /// A directory. Directories need not be listed to have entries below them.
    Directory,
    /// A symbolic link that stays inside its top-level directory.
    Symlink {
        /// What it points to, relative to where it stands: any number of `..`, then names, joined by `/`.
        target: String,
    },
    /// Content of unknown size; always the only entry.
    Stream,
}

impl EntryKind {
    /// The size in bytes as far as it is known beforehand: 0 for all but files.
    pub fn size(&self) -> u64 {
        match self {
            Self::File { size } => *size,
            Self::Directory | Self::Symlink { .. } | Self::Stream => 0,
        }
    }

    /// Whether bytes travel for it.
    pub fn has_content(&self) -> bool {
        match self {
            Self::File { .. } | Self::Stream => true,
            Self::Directory | Self::Symlink { .. } => false,
        }
    }

    pub(super) fn to_byte(&self) -> u8 {
        match self {
            Self::File { .. } => 1,
            Self::Directory => 2,
            Self::Symlink { .. } => 3,
            Self::Stream => 4,
        }
    }

    fn target(&self) -> &str {
        match self {
            Self::Symlink { target } => target,
            Self::File { .. } | Self::Directory | Self::Stream => "",
        }
    }
}

impl Entry {
    /// Bytes of an entry besides path and target: `1 + 2 + 8 + 8 + 2 + 2`.
    const FIXED_LEN: usize = 23;

    /// Length of the encoding in bytes.
    pub(super) fn encoded_len(&self) -> usize {
        Self::FIXED_LEN + self.path.as_str().len() + self.kind.target().len()
    }

    /// Appends the entry, integers big-endian:
    /// `kind u8 ‖ mode u16 ‖ mtime i64 ‖ size u64 ‖ path_len u16 ‖ path ‖ target_len u16 ‖ target`.
    ///
    /// The entry has passed [`Entry::check`], so both lengths fit 16 bits.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind.to_byte());
        out.extend_from_slice(&self.mode.to_be_bytes());
        out.extend_from_slice(&self.mtime.to_be_bytes());
        out.extend_from_slice(&self.kind.size().to_be_bytes());
        for text in [self.path.as_str(), self.kind.target()] {
            let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// Takes entry number `index` from the front of `bytes`.
    ///
    /// The encoding of an entry is unique: what decodes is encoded to the same bytes. [`Entry::check`] is still due.
    pub(super) fn decode(bytes: &mut &[u8], index: usize) -> Result<Self, ManifestError> {
        let fields = Fields::take(bytes).ok_or(ManifestError::Truncated { index })?;
        let path =
            SafePath::from_bytes(fields.path).map_err(|source| ManifestError::Path { index, source })?;
        let kind = match (fields.kind, fields.size, fields.target) {
            (1, size, []) => EntryKind::File { size },
            (2, 0, []) => EntryKind::Directory,
            (3, 0, target) => {
                let target = core::str::from_utf8(target).map_err(|_| ManifestError::Target { index })?;
                EntryKind::Symlink { target: target.to_owned() }
            }
            (4, 0, []) => EntryKind::Stream,
            (1..=4, ..) => return Err(ManifestError::Superfluous { index }),
            (kind, ..) => return Err(ManifestError::UnknownKind { index, kind }),
        };
        Ok(Self { path, kind, mode: fields.mode, mtime: fields.mtime })
    }

    /// Checks the rules that concern this entry, number `index`, alone.
    pub(super) fn check(&self, index: usize) -> Result<(), ManifestError> {
        if self.mode > 0o777 {
            return Err(ManifestError::Mode { index, mode: self.mode });
        }
        match &self.kind {
            EntryKind::File { size } if i64::try_from(*size).is_err() => {
                Err(ManifestError::Size { index, size: *size })
            }
            EntryKind::Symlink { target } if !stays_inside(&self.path, target) => {
                Err(ManifestError::Target { index })
            }
            EntryKind::File { .. } | EntryKind::Directory | EntryKind::Symlink { .. } | EntryKind::Stream => {
                Ok(())
            }
        }
    }
}

/// The fields of an encoded entry, not looked at.
struct Fields<'a> {
    kind: u8,
    mode: u16,
    mtime: i64,
    size: u64,
    path: &'a [u8],
    target: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Takes the fields of one entry from the front of `bytes`, or `None` when they end early.
    fn take(bytes: &mut &'a [u8]) -> Option<Self> {
        Some(Self {
            kind: u8::from_be_bytes(take_array(bytes)?),
            mode: u16::from_be_bytes(take_array(bytes)?),
            mtime: i64::from_be_bytes(take_array(bytes)?),
            size: u64::from_be_bytes(take_array(bytes)?),
            path: take_text(bytes)?,
            target: take_text(bytes)?,
        })
    }
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (array, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*array)
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = u16::from_be_bytes(take_array(bytes)?);
    let (text, rest) = bytes.split_at_checked(len.into())?;
    *bytes = rest;
    Some(text)
}

/// Whether a link at `path` to `target` leads to a place below the top-level name of `path`, whatever the other
/// entries are.
///
/// `..` is allowed in front only. There it climbs through directories of the tree, which are real: nothing lies below
/// a link. After a name it could climb from wherever a link of that name leads.
fn stays_inside(path: &SafePath, target: &str) -> bool {
    if target.len() > SafePath::MAX_LEN {
        return false;
    }
    let names = target.split('/').skip_while(|name| *name == "..");
    let climbed = target.split('/').take_while(|name| *name == "..").count();
    let left = (path.depth() - 1).checked_sub(climbed);
    left.is_some_and(|left| left >= 1) && names.clone().all(|name| check_name(name).is_ok())
}
