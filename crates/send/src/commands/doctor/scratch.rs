//! A directory for a file that nobody keeps.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use data_encoding::HEXLOWER;

use crate::entropy;

/// An own directory among the temporary ones, removed with this value.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

/// How often removing it is tried, and after which pause again.
const ATTEMPTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// Random bytes at a time.
const BLOCK_LEN: usize = 4 * 1024;

impl Scratch {
    /// An empty directory for this user alone, in `parent`.
    pub(super) fn new(parent: &Path) -> io::Result<Self> {
        let random: [u8; 8] = entropy::bytes().map_err(io::Error::other)?;
        let path = parent.join(format!("send-doctor-{}", HEXLOWER.encode(&random)));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        Ok(Self(path))
    }

    /// A file of `len` random bytes, rounded up to whole blocks.
    pub(super) fn fill(&self, name: &str, len: usize) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        let mut file = fs::File::create_new(&path)?;
        for _ in 0..len.div_ceil(BLOCK_LEN) {
            let block: [u8; BLOCK_LEN] = entropy::bytes().map_err(io::Error::other)?;
            file.write_all(&block)?;
        }
        Ok(path)
    }

    /// A directory in it.
    pub(super) fn directory(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A thread whose transfer was given up may still put away what it has.
        for _ in 0..ATTEMPTS {
            match fs::remove_dir_all(&self.0) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                Err(error) => {
                    tracing::debug!(%error, path = %self.0.display(), "a temporary directory stays")
                }
            }
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(parent.path()).unwrap();
        let file = scratch.fill("a", 10_000).unwrap();
        assert_eq!(fs::metadata(file).unwrap().len(), 12_288);
        fs::write(scratch.directory("in").unwrap().join("b"), b"x").unwrap();
        drop(scratch);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
