//! A disk that fails: what is told of it, what is kept, and that it can be gone on with once the disk is mended.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

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
const LEN: usize = 16 * 1024 * 1024 + 3 * CHUNK_LEN;

const NAME: &str = "film.mp4";

fn broken(_: &[Arc<File>]) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(INPUT_OUTPUT))
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

#[test]
fn a_disk_that_cannot_sync_is_told_of_and_what_was_written_is_gone_on_with() {
    let (root, bytes) = (tempfile::tempdir().unwrap(), content());
    let mut failing = sink(root.path(), broken);
    let error = write(&mut failing, &bytes, 0).unwrap_err();
    let SinkError::Io { operation, path, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*operation, path.file_name().unwrap().to_str()), ("sync", Some(NAME)), "{error:?}");
    assert_eq!(source.raw_os_error(), Some(INPUT_OUTPUT));
    failing.abort(Leftovers::Keep);
    assert!(!root.path().join(NAME).exists(), "nothing half has its final name");

    // What is there is proven by reading it again: no record vouches for it.
    let mut mended = sink(root.path(), sync_all);
    let held = mended.held().unwrap().pop().expect("what was written is kept");
    let len = usize::try_from(held.offset).unwrap();
    assert!(len >= CHUNK_LEN && held.digest == Some(Hasher::of(&bytes[..len])), "{held:?}");
    mended.go_on(0, held.offset).unwrap();
    write(&mut mended, &bytes, len).unwrap();
    mended.finish().unwrap();
    assert!(fs::read(root.path().join(NAME)).unwrap() == bytes);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing is left over");
}
