//! A directory to receive into, surrounded by things that must not change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What a place holds: the content of a file, the target of a link, or nothing for a directory.
pub(super) type Listing = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// A directory `in` among neighbours, and a home that is not among them.
#[derive(Debug)]
pub(super) struct Room {
    dir: TempDir,
}

impl Room {
    /// `parent/in` is empty; beside it stand a file and a directory whose name begins like its own.
    pub(super) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let room = Self { dir };
        fs::create_dir_all(room.output()).unwrap();
        fs::create_dir_all(room.parent().join("in2")).unwrap();
        fs::create_dir_all(room.home()).unwrap();
        fs::write(room.parent().join("precious"), "do not touch").unwrap();
        room
    }

    /// What a hostile name would want to reach.
    pub(super) fn parent(&self) -> PathBuf {
        self.dir.path().join("parent")
    }

    /// Where things are received.
    pub(super) fn output(&self) -> PathBuf {
        self.parent().join("in")
    }

    /// Configuration and state of the programs that run here.
    pub(super) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Everything below the parent.
    pub(super) fn listing(&self) -> Listing {
        let mut listing = Listing::new();
        list(&self.parent(), &mut listing);
        listing
    }

    /// A file to be sent from here.
    pub(super) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.parent().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

fn list(dir: &Path, listing: &mut Listing) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        let path = entry.path();
        let content = if kind.is_dir() {
            list(&path, listing);
            None
        } else if kind.is_symlink() {
            Some(fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes())
        } else {
            Some(fs::read(&path).unwrap())
        };
        listing.insert(path, content);
    }
}
