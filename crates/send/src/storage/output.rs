//! The directory that receives: what it has room for, and what may be made in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use wire::manifest::Manifest;

use super::Symlinks;
use super::permission::check_writable;
use super::placement::Overwrite;
use super::remains::{Checked, Remains};
use super::sink::{Sink, SinkError};

/// A directory held open for receiving. Everything below it is reached through this handle.
#[derive(Debug)]
pub struct OutputDir {
    path: PathBuf,
    dir: Dir,
}

/// How received files are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkOptions {
    /// What happens where a name is taken.
    pub overwrite: Overwrite,
    /// Whether symbolic links are created.
    pub symlinks: Symlinks,
    /// Permission bits that no file or directory gets: [`process_umask`].
    pub umask: u16,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self { overwrite: Overwrite::Never, symlinks: Symlinks::Refuse, umask: 0o022 }
    }
}

impl OutputDir {
    /// Opens the existing directory `path`, following links in it: it is the user's choice, not the peer's.
    ///
    /// # Errors
    /// [`SinkError::Missing`], [`SinkError::NotADirectory`], and [`SinkError::Denied`] or [`SinkError::ReadOnly`] when
    /// nothing can be created in it.
    pub fn open(path: &Path) -> Result<Self, SinkError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                SinkError::Missing { path: path.to_path_buf() }
            } else {
                SinkError::new("open", path, error)
            }
        })?;
        check_writable(&dir).map_err(|error| SinkError::new("write to", path, error))?;
        Ok(Self { path: path.to_path_buf(), dir })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that this user can still write there; `None` where the system does not say.
    ///
    /// # Errors
    /// [`SinkError::Io`].
    pub fn free_space(&self) -> Result<Option<u64>, SinkError> {
        #[cfg(unix)]
        {
            let stat = rustix::fs::fstatvfs(&self.dir)
                .map_err(|error| SinkError::new("measure", &self.path, error.into()))?;
            Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize)))
        }
        #[cfg(not(unix))]
        Ok(None)
    }

    /// Looks for what an earlier transfer of `manifest` left here.
    ///
    /// # Errors
    /// [`SinkError::Io`] when the directory cannot be opened once more.
    pub fn remains(&self, manifest: &Arc<Manifest>) -> Result<Remains, SinkError> {
        let dir = self.dir.try_clone().map_err(|error| SinkError::new("open", &self.path, error))?;
        Ok(Remains::find(dir, Arc::clone(manifest)))
    }

    /// Decides where everything in `manifest` goes and makes a [`Sink`] for it, which goes on with what was `checked`.
    /// Nothing but the record of a transfer of several files is created yet.
    ///
    /// # Errors
    /// [`SinkError::Symlink`] for a link that may not be created; [`SinkError::Exists`] and what the system says about
    /// names that are taken.
    pub fn prepare(
        self,
        manifest: Arc<Manifest>,
        options: SinkOptions,
        checked: Checked,
    ) -> Result<Sink, SinkError> {
        Sink::new(self.path, self.dir, manifest, options, checked)
    }
}

/// The permission bits that new files of this process do not get.
///
/// Reading the mask means setting it and setting it back, so this belongs at the start of a program,
/// before other threads create files.
pub fn process_umask() -> u16 {
    #[cfg(unix)]
    {
        let umask = rustix::process::umask(rustix::fs::Mode::empty());
        rustix::process::umask(umask);
        u16::try_from(umask.bits() & 0o777).unwrap_or(0o022)
    }
    #[cfg(not(unix))]
    0
}
