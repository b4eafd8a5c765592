//! The tree that the paths of a manifest form, and whether it can exist on every system.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::manifest::{Entries, Entry, EntryKind, MAX_ENTRIES, ManifestError};

/// The hash of a collision key: enough of SHA-256 for two names to be taken for one by chance in 1 of 2^55 manifests that have
/// as many as can be. That would refuse a valid manifest; equal keys always have equal hashes, so no collision is missed.
type Key = [u8; 12];

/// Every path seen so far and every directory that one of them implies, each under the hash of its collision key.
///
/// A million strings would be kept for nothing but comparison, so a name is 16 bytes in a list in the order of hashes. Those that
/// came last wait in a search tree until there are enough of them to be merged into the list. No hash table: a peer that
/// chooses the names cannot make this slow, and it needs no random seed.
#[derive(Debug, Default)]
pub(super) struct Names {
    sorted: Vec<(Key, Node)>,
    recent: BTreeMap<Key, Node>,
    /// The directory of the last entry, which mostly is that of the next: it is known, and so is what is above it.
    directory: String,
}

/// One name of the tree: the entry that it belongs to, or for an implied directory the first entry below it, and in the two
/// highest bits what it is.
#[derive(Clone, Copy, Debug, Default)]
struct Node(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Listed, and nothing may lie below it.
    Leaf,
    /// Listed as a directory.
    Directory,
    /// A directory that no entry has listed so far.
    Implied,
}

/// Where the role of a node begins. An index needs 20 bits.
const ROLE_SHIFT: u32 = 30;

impl Node {
    fn new(index: u32, role: Role) -> Self {
        let role = match role {
            Role::Leaf => 0,
            Role::Directory => 1,
            Role::Implied => 2,
        };
        Self(role << ROLE_SHIFT | index)
    }

    fn index(self) -> usize {
        (self.0 & ((1 << ROLE_SHIFT) - 1)) as usize
    }

    fn role(self) -> Role {
        match self.0 >> ROLE_SHIFT {
            0 => Role::Leaf,
            1 => Role::Directory,
            _ => Role::Implied,
        }
    }
}

impl Names {
    /// Adds `entry`, which is to follow `entries`.
    pub(super) fn insert(&mut self, entries: &Entries, entry: &Entry) -> Result<(), ManifestError> {
        let key = entry.path.collision_key();
        let index = u32::try_from(entries.len()).map_err(|_| ManifestError::TooManyEntries)?;
        let role = if entry.kind == EntryKind::Directory { Role::Directory } else { Role::Leaf };
        let mut spelling = entry.path.as_str();
        let mut key = key.as_str();
        if !self.add(entries, spelling, key, Node::new(index, role))? {
            return Ok(());
        }
        while let (Some((above, _)), Some((key_above, _))) = (spelling.rsplit_once('/'), key.rsplit_once('/'))
        {
            (spelling, key) = (above, key_above);
            if spelling == self.directory
                || !self.add(entries, spelling, key, Node::new(index, Role::Implied))?
            {
                break;
            }
        }
        let directory = entry.path.as_str().rsplit_once('/').map_or("", |(directory, _)| directory);
        if self.directory != directory {
            directory.clone_into(&mut self.directory);
        }
        Ok(())
    }

    /// Adds one name. Returns whether it is new; if not, the directories above it are known already.
    fn add(
        &mut self,
        entries: &Entries,
        spelling: &str,
        key: &str,
        new: Node,
    ) -> Result<bool, ManifestError> {
        let key = fingerprint(key);
        let Some(old) = self.find(&key) else {
            if self.sorted.len() + self.recent.len() >= MAX_NAMES {
                return Err(ManifestError::TooManyEntries);
            }
            self.recent.insert(key, new);
            if self.recent.len() == MAX_RECENT {
                self.merge();
            }
            return Ok(true);
        };
        let (first, second) = (old.index(), new.index());
        if !entries.get(first).is_some_and(|entry| leads_through(entry.path.as_str(), spelling)) {
            return Err(ManifestError::Collision { first, second });
        }
        match (old.role(), new.role()) {
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

    fn find(&mut self, key: &Key) -> Option<&mut Node> {
        if let Ok(place) = self.sorted.binary_search_by_key(key, |(key, _)| *key) {
            return self.sorted.get_mut(place).map(|(_, node)| node);
        }
        self.recent.get_mut(key)
    }

    /// Puts the names that came last where they belong, from the end on, so that nothing is held twice.
    fn merge(&mut self) {
        let recent = std::mem::take(&mut self.recent);
        let mut unmoved = self.sorted.len();
        let mut free = unmoved + recent.len();
        // All at once, since a list that is moved to where there is room for more is held twice. What is not used is not there.
        self.sorted.reserve_exact((MAX_NAMES + MAX_RECENT).saturating_sub(unmoved));
        self.sorted.resize(free, Default::default());
        for name in recent.into_iter().rev() {
            let smaller = self.sorted.get(..unmoved).unwrap_or_default();
            let smaller = smaller.partition_point(|(key, _)| *key < name.0);
            let greater = unmoved - smaller;
            self.sorted.copy_within(smaller..unmoved, free - greater);
            (unmoved, free) = (smaller, free - greater - 1);
            if let Some(place) = self.sorted.get_mut(free) {
                *place = name;
            }
        }
    }
}

/// Whether `spelling` is `path` or a directory above it.
fn leads_through(path: &str, spelling: &str) -> bool {
    path.strip_prefix(spelling).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn fingerprint(key: &str) -> Key {
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// Most names in the tree. Without it, every entry could imply 31 directories of its own.
const MAX_NAMES: usize = 2 * MAX_ENTRIES;

/// Names that wait to be merged: few in memory, and few merges for a million.
const MAX_RECENT: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_wherever_they_wait() {
        let mut names = Names::default();
        let key = |number: u32| fingerprint(&number.to_string());
        for number in 0..1_000 {
            names.recent.insert(key(number), Node::new(number, Role::Leaf));
            if number % 100 == 99 {
                names.merge();
                assert!(names.recent.is_empty() && names.sorted.is_sorted_by_key(|name| name.0));
            }
        }
        for number in 0..1_000 {
            let found = names.find(&key(number)).copied();
            assert_eq!(found.map(Node::index), Some(number as usize));
        }
        assert!(names.find(&key(1_000)).is_none());
    }
}
