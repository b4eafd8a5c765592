#![doc = include_str!("../PROTOCOL.md")]

// In layer order: a module uses only those above it (checked by tests/layering.rs of the workspace).
pub mod unicode;
pub mod wordlist;

pub mod safe_path;

pub mod code;

pub mod link;
pub mod pow;

pub mod signaling;
mod transcript;

pub mod keys;

mod cipher;

pub mod attempts;
pub mod handshake;
pub mod record;

pub mod doors;
pub mod generation;

pub mod manifest;
pub mod signal;

pub mod message;

pub mod transfer;

#[cfg(any(test, target_arch = "wasm32"))]
pub mod wasm;

/// The version of the protocol between peers (PROTOCOL.md §9).
pub const PROTOCOL_VERSION: u16 = 1;
