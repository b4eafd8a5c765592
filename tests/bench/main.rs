//! How fast a file gets from one process to another on this machine, beside what the machine could do at all.
//!
//! ```text
//! cargo run --release -p e2e --bin bench -- [--page] [--size BYTES] [--runs N]
//! ```
//!
//! Figures of one run are comparable with each other only: quote ratios and medians.

#![expect(clippy::cast_precision_loss, reason = "figures are printed with three digits")]

mod measured;
mod page;
mod transfer;
mod yardsticks;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Parser;

use measured::{Run, median};

/// Moves a file between two `send` processes and prints the speed beside raw TCP and beside hash and cipher.
#[derive(Parser)]
struct Args {
    /// Size of the file in bytes
    #[arg(long, default_value_t = 1 << 30)]
    size: u64,
    /// How often; medians are printed
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Into a page of Chromium instead
    #[arg(long)]
    page: bool,
    /// Directory with the `send` binary to measure [default: build it, with the release profile]
    #[arg(long)]
    bin: Option<PathBuf>,
}

fn main() -> Result<()> {
    let Args { size, runs, page, bin } = Args::parse();
    let send = match bin {
        Some(directory) => directory.join("send"),
        None => transfer::build()?,
    };
    let scratch = tempfile::tempdir().context("no scratch directory")?;
    let file = transfer::make_file(scratch.path(), size)?;
    if page {
        return into_page(&send, &file, scratch.path(), runs);
    }
    let mut ours = Vec::new();
    let (mut tcp, mut core) = (Vec::new(), Vec::new());
    for number in 1..=runs.max(1) {
        // Yardsticks are measured between the runs, so that all see the same noise.
        tcp.push(yardsticks::tcp(size)?);
        core.push(yardsticks::hash_and_seal(size));
        let run = transfer::run(&send, &file, scratch.path())?;
        print(&format!("run {number}: {run}"));
        ours.push(run);
    }
    report(size, &ours, median(&tcp), median(&core));
    Ok(())
}

fn into_page(send: &Path, file: &Path, scratch: &Path, runs: usize) -> Result<()> {
    let (mut rates, mut growths) = (Vec::new(), Vec::new());
    for number in 1..=runs.max(1) {
        let run = page::run(send, file, scratch)?;
        print(&format!("run {number}: {:.1} MB/s, grew by {:.1} MB", run.rate, run.growth));
        rates.push(run.rate);
        growths.push(run.growth);
    }
    let (slowest, most) =
        (rates.iter().copied().fold(f64::INFINITY, f64::min), growths.iter().copied().fold(0.0, f64::max));
    print(&format!(
        "\nmedian {:.1} MB/s, slowest {slowest:.1}; grew by {most:.1} MB at most",
        median(&rates)
    ));
    Ok(())
}

fn report(size: u64, runs: &[Run], tcp: f64, core: f64) {
    let of = |field: fn(&Run) -> f64| median(&runs.iter().map(field).collect::<Vec<_>>());
    let rate = of(|run| run.rate);
    print(&format!("\n{:.2} GB, median of {}", size as f64 / 1e9, runs.len()));
    print("| what | MB/s | ours is |");
    print("|---|---|---|");
    print(&format!("| send, file to verified file | {rate:.0} | – |"));
    print(&format!("| raw TCP, one connection, memory to memory | {tcp:.0} | {:.3} × |", rate / tcp));
    print(&format!("| SHA-256 + ChaCha20-Poly1305, one core | {core:.0} | {:.2} × |", rate / core));
    print("");
    print("| | sender | receiver |");
    print("|---|---|---|");
    print(&format!("| CPU s/GB | {:.2} | {:.2} |", of(|run| run.sender.cpu), of(|run| run.receiver.cpu)));
    let (sender, receiver) = (of(|run| run.sender.peak), of(|run| run.receiver.peak));
    print(&format!("| peak memory, MB | {sender:.0} | {receiver:.0} |"));
    print("");
    print(&format!("time to code: {:.0} ms", of(|run| run.code_after * 1e3)));
    print(&format!("receiver, whole command: {:.2} s", of(|run| run.whole)));
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its result")]
fn print(line: &str) {
    println!("{line}");
}
