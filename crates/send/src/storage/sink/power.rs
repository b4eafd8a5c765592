//! What is left when the power fails: everything that was synced, and of the rest whatever is worst.
//!
//! The disk of these tests remembers what was synced. At every step the power is taken to fail: of each file only what was
//! synced is there, while records and names have reached the disk as soon as they were written. Then no record may vouch for
//! a byte that is not there, and no file may have its final name before all of it is.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use proptest::prelude::*;
use wire::manifest::{Entry, EntryKind, Manifest, Purpose};
use wire::message::CHUNK_LEN;
use wire::safe_path::SafePath;

use super::{CHECKPOINT_LEN, Sink};
use crate::storage::{Checked, Hasher, OutputDir, Record, SinkOptions};

/// What the disk has, by the number of the file.
type Synced = HashMap<u64, Vec<u8>>;

static SYNCED: LazyLock<Mutex<Synced>> = LazyLock::new(Mutex::default);

fn synced() -> MutexGuard<'static, Synced> {
    SYNCED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Brings files to the disk of these tests.
fn sync(files: &[Arc<File>]) -> io::Result<()> {
    for file in files {
        let metadata = file.metadata()?;
        let mut bytes = vec![0; usize::try_from(metadata.len()).unwrap()];
        file.read_exact_at(&mut bytes, 0)?;
        synced().insert(metadata.ino(), bytes);
    }
    Ok(())
}

fn content(len: usize, salt: u8) -> Vec<u8> {
    (0..len).map(|index| (index / 251 + index % 251).to_le_bytes()[0] ^ salt).collect()
}

/// A sink for these files in `root` that syncs to the disk of these tests.
fn sink(root: &Path, files: &[Vec<u8>]) -> Sink {
    let entry = |(index, bytes): (usize, &Vec<u8>)| Entry {
        path: SafePath::parse(&format!("tree/{index}")).unwrap(),
        kind: EntryKind::File { size: bytes.len() as u64 },
        mode: 0o644,
        mtime: 0,
    };
    let entries: Vec<_> = files.iter().enumerate().map(entry).collect();
    let manifest = Arc::new(Manifest::new(Purpose::Files, &entries).unwrap());
    let remains = OutputDir::open(root).unwrap().remains(&manifest).unwrap();
    let dir = Dir::open_ambient_dir(root, ambient_authority()).unwrap();
    let checked: Checked = remains.check(|_| {});
    Sink::with_sync((root.to_owned(), dir), manifest, SinkOptions::default(), checked, sync).unwrap()
}

/// Whether what is on the disk is what it is said to be, if the power fails now.
fn assert_survives(tree: &Path, files: &[Vec<u8>]) {
    let synced = synced();
    let none = Vec::new();
    let on_disk = |path: &Path| synced.get(&fs::metadata(path).unwrap().ino()).unwrap_or(&none);
    for (index, bytes) in files.iter().enumerate() {
        let place = tree.join(index.to_string());
        if place.exists() {
            assert!(on_disk(&place) == bytes, "file {index} has its name and not all of its bytes");
        }
        let part = tree.join(format!(".{index}.part"));
        let Ok(text) = fs::read(tree.join(format!(".{index}.part.json"))) else { continue };
        let Ok(record) = serde_json::from_slice::<Record>(&text) else { continue };
        if record.synced_len > 0 && part.exists() {
            let len = usize::try_from(record.synced_len).unwrap();
            let there = on_disk(&part).get(..len);
            assert!(
                there.is_some(),
                "file {index}: {len} bytes are vouched for, {} are there",
                on_disk(&part).len()
            );
            assert!(there == bytes.get(..len), "file {index}: other bytes are there than are vouched for");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whenever_the_power_fails_nothing_is_vouched_for_that_is_not_on_the_disk(
        lens in proptest::collection::vec(0..3 * CHECKPOINT_LEN, 1..4),
        restarts in proptest::collection::vec((0..3_usize, 1..600_u32), 0..3),
        break_at in 1..500_u32,
    ) {
        let root = tempfile::tempdir().unwrap();
        let tree = root.path().join("tree");
        let files: Vec<_> = lens.iter().zip(1..).map(|(len, salt)| content(usize::try_from(*len).unwrap(), salt)).collect();
        let mut step = 0;
        let mut sink = sink(root.path(), &files);
        for (index, bytes) in files.iter().enumerate() {
            let mut offset = 0;
            while offset < bytes.len() {
                let end = bytes.len().min(offset + CHUNK_LEN);
                sink.write(index, offset as u64, &bytes[offset..end]).unwrap();
                offset = end;
                step += 1;
                if restarts.contains(&(index, step)) && offset < bytes.len() {
                    // The sender says that its file begins otherwise.
                    sink.restart(index).unwrap();
                    offset = 0;
                }
                if step == break_at && offset < bytes.len() {
                    // This process ends, and another goes on with what it finds.
                    drop(sink);
                    assert_survives(&tree, &files);
                    sink = self::sink(root.path(), &files);
                    let held = sink.held().unwrap();
                    let longest: HashMap<_, _> = held.iter().map(|each| (each.file, each.offset)).collect();
                    for (file, len) in longest {
                        sink.go_on(file as usize, len).unwrap();
                    }
                    let here = held.iter().rev().find(|each| each.file as usize == index);
                    offset = here.map_or(0, |each| usize::try_from(each.offset).unwrap());
                }
                if step % 16 == 0 {
                    assert_survives(&tree, &files);
                }
            }
            sink.commit(index, bytes.len() as u64, Hasher::of(bytes)).unwrap();
            assert_survives(&tree, &files);
        }
        sink.finish().unwrap();
        assert_survives(&tree, &files);
        for (index, bytes) in files.iter().enumerate() {
            prop_assert!(fs::read(tree.join(index.to_string())).unwrap() == *bytes);
        }
    }
}
