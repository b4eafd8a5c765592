//! Going down a directory tree by handles, one component at a time, without following a link.

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;

use cap_fs_ext::DirExt as _;
use cap_std::fs::{Dir, DirBuilder};

/// What to do where a directory on the way down does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The descent ends with [`io::ErrorKind::NotFound`].
    Refuse,
    /// It is made, open to its owner alone until the tree is complete.
    Create,
}

/// A root directory and the handles of the directory reached last.
///
/// Every step is relative to the handle above it and refuses symbolic links, so no name can lead out of the root,
/// whatever others do to the tree meanwhile. Entries of one directory follow one another, which makes most descents
/// free: the handles stay open until the next descent leaves them.
#[derive(Debug)]
pub(super) struct Descent {
    root: Arc<Dir>,
    chain: Vec<(OsString, Arc<Dir>)>,
}

impl Descent {
    /// Starts at `root`.
    pub(super) fn new(root: Dir) -> Self {
        Self { root: Arc::new(root), chain: Vec::new() }
    }

    /// The directory every descent starts from.
    pub(super) fn root(&self) -> &Arc<Dir> {
        &self.root
    }

    /// Closes every handle below the root, so that the next descent looks at the names again.
    pub(super) fn forget(&mut self) {
        self.chain.clear();
    }

    /// Goes down `components` from the root and returns the directory there, with the number of leading components
    /// that existed before.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] where a component is a link or no directory; else what the system says.
    pub(super) fn descend<S: AsRef<OsStr>>(
        &mut self,
        components: &[S],
        missing: Missing,
    ) -> io::Result<(Arc<Dir>, usize)> {
        let shared = components
            .iter()
            .zip(&self.chain)
            .take_while(|(wanted, (name, _))| wanted.as_ref() == name.as_os_str())
            .count();
        self.chain.truncate(shared);

        let mut existing = shared;
        let mut created = false;
        for component in components.iter().skip(shared) {
            let name = component.as_ref();
            let above = self.chain.last().map_or(&self.root, |(_, dir)| dir);
            if missing == Missing::Create {
                created |= create_private(above, name)?;
            }
            if !created {
                existing += 1;
            }
            let below = open_nofollow(above, name)?;
            self.chain.push((name.to_os_string(), Arc::new(below)));
        }
        let dir = self.chain.last().map_or(&self.root, |(_, dir)| dir);
        Ok((Arc::clone(dir), existing))
    }
}

/// Makes directory `name` in `above` with mode 0700; `false` if something of that name was there before.
pub(super) fn create_private(above: &Dir, name: &OsStr) -> io::Result<bool> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only unix sets a mode"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    {
        use cap_std::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    match above.create_dir_with(name, &builder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens directory `name` in `above`; a link counts as no directory, whatever it points to.
pub(super) fn open_nofollow(above: &Dir, name: &OsStr) -> io::Result<Dir> {
    above.open_dir_nofollow(name).map_err(|error| match above.symlink_metadata(name) {
        // Systems disagree (ELOOP, ENOTDIR, EMLINK) on what opening a link as a directory is called.
        Ok(metadata) if !metadata.is_dir() => io::ErrorKind::NotADirectory.into(),
        Ok(_) | Err(_) => error,
    })
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    fn scratch() -> (tempfile::TempDir, Descent) {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
        (root, Descent::new(dir))
    }

    #[test]
    fn missing_directories_are_made_and_counted() {
        let (root, mut descent) = scratch();
        std::fs::create_dir(root.path().join("a")).unwrap();

        let (_, existing) = descent.descend(&["a", "b", "c"], Missing::Create).unwrap();

        assert_eq!(existing, 1);
        assert!(root.path().join("a/b/c").is_dir());
        let (_, again) = descent.descend(&["a", "b", "c"], Missing::Create).unwrap();
        assert_eq!(again, 3);
    }

    #[test]
    fn a_missing_directory_ends_a_descent_that_may_not_create() {
        let (_root, mut descent) = scratch();
        let error = descent.descend(&["a"], Missing::Refuse).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_on_the_way_down_is_no_directory() {
        let (root, mut descent) = scratch();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join("a/b")).unwrap();

        for missing in [Missing::Refuse, Missing::Create] {
            let error = descent.descend(&["a", "b", "c"], missing).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        }
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_sibling_with_a_longer_name_is_another_directory() {
        let (root, mut descent) = scratch();
        descent.descend(&["parent", "x"], Missing::Create).unwrap();
        descent.descend(&["parent2", "x"], Missing::Create).unwrap();
        assert!(root.path().join("parent2/x").is_dir());
    }
}
