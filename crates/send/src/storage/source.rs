//! The sending end on disk: paths become a manifest, and its files chunks.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use thiserror::Error;
use wire::manifest::{Entry, EntryKind, Manifest, ManifestError};
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
        let (manifest, origins, notices) = walk.finish()?;
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

    /// Has `hasher`, which knows the first `offset` bytes of `entry`, go on to its first `end`. It can go on from there.
    ///
    /// # Errors
    /// As [`SourceReader::read_chunk`].
    pub fn hash_on(
        &mut self,
        entry: usize,
        mut offset: u64,
        end: u64,
        mut hasher: Hasher,
    ) -> Result<Hasher, SourceError> {
        let mut buf = vec![0; PREFIX_READ_LEN];
        while offset < end {
            let wanted = usize::try_from(end - offset).map_or(buf.len(), |left| left.min(buf.len()));
            let read = self.read_chunk(entry, offset, buf.get_mut(..wanted).unwrap_or_default())?;
            if read == 0 {
                return Err(SourceError::OutOfRange { entry, offset: end });
            }
            hasher.update(buf.get(..read).unwrap_or_default());
            offset += read as u64;
        }
        Ok(hasher)
    }

    fn open(&mut self, entry: usize) -> Result<Reading, SourceError> {
        let walked = match self.manifest.entries().get(entry) {
            Some(Entry { kind: EntryKind::File { size }, mtime, .. }) => {
                self.origins.fingerprint(entry, size, mtime)
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sent(source: &Source) -> Vec<String> {
        source.manifest().entries().iter().map(|entry| entry.path.to_string()).collect()
    }

    fn open(paths: &[PathBuf]) -> Result<Source, SourceError> {
        Source::open(paths, SourceOptions::default())
    }

    #[test]
    fn entries_come_in_the_order_of_names_with_empty_files_and_directories() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        fs::create_dir_all(tree.join("b/empty")).unwrap();
        for name in ["c", "a", "b/2", "b/1"] {
            fs::write(tree.join(name), "").unwrap();
        }
        let source = open(&[tree.join("b/..").join(".")]).unwrap();
        assert_eq!(
            sent(&source),
            ["tree", "tree/a", "tree/b", "tree/b/1", "tree/b/2", "tree/b/empty", "tree/c"]
        );
    }

    #[test]
    fn paths_with_the_same_name_get_distinct_ones() {
        let place = tempfile::tempdir().unwrap();
        for above in ["1", "2"] {
            fs::create_dir(place.path().join(above)).unwrap();
            fs::write(place.path().join(above).join("report.pdf"), above).unwrap();
        }
        let source = open(&[place.path().join("1/report.pdf"), place.path().join("2/report.pdf")]).unwrap();
        assert_eq!(sent(&source), ["report.pdf", "report (1).pdf"]);
        assert_eq!(source.notices().renamed_count, 1);
        let mut byte = [0];
        source.reader().read_chunk(1, 0, &mut byte).unwrap();
        assert_eq!(&byte, b"2");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_not_portable_travel_changed_and_are_read_under_their_own() {
        use std::os::unix::ffi::OsStrExt as _;
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        let latin1 = tree.join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
        fs::create_dir_all(tree.join("a:b")).unwrap();
        for path in
            [tree.join("a:b/file"), tree.join("a_b"), tree.join("Makefile"), tree.join("makefile"), latin1]
        {
            fs::write(&path, path.as_os_str().as_bytes()).unwrap();
        }
        let source = open(std::slice::from_ref(&tree)).unwrap();
        assert_eq!(
            sent(&source),
            [
                "tree",
                "tree/Makefile",
                "tree/a_b (1)",
                "tree/a_b (1)/file",
                "tree/a_b",
                "tree/caf_",
                "tree/makefile (1)"
            ]
        );
        assert_eq!(source.notices().renamed_count, 3);
        let mut buf = [0; 4096];
        for (index, name) in [(1, "Makefile"), (3, "a:b/file"), (4, "a_b"), (6, "makefile")] {
            let len = source.reader().read_chunk(index, 0, &mut buf).unwrap();
            assert_eq!(&buf[..len], tree.join(name).as_os_str().as_bytes());
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_neither_file_nor_directory_is_left_behind_or_refused() {
        let place = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(place.path().join("socket")).unwrap();
        fs::write(place.path().join("file"), "").unwrap();
        let source = open(&[place.path().to_path_buf()]).unwrap();
        assert_eq!(source.notices().skipped_special, [place.path().join("socket")]);
        assert_eq!(source.manifest().entries().len(), 2);
        assert!(matches!(open(&["/dev/null".into()]), Err(SourceError::Special { .. })));
        assert!(matches!(open(&["/".into()]), Err(SourceError::Unnameable { .. })));
        assert!(matches!(open(&[place.path().join("none")]), Err(SourceError::Missing { .. })));
        assert!(matches!(open(&[]), Err(SourceError::Nothing)));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_named_by_the_user_is_followed_under_its_own_name() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("log.3"), "x").unwrap();
        std::os::unix::fs::symlink("log.3", place.path().join("latest.log")).unwrap();
        let source = open(&[place.path().join("latest.log")]).unwrap();
        assert_eq!(sent(&source), ["latest.log"]);
        assert_eq!(source.reader().read_chunk(0, 0, &mut [0; 9]).unwrap(), 1);
    }

    #[test]
    fn the_hash_of_a_prefix_goes_on_with_what_follows() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        let contents: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        fs::write(&path, &contents).unwrap();
        let mut reader = open(&[path]).unwrap().reader();
        let mut hasher = reader.hash_on(0, 0, 131_072, Hasher::default()).unwrap();
        assert_eq!(hasher.clone().finish(), Hasher::of(&contents[..131_072]));
        let mut rest = vec![0; 100_000];
        let len = reader.read_chunk(0, 131_072, &mut rest).unwrap();
        hasher.update(&rest[..len]);
        assert_eq!(hasher.finish(), Hasher::of(&contents));
        for offset in [200_001, u64::MAX] {
            assert!(matches!(reader.read_chunk(0, offset, &mut rest), Err(SourceError::OutOfRange { .. })));
            assert!(reader.hash_on(0, 0, offset, Hasher::default()).is_err());
        }
    }
}
