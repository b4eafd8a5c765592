//! The record of a transfer of more than one file, `.NAME.parts.json` beside what it makes, where NAME is the first of its
//! names: by it a later transfer of the same files goes on in the same directories instead of making new ones.
//!
//! It exists while the transfer is incomplete and is locked while the transfer lives. Like the record of a partial it holds
//! no secret and is believed for nothing but a place to look.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};

use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};
use wire::manifest::Manifest;
use wire::safe_path::SafePath;

use super::naming::parts_name;
use super::partial::{ATTEMPTS, create_private, open_own, rewrite, try_own};

/// What is in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    /// The names at the top, as sent, digested: other names are another transfer.
    names: String,
    /// How many files.
    files: u32,
    /// Their sizes added up, in bytes.
    size: u64,
    /// The names at the top that are others here, by the names sent.
    renamed: BTreeMap<String, String>,
}

const VERSION: u32 = 1;

/// Bytes of a record that are read at most. A transfer whose record would be longer goes without.
const RECORD_LEN_MAX: u64 = 256 * 1024;

/// The record of a transfer under way, locked.
#[derive(Debug)]
pub(super) struct Parts {
    name: String,
    file: File,
    record: Record,
}

impl Parts {
    /// Whether a transfer of `manifest` has a record: one that is a single file has its partial's.
    pub(super) fn are_of(manifest: &Manifest) -> bool {
        let entries = manifest.entries();
        entries.len() != 1 || entries.first().is_some_and(|only| only.path.depth() > 1)
    }

    /// The record that an earlier transfer of the same files left in `dir`, if no other process goes on with it.
    pub(super) fn find(dir: &Dir, manifest: &Manifest) -> Option<Self> {
        let wanted = Record::of(manifest)?;
        for attempt in 1..=ATTEMPTS {
            let name = parts_name(manifest.entries().first()?.path.top(), attempt);
            let file = match open_own(dir, &name) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
                Err(_) => continue,
            };
            let Some(record) = read(&file) else { continue };
            let is_same = Record { renamed: BTreeMap::new(), ..record.clone() } == wanted;
            if is_same && record.is_safe() && try_own(&file) {
                return Some(Self { name, file, record });
            }
        }
        None
    }

    /// Makes the record of a transfer that begins.
    ///
    /// # Errors
    /// What the system says. A transfer without a record still completes.
    pub(super) fn create(dir: &Dir, manifest: &Manifest) -> io::Result<Self> {
        let record = Record::of(manifest).ok_or(io::ErrorKind::InvalidInput)?;
        for attempt in 1..=ATTEMPTS {
            let name =
                parts_name(manifest.entries().first().as_ref().map_or("", |entry| entry.path.top()), attempt);
            match create_private(dir, &name) {
                Ok(file) => {
                    try_own(&file);
                    let parts = Self { name, file, record };
                    parts.write()?;
                    return Ok(parts);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The name here of what was sent as `top`, where it is another.
    pub(super) fn renamed(&self) -> &BTreeMap<String, String> {
        &self.record.renamed
    }

    /// What was sent as `top` is `saved` here.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn rename(&mut self, top: &str, saved: &str) -> io::Result<()> {
        let known = self.record.renamed.get(top).map_or(top, String::as_str);
        if known == saved {
            return Ok(());
        }
        self.record.renamed.insert(top.to_owned(), saved.to_owned());
        self.write()
    }

    /// Removes it: the transfer is complete, or another is to begin in its place.
    pub(super) fn remove(self, dir: &Dir) {
        // A record that stays leads a later transfer to files that it will find complete.
        let _ = dir.remove_file(&self.name);
    }

    fn write(&self) -> io::Result<()> {
        let mut text = serde_json::to_vec(&self.record)?;
        text.push(b'\n');
        if text.len() as u64 > RECORD_LEN_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        rewrite(&self.file, &text)
    }
}

impl Record {
    fn of(manifest: &Manifest) -> Option<Self> {
        let mut hasher = super::Hasher::default();
        for top in manifest.top_level() {
            hasher.update(top.name.as_bytes());
            hasher.update(&[0]);
        }
        Some(Self {
            version: VERSION,
            names: data_encoding::HEXLOWER.encode(hasher.finish().first_chunk::<16>()?),
            files: manifest.file_count(),
            size: manifest.total_size(),
            renamed: BTreeMap::new(),
        })
    }

    /// Whether every name in it is one name.
    fn is_safe(&self) -> bool {
        self.renamed.values().all(|name| SafePath::parse(name).is_ok_and(|path| path.depth() == 1))
    }
}

fn read(file: &File) -> Option<Record> {
    let mut text = Vec::new();
    file.take(RECORD_LEN_MAX).read_to_end(&mut text).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    (record.version == VERSION).then_some(record)
}
