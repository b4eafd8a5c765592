//! Giving a finished file its final name without taking that name from another.

use std::io;

use cap_std::fs::{Dir, OpenOptions};

/// Renames `from` to `to` within `dir` unless `to` exists, in one step where the system can.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when `to` is taken, by a link too; else what the system says.
pub(super) fn rename_new(dir: &Dir, from: &str, to: &str) -> io::Result<()> {
    match rename_noreplace(dir, from, to) {
        Err(error) if is_unsupported(&error) => rename_by_link(dir, from, to),
        done => done,
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_noreplace(dir: &Dir, from: &str, to: &str) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(dir, from, dir, to, rustix::fs::RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_noreplace(_dir: &Dir, _from: &str, _to: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A hard link fails where its name is taken, so link and unlink make a rename that does not replace.
fn rename_by_link(dir: &Dir, from: &str, to: &str) -> io::Result<()> {
    match dir.hard_link(from, dir, to) {
        Ok(()) => dir.remove_file(from),
        Err(error) if is_unsupported(&error) || error.kind() == io::ErrorKind::PermissionDenied => {
            rename_over_placeholder(dir, from, to)
        }
        Err(error) => Err(error),
    }
}

/// The last resort, for file systems without hard links (FAT): the name is claimed by an empty file of our own, which
/// the rename replaces.
fn rename_over_placeholder(dir: &Dir, from: &str, to: &str) -> io::Result<()> {
    let placeholder = dir.open_with(to, OpenOptions::new().write(true).create_new(true))?;
    drop(placeholder);
    dir.rename(from, dir, to).inspect_err(|_| {
        // Ours and empty; if it cannot be removed either, the rename's error says more.
        let _ = dir.remove_file(to);
    })
}

/// Whether the file system, rather than the state of the names, refused: EINVAL is how Linux says that a file system
/// knows no NOREPLACE.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    type Rename = fn(&Dir, &str, &str) -> io::Result<()>;
    const WAYS: [(&str, Rename); 3] =
        [("noreplace", rename_new), ("link", rename_by_link), ("placeholder", rename_over_placeholder)];

    fn scratch() -> (tempfile::TempDir, Dir) {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
        (root, dir)
    }

    #[test]
    fn each_way_moves_the_file_to_a_free_name() {
        for (way, rename) in WAYS {
            let (_root, dir) = scratch();
            dir.write("from", "new").unwrap();
            rename(&dir, "from", "to").unwrap();
            assert_eq!(dir.read_to_string("to").unwrap(), "new", "{way}");
            assert!(!dir.exists("from"), "{way}");
        }
    }

    #[test]
    fn each_way_leaves_a_taken_name_alone() {
        for (way, rename) in WAYS {
            let (_root, dir) = scratch();
            dir.write("from", "new").unwrap();
            dir.write("to", "old").unwrap();
            let error = rename(&dir, "from", "to").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{way}");
            assert_eq!(dir.read_to_string("to").unwrap(), "old", "{way}");
            assert_eq!(dir.read_to_string("from").unwrap(), "new", "{way}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn each_way_counts_a_dangling_link_as_taken() {
        for (way, rename) in WAYS {
            let (root, dir) = scratch();
            dir.write("from", "new").unwrap();
            dir.symlink("nowhere", "to").unwrap();
            assert_eq!(rename(&dir, "from", "to").unwrap_err().kind(), io::ErrorKind::AlreadyExists, "{way}");
            assert!(!root.path().join("nowhere").exists(), "{way}");
        }
    }
}
