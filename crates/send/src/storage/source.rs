//! The sending end on disk: paths become a manifest, and its files chunks.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use thiserror::Error;
use wire::manifest::{Entry, EntryKind, Manifest, ManifestError, Purpose};
use wire::safe_path::PathError;

use super::Symlinks;
use super::descent::{Descent, Missing};
use super::digest::Hasher;
use super::walk::{Fingerprint, Notices, Origins, Walk};

/// The files and directories to be sent, as they were when they were walked.
///
/// Walking looks at names and attributes only: no file is read before [`SourceReader`] is asked for its bytes.
#[derive(Debug)]
pub struct Source {
    manifest: Arc<Manifest>,
    origins: Arc<Origins>,
    notices: Notices,
}

/// How a tree is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SourceOptions {
    /// What happens to symbolic links inside directories. One named by the user is followed in any case.
    pub symlinks: Symlinks,
}

impl Source {
    /// Walks `paths` in their order, what is in a directory in the order of its names.
    ///
    /// Each path keeps its own last name (`.` and `..` that of the directory they are); a name that is not portable or
    /// taken by an earlier path is changed, which [`Source::notices`] tells.
    ///
    /// # Errors
    /// [`SourceError::Missing`], [`SourceError::Unreadable`], [`SourceError::Special`], [`SourceError::Unnameable`],
    /// [`SourceError::Path`], [`SourceError::TooMany`] for something that cannot be sent; what the system says.
    pub fn open(paths: &[PathBuf], options: SourceOptions) -> Result<Self, SourceError> {
        let mut walk = Walk::new(options.symlinks);
        for path in paths {
            walk.add(path)?;
        }
        let (entries, origins, notices) = walk.finish();
        if entries.is_empty() {
            return Err(SourceError::Nothing);
        }
        let manifest = Manifest::new(Purpose::Files, entries)?;
        Ok(Self { manifest: Arc::new(manifest), origins: Arc::new(origins), notices })
    }

    /// What is to be sent.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// What was left behind or renamed.
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// A reader of its files; it may go to another thread.
    pub fn reader(&self) -> SourceReader {
        SourceReader {
            manifest: Arc::clone(&self.manifest),
            origins: Arc::clone(&self.origins),
            tree: None,
            current: None,
        }
    }
}

/// Reads the files of a [`Source`]. Reading one file from front to back is the fast path.
#[derive(Debug)]
pub struct SourceReader {
    manifest: Arc<Manifest>,
    origins: Arc<Origins>,
    /// The tree read from last, by the number of its argument.
    tree: Option<(usize, Descent)>,
    current: Option<Reading>,
}

/// The file being read.
#[derive(Debug)]
struct Reading {
    entry: usize,
    file: File,
    position: u64,
    walked: Fingerprint,
}

impl SourceReader {
    /// Fills `buf` with the bytes of `entry` from `offset` on, and returns how many there are: fewer than `buf` holds
    /// only at the end of the file.
    ///
    /// When the file is opened and when its last byte is read, it is compared with what was walked: same file, size
    /// and time of modification.
    ///
    /// # Errors
    /// [`SourceError::Changed`] when it is not the file that was walked, or longer or shorter;
    /// [`SourceError::OutOfRange`] when there is no such entry or offset; [`SourceError::Unreadable`];
    /// [`SourceError::Io`].
    pub fn read_chunk(&mut self, entry: usize, offset: u64, buf: &mut [u8]) -> Result<usize, SourceError> {
        let mut reading = match self.current.take_if(|reading| reading.entry == entry) {
            Some(reading) => reading,
            None => self.open(entry)?,
        };
        let Some(left) = reading.walked.size.checked_sub(offset) else {
            return Err(SourceError::OutOfRange { entry, offset });
        };
        let wanted = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let outcome = buf.get_mut(..wanted).map_or(Ok(()), |buf| reading.read(offset, buf));
        outcome.map_err(|error| self.failed("read", entry, error))?;
        if reading.position < reading.walked.size {
            self.current = Some(reading);
        } else if !reading.is_unchanged().map_err(|error| self.failed("read", entry, error))? {
            return Err(SourceError::Changed { path: self.path(entry) });
        }
        Ok(wanted)
    }

    /// Hashes the first `len` bytes of `entry`. The hasher can go on with the bytes after them.
    ///
    /// # Errors
    /// As [`SourceReader::read_chunk`].
    pub fn hash_prefix(&mut self, entry: usize, len: u64) -> Result<Hasher, SourceError> {
        let mut hasher = Hasher::default();
        let mut buf = vec![0; PREFIX_READ_LEN];
        let mut offset = 0;
        while offset < len {
            let wanted = usize::try_from(len - offset).map_or(buf.len(), |left| left.min(buf.len()));
            let read = self.read_chunk(entry, offset, buf.get_mut(..wanted).unwrap_or_default())?;
            if read == 0 {
                return Err(SourceError::OutOfRange { entry, offset: len });
            }
            hasher.update(buf.get(..read).unwrap_or_default());
            offset += read as u64;
        }
        Ok(hasher)
    }

    fn open(&mut self, entry: usize) -> Result<Reading, SourceError> {
        let walked = match self.manifest.entries().get(entry) {
            Some(Entry { kind: EntryKind::File { size }, mtime, .. }) => {
                self.origins.fingerprint(entry, *size, *mtime)
            }
            Some(_) | None => None,
        };
        let walked = walked.ok_or(SourceError::OutOfRange { entry, offset: 0 })?;
        let file = self.open_file(entry)?;
        let reading = Reading { entry, file, position: 0, walked };
        if !reading.is_same().map_err(|error| self.failed("look at", entry, error))? {
            return Err(SourceError::Changed { path: self.path(entry) });
        }
        reading.announce();
        Ok(reading)
    }

    /// Opens the file of `entry`, following links only where the user named one.
    fn open_file(&mut self, entry: usize) -> Result<File, SourceError> {
        let origins = Arc::clone(&self.origins);
        let (Some(root), Some(names)) = (origins.root_of(entry), origins.names_of(&self.manifest, entry))
        else {
            return Err(SourceError::OutOfRange { entry, offset: 0 });
        };
        let Some((name, above)) = names.split_last() else {
            return open_argument(origins.root_path(root))
                .map_err(|error| self.gone_or(error, "open", entry));
        };
        let mut tree = match self.tree.take_if(|(number, _)| *number == root) {
            Some((_, tree)) => tree,
            None => Descent::new(
                Dir::open_ambient_dir(origins.root_path(root), ambient_authority())
                    .map_err(|error| self.gone_or(error, "open", entry))?,
            ),
        };
        let opened = tree.descend(above, Missing::Refuse).and_then(|(dir, _)| {
            let mut options = OpenOptions::new();
            options.read(true).follow(FollowSymlinks::No).nonblock(true);
            dir.open_with(name, &options).map_err(|error| match dir.symlink_metadata(name) {
                Ok(metadata) if metadata.is_file() => error,
                // A link or a directory by now: gone, as far as this transfer is concerned.
                Ok(_) => io::ErrorKind::NotFound.into(),
                Err(gone) => gone,
            })
        });
        self.tree = Some((root, tree));
        Ok(opened.map_err(|error| self.gone_or(error, "open", entry))?.into_std())
    }

    fn gone_or(&self, error: io::Error, operation: &'static str, entry: usize) -> SourceError {
        if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            return SourceError::Changed { path: self.path(entry) };
        }
        self.failed(operation, entry, error)
    }

    fn failed(&self, operation: &'static str, entry: usize, error: io::Error) -> SourceError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return SourceError::Changed { path: self.path(entry) };
        }
        SourceError::new(operation, &self.path(entry), error)
    }

    fn path(&self, entry: usize) -> PathBuf {
        self.origins.path_of(&self.manifest, entry)
    }
}

impl Reading {
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if self.position != offset {
            self.file.seek(SeekFrom::Start(offset))?;
            self.position = offset;
        }
        self.file.read_exact(buf)?;
        self.position += buf.len() as u64;
        Ok(())
    }

    /// Whether it is still what was walked, down to the last byte, where reading stands.
    fn is_unchanged(&mut self) -> io::Result<bool> {
        let ends_here = self.file.read(&mut [0])? == 0;
        Ok(ends_here && self.is_same()?)
    }

    fn is_same(&self) -> io::Result<bool> {
        let metadata = Metadata::from_just_metadata(self.file.metadata()?);
        Ok(metadata.is_file() && Fingerprint::of(&metadata) == self.walked)
    }

    /// Tells the system that a large file will be read from front to back.
    fn announce(&self) {
        #[cfg(target_os = "linux")]
        if self.walked.size > PREFIX_READ_LEN as u64 {
            // Advice: a file system that takes none reads as well.
            let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::Sequential);
        }
    }
}

/// Opens a path that the user named: links are followed, a fifo without a writer does not block.
pub(super) fn open_argument(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).nonblock(true);
    Ok(cap_std::fs::File::open_ambient_with(path, &options, ambient_authority())?.into_std())
}

/// Why something cannot be sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No path was given.
    #[error("nothing to send")]
    Nothing,
    /// There is no such file or directory.
    #[error("`{}` does not exist", path.display())]
    Missing {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The user may not read it.
    #[error("no permission to read `{}`", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
    },
    /// A device, fifo or socket was named.
    #[error("`{}` is neither a file nor a directory", path.display())]
    Special {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A path without a name of its own, as `/`.
    #[error("`{}` has no name to send it under", path.display())]
    Unnameable {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A path too long or too deep for other systems.
    #[error("`{}` cannot be sent under its path", path.display())]
    Path {
        /// The file or directory.
        path: PathBuf,
        /// The rule it breaks.
        source: PathError,
    },
    /// More entries than a manifest holds.
    #[error("more than {limit} files and directories")]
    TooMany {
        /// How many a manifest holds.
        limit: usize,
    },
    /// The list of files is no manifest.
    #[error("the files cannot be listed")]
    Manifest {
        /// The rule it breaks.
        #[from]
        source: ManifestError,
    },
    /// The file is not, or no longer, the one that was walked.
    #[error("`{}` changed while it was being sent", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The entry has no bytes there.
    #[error("entry {entry} of the manifest has no byte {offset}")]
    OutOfRange {
        /// Its index.
        entry: usize,
        /// The offset asked for.
        offset: u64,
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

impl SourceError {
    /// Gives the system's error about `operation` on `path` its name here.
    pub(super) fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        if source.kind() == io::ErrorKind::PermissionDenied {
            Self::Unreadable { path }
        } else {
            Self::Io { operation, path, source }
        }
    }
}

/// Bytes read at a time while hashing a prefix.
const PREFIX_READ_LEN: usize = 1 << 20;
