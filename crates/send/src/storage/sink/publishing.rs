//! How verified files get their final names: together, once the disk has them.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use wire::manifest::Entry;
use wire::safe_path::SafePath;

use super::{Flushed, Saved, Sink, SinkError, State, Verified, Writing, modified, set_mode, subject};
use crate::storage::flusher::{Done, Job};
use crate::storage::naming::{Named, numbered};
use crate::storage::partial::Partial;
use crate::storage::placement::{NUMBERS, Overwrite};
use crate::storage::publish::rename_new;

impl Sink {
    /// Puts a verified file among those that wait for the disk.
    pub(super) fn queue(&mut self, verified: Verified) {
        self.set_state(verified.entry, State::Verified);
        let manifest = Arc::clone(&self.manifest);
        if let Some(item) = manifest.entries().get(verified.entry) {
            self.keep_attributes(verified.partial.file(), &item);
        }
        self.batch_len = self.batch_len.saturating_add(verified.len);
        self.batch.push(verified);
        let is_worth_it = self.batch.len() >= BATCH_COUNT || self.batch_len >= BATCH_LEN;
        let is_full = self.batch.len() >= BATCH_COUNT_MAX || self.batch_len >= BATCH_LEN_MAX;
        // A disk that is behind gets fewer and larger batches: its waits hardly depend on how many files they are for.
        if is_full || (is_worth_it && self.flusher.is_idle()) {
            self.submit_batch();
        }
    }

    pub(super) fn submit_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.batch_len = 0;
        let batch = std::mem::take(&mut self.batch);
        let files = batch.iter().map(|verified| Arc::clone(verified.partial.file())).collect();
        self.flusher.submit(Job { files, tag: Flushed::Batch(batch) });
    }

    /// Takes in what the flusher has done, without waiting.
    pub(super) fn collect_flushed(&mut self) -> Result<(), SinkError> {
        while let Some(done) = self.flusher.poll() {
            self.handle_flushed(done)?;
        }
        Ok(())
    }

    pub(super) fn handle_flushed(&mut self, done: Done<Flushed>) -> Result<(), SinkError> {
        match done.tag {
            Flushed::Checkpoint { entry, file, len } => {
                let manifest = Arc::clone(&self.manifest);
                let is_it = |writing: &&mut Writing| Arc::ptr_eq(writing.partial.file(), &file);
                let writing = self.current.as_mut().filter(is_it);
                if let Err(error) = done.result {
                    let kept_len = writing.map_or(0, |writing| writing.synced_len);
                    self.sync_failed = true;
                    return Err(self.failed("sync", entry, error).with_kept(kept_len));
                }
                if let (Some(writing), Some(item)) = (writing, manifest.entries().get(entry))
                    && !self.sync_failed
                {
                    writing.synced_len = len.min(writing.written_len);
                    // The file itself can still complete without its record.
                    let _ = writing.partial.record(subject(&item), writing.synced_len);
                }
                Ok(())
            }
            Flushed::Batch(batch) => {
                let first = batch.first().map_or(0, |verified| verified.entry);
                self.sync_failed |= done.result.is_err();
                let mut outcome = done.result.map_err(|error| self.failed("sync", first, error));
                for mut verified in batch {
                    if self.sync_failed {
                        self.leave(verified.entry, verified.partial, verified.synced_len);
                        continue;
                    }
                    if outcome.is_ok() {
                        outcome = self.publish(&mut verified);
                    }
                    if outcome.is_err() {
                        self.leave(verified.entry, verified.partial, verified.len);
                    }
                }
                outcome
            }
        }
    }

    /// Gives a synced file its final name.
    fn publish(&mut self, verified: &mut Verified) -> Result<(), SinkError> {
        let entry = verified.entry;
        let manifest = Arc::clone(&self.manifest);
        let Some(item) = manifest.entries().get(entry) else {
            return Err(SinkError::UnexpectedEntry { entry });
        };
        if !verified.partial.is_in_place() {
            return Err(SinkError::Replaced { path: self.shown_path(entry) });
        }
        let name = self.name_finally(&item.path, &verified.partial)?;
        verified.partial.remove_record();
        self.set_state(entry, State::Saved);
        let above = item.path.parent();
        let path = match &above {
            Some(above) => self.local_path(above).join(name),
            None => PathBuf::from(name),
        };
        self.saved.push(Saved { entry, path });
        Ok(())
    }

    /// Renames the partial of `path` to the first name that is its own, and returns that name.
    fn name_finally(&mut self, path: &SafePath, partial: &Partial) -> Result<String, SinkError> {
        let failed = |error| SinkError::new("rename to", self.root.join(path.as_str()), error);
        let (dir, top) = (partial.dir(), path.top());
        let is_top = path.depth() == 1;
        let mut name = match self.placements.of(top) {
            Some(placement) if is_top => placement.saved.clone(),
            Some(_) | None => path.file_name().to_owned(),
        };
        if self.options.overwrite == Overwrite::Files && name == path.file_name() {
            match dir.rename(partial.name(), dir, &name) {
                Ok(()) => return Ok(name),
                Err(error) if dir.is_dir(&name) => drop(error),
                Err(error) => return Err(failed(error)),
            }
        }
        for number in 1..NUMBERS {
            match rename_new(dir, partial.name(), &name) {
                Ok(()) => return Ok(name),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
            if is_top {
                self.placements.move_on(dir, top).map_err(failed)?;
                name = self.placements.of(top).map_or(name, |placement| placement.saved.clone());
            } else {
                name = numbered(path.file_name(), Named::File, number);
            }
        }
        Err(SinkError::Exists { path: self.root.join(path.as_str()) })
    }

    /// Sets the mode and time an entry was sent with, as far as the file system keeps them.
    fn keep_attributes(&mut self, file: &File, item: &Entry) {
        let kept_mode = set_mode(file, item.mode & 0o777 & !self.options.umask);
        let kept_time = modified(item.mtime).is_some_and(|time| file.set_modified(time).is_ok());
        self.unkept_attributes += usize::from(!(kept_mode && kept_time));
    }
}

/// Files worth waiting for the disk for.
const BATCH_COUNT: usize = 64;

/// Bytes worth waiting for the disk for, so that a large file does not wait for others.
const BATCH_LEN: u64 = 4 << 20;

/// Files that wait for the disk together at most. Each holds a file descriptor and two batches exist at a time; a process
/// may have 1024 on Linux and 256 on macOS unless told otherwise.
const BATCH_COUNT_MAX: usize = if cfg!(target_os = "linux") { 384 } else { 80 };

/// Bytes that wait for the disk together at most.
const BATCH_LEN_MAX: u64 = 64 << 20;
