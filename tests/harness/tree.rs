//! Files to send, and whether they arrived as they were.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A file that takes long enough to be interrupted: more than a second where 300 MB are sent in one, of whose middle a side tells.
pub(crate) const BIG: &str = "big.bin";
/// Its length in bytes.
pub(crate) const BIG_LEN: usize = 600 << 20;

/// Everything below a path: names, content, modes and times. Equal for equal trees.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, Entry>);

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// Hexadecimal SHA-256; `None` for a directory.
    sha256: Option<String>,
    /// Length in bytes; 0 for a directory.
    len: u64,
    mode: u32,
    /// Whole seconds since 1970, which is what travels.
    modified: u64,
}

impl Snapshot {
    /// What is at `root`, a file or a directory, whose own name does not count.
    pub(crate) fn of(root: &Path) -> Self {
        let mut entries = BTreeMap::new();
        visit(root, Path::new(""), &mut entries);
        Self(entries)
    }

    /// How many files there are.
    pub(crate) fn file_count(&self) -> usize {
        self.0.values().filter(|entry| entry.sha256.is_some()).count()
    }
}

fn visit(root: &Path, below: &Path, entries: &mut BTreeMap<PathBuf, Entry>) {
    // `join` of nothing would end the name of a file with a slash.
    let path = if below.as_os_str().is_empty() { root.to_owned() } else { root.join(below) };
    let metadata = path.symlink_metadata().unwrap();
    if metadata.is_dir() {
        for entry in fs::read_dir(&path).unwrap() {
            visit(root, &below.join(entry.unwrap().file_name()), entries);
        }
    }
    let is_file = metadata.is_file();
    let entry = Entry {
        sha256: is_file.then(|| sha256(&path)),
        len: if is_file { metadata.len() } else { 0 },
        mode: metadata.permissions().mode() & 0o7777,
        modified: metadata.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(),
    };
    entries.insert(below.to_owned(), entry);
}

fn sha256(path: &Path) -> String {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path).unwrap(), &mut hasher).unwrap();
    HEXLOWER.encode(&hasher.finalize())
}

/// `len` bytes without a pattern, the same for the same length.
pub(crate) fn content(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ len as u64;
    while bytes.len() < len {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Makes a tree of 200 files of all kinds at `root`, which must not exist: empty ones, large ones, nested ones, with
/// names in several scripts, executable ones and ones that cannot be written, of different ages; and directories with
/// nothing in them.
pub(crate) fn mixed_tree(root: &Path) {
    const FILE_COUNT: usize = 200;
    const DIRECTORIES: [&str; 6] = ["", "a", "a/b/c/d/e", "größe", "日本語/テスト", "with space"];
    const NAMES: [&str; 5] = ["plain.txt", "no-extension", "émoji-🦀.bin", ".hidden", "it's $HOME.md"];
    const LENS: [usize; 8] = [0, 1, 100, 4_096, 65_535, 65_536, 65_537, 200_000];
    const MODES: [u32; 4] = [0o600, 0o700, 0o400, 0o500];
    for directory in DIRECTORIES.into_iter().chain(["empty", "a/empty too"]) {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for index in 0..FILE_COUNT {
        let name = format!("{index}-{}", NAMES[index % NAMES.len()]);
        let path = root.join(DIRECTORIES[index % DIRECTORIES.len()]).join(name);
        let mut file = File::create(&path).unwrap();
        file.write_all(&content(LENS[index % LENS.len()])).unwrap();
        file.set_permissions(PermissionsExt::from_mode(MODES[index % MODES.len()])).unwrap();
        file.set_modified(began + Duration::from_secs(index as u64 * 86_400)).unwrap();
    }
    for (age, directory) in (1..).zip(["a/b", "a/empty too", "empty", "größe"]) {
        File::open(root.join(directory)).unwrap().set_modified(began - Duration::from_secs(age)).unwrap();
    }
}
