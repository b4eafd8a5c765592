//! Associations over links that exist on paper only: virtual time, and the same seed gives the same run.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets what it does not expect is to fail there"
)]

mod cubic;
mod dice;
mod link;
mod rival;
mod scenarios;
mod seeds;
mod world;
