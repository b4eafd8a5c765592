//! A setting of the kernel that decides how much a UDP socket may hold.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Of the whole machine: there is none for a network namespace.
const LIMIT: &str = "/proc/sys/net/core/rmem_max";

/// The limit of receive buffers as somebody wants it, until this is dropped.
pub(crate) struct ReceiveLimit {
    before: String,
}

impl ReceiveLimit {
    /// Sets it to `bytes`. Takes root.
    pub(crate) fn set(bytes: u64) -> Result<Self> {
        let before = fs::read_to_string(Path::new(LIMIT)).context("this system has no such limit")?;
        fs::write(LIMIT, bytes.to_string()).context("the limit cannot be set")?;
        Ok(Self { before })
    }
}

impl Drop for ReceiveLimit {
    fn drop(&mut self) {
        // Whoever may set it may set it again.
        let _ = fs::write(LIMIT, self.before.trim());
    }
}
