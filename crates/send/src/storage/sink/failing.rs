//! A disk that fails: what is told of it, what is kept, and that it can be gone on with once the disk is mended.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use wire::manifest::{Entry, EntryKind, Manifest, Purpose};
use wire::message::CHUNK_LEN;
use wire::safe_path::SafePath;

use super::{Leftovers, Sink, SinkError, Sync, sync_all};
use crate::storage::{Hasher, OutputDir, SinkOptions};

/// `EIO`: the device could not do it.
const INPUT_OUTPUT: i32 = 5;

/// Enough for two checkpoints and a little.
const LEN: usize = FIRST_LEN + 8 * 1024 * 1024 + 3 * CHUNK_LEN;

/// Enough for one, even if the thread that waits for the disk is late.
const FIRST_LEN: usize = 12 * 1024 * 1024;

const NAME: &str = "film.mp4";

fn broken(_: &[Arc<File>]) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(INPUT_OUTPUT))
}

/// Asked a second time it says that nothing is wrong, as Linux does: what it could not write it has forgotten.
fn forgetful(_: &[Arc<File>]) -> io::Result<()> {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    match ASKED.fetch_add(1, Ordering::Relaxed) {
        1 => Err(io::Error::from_raw_os_error(INPUT_OUTPUT)),
        _ => Ok(()),
    }
}

fn content() -> Vec<u8> {
    (0..LEN).map(|index| (index / 251 + index % 251).to_le_bytes()[0]).collect()
}

fn sink(root: &Path, sync: Sync) -> Sink {
    let kind = EntryKind::File { size: LEN as u64 };
    let entry = Entry { path: SafePath::parse(NAME).unwrap(), kind, mode: 0o644, mtime: 0 };
    let manifest = Arc::new(Manifest::new(Purpose::Files, &[entry]).unwrap());
    let checked = OutputDir::open(root).unwrap().remains(&manifest).unwrap().check(|_| {});
    let dir = Dir::open_ambient_dir(root, ambient_authority()).unwrap();
    Sink::with_sync((root.to_owned(), dir), manifest, SinkOptions::default(), checked, sync).unwrap()
}

/// Writes from `offset` to the end, and waits for the disk.
fn write(sink: &mut Sink, bytes: &[u8], mut offset: usize) -> Result<(), SinkError> {
    for chunk in bytes[offset..].chunks(CHUNK_LEN) {
        sink.write(0, offset as u64, chunk)?;
        offset += chunk.len();
    }
    sink.commit(0, LEN as u64, Hasher::of(bytes))?;
    sink.flush().map(drop)
}

fn assert_told(error: &SinkError) {
    let SinkError::Io { operation, path, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*operation, path.file_name().unwrap().to_str()), ("sync", Some(NAME)), "{error:?}");
    assert_eq!(source.raw_os_error(), Some(INPUT_OUTPUT));
}

/// What is left of a file whose beginning a disk has failed to take may look right as long as it is in memory.
#[test]
fn a_disk_that_cannot_sync_is_told_of_and_nothing_it_did_not_take_is_kept() {
    let (root, bytes) = (tempfile::tempdir().unwrap(), content());
    let mut failing = sink(root.path(), broken);
    assert_told(&write(&mut failing, &bytes, 0).unwrap_err());
    assert!(failing.abort(Leftovers::Keep).is_none());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "nothing is left over");
}

#[test]
fn a_disk_that_failed_once_is_trusted_with_what_it_took_before_and_gone_on_with_once_it_is_mended() {
    let (root, bytes) = (tempfile::tempdir().unwrap(), content());
    let mut failing = sink(root.path(), forgetful);
    for (index, chunk) in bytes[..FIRST_LEN].chunks(CHUNK_LEN).enumerate() {
        failing.write(0, (index * CHUNK_LEN) as u64, chunk).unwrap();
    }
    failing.flush().unwrap();
    assert_told(&write(&mut failing, &bytes, FIRST_LEN).unwrap_err());
    failing.abort(Leftovers::Keep);
    assert!(!root.path().join(NAME).exists(), "nothing half has its final name");

    let mut mended = sink(root.path(), sync_all);
    let held = mended.held().unwrap().pop().expect("what the disk took is kept");
    let len = usize::try_from(held.offset).unwrap();
    assert!((CHUNK_LEN..=FIRST_LEN).contains(&len), "{held:?}");
    assert_eq!(held.digest, Some(Hasher::of(&bytes[..len])));
    mended.go_on(0, held.offset).unwrap();
    write(&mut mended, &bytes, len).unwrap();
    mended.finish().unwrap();
    assert!(fs::read(root.path().join(NAME)).unwrap() == bytes);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing is left over");
}
