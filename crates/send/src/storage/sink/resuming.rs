//! How a sink goes on with what is on the disk already: from an earlier transfer, or from before a break of this one.

use std::collections::BTreeMap;
use std::io::{Seek as _, SeekFrom};
use std::sync::Arc;

use wire::manifest::EntryKind;
use wire::message::CHUNK_LEN;
use wire::transfer::receiver::Held;

use super::{Sink, SinkError, State, Writing, subject};
use crate::storage::digest::Hasher;
use crate::storage::partial::Partial;

/// A beginning that waits for its turn, and the state of its hash at each offset it was offered at.
#[derive(Debug)]
pub(in crate::storage) struct Beginning {
    pub(in crate::storage) partial: Partial,
    /// Ascending offsets in bytes, with the hash of everything before.
    pub(in crate::storage) marks: Vec<(u64, Hasher)>,
    /// How many bytes the disk is known to have.
    pub(in crate::storage) synced_len: u64,
}

/// Beginnings by entry.
pub(super) type Beginnings = BTreeMap<usize, Beginning>;

impl Sink {
    /// What is here of this manifest, for the sender to prove. The file being written is cut back to a whole chunk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn held(&mut self) -> Result<Vec<Held>, SinkError> {
        self.cut_back()?;
        let manifest = Arc::clone(&self.manifest);
        let mut held = Vec::new();
        for (entry, (item, state)) in manifest.entries().iter().zip(&self.states).enumerate() {
            let Ok(file) = u32::try_from(entry) else { break };
            match (state, &item.kind) {
                (State::Verified | State::Saved, EntryKind::File { size }) => {
                    held.push(Held { file, offset: *size, digest: None });
                }
                (State::Writing, _) => {
                    if let Some(writing) = self.current.as_ref().filter(|writing| writing.entry == entry) {
                        let digest = Some(writing.hasher.clone().finish());
                        held.push(Held { file, offset: writing.written_len, digest });
                    }
                }
                (State::Waiting, kind) => {
                    let whole = self.present.get(&entry).map(|digest| (kind.size(), *digest));
                    let marks = self.beginnings.get(&entry).map(|beginning| beginning.marks.as_slice());
                    let marks = marks.unwrap_or_default().iter();
                    let beginnings = marks.map(|(offset, hasher)| (*offset, hasher.clone().finish()));
                    held.extend(beginnings.chain(whole).map(|(offset, digest)| Held {
                        file,
                        offset,
                        digest: Some(digest),
                    }));
                }
                (State::Verified | State::Saved, _) => {}
            }
        }
        Ok(held)
    }

    /// `entry` goes on behind its first `offset` bytes, which are the sender's; a whole file is complete with that.
    ///
    /// # Errors
    /// [`SinkError::UnexpectedEntry`] when nothing of that length is here; what the disk says.
    pub fn go_on(&mut self, entry: usize, offset: u64) -> Result<(), SinkError> {
        if let Some(writing) = self.current.as_ref().filter(|writing| writing.entry == entry) {
            let is_there = writing.written_len == offset;
            return if is_there { Ok(()) } else { Err(SinkError::UnexpectedEntry { entry }) };
        }
        if self.present.remove(&entry).is_some() {
            self.set_state(entry, State::Saved);
            return Ok(());
        }
        let unexpected = SinkError::UnexpectedEntry { entry };
        let beginning = self.beginnings.get_mut(&entry).ok_or(unexpected)?;
        beginning.marks.retain(|(at, _)| *at == offset);
        if beginning.marks.is_empty() { Err(SinkError::UnexpectedEntry { entry }) } else { Ok(()) }
    }

    /// What is here of `entry` is not the sender's: it comes again from byte 0. A file under its final name stays, and what
    /// comes goes beside it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn start_over(&mut self, entry: usize) -> Result<(), SinkError> {
        self.present.remove(&entry);
        if let Some(beginning) = self.beginnings.remove(&entry) {
            beginning.partial.discard();
        }
        if self.current.as_ref().is_some_and(|writing| writing.entry == entry) {
            self.restart(entry)?;
        }
        Ok(())
    }

    /// The beginning of `entry` as the file being written, if there is one.
    pub(super) fn take_beginning(&mut self, entry: usize) -> Result<Option<Writing>, SinkError> {
        let manifest = Arc::clone(&self.manifest);
        let (Some(beginning), Some(item)) = (self.beginnings.remove(&entry), manifest.entries().get(entry))
        else {
            return Ok(None);
        };
        let Beginning { mut partial, mut marks, synced_len } = beginning;
        let Some((len, hasher)) = marks.pop() else { return Ok(None) };
        // The record first: it must not speak of bytes that are cut off.
        let recorded = partial.record(subject(&item), synced_len.min(len));
        let mut file = partial.file().as_ref();
        recorded
            .and_then(|()| file.set_len(len))
            .and_then(|()| file.seek(SeekFrom::Start(len)))
            .map_err(|error| self.failed("go on with", entry, error))?;
        let declared = if let EntryKind::File { size } = item.kind { Some(size) } else { None };
        let mark = (len, hasher.clone());
        Ok(Some(Writing {
            entry,
            partial,
            hasher,
            written_len: len,
            checkpoint_len: synced_len.min(len),
            synced_len: synced_len.min(len),
            declared,
            mark,
        }))
    }

    /// Cuts the file being written back to the last whole chunk, which is where a sender can go on.
    fn cut_back(&mut self) -> Result<(), SinkError> {
        let Some(writing) = self.current.as_mut() else { return Ok(()) };
        let (len, hasher) = writing.mark.clone();
        if writing.written_len == len {
            return Ok(());
        }
        let mut file = writing.partial.file().as_ref();
        let cut = file.set_len(len).and_then(|()| file.seek(SeekFrom::Start(len)));
        (writing.written_len, writing.hasher) = (len, hasher);
        writing.checkpoint_len = writing.checkpoint_len.min(len);
        writing.synced_len = writing.synced_len.min(len);
        let entry = writing.entry;
        cut.map(drop).map_err(|error| self.failed("go on with", entry, error))
    }
}

impl Writing {
    /// Keeps the state of the hash where a sender could go on from: behind every whole chunk.
    pub(super) fn keep_mark(&mut self) {
        if self.written_len.is_multiple_of(CHUNK_LEN as u64) {
            self.mark = (self.written_len, self.hasher.clone());
        }
    }
}
