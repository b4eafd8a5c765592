//! The tree that the paths of a manifest form, and whether it can exist on every system.

use std::collections::BTreeMap;
use std::collections::btree_map;

use sha2::{Digest, Sha256};

use crate::manifest::{Entry, EntryKind, MAX_ENTRIES, ManifestError};

/// Every path seen so far and every directory that one of them implies, each under the hash of its collision key.
///
/// A million strings would be kept for nothing but comparison, so a name is 16 bytes of SHA-256. Equal keys have
/// equal hashes: no collision of names is missed. Two hashes that are equal by chance would refuse a valid manifest:
/// for 2 million names the odds are 1 in 2^87. A search tree and not a hash table: a peer that chooses the names
/// cannot make it slow, and it needs no random seed.
#[derive(Debug, Default)]
pub(super) struct Names {
    nodes: BTreeMap<[u8; 16], Node>,
}

/// One name of the tree.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The entry that it belongs to; for an implied directory, the first entry below it.
    index: u32,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Listed, and nothing may lie below it.
    Leaf,
    /// Listed as a directory.
    Directory,
    /// A directory that no entry has listed so far.
    Implied,
}

impl Names {
    /// Adds `entry`, which is to follow `entries`.
    pub(super) fn insert(&mut self, entries: &[Entry], entry: &Entry) -> Result<(), ManifestError> {
        let key = entry.path.collision_key();
        let index = u32::try_from(entries.len()).map_err(|_| ManifestError::TooManyEntries)?;
        let role = if entry.kind == EntryKind::Directory { Role::Directory } else { Role::Leaf };
        let mut spelling = entry.path.as_str();
        let mut key = key.as_str();
        if !self.add(entries, spelling, key, Node { index, role })? {
            return Ok(());
        }
        while let (Some((above, _)), Some((key_above, _))) = (spelling.rsplit_once('/'), key.rsplit_once('/'))
        {
            (spelling, key) = (above, key_above);
            if !self.add(entries, spelling, key, Node { index, role: Role::Implied })? {
                break;
            }
        }
        Ok(())
    }

    /// Adds one name. Returns whether it is new; if not, the directories above it are known already.
    fn add(
        &mut self,
        entries: &[Entry],
        spelling: &str,
        key: &str,
        new: Node,
    ) -> Result<bool, ManifestError> {
        let count = self.nodes.len();
        let old = match self.nodes.entry(fingerprint(key)) {
            btree_map::Entry::Vacant(_) if count >= MAX_NAMES => return Err(ManifestError::TooManyEntries),
            btree_map::Entry::Vacant(place) => {
                place.insert(new);
                return Ok(true);
            }
            btree_map::Entry::Occupied(place) => place.into_mut(),
        };
        let (first, second) = (old.index as usize, new.index as usize);
        if !entries.get(first).is_some_and(|entry| leads_through(entry.path.as_str(), spelling)) {
            return Err(ManifestError::Collision { first, second });
        }
        match (old.role, new.role) {
            (Role::Directory | Role::Implied, Role::Implied) => {}
            (Role::Implied, Role::Directory) => *old = new,
            (Role::Implied, Role::Leaf) => {
                return Err(ManifestError::NotADirectory { parent: second, child: first });
            }
            (Role::Leaf, Role::Implied) => {
                return Err(ManifestError::NotADirectory { parent: first, child: second });
            }
            (Role::Leaf | Role::Directory, Role::Leaf | Role::Directory) => {
                return Err(ManifestError::Duplicate { first, second });
            }
        }
        Ok(false)
    }
}

/// Whether `spelling` is `path` or a directory above it.
fn leads_through(path: &str, spelling: &str) -> bool {
    path.strip_prefix(spelling).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn fingerprint(key: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// Most names in the tree. Without it, every entry could imply 31 directories of its own.
const MAX_NAMES: usize = 2 * MAX_ENTRIES;
