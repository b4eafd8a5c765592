//! How a sink ends: completely, or with what is worth keeping.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cap_std::fs::Dir;
use wire::manifest::{Entries, Entry, EntryKind};

use super::{KEEP_LEN, Saved, Sink, SinkError, State, Writing, modified, set_mode, subject};
use crate::storage::flusher::sync_all;
use crate::storage::naming::{Named, numbered, part_name};
use crate::storage::partial::Partial;
use crate::storage::placement::{NUMBERS, Overwrite};

/// Everything has arrived and is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Files that [`Sink::poll_saved`] had not reported yet.
    pub saved: Vec<Saved>,
    /// Files and directories whose mode or time the file system did not keep.
    pub unkept_attributes: usize,
}

/// What happens to an incomplete file when its sink ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// It stays as a partial with its record, if it is a chunk or more.
    Keep,
    /// It is removed, with directories of this transfer that are empty.
    Discard,
}

/// An incomplete file that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its index in the manifest.
    pub entry: usize,
    /// Bytes of it that are on the disk.
    pub len: u64,
    /// Where its partial is, relative to the output directory.
    pub path: PathBuf,
}

/// Directories synced together; each holds a file descriptor.
const DIRECTORY_BATCH: usize = 64;

impl Sink {
    /// Completes the tree: everything synced and named, listed directories made, links made, and last the modes and
    /// times of directories, innermost first.
    ///
    /// # Errors
    /// [`SinkError::Incomplete`] when a file has not been committed; what the disk says.
    pub fn finish(mut self) -> Result<Finished, SinkError> {
        let saved = self.flush()?;
        let is_missing =
            |(entry, state): &(Entry, &State)| entry.kind.has_content() && **state != State::Saved;
        let missing_count = self.manifest.entries().iter().zip(&self.states).filter(is_missing).count();
        if missing_count > 0 {
            self.saved = saved;
            return Err(SinkError::Incomplete { missing_count });
        }
        // The names are looked at again, so that a directory that was exchanged for a link is noticed here.
        self.tree.forget();
        self.make_listed()?;
        self.complete_directories()?;
        self.settled = true;
        self.forget_parts();
        Ok(Finished { saved, unkept_attributes: self.unkept_attributes })
    }

    /// Ends an incomplete transfer. Files that were committed get their names. Returns the file that stays in part.
    pub fn abort(mut self, leftovers: Leftovers) -> Option<Kept> {
        self.settle(leftovers)
    }

    fn settle(&mut self, leftovers: Leftovers) -> Option<Kept> {
        if std::mem::replace(&mut self.settled, true) {
            return None;
        }
        self.submit_batch();
        while let Some(done) = self.flusher.wait() {
            // Whoever abandons a transfer has its reason; what else goes wrong now has no one to tell it to.
            let _ = self.handle_flushed(done);
        }
        let current = self.current.take();
        let kept = match (leftovers, current) {
            (Leftovers::Keep, Some(Writing { entry, partial, written_len, synced_len, .. })) => {
                self.sync_failed |= (self.sync)(&[Arc::clone(partial.file())]).is_err();
                self.leave(entry, partial, if self.sync_failed { synced_len } else { written_len })
            }
            (Leftovers::Keep, None) => None,
            (Leftovers::Discard, current) => {
                if let Some(writing) = current {
                    writing.partial.discard();
                }
                None
            }
        };
        if leftovers == Leftovers::Discard || (kept.is_none() && !self.has_something()) {
            // Without the record they would be somebody else's to the next transfer, which would go beside them.
            self.remove_empty_directories();
            self.forget_parts();
        }
        kept
    }

    /// Whether anything is here that another transfer could go on with.
    fn has_something(&self) -> bool {
        !self.beginnings.is_empty() || !self.present.is_empty() || self.states.contains(&State::Saved)
    }

    fn forget_parts(&mut self) {
        let root = Arc::clone(self.tree.root());
        self.parts.take().into_iter().for_each(|parts| parts.remove(&root));
    }

    /// Leaves the first `len` bytes of a partial, all of them on the disk, for another transfer, or removes it if it is not
    /// worth that. What is behind them may look right as long as it is in memory, and is cut off.
    pub(super) fn leave(&mut self, entry: usize, mut partial: Partial, len: u64) -> Option<Kept> {
        let item = self.manifest.entries().get(entry)?;
        let is_left = len >= KEEP_LEN
            && partial.file().set_len(len).is_ok()
            && partial.record(subject(&item), len).is_ok();
        if !is_left {
            partial.discard();
            return None;
        }
        let path = self.local_path(&item.path).with_file_name(partial.name());
        Some(Kept { entry, len, path })
    }

    /// Removes directories of this transfer that are empty.
    fn remove_empty_directories(&mut self) {
        let manifest = Arc::clone(&self.manifest);
        self.tree.forget();
        for (path, _) in directories(manifest.entries()).into_iter().rev() {
            let local = self.local_names(&path);
            let local: Vec<&str> = local.iter().map(String::as_str).collect();
            if let Some((name, above)) = local.split_last().filter(|_| self.tree.is_made(&local)) {
                // One that is not empty stays, and so does everything above it.
                let _ = self.tree.reopen(above).and_then(|above| above.remove_dir(name));
            }
        }
    }

    /// Makes the directories that are listed, empty ones included, and then the links.
    fn make_listed(&mut self) -> Result<(), SinkError> {
        let manifest = Arc::clone(&self.manifest);
        for item in manifest.entries() {
            if item.kind == EntryKind::Directory {
                let names: Vec<&str> = item.path.components().collect();
                self.enter(&names)?;
            }
        }
        for item in manifest.entries() {
            if let EntryKind::Symlink { target } = &item.kind {
                let dir = self.enter_parent(&item.path)?;
                make_symlink(&dir, target, item.path.file_name(), self.options.overwrite).map_err(
                    |error| SinkError::new("create link", self.root.join(item.path.as_str()), error),
                )?;
            }
        }
        Ok(())
    }

    /// Sets modes and times of the directories that this transfer made and syncs every directory it changed.
    fn complete_directories(&mut self) -> Result<(), SinkError> {
        let manifest = Arc::clone(&self.manifest);
        let mut changed = Vec::new();
        for (path, listed) in directories(manifest.entries()).into_iter().rev() {
            let local = self.local_names(&path);
            let local: Vec<&str> = local.iter().map(String::as_str).collect();
            let shown = self.root.join(local.join("/"));
            let dir = self.tree.reopen(&local).map_err(|error| SinkError::new("open", &shown, error))?;
            let Ok(handle) = readable(&dir) else { continue };
            if self.tree.is_made(&local) {
                let item = listed.and_then(|entry| manifest.entries().get(entry));
                self.keep_directory_attributes(&handle, item.as_ref());
            }
            changed.push(Arc::new(handle));
            if changed.len() == DIRECTORY_BATCH {
                sync_directories(&changed).map_err(|error| SinkError::new("sync", &shown, error))?;
                changed.clear();
            }
        }
        changed.extend(readable(self.tree.root()).map(Arc::new));
        sync_directories(&changed).map_err(|error| SinkError::new("sync", &self.root, error))
    }

    /// A directory that is only implied by what is in it has no mode of its own and gets the usual one.
    fn keep_directory_attributes(&mut self, handle: &File, item: Option<&Entry>) {
        let mode = item.map_or(0o777, |item| item.mode) & 0o777 & !self.options.umask;
        let kept_mode = set_mode(handle, mode);
        let kept_time = item
            .is_none_or(|item| modified(item.mtime).is_some_and(|time| handle.set_modified(time).is_ok()));
        self.unkept_attributes += usize::from(!(kept_mode && kept_time));
    }

    /// The names on the way to the directory sent as `path`, as they are here.
    fn local_names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = path.split('/').map(str::to_owned).collect();
        if let Some(top) = names.first_mut()
            && let Some(placement) = self.placements.of(top)
        {
            top.clone_from(&placement.saved);
        }
        names
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.settle(Leftovers::Keep);
    }
}

/// Every directory that entries name or lie in, in the order of paths, with its index where it is listed.
fn directories(entries: &Entries) -> BTreeMap<Box<str>, Option<usize>> {
    let mut found: BTreeMap<Box<str>, Option<usize>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let mut path = entry.path.as_str();
        if entry.kind == EntryKind::Directory {
            found.insert(path.into(), Some(index));
        }
        while let Some((above, _)) = path.rsplit_once('/') {
            if found.contains_key(above) {
                break;
            }
            found.insert(above.into(), None);
            path = above;
        }
    }
    found
}

/// A handle of `dir` that can be synced and have its mode set, which the one for looking up names cannot.
fn readable(dir: &Dir) -> io::Result<File> {
    Ok(dir.open(".")?.into_std())
}

/// Syncs directories where the file system can; those that cannot (EINVAL) order their own changes or none.
fn sync_directories(handles: &[Arc<File>]) -> io::Result<()> {
    sync_all(handles).or_else(|error| {
        let is_unsupported = matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported);
        if is_unsupported { Ok(()) } else { Err(error) }
    })
}

/// Makes link `name` in `dir`, or the next free number; with [`Overwrite::Files`] it replaces a file or link.
fn make_symlink(dir: &Dir, target: &str, name: &str, overwrite: Overwrite) -> io::Result<()> {
    if overwrite == Overwrite::Files && dir.symlink_metadata(name).is_ok_and(|there| !there.is_dir()) {
        let aside = part_name(name, 1);
        dir.symlink(target, &aside)?;
        return dir.rename(&aside, dir, name);
    }
    for number in 0..NUMBERS {
        match dir.symlink(target, numbered(name, Named::File, number)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
