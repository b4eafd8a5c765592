//! Where a manifest goes: one final name for each name at its top, decided once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use cap_std::fs::Dir;
use wire::manifest::{Manifest, TopLevel};
use wire::safe_path::SafePath;

use super::naming::{Named, numbered};

/// What happens where a name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// What is there stays; what comes gets a number: `report (1).pdf`, `photos (1)/`.
    #[default]
    Never,
    /// Files replace files, one by one; directories are merged. A directory or link is never replaced by a file
    /// inside a tree, and a link is never followed.
    Files,
}

/// The final name of one name at the top of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The name the sender gave.
    pub sent: String,
    /// The name in the output directory.
    pub saved: String,
    /// Whether the name existed and is to be replaced or merged into ([`Overwrite::Files`]).
    pub replaces: bool,
    pub(super) kind: Named,
}

/// The placements of a manifest, by the name sent.
#[derive(Debug, Default)]
pub(super) struct Placements {
    by_name: HashMap<String, Placement>,
    order: Vec<String>,
    /// Collision keys of every name given out, so that two names sent never end up as one.
    taken: HashSet<String>,
}

/// Numbers tried for one name before giving up.
pub(super) const NUMBERS: u32 = 10_000;

impl Placements {
    /// Decides the names of everything at the top of `manifest` by what is in `dir`. Directories go where `earlier`, the
    /// record of a transfer that is gone on with, says that they went, which is where they were sent to if it does not
    /// name them.
    ///
    /// # Errors
    /// What the system says about a name, with the name; [`io::ErrorKind::AlreadyExists`] when all numbers are taken.
    pub(super) fn decide(
        dir: &Dir,
        manifest: &Manifest,
        overwrite: Overwrite,
        earlier: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, (String, io::Error)> {
        let mut placements = Self::default();
        let tops = manifest.top_level();
        placements.taken.extend(tops.iter().map(|top| collision_key(&top.name)));
        for TopLevel { name, is_directory, .. } in &tops {
            let (name, is_directory) = (&**name, *is_directory);
            let kind = if is_directory { Named::Directory } else { Named::File };
            let placement = match earlier {
                Some(renamed) if is_directory => {
                    let saved = renamed.get(name).map_or(name, String::as_str).to_owned();
                    placements.taken.insert(collision_key(&saved));
                    Placement { sent: name.to_owned(), saved, replaces: false, kind }
                }
                Some(_) | None => {
                    placements.place(dir, name, kind, overwrite).map_err(|error| (name.to_owned(), error))?
                }
            };
            placements.order.push(placement.sent.clone());
            placements.by_name.insert(placement.sent.clone(), placement);
        }
        Ok(placements)
    }

    /// The placement of what was sent as `top`.
    pub(super) fn of(&self, top: &str) -> Option<&Placement> {
        self.by_name.get(top)
    }

    /// Every placement, in the order of the manifest.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Placement> {
        self.order.iter().filter_map(|name| self.by_name.get(name))
    }

    /// Gives `top` the next free number, because the name decided on was taken meanwhile.
    ///
    /// # Errors
    /// As [`Placements::decide`].
    pub(super) fn move_on(&mut self, dir: &Dir, top: &str) -> io::Result<()> {
        let Some(Placement { kind, .. }) = self.by_name.get(top) else { return Ok(()) };
        let saved = self.next_free(dir, top, *kind, 1)?;
        if let Some(placement) = self.by_name.get_mut(top) {
            placement.saved = saved;
            placement.replaces = false;
        }
        Ok(())
    }

    fn place(&mut self, dir: &Dir, name: &str, kind: Named, overwrite: Overwrite) -> io::Result<Placement> {
        let there = match dir.symlink_metadata(name) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let replaces = overwrite == Overwrite::Files
            && there.as_ref().is_some_and(|metadata| match kind {
                Named::File => !metadata.is_dir(),
                Named::Directory => metadata.is_dir(),
            });
        let saved =
            if there.is_none() || replaces { name.to_owned() } else { self.next_free(dir, name, kind, 1)? };
        Ok(Placement { sent: name.to_owned(), saved, replaces, kind })
    }

    fn next_free(&mut self, dir: &Dir, name: &str, kind: Named, first: u32) -> io::Result<String> {
        for number in first..NUMBERS {
            let candidate = numbered(name, kind, number);
            let key = collision_key(&candidate);
            if self.taken.contains(&key) {
                continue;
            }
            match dir.symlink_metadata(&candidate) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.taken.insert(key);
                    return Ok(candidate);
                }
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

fn collision_key(name: &str) -> String {
    SafePath::parse(name).map_or_else(|_| name.to_lowercase(), |path| path.collision_key())
}
