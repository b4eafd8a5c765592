//! What a user of `send` would notice: real processes, real sockets, real files.

#![cfg(unix)]
#![allow(dead_code, reason = "some helpers are for the program `chaos`, which has the same")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helper fails as its test does")]

mod browser;
mod browser_view;
mod chromium;
mod cli;
mod crossing;
mod disks;
mod disturbances;
mod doctor;
mod failures;
mod guard;
mod harness;
mod hostile;
mod interruption;
mod layering;
mod locales;
mod lossy;
mod netlab;
mod page_saves;
mod page_sends;
mod paths;
mod privacy;
mod proxied;
mod reconnect;
mod resume;
mod transfer;
mod turn;
mod upgrade;
mod wasm;
