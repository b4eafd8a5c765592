//! What can go wrong while saving.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why something could not be saved. Paths begin with the output directory as the user gave it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The disk or the user's quota is full.
    #[error("no space left for `{}`, of which {kept_len} bytes are kept", path.display())]
    NoSpace {
        /// The file that did not fit.
        path: PathBuf,
        /// Bytes of it that are in its partial.
        kept_len: u64,
    },
    /// The output directory is on a read-only file system.
    #[error("`{}` is on a read-only file system", path.display())]
    ReadOnly {
        /// What was to be created.
        path: PathBuf,
    },
    /// The user may not write there.
    #[error("no permission to {operation} `{}`", path.display())]
    Denied {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The output directory does not exist.
    #[error("directory `{}` does not exist", path.display())]
    Missing {
        /// The output directory as it was given.
        path: PathBuf,
    },
    /// A link or a file is where a directory must be.
    #[error("`{}` is not a directory, or a link to one", path.display())]
    NotADirectory {
        /// What is in the way, or the path that leads through it.
        path: PathBuf,
    },
    /// Every name tried is taken.
    #[error("`{}` and all its numbered names exist", path.display())]
    Exists {
        /// The first name tried.
        path: PathBuf,
    },
    /// The manifest has a symbolic link and [`Symlinks::Refuse`](crate::storage::Symlinks::Refuse) holds.
    #[error("`{}` is a symbolic link", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// More bytes came than were declared. None of the excess was written.
    #[error("`{}` was declared as {declared} bytes and is longer", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its declared size.
        declared: u64,
    },
    /// The file ended before its declared size, or not where its end was announced.
    #[error("`{}` ends after {len} bytes, not {expected}", path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Bytes written.
        len: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// The bytes are not those the sender's digest is of. They are not kept.
    #[error("`{}` does not match its digest", path.display())]
    DigestMismatch {
        /// The file.
        path: PathBuf,
    },
    /// A chunk does not begin where the bytes written end.
    #[error("chunk of `{}` begins at {offset}, expected at {expected}", path.display())]
    OutOfOrder {
        /// The file.
        path: PathBuf,
        /// Where the chunk says it begins.
        offset: u64,
        /// Bytes written.
        expected: u64,
    },
    /// An entry that does not exist, has no contents, or is not the one whose turn it is.
    #[error("entry {entry} of the manifest takes no data")]
    UnexpectedEntry {
        /// Its index.
        entry: usize,
    },
    /// Not everything in the manifest has arrived.
    #[error("{missing_count} files have not arrived")]
    Incomplete {
        /// How many files are missing.
        missing_count: usize,
    },
    /// Something else was put in the place of a partial, or of a directory made by this transfer.
    #[error("`{}` was replaced by something else", path.display())]
    Replaced {
        /// The partial or directory.
        path: PathBuf,
    },
    /// Anything else the system says.
    #[error("cannot {operation} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
}

impl SinkError {
    /// Gives the system's error about `operation` on `path` its name here.
    pub(in crate::storage) fn new(
        operation: &'static str,
        path: impl AsRef<Path>,
        source: io::Error,
    ) -> Self {
        let path = path.as_ref().to_path_buf();
        // The kinds are those of ENOSPC, EDQUOT, EROFS, EACCES and EPERM, ENOTDIR, EEXIST; the rest stays as it is.
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::NoSpace { path, kept_len: 0 }
        } else if source.kind() == io::ErrorKind::ReadOnlyFilesystem {
            Self::ReadOnly { path }
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            Self::Denied { operation, path }
        } else if source.kind() == io::ErrorKind::NotADirectory {
            Self::NotADirectory { path }
        } else if source.kind() == io::ErrorKind::AlreadyExists {
            Self::Exists { path }
        } else {
            Self::Io { operation, path, source }
        }
    }

    /// Says how much of the file is in its partial.
    pub(in crate::storage) fn with_kept(self, len: u64) -> Self {
        if let Self::NoSpace { path, .. } = self { Self::NoSpace { path, kept_len: len } } else { self }
    }
}
