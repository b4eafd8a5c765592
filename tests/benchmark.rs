//! How fast files get from one process to another, beside what the machine or the link could do at all.
//!
//! ```text
//! cargo run --release -p e2e --bin bench -- files|page|links [--help]
//! ```
//!
//! Figures of one run are comparable with each other only: quote ratios and medians. `bench/README.md` says what is measured.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helper fails as its test does")]
#![allow(dead_code, unused_imports, reason = "the helpers of all tests, of which this is one")]
#![expect(clippy::cast_precision_loss, reason = "figures are printed with three digits")]
#![expect(clippy::print_stdout, reason = "what it does is what it prints")]

mod bench;
mod harness;
mod netlab;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures transfers between real processes.
#[derive(Parser)]
struct Args {
    /// Directory with the programs to measure [default: build them as this one was built]
    #[arg(long, global = true)]
    bin: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A file or a tree from one process to another on this machine
    Files(bench::args::Files),
    /// A file from a process into a page
    Page(bench::args::Page),
    /// A file over long and lossy links; takes root
    Links(bench::args::Links),
}

fn main() -> Result<()> {
    let Args { bin, what } = Args::parse();
    if let Some(directory) = bin {
        harness::use_bins_in(directory);
    }
    match what {
        What::Files(args) => bench::files(&args),
        What::Page(args) => bench::page(&args),
        What::Links(args) => bench::links(&args),
    }
}
