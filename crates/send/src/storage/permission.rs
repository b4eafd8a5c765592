//! Asking whether something may be done before doing it, so that errors come before anything is sent or received.

use std::ffi::OsStr;
use std::io;

use cap_std::fs::Dir;

/// Whether file `name` in `dir` may be read.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`] when not; else what the system says.
pub(super) fn check_readable(dir: &Dir, name: &OsStr) -> io::Result<()> {
    #[cfg(unix)]
    return Ok(rustix::fs::accessat(dir, name, rustix::fs::Access::READ_OK, rustix::fs::AtFlags::empty())?);
    #[cfg(not(unix))]
    dir.open(name).map(drop)
}

/// Whether files can be created in `dir`.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`] or [`io::ErrorKind::ReadOnlyFilesystem`] when not; else what the system says.
pub(super) fn check_writable(dir: &Dir) -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, accessat};
        Ok(accessat(dir, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty())?)
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        Ok(())
    }
}
