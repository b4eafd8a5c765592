//! The rendezvous.
#![allow(dead_code, reason = "wip")]

mod client_ip;
mod config;
mod ice;
mod registry;
pub use config::{Config, ConfigError, Limits, ParseRateError, Rate, Times, Token};
pub use ice::IceError;
