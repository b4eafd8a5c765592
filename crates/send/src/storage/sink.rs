//! The receiving end on disk: bytes in order go in, verified files with their final names come out.
//!
//! ```text
//! OutputDir::open ─► prepare(manifest) ─► Sink
//!   write, write, … commit      a file in chunks, into its partial; its digest is checked by commit
//!   write_whole                 a small file at once
//!   poll_saved                  which files have their final names by now
//! finish                        everything synced, directories and links made, modes and times set
//! abort, or drop                what is worth it stays as a partial
//! ```
//! Every call blocks on the disk and belongs on a thread of its own. A verified file is not renamed at once: it waits
//! under its partial's name until the disk has it, together with others, so that ten thousand small files do not wait
//! ten thousand times.

mod closing;
mod error;
#[cfg(test)]
mod failing;
#[cfg(test)]
mod power;
mod publishing;
mod resuming;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cap_std::fs::Dir;
use wire::manifest::{Entry, EntryKind, Manifest};
use wire::safe_path::SafePath;

pub use self::closing::{Finished, Kept, Leftovers};
pub use self::error::SinkError;
pub(super) use self::resuming::Beginning;
use self::resuming::Beginnings;
use super::Symlinks;
use super::digest::Hasher;
use super::flusher::{Flusher, Job, Sync, sync_all};
use super::naming::Named;
use super::output::SinkOptions;
use super::partial::{Partial, Subject};
use super::parts::Parts;
use super::placement::{Placement, Placements};
use super::remains::Checked;
use super::tree::Tree;

/// Saves the files of one manifest below one directory.
///
/// Chunks come in order, one file after another; whole small files may come between. After an error the sink can be
/// finished no more than its caller can mend the cause; dropping it keeps what is worth keeping.
#[derive(Debug)]
pub struct Sink {
    root: PathBuf,
    manifest: Arc<Manifest>,
    options: SinkOptions,
    placements: Placements,
    tree: Tree,
    parts: Option<Parts>,
    /// Partials of an earlier transfer that wait for their turn.
    beginnings: Beginnings,
    /// Files of an earlier transfer that are complete, unless the sender says otherwise, and their digests.
    present: BTreeMap<usize, [u8; 32]>,
    states: Vec<State>,
    current: Option<Writing>,
    batch: Vec<Verified>,
    batch_len: u64,
    flusher: Flusher<Flushed>,
    sync: Sync,
    saved: Vec<Saved>,
    unkept_attributes: usize,
    /// Whether the disk has once not taken what it was given. It tells that once: to ask again proves nothing, nor does
    /// reading what is still in memory.
    sync_failed: bool,
    settled: bool,
}

/// A file that has its final name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its index in the manifest.
    pub entry: usize,
    /// Where it is, relative to the output directory.
    pub path: PathBuf,
}

/// How far an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Writing,
    Verified,
    Saved,
}

/// The file that is being written.
#[derive(Debug)]
struct Writing {
    entry: usize,
    partial: Partial,
    hasher: Hasher,
    written_len: u64,
    /// How much of it the flusher was last asked to bring to the disk.
    checkpoint_len: u64,
    /// How much of it is certainly there.
    synced_len: u64,
    declared: Option<u64>,
    /// The last offset that a sender could go on from, and the hash of everything before it.
    mark: (u64, Hasher),
}

/// A file that is complete and right, and perhaps not on the disk yet.
#[derive(Debug)]
struct Verified {
    entry: usize,
    partial: Partial,
    len: u64,
    /// How much of it is certainly on the disk.
    synced_len: u64,
}

/// What a job of the flusher was for.
#[derive(Debug)]
enum Flushed {
    Batch(Vec<Verified>),
    /// So much of a partial, known by its file: another one may have taken its place.
    Checkpoint {
        entry: usize,
        file: Arc<File>,
        len: u64,
    },
}

impl Sink {
    pub(super) fn new(
        root: PathBuf,
        dir: Dir,
        manifest: Arc<Manifest>,
        options: SinkOptions,
        checked: Checked,
    ) -> Result<Self, SinkError> {
        Self::with_sync((root, dir), manifest, options, checked, sync_all)
    }

    fn with_sync(
        (root, dir): (PathBuf, Dir),
        manifest: Arc<Manifest>,
        options: SinkOptions,
        checked: Checked,
        sync: Sync,
    ) -> Result<Self, SinkError> {
        refuse_symlinks(&root, &manifest, options.symlinks)?;
        let Checked { parts, beginnings, present, .. } = checked;
        let earlier = parts.as_ref().map(Parts::renamed);
        let placements = Placements::decide(&dir, &manifest, options.overwrite, earlier)
            .map_err(|(name, error)| SinkError::new("look at", root.join(name), error))?;
        let mut tree = Tree::new(dir);
        if parts.is_some() {
            placements.iter().filter(|placement| placement.kind == Named::Directory).for_each(|placement| {
                tree.go_on_in(&placement.saved);
            });
        }
        // The transfer completes without a record too.
        let parts = match parts {
            None if Parts::are_of(&manifest) => Parts::create(tree.root(), &manifest).ok(),
            known => known,
        };
        let flusher =
            Flusher::start(sync).map_err(|error| SinkError::new("start writing to", &root, error))?;
        Ok(Self {
            root,
            options,
            placements,
            tree,
            parts,
            beginnings: beginnings.into_iter().collect(),
            present,
            states: vec![State::Waiting; manifest.entries().len()],
            manifest,
            current: None,
            batch: Vec::new(),
            batch_len: 0,
            flusher,
            sync,
            saved: Vec::new(),
            unkept_attributes: 0,
            sync_failed: false,
            settled: false,
        })
    }

    /// Where each name at the top of the manifest goes. A name that is taken before its turn comes may still change;
    /// [`Saved::path`] is what became of it.
    pub fn placements(&self) -> impl Iterator<Item = &Placement> {
        self.placements.iter()
    }

    /// Bytes of `entry` in its partial, while it is being written; 0 before and after.
    pub fn written_len(&self, entry: usize) -> u64 {
        self.current
            .as_ref()
            .filter(|writing| writing.entry == entry)
            .map_or(0, |writing| writing.written_len)
    }

    /// Appends `data`, which begins at byte `offset` of `entry`.
    ///
    /// # Errors
    /// [`SinkError::OutOfOrder`] and [`SinkError::TooLong`] before anything is written;
    /// [`SinkError::UnexpectedEntry`]; what the disk says, after which exactly the bytes of earlier calls are kept.
    pub fn write(&mut self, entry: usize, offset: u64, data: &[u8]) -> Result<(), SinkError> {
        self.collect_flushed()?;
        self.begin(entry)?;
        let path = || {
            let item = self.manifest.entries().get(entry);
            self.root.join(item.as_ref().map_or("", |item| item.path.as_str()))
        };
        let Some(writing) = &mut self.current else { return Err(SinkError::UnexpectedEntry { entry }) };
        if offset != writing.written_len {
            return Err(SinkError::OutOfOrder { path: path(), offset, expected: writing.written_len });
        }
        let end = offset.saturating_add(data.len() as u64);
        if let Some(declared) = writing.declared.filter(|&declared| end > declared) {
            return Err(SinkError::TooLong { path: path(), declared });
        }
        let mut file: &File = writing.partial.file();
        if let Err(error) = file.write_all(data) {
            // What arrived in part goes again, so that the length on disk is the length hashed.
            let _ = file.set_len(offset).and_then(|()| file.seek(std::io::SeekFrom::Start(offset)));
            return Err(SinkError::new("write", path(), error).with_kept(offset));
        }
        writing.hasher.update(data);
        writing.written_len = end;
        writing.keep_mark();
        if end - writing.checkpoint_len >= CHECKPOINT_LEN {
            let written = Arc::clone(writing.partial.file());
            let files = vec![Arc::clone(&written)];
            let tag = Flushed::Checkpoint { entry, file: written, len: end };
            if self.flusher.try_submit(Job { files, tag }) {
                writing.checkpoint_len = end;
            }
        }
        Ok(())
    }

    /// Ends `entry`: it is `len` bytes and `digest` is their SHA-256.
    ///
    /// The file gets its final name later: [`Sink::poll_saved`] tells when.
    ///
    /// # Errors
    /// [`SinkError::TooShort`] when `len` bytes have not arrived; [`SinkError::DigestMismatch`], after which the file may
    /// be sent again from its beginning; what the disk says.
    pub fn commit(&mut self, entry: usize, len: u64, digest: [u8; 32]) -> Result<(), SinkError> {
        self.collect_flushed()?;
        self.begin(entry)?;
        let path = self.shown_path(entry);
        let Some(writing) = self.current.take() else { return Err(SinkError::UnexpectedEntry { entry }) };
        let expected = writing.declared.unwrap_or(len);
        if writing.written_len != expected || len != expected {
            let written_len = writing.written_len;
            self.current = Some(writing);
            return Err(SinkError::TooShort { path, len: written_len, expected });
        }
        if writing.hasher.finish() != digest {
            writing.partial.discard();
            self.set_state(entry, State::Waiting);
            return Err(SinkError::DigestMismatch { path });
        }
        self.queue(Verified { entry, partial: writing.partial, len, synced_len: writing.synced_len });
        Ok(())
    }

    /// Saves all of a small file at once; `digest` is checked before anything is written.
    ///
    /// # Errors
    /// As [`Sink::write`] and [`Sink::commit`].
    pub fn write_whole(&mut self, entry: usize, bytes: &[u8], digest: [u8; 32]) -> Result<(), SinkError> {
        self.collect_flushed()?;
        let path = self.shown_path(entry);
        let declared = self.expect(entry)?;
        let len = bytes.len() as u64;
        match declared {
            Some(declared) if len > declared => return Err(SinkError::TooLong { path, declared }),
            Some(declared) if len < declared => {
                return Err(SinkError::TooShort { path, len, expected: declared });
            }
            Some(_) | None => {}
        }
        if Hasher::of(bytes) != digest {
            return Err(SinkError::DigestMismatch { path });
        }
        let partial = self.create_partial(entry)?;
        let mut file: &File = partial.file();
        if let Err(error) = file.write_all(bytes) {
            partial.discard();
            return Err(SinkError::new("write", path, error));
        }
        self.queue(Verified { entry, partial, len, synced_len: 0 });
        Ok(())
    }

    /// Forgets what was written of `entry`, so that it can come again from byte 0: the sender's file is another one.
    ///
    /// # Errors
    /// [`SinkError::UnexpectedEntry`] when it is not the file being written; what the disk says.
    pub fn restart(&mut self, entry: usize) -> Result<(), SinkError> {
        let Some(writing) = self.current.take_if(|writing| writing.entry == entry) else {
            return Err(SinkError::UnexpectedEntry { entry });
        };
        writing.partial.discard();
        self.set_state(entry, State::Waiting);
        self.begin(entry)
    }

    /// The files that got their final names since the last call. Does not wait for the disk.
    ///
    /// # Errors
    /// What went wrong while files were synced and renamed.
    pub fn poll_saved(&mut self) -> Result<Vec<Saved>, SinkError> {
        self.collect_flushed()?;
        Ok(std::mem::take(&mut self.saved))
    }

    /// Waits until every committed file has its final name, and returns those not yet reported.
    ///
    /// # Errors
    /// As [`Sink::poll_saved`].
    pub fn flush(&mut self) -> Result<Vec<Saved>, SinkError> {
        self.submit_batch();
        while let Some(done) = self.flusher.wait() {
            self.handle_flushed(done)?;
        }
        Ok(std::mem::take(&mut self.saved))
    }

    /// Makes `entry` the file being written, unless it is already.
    fn begin(&mut self, entry: usize) -> Result<(), SinkError> {
        match &self.current {
            Some(writing) if writing.entry == entry => return Ok(()),
            Some(_) => return Err(SinkError::UnexpectedEntry { entry }),
            None => {}
        }
        let declared = self.expect(entry)?;
        if let Some(writing) = self.take_beginning(entry)? {
            self.set_state(entry, State::Writing);
            self.current = Some(writing);
            return Ok(());
        }
        let mut partial = self.create_partial(entry)?;
        if declared.is_none_or(|len| len >= KEEP_LEN) {
            let manifest = Arc::clone(&self.manifest);
            if let Some(item) = manifest.entries().get(entry) {
                partial.record(subject(&item), 0).map_err(|error| self.failed("record", entry, error))?;
            }
        }
        self.set_state(entry, State::Writing);
        self.current = Some(Writing {
            entry,
            partial,
            hasher: Hasher::default(),
            written_len: 0,
            checkpoint_len: 0,
            synced_len: 0,
            declared,
            mark: (0, Hasher::default()),
        });
        Ok(())
    }

    /// The declared size of `entry`, if it is a file that has not come yet.
    fn expect(&self, entry: usize) -> Result<Option<u64>, SinkError> {
        let is_waiting = self.states.get(entry) == Some(&State::Waiting);
        match self.manifest.entries().kind(entry).filter(|_| is_waiting) {
            Some(EntryKind::File { size }) => Ok(Some(size)),
            Some(EntryKind::Stream) => Ok(None),
            Some(EntryKind::Directory | EntryKind::Symlink { .. }) | None => {
                Err(SinkError::UnexpectedEntry { entry })
            }
        }
    }

    fn create_partial(&mut self, entry: usize) -> Result<Partial, SinkError> {
        let manifest = Arc::clone(&self.manifest);
        let Some(item) = manifest.entries().get(entry) else {
            return Err(SinkError::UnexpectedEntry { entry });
        };
        let dir = self.enter_parent(&item.path)?;
        Partial::create(&dir, subject(&item)).map_err(|error| self.failed("create", entry, error))
    }

    /// The directory that `path` goes into, made if need be.
    fn enter_parent(&mut self, path: &SafePath) -> Result<Arc<Dir>, SinkError> {
        let names: Vec<&str> = path.components().collect();
        match names.split_last() {
            Some((_, above)) => self.enter(above),
            None => Ok(Arc::clone(self.tree.root())),
        }
    }

    /// The directory of these names as sent, made if need be.
    fn enter(&mut self, names: &[&str]) -> Result<Arc<Dir>, SinkError> {
        let Some((&top, below)) = names.split_first() else { return Ok(Arc::clone(self.tree.root())) };
        let path = || self.root.join(names.join("/"));
        self.tree
            .claim_top(&mut self.placements, top)
            .map_err(|error| SinkError::new("create directory", path(), error))?;
        self.note_name(top);
        let saved = self.placements.of(top).map_or(top, |placement| placement.saved.as_str());
        let local: Vec<&str> = std::iter::once(saved).chain(below.iter().copied()).collect();
        self.tree
            .enter(&local)
            .map_err(|error| SinkError::new("create directory", self.root.join(local.join("/")), error))
    }

    /// Records where what was sent as `top` goes.
    fn note_name(&mut self, top: &str) {
        let saved = self.placements.of(top).map(|placement| placement.saved.clone());
        if let (Some(parts), Some(saved)) = (self.parts.as_mut(), saved)
            && parts.rename(top, &saved).is_err()
        {
            // A record that is not true is of no use.
            let root = Arc::clone(self.tree.root());
            self.parts.take().into_iter().for_each(|untrue| untrue.remove(&root));
        }
    }

    fn set_state(&mut self, entry: usize, state: State) {
        if let Some(slot) = self.states.get_mut(entry) {
            *slot = state;
        }
    }

    /// Where `path` goes, relative to the output directory.
    fn local_path(&self, path: &SafePath) -> PathBuf {
        let top = path.top();
        let saved = self.placements.of(top).map_or(top, |placement| placement.saved.as_str());
        std::iter::once(saved).chain(path.components().skip(1)).collect()
    }

    /// The path of `entry` for messages.
    fn shown_path(&self, entry: usize) -> PathBuf {
        match self.manifest.entries().get(entry) {
            Some(item) => self.root.join(self.local_path(&item.path)),
            None => self.root.clone(),
        }
    }

    fn failed(&self, operation: &'static str, entry: usize, error: std::io::Error) -> SinkError {
        SinkError::new(operation, self.shown_path(entry), error)
    }
}

/// Which file the partial of `item` is for.
pub(super) fn subject(item: &Entry) -> Subject<'_> {
    let size = if let EntryKind::File { size } = item.kind { Some(size) } else { None };
    Subject { path: item.path.as_str(), name: item.path.file_name(), size }
}

/// A link's target is checked by the manifest; whether links are wanted at all is for the receiver to say.
fn refuse_symlinks(root: &Path, manifest: &Manifest, symlinks: Symlinks) -> Result<(), SinkError> {
    if symlinks == Symlinks::Keep {
        return Ok(());
    }
    match manifest.entries().iter().find(|entry| matches!(entry.kind, EntryKind::Symlink { .. })) {
        Some(link) => Err(SinkError::Symlink { path: root.join(link.path.as_str()) }),
        None => Ok(()),
    }
}

/// Sets the permission bits of an open file or directory; whether the file system took them.
fn set_mode(file: &File, mode: u16) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(std::fs::Permissions::from_mode(mode.into())).is_ok()
    }
    #[cfg(not(unix))]
    {
        let _ = (file, mode);
        true
    }
}

/// The time `seconds` after the epoch, where this system can express it.
fn modified(seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

/// Bytes between two checkpoints of a file being written (PROTOCOL.md §4): what a crash can cost.
const CHECKPOINT_LEN: u64 = 8 << 20;

/// Bytes below which a partial is not worth keeping: offsets to resume from are multiples of one chunk.
const KEEP_LEN: u64 = 65_536;
