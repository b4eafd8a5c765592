//! The command `send`: moves files from one machine to another by a short code, straight and encrypted.
//!
//! [`commands`] are what a user asks for. They find the other side through [`connect`], which turns a code into a sealed
//! channel over a [`transport`], and move files between that and [`storage`] with [`transfer`]. What happens is told as
//! [`report`] events, which [`ui`] shows; what was typed is [`cli`], what it means is [`config`].

// In layer order: a module uses only those above it (checked by tests/layering.rs of the workspace).
pub mod policy;

pub mod config;
pub mod entropy;
pub mod interfaces;
pub mod report;
pub mod units;

pub mod discovery;
pub mod signaling;
pub mod storage;
pub mod transport;

pub mod connect;
pub mod embedded;
pub mod tried;

pub mod transfer;

pub mod commands;

pub mod ui;

pub mod cli;
