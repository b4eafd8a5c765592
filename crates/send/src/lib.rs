//! send.

pub mod interfaces;

pub mod discovery;
pub mod signaling;
pub mod transport;
