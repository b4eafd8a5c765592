//! The tree being received: its directories, and which of them this transfer made.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;

use super::descent::{Descent, Missing, create_private};
use super::placement::{NUMBERS, Placements};

/// Makes directories below the output directory as they are needed, by handles and without following links.
#[derive(Debug)]
pub(super) struct Tree {
    descent: Descent,
    /// Local paths of directories made here whose parents were not: everything below them is ours as well.
    made: HashSet<String>,
}

impl Tree {
    /// Starts at the output directory.
    pub(super) fn new(root: Dir) -> Self {
        Self { descent: Descent::new(root), made: HashSet::new() }
    }

    /// An earlier transfer made directory `saved` at the top, and this one goes on in it.
    pub(super) fn go_on_in(&mut self, saved: &str) {
        self.made.insert(saved.to_owned());
    }

    /// The output directory.
    pub(super) fn root(&self) -> &Arc<Dir> {
        self.descent.root()
    }

    /// Closes the handles below the root.
    pub(super) fn forget(&mut self) {
        self.descent.forget();
    }

    /// Makes sure that the directory sent as `top` has a name of its own: makes it, under the next number if its name
    /// was taken meanwhile, unless it is to be merged into what is there.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn claim_top(&mut self, placements: &mut Placements, top: &str) -> io::Result<()> {
        for _ in 0..NUMBERS {
            let Some(placement) = placements.of(top) else { return Err(io::ErrorKind::NotFound.into()) };
            if placement.replaces || self.made.contains(&placement.saved) {
                return Ok(());
            }
            if create_private(self.root(), OsStr::new(&placement.saved))? {
                self.made.insert(placement.saved.clone());
                return Ok(());
            }
            let root = Arc::clone(self.root());
            placements.move_on(&root, top)?;
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The directory of these local names, made where it is missing.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] where a link or file is in the way; else what the system says.
    pub(super) fn enter(&mut self, names: &[&str]) -> io::Result<Arc<Dir>> {
        let (dir, existing) = self.descent.descend(names, Missing::Create)?;
        if let Some(made) = names.get(..=existing).filter(|_| existing < names.len())
            && !self.is_made(names.get(..existing).unwrap_or_default())
        {
            self.made.insert(made.join("/"));
        }
        Ok(dir)
    }

    /// The directory of these local names, which exists.
    ///
    /// # Errors
    /// As [`Tree::enter`].
    pub(super) fn reopen(&mut self, names: &[&str]) -> io::Result<Arc<Dir>> {
        Ok(self.descent.descend(names, Missing::Refuse)?.0)
    }

    /// Whether the directory of these local names was made by this transfer.
    pub(super) fn is_made(&self, names: &[&str]) -> bool {
        (1..=names.len())
            .any(|depth| names.get(..depth).is_some_and(|above| self.made.contains(&above.join("/"))))
    }
}
