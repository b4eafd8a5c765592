//! Disturbs as many transfers as it is told, and stops at the first that does not arrive as it was sent.
//!
//! ```text
//! cargo run --bin chaos -- [--runs N] [--seed FIRST] [--side-by-side N] [--pages N] [--cut SECONDS]...
//! ```
//!
//! Each run prints its seed first; the same seed decides the same run. Takes root.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helper fails as its test does")]
#![allow(dead_code, unused_imports, reason = "the helpers of all tests, of which this is one")]
#![expect(clippy::print_stdout, reason = "what it does is what it prints")]

mod chromium;
mod disturbances;
mod harness;
mod interruption;
mod netlab;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::netlab::{Cut, Netlab};

/// Disturbs transfers at random and compares what arrives with what was sent.
#[derive(Parser)]
struct Args {
    /// How many transfers
    #[arg(long, default_value_t = 200)]
    runs: u64,
    /// The seed of the first; those that follow count up
    #[arg(long, default_value_t = 1_000)]
    seed: u64,
    /// How many of them at a time
    #[arg(long, default_value_t = 3)]
    side_by_side: usize,
    /// How many transfers into a page that ends in the middle
    #[arg(long, default_value_t = 20)]
    pages: u64,
    /// Seconds for which the network is cut in a transfer of its own; may be repeated
    #[arg(long)]
    cut: Vec<u64>,
}

fn main() -> ExitCode {
    let Args { runs, seed: first, side_by_side, pages, cut } = Args::parse();
    let Some(lab) = Netlab::new() else { return ExitCode::FAILURE };
    for seconds in cut {
        for way in [Cut::Silent, Cut::Apart, Cut::Unplugged] {
            println!("{}", interruption::outlive(&lab, way, Duration::from_secs(seconds)));
        }
    }
    for seed in first..first + pages {
        let Some(story) = disturbances::run_page(seed) else { return ExitCode::FAILURE };
        println!("{story}");
    }
    let failed = disturbances::run_all(first..first + runs, side_by_side);
    println!("{} transfers were disturbed, {} arrived as they were sent", runs, runs - failed.len() as u64);
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("not these: {failed:?}");
    ExitCode::FAILURE
}
