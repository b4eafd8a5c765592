//! Files and trees between two processes on this machine, beside what the machine could do at all.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;

use super::kernel::ReceiveLimit;
use super::measured::median;
use super::transfer::{self, Run};
use super::{print, yardsticks};

/// What is sent.
#[derive(Parser)]
pub(crate) struct Args {
    /// Size of each file in bytes
    #[arg(long, default_value_t = 1 << 30)]
    pub(crate) size: u64,
    /// Send a directory of so many files of this size
    #[arg(long)]
    count: Option<u32>,
    /// How often; medians are printed
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Also measure magic-wormhole: the directory of its `wormhole` and of `twist` with its mailbox server
    #[arg(long)]
    wormhole: Option<PathBuf>,
    /// Meanwhile, let no UDP socket of this machine hold more bytes than this; takes root [usual: 212992]
    #[arg(long)]
    rmem_max: Option<u64>,
}

/// What one round measures beside the transfer, in MB/s.
#[derive(Default)]
struct Yardsticks {
    tcp: Vec<f64>,
    core: Vec<f64>,
    transport: Vec<f64>,
    wormhole: Vec<f64>,
}

/// Moves it as often as was asked and prints medians.
pub(crate) fn run(args: &Args) -> Result<()> {
    let _limit = args.rmem_max.map(ReceiveLimit::set).transpose()?;
    let scratch = tempfile::tempdir().context("no scratch directory")?;
    let payload = scratch.path().join("payload");
    match args.count {
        Some(count) => transfer::make_tree(&payload, count, args.size)?,
        None => transfer::make_file(&payload, args.size)?,
    }
    let size = args.size * u64::from(args.count.unwrap_or(1));
    let (mut runs, mut beside) = (Vec::new(), Yardsticks::default());
    for number in 1..=args.runs.max(1) {
        // Yardsticks are measured between the runs, so that all see the same noise.
        if size >= yardsticks::SMALLEST {
            beside.tcp.push(yardsticks::tcp(size)?);
            beside.core.push(yardsticks::hash_and_seal(size));
            beside.transport.push(yardsticks::transport(size)?);
        }
        if let Some(directory) = &args.wormhole {
            beside.wormhole.push(yardsticks::wormhole(directory, &payload, size)?);
        }
        let run = transfer::run(&payload, size)?;
        print(&format!("run {number}: {}", one_line(&run, size)));
        runs.push(run);
    }
    report(size, &runs, &beside);
    Ok(())
}

fn one_line(run: &Run, size: u64) -> String {
    let gigabytes = size as f64 / 1e9;
    format!(
        "{:.0} MB/s, whole command {:.2} s, CPU s/GB {:.2} / {:.2}, peak MB {:.0} / {:.0}",
        gigabytes * 1e3 / run.elapsed,
        run.whole,
        run.sender.cpu / gigabytes,
        run.receiver.cpu / gigabytes,
        run.sender.peak,
        run.receiver.peak
    )
}

fn report(size: u64, runs: &[Run], beside: &Yardsticks) {
    let of = |field: fn(&Run) -> f64| median(&runs.iter().map(field).collect::<Vec<_>>());
    let megabytes = size as f64 / 1e6;
    let rate = megabytes / of(|run| run.elapsed);
    print(&format!("\n{megabytes:.1} MB, median of {}", runs.len()));
    if !beside.tcp.is_empty() {
        print("| what | MB/s | send is |");
        print("|---|---|---|");
        print(&format!("| send, file to verified file | {rate:.0} | – |"));
    }
    for (what, figures) in [
        ("the transport alone, memory to memory", &beside.transport),
        ("raw TCP, one connection, memory to memory", &beside.tcp),
        ("SHA-256 + ChaCha20-Poly1305, one core", &beside.core),
        ("magic-wormhole, whole command", &beside.wormhole),
    ] {
        if !figures.is_empty() {
            let other = median(figures);
            print(&format!("| {what} | {other:.0} | {:.2} × |", rate / other));
        }
    }
    print("\n| | sender | receiver |\n|---|---|---|");
    let gigabytes = megabytes / 1e3;
    let costs = [of(|run| run.sender.cpu), of(|run| run.receiver.cpu)].map(|cpu| cpu / gigabytes);
    print(&format!("| CPU s/GB | {:.2} | {:.2} |", costs[0], costs[1]));
    let peaks = [of(|run| run.sender.peak), of(|run| run.receiver.peak)];
    print(&format!("| peak memory, MB | {:.0} | {:.0} |", peaks[0], peaks[1]));
    let ends = [of(|run| run.sender_lingers), of(|run| run.receiver_lingers)].map(|time| time * 1e3);
    print(&format!("| ms from the last byte to its end | {:.0} | {:.0} |", ends[0], ends[1]));
    print(&format!("\ncode after {:.0} ms", of(|run| run.code_after) * 1e3));
    print(&format!("first byte {:.0} ms after the receiver's start", of(|run| run.first_byte_after) * 1e3));
    print(&format!("receiver, whole command: {:.2?}", Duration::from_secs_f64(of(|run| run.whole))));
}
