//! A disk of a test's own, which fills up when the test wants it to.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::netlab::may_mount_and_connect;

/// A small disk in memory, unmounted with this value.
pub(crate) struct Disk(TempDir);

impl Disk {
    /// A disk of `len` bytes. Making it takes root; whoever has not may do without, except where everything has to be
    /// tested.
    pub(crate) fn new(len: usize) -> Option<Self> {
        if !may_mount_and_connect() {
            return None;
        }
        let place = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={len},mode=0700"), "tmpfs"])
            .arg(place.path())
            .status();
        assert!(mounted.unwrap().success());
        Some(Self(place))
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Gives it room for `len` bytes in all.
    pub(crate) fn grow(&self, len: usize) {
        let resized =
            Command::new("mount").args(["-o", &format!("remount,size={len}")]).arg(self.path()).status();
        assert!(resized.unwrap().success());
    }

    /// Takes what is free, and gives the file to remove when there is to be room again.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::create(&path).unwrap();
        let block = vec![0; 64 * 1024];
        let error = loop {
            if let Err(error) = file.write_all(&block) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
