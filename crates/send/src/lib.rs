//! The command `send`: moves files from one machine to another by a short code.

// In layer order: a module uses only those above it (checked by tests/layering.rs of the workspace).
pub mod config;
pub mod report;
pub mod units;

pub mod commands;

pub mod ui;

pub mod cli;
