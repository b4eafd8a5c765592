//! Disturbs as many transfers as it is told, and stops at the first that does not arrive as it was sent.
//!
//! ```text
//! cargo run -p e2e --bin chaos -- [--runs N] [--seed FIRST]
//! ```
//!
//! Each run prints its seed first; the same seed decides the same run.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helper fails as its test does")]
#![allow(dead_code, unused_imports, reason = "the helpers of all tests, of which this is one")]
#![expect(clippy::print_stdout, reason = "what it does is what it prints")]

mod disturbances;
mod harness;
mod interruption;
mod netlab;

use clap::Parser;

/// Disturbs transfers at random and compares what arrives with what was sent.
#[derive(Parser)]
struct Args {
    /// How many transfers
    #[arg(long, default_value_t = 200)]
    runs: u64,
    /// The seed of the first; those that follow count up
    #[arg(long, default_value_t = 1_000)]
    seed: u64,
}

fn main() {
    let Args { runs, seed: first } = Args::parse();
    for seed in first..first + runs {
        println!("{}", disturbances::run(seed));
    }
    println!("{runs} transfers were disturbed, and every one arrived as it was sent");
}
