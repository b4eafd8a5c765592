//! What is on disk of a file that is not complete: `.NAME.part` and the record `.NAME.part.json` beside it.
//!
//! A partial is created exclusively, readable by its owner alone, and locked while its transfer lives. The record says
//! which file it belongs to and how much of it is known to have reached the disk; it holds no secret. Whether the bytes
//! are the right ones only their digest can say, so nothing here is believed for more than a place to look.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::fs::{Dir, OpenOptions};
use serde::{Deserialize, Serialize};

use super::naming::{part_name, record_name};

/// The record beside a partial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The layout of this record; only [`RECORD_VERSION`] is read.
    pub version: u32,
    /// The path of the file as its manifest gives it.
    pub path: String,
    /// The declared size in bytes; `None` for a stream.
    pub size: Option<u64>,
    /// How many bytes are known to be on the disk, not merely written.
    pub synced_len: u64,
}

/// The version of [`Record`] this crate writes.
pub const RECORD_VERSION: u32 = 1;

/// Bytes of a record that are read at most: a path of 4 KiB, escaped at its worst, and some room.
const RECORD_LEN_MAX: u64 = 32 * 1024;

/// How many names are tried for one partial before giving up; each one tried is a file that is in the way.
pub(super) const ATTEMPTS: u32 = 100;

/// A partial that this process created and has locked.
#[derive(Debug)]
pub(super) struct Partial {
    dir: Arc<Dir>,
    name: String,
    file: Arc<File>,
    record: Option<File>,
}

/// Which file a partial is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// Its path in the manifest.
    pub(super) path: &'a str,
    /// The last component of that path.
    pub(super) name: &'a str,
    /// Its declared size.
    pub(super) size: Option<u64>,
}

impl Partial {
    /// Creates an empty partial for `subject` in `dir`.
    ///
    /// A partial of the same file that an earlier transfer left is replaced. Anything else of that name, a link, a
    /// directory, a partial that another transfer is writing, stays as it is and another name is taken.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when a hundred names are taken; else what the system says.
    pub(super) fn create(dir: &Arc<Dir>, subject: Subject<'_>) -> io::Result<Self> {
        for attempt in 1..=ATTEMPTS {
            let name = part_name(subject.name, attempt);
            if attempt == 1 {
                remove_stale(dir, &name, subject);
            }
            match create_private(dir, &name) {
                Ok(file) => {
                    let file = Arc::new(file);
                    // Only a hint to other processes, and not every file system has locks.
                    let _ = file.try_lock();
                    return Ok(Self { dir: Arc::clone(dir), name, file, record: None });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The partial of `subject` that an earlier transfer left in `dir`, with its length and how much of it is known to be
    /// on the disk. `None` when there is none, when another process goes on with it, or when anybody else could have it
    /// open.
    pub(super) fn resume(dir: &Arc<Dir>, subject: Subject<'_>) -> Option<(Self, u64, u64)> {
        for attempt in 1..=ATTEMPTS {
            let name = part_name(subject.name, attempt);
            let Some(record) = read_record(dir, &name) else {
                if dir.symlink_metadata(&name).is_err() {
                    return None;
                }
                continue;
            };
            if record.path != subject.path || record.size != subject.size {
                continue;
            }
            let (Ok(file), Ok(record_file)) = (open_own(dir, &name), open_own(dir, &record_name(&name)))
            else {
                continue;
            };
            if !try_own(&file) {
                continue;
            }
            let len = file.metadata().ok()?.len();
            let partial =
                Self { dir: Arc::clone(dir), name, file: Arc::new(file), record: Some(record_file) };
            return Some((partial, len, record.synced_len));
        }
        None
    }

    /// Removes the partial without a record that `subject` left in `dir`, a directory of its own transfer: that of a small
    /// file which had not got its name yet.
    pub(super) fn remove_unrecorded(dir: &Dir, subject: Subject<'_>) {
        let name = part_name(subject.name, 1);
        let is_recorded = dir.symlink_metadata(record_name(&name)).is_ok();
        if !is_recorded && open_own(dir, &name).is_ok_and(|file| try_own(&file)) {
            // Whatever cannot be removed is in the way and another name is taken.
            let _ = dir.remove_file(&name);
        }
    }

    /// The directory it is in, which is that of its destination.
    pub(super) fn dir(&self) -> &Arc<Dir> {
        &self.dir
    }

    /// Its file name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its contents.
    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Writes the record, saying that `synced_len` bytes are safe.
    ///
    /// # Errors
    /// What the system says. A partial without a record still completes; it is only of no use to a later process.
    pub(super) fn record(&mut self, subject: Subject<'_>, synced_len: u64) -> io::Result<()> {
        let record =
            Record { version: RECORD_VERSION, path: subject.path.to_owned(), size: subject.size, synced_len };
        let mut text = serde_json::to_vec(&record)?;
        text.push(b'\n');
        let file = match self.record.take() {
            Some(file) => file,
            None => self.create_record()?,
        };
        rewrite(&file, &text)?;
        self.record = Some(file);
        Ok(())
    }

    /// A record in the way of a partial that is ours is left over or planted; either way it is not opened.
    fn create_record(&self) -> io::Result<File> {
        let name = record_name(&self.name);
        match create_private(&self.dir, &name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.dir.remove_file(&name)?;
                create_private(&self.dir, &name)
            }
            created => created,
        }
    }

    /// Removes the record, once the file has its final name.
    pub(super) fn remove_record(&mut self) {
        if self.record.take().is_some() {
            // A record without its partial is ignored by whoever reads it.
            let _ = self.dir.remove_file(record_name(&self.name));
        }
    }

    /// Removes the partial and its record.
    pub(super) fn discard(mut self) {
        self.remove_record();
        if self.is_in_place() {
            let _ = self.dir.remove_file(&self.name);
        }
    }

    /// Whether the name still leads to the file that was created under it.
    pub(super) fn is_in_place(&self) -> bool {
        let named = self.dir.symlink_metadata(&self.name);
        let held = self.file.metadata().map(cap_std::fs::Metadata::from_just_metadata);
        match (named, held) {
            (Ok(named), Ok(held)) => is_same_file(&named, &held),
            (Ok(_) | Err(_), _) => false,
        }
    }
}

/// Reads the record beside partial `part` in `dir`; `None` when there is none that this version understands.
pub(super) fn read_record(dir: &Dir, part: &str) -> Option<Record> {
    let file = open_regular(dir, &record_name(part)).ok()?;
    let mut text = Vec::new();
    file.take(RECORD_LEN_MAX).read_to_end(&mut text).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    (record.version == RECORD_VERSION).then_some(record)
}

/// Removes what an earlier transfer of the same file left under `name`, if that is what is there and no other process
/// is writing it.
fn remove_stale(dir: &Dir, name: &str, subject: Subject<'_>) {
    let belongs = read_record(dir, name)
        .is_some_and(|record| record.path == subject.path && record.size == subject.size);
    if !belongs {
        return;
    }
    let Ok(file) = open_regular(dir, name) else { return };
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return;
    }
    // Whatever cannot be removed is in the way and another name is taken.
    let _ = dir.remove_file(record_name(name));
    let _ = dir.remove_file(name);
}

/// Creates regular file `name` with mode 0600; fails if anything of that name exists, a dangling link included.
pub(super) fn create_private(dir: &Dir, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).follow(FollowSymlinks::No);
    #[cfg(unix)]
    {
        use cap_std::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    Ok(dir.open_with(name, &options)?.into_std())
}

/// Opens existing `name` for reading if it is a regular file with no other name, without waiting for a fifo's writer.
pub(super) fn open_regular(dir: &Dir, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    let file = dir.open_with(name, &options)?.into_std();
    let metadata = file.metadata()?;
    if metadata.is_file() && has_one_name(&metadata) {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// Opens existing `name` for reading and writing if it is a regular file with no other name that only this user can write.
pub(super) fn open_own(dir: &Dir, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).follow(FollowSymlinks::No).nonblock(true);
    let file = dir.open_with(name, &options)?.into_std();
    let metadata = file.metadata()?;
    if metadata.is_file() && has_one_name(&metadata) && is_own(&metadata) {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// Locks a file for this process; `false` when another has it. Not every file system has locks, and they are only a hint.
pub(super) fn try_own(file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

#[cfg(unix)]
fn is_own(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0
}

#[cfg(not(unix))]
fn is_own(_metadata: &std::fs::Metadata) -> bool {
    true
}

#[cfg(unix)]
fn has_one_name(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.nlink() == 1
}

#[cfg(not(unix))]
fn has_one_name(_metadata: &std::fs::Metadata) -> bool {
    true
}

#[cfg(unix)]
fn is_same_file(one: &cap_std::fs::Metadata, other: &cap_std::fs::Metadata) -> bool {
    use cap_std::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same_file(one: &cap_std::fs::Metadata, other: &cap_std::fs::Metadata) -> bool {
    one.is_file() && one.len() == other.len()
}

/// Replaces the contents of `file`, which are one sector at most in all but the longest paths.
pub(super) fn rewrite(mut file: &File, text: &[u8]) -> io::Result<()> {
    use std::io::Seek as _;
    file.rewind()?;
    file.write_all(text)?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    const SUBJECT: Subject<'_> = Subject { path: "photos/a.jpg", name: "a.jpg", size: Some(10) };

    fn scratch() -> (tempfile::TempDir, Arc<Dir>) {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
        (root, Arc::new(dir))
    }

    fn leave_behind(dir: &Arc<Dir>) {
        let mut partial = Partial::create(dir, SUBJECT).unwrap();
        partial.file().as_ref().write_all(b"12345").unwrap();
        partial.record(SUBJECT, 5).unwrap();
    }

    #[test]
    fn the_record_has_the_documented_form() {
        let (root, dir) = scratch();
        leave_behind(&dir);
        let text = std::fs::read_to_string(root.path().join(".a.jpg.part.json")).unwrap();
        assert_eq!(text, "{\"version\":1,\"path\":\"photos/a.jpg\",\"size\":10,\"synced_len\":5}\n");
    }

    #[test]
    fn a_record_is_rewritten_in_place() {
        let (_root, dir) = scratch();
        let mut partial = Partial::create(&dir, SUBJECT).unwrap();
        for synced_len in [0, 1_000_000, 7] {
            partial.record(SUBJECT, synced_len).unwrap();
            assert_eq!(read_record(&dir, partial.name()).unwrap().synced_len, synced_len);
        }
    }

    #[test]
    fn records_of_other_versions_and_garbage_are_ignored() {
        let (_root, dir) = scratch();
        for text in [
            "",
            "{}",
            "null",
            "{\"version\":2,\"path\":\"a\",\"size\":1,\"synced_len\":1}",
            "{\"version\":1,\"path\":\"a\",\"size\":-1,\"synced_len\":1}",
            &"[".repeat(100_000),
        ] {
            dir.write(".a.part.json", text).unwrap();
            assert_eq!(read_record(&dir, ".a.part"), None, "{text:.40}");
        }
    }

    #[test]
    fn what_an_earlier_transfer_of_the_same_file_left_is_replaced() {
        let (root, dir) = scratch();
        leave_behind(&dir);
        let partial = Partial::create(&dir, SUBJECT).unwrap();
        assert_eq!(partial.name(), ".a.jpg.part");
        assert_eq!(std::fs::read(root.path().join(".a.jpg.part")).unwrap(), b"");
    }

    #[test]
    fn a_partial_of_another_file_stays_and_another_name_is_taken() {
        let (root, dir) = scratch();
        leave_behind(&dir);
        let partial = Partial::create(&dir, Subject { size: Some(11), ..SUBJECT }).unwrap();
        assert_eq!(partial.name(), ".a.jpg.2.part");
        assert_eq!(std::fs::read(root.path().join(".a.jpg.part")).unwrap(), b"12345");
    }

    #[test]
    fn a_file_without_a_record_is_not_ours_and_stays() {
        let (root, dir) = scratch();
        dir.write(".a.jpg.part", "mine").unwrap();
        let partial = Partial::create(&dir, SUBJECT).unwrap();
        assert_eq!(partial.name(), ".a.jpg.2.part");
        assert_eq!(std::fs::read(root.path().join(".a.jpg.part")).unwrap(), b"mine");
    }

    #[test]
    fn a_partial_that_is_being_written_is_left_to_its_writer() {
        let (_root, dir) = scratch();
        let mut first = Partial::create(&dir, SUBJECT).unwrap();
        first.record(SUBJECT, 0).unwrap();
        let second = Partial::create(&dir, SUBJECT).unwrap();
        assert_eq!(second.name(), ".a.jpg.2.part");
        assert!(first.is_in_place());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_place_of_the_partial_or_its_record_is_never_followed() {
        let (root, dir) = scratch();
        let victim = root.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        for name in [".a.jpg.part", ".a.jpg.2.part.json"] {
            std::os::unix::fs::symlink(&victim, root.path().join(name)).unwrap();
        }
        let mut partial = Partial::create(&dir, SUBJECT).unwrap();
        assert_eq!(partial.name(), ".a.jpg.2.part");
        partial.file().as_ref().write_all(b"hostile").unwrap();
        partial.record(SUBJECT, 7).unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[cfg(unix)]
    #[test]
    fn a_planted_record_does_not_get_a_link_or_a_second_name_removed() {
        let (root, dir) = scratch();
        leave_behind(&dir);
        let part = root.path().join(".a.jpg.part");
        std::fs::hard_link(&part, root.path().join("second name")).unwrap();
        assert_eq!(Partial::create(&dir, SUBJECT).unwrap().name(), ".a.jpg.2.part");

        std::fs::remove_file(&part).unwrap();
        std::os::unix::fs::symlink("second name", &part).unwrap();
        let third = Partial::create(&dir, SUBJECT).unwrap();
        assert_ne!(third.name(), ".a.jpg.part");
        assert!(part.is_symlink());
    }

    #[cfg(unix)]
    #[test]
    fn a_partial_and_its_record_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (root, dir) = scratch();
        leave_behind(&dir);
        for name in [".a.jpg.part", ".a.jpg.part.json"] {
            let mode = root.path().join(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_partial_replaced_by_another_file_is_noticed_and_not_removed() {
        let (root, dir) = scratch();
        let partial = Partial::create(&dir, SUBJECT).unwrap();
        assert!(partial.is_in_place());
        let path = root.path().join(".a.jpg.part");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "someone else's").unwrap();
        assert!(!partial.is_in_place());
        partial.discard();
        assert!(path.exists());
    }
}
