//! What a user of `send` would notice: real processes, real sockets, real files.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helper fails as its test does")]

mod cli;
mod disks;
mod disturbances;
mod failures;
mod harness;
mod hostile;
mod layering;
mod privacy;
mod reconnect;
mod resume;
mod transfer;
