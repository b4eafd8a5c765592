//! What an earlier transfer of the same files left in the output directory.
//!
//! Found by names and sizes ([`OutputDir::remains`](super::OutputDir::remains)), read and hashed ([`Remains::check`]), and
//! then it is for the sender to say what of it is its own: nothing here is believed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use cap_std::fs::Dir;
use wire::manifest::{Entry, EntryKind, Manifest};
use wire::message::CHUNK_LEN;
use wire::transfer::receiver::Held;

use super::descent::{Descent, Missing};
use super::digest::Hasher;
use super::partial::{Partial, open_regular};
use super::parts::Parts;
use super::sink::{Beginning, subject};

/// Partials that are gone on with at once; each holds two file descriptors. There is one in all but strange cases.
const MAX_PARTIALS: usize = 64;

/// Bytes read at a time.
const READ_LEN: usize = 256 * 1024;

/// What is here of a manifest from an earlier transfer.
#[derive(Debug)]
pub struct Remains {
    pub(super) parts: Option<Parts>,
    found: Vec<Found>,
    present_len: u64,
    /// Where the files are.
    descent: Descent,
    manifest: Arc<Manifest>,
}

#[derive(Debug)]
struct Found {
    entry: usize,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Under its final name.
    Whole,
    /// A partial of this length, of which so much is known to be on the disk.
    Partial { partial: Box<Partial>, len: u64, synced_len: u64 },
}

/// What is here and how it reads.
#[derive(Debug, Default)]
pub struct Checked {
    /// What to have proven by the sender.
    pub held: Vec<Held>,
    pub(super) parts: Option<Parts>,
    pub(super) beginnings: Vec<(usize, Beginning)>,
    /// Digests of whole files.
    pub(super) present: BTreeMap<usize, [u8; 32]>,
}

impl Remains {
    /// Looks for files and partials of `manifest` below `root`. Only names and sizes are looked at.
    pub(super) fn find(root: Dir, manifest: Arc<Manifest>) -> Self {
        let parts = if Parts::are_of(&manifest) { Parts::find(&root, &manifest) } else { None };
        let mut remains =
            Self { parts, found: Vec::new(), present_len: 0, descent: Descent::new(root), manifest };
        let all = Arc::clone(&remains.manifest);
        // Without a record nothing in a directory is known to come from an earlier transfer.
        let in_directories = remains.parts.is_some();
        let mut partial_count = 0;
        for (entry, item) in all.entries().iter().enumerate() {
            let EntryKind::File { size } = item.kind else { continue };
            if item.path.depth() > 1 && !in_directories {
                continue;
            }
            let Some((dir, name)) = remains.locate(&item) else { continue };
            let is_whole = in_directories && len_of(&dir, &name) == Some(size);
            if is_whole {
                remains.present_len += size;
                remains.found.push(Found { entry, place: Place::Whole });
            } else if partial_count < MAX_PARTIALS
                && let Some((partial, len, synced_len)) = Partial::resume(&dir, subject(&item))
            {
                partial_count += 1;
                let len = len.min(size.saturating_sub(1));
                remains.present_len += whole_chunks(len);
                let place =
                    Place::Partial { partial: Box::new(partial), len, synced_len: synced_len.min(len) };
                remains.found.push(Found { entry, place });
            } else if item.path.depth() > 1 {
                Partial::remove_unrecorded(&dir, subject(&item));
            }
        }
        remains
    }

    /// Bytes of the manifest's files that seem to be here.
    pub fn present_len(&self) -> u64 {
        self.present_len
    }

    /// Reads and hashes everything that was found; `progress` is told how many more bytes have been read. What cannot be
    /// read is left out. Blocks on the disk.
    pub fn check(mut self, mut progress: impl FnMut(u64)) -> Checked {
        let manifest = Arc::clone(&self.manifest);
        let mut checked = Checked::default();
        for Found { entry, place } in std::mem::take(&mut self.found) {
            let (Ok(file), Some(item)) = (u32::try_from(entry), manifest.entries().get(entry)) else {
                continue;
            };
            match place {
                Place::Whole => {
                    let size = item.kind.size();
                    let opened = self.locate(&item).and_then(|(dir, name)| open_regular(&dir, &name).ok());
                    let marks = opened.and_then(|whole| hash_to(&whole, &[size], &mut progress));
                    if let Some((offset, hasher)) = marks.and_then(|mut marks| marks.pop()) {
                        let digest = hasher.finish();
                        checked.present.insert(entry, digest);
                        checked.held.push(Held { file, offset, digest: Some(digest) });
                    }
                }
                Place::Partial { partial, len, synced_len } => {
                    let mut offsets = vec![whole_chunks(synced_len), whole_chunks(len)];
                    offsets.dedup();
                    offsets.retain(|offset| *offset > 0);
                    let marks = hash_to(partial.file(), &offsets, &mut progress).unwrap_or_default();
                    let held = |(offset, hasher): &(u64, Hasher)| Held {
                        file,
                        offset: *offset,
                        digest: Some(hasher.clone().finish()),
                    };
                    checked.held.extend(marks.iter().map(held));
                    if !marks.is_empty() {
                        checked.beginnings.push((entry, Beginning { partial: *partial, marks, synced_len }));
                    }
                }
            }
        }
        checked.parts = self.parts;
        checked
    }

    /// Gives up what was found, so that everything comes anew: what is complete stays where it is, partials are replaced.
    pub fn set_aside(self) {
        if let Some(parts) = self.parts {
            parts.remove(self.descent.root());
        }
    }

    /// The directory of an entry as it is here, if it exists, and its final name.
    fn locate(&mut self, item: &Entry) -> Option<(Arc<Dir>, String)> {
        let top = item.path.top();
        let renamed = self.parts.as_ref().and_then(|parts| parts.renamed().get(top));
        let local =
            std::iter::once(renamed.map_or(top, String::as_str)).chain(item.path.components().skip(1));
        let local: Vec<String> = local.map(str::to_owned).collect();
        let (name, above) = local.split_last()?;
        let (dir, _) = self.descent.descend(above, Missing::Refuse).ok()?;
        Some((dir, name.clone()))
    }
}

/// Hashes the beginning of `file` and keeps the state at each of the ascending `offsets`; `None` when it does not read
/// that far.
fn hash_to(mut file: &File, offsets: &[u64], progress: &mut impl FnMut(u64)) -> Option<Vec<(u64, Hasher)>> {
    let mut hasher = Hasher::default();
    let mut marks = Vec::with_capacity(offsets.len());
    let mut buffer = vec![0; READ_LEN];
    let mut position = 0;
    for &offset in offsets {
        while position < offset {
            let wanted = usize::try_from(offset - position).map_or(READ_LEN, |left| left.min(READ_LEN));
            let bytes = buffer.get_mut(..wanted)?;
            if file.read_exact(bytes).is_err() {
                // What was read before an error or an early end is as good as ever.
                return (!marks.is_empty()).then_some(marks);
            }
            hasher.update(bytes);
            position += wanted as u64;
            progress(wanted as u64);
        }
        marks.push((offset, hasher.clone()));
    }
    Some(marks)
}

/// The length of regular file `name`, if that is what it is.
fn len_of(dir: &Dir, name: &str) -> Option<u64> {
    dir.symlink_metadata(name).ok().filter(cap_std::fs::Metadata::is_file).map(|metadata| metadata.len())
}

fn whole_chunks(len: u64) -> u64 {
    len - len % CHUNK_LEN as u64
}
