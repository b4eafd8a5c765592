//! A transfer from a real process into a page of a browser, watched while it runs.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use serde_json::{Value, json};

use super::measured::median;
use super::process::Process;
use super::{print, transfer};
use crate::harness::Machine;

/// In which anything happens, in the worst case.
const PATIENCE: Duration = Duration::from_mins(10);

/// Which page.
#[derive(Parser)]
pub(crate) struct Args {
    /// Size of the file in bytes
    #[arg(long, default_value_t = 300_000_000)]
    size: u64,
    /// How often; medians are printed
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Of Firefox instead of Chromium
    #[arg(long)]
    firefox: bool,
}

/// Sends a file from a process to a page, which keeps it in the storage of its origin, as often as was asked.
pub(crate) fn run(args: &Args) -> Result<()> {
    let scratch = tempfile::tempdir().context("no scratch directory")?;
    let payload = scratch.path().join("payload.bin");
    transfer::make_file(&payload, args.size)?;
    let (mut rates, mut growths) = (Vec::new(), Vec::new());
    for number in 1..=args.runs.max(1) {
        let (rate, growth) = once(args, payload.to_str().context("no name")?)?;
        print(&format!("run {number}: {rate:.1} MB/s, grew by {growth:.1} MB"));
        rates.push(rate);
        growths.push(growth);
    }
    let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let most = growths.iter().copied().fold(0.0, f64::max);
    let median = median(&rates);
    print(&format!("\nmedian {median:.1} MB/s, slowest {slowest:.1}; grew by {most:.1} MB at most"));
    Ok(())
}

/// MB/s from consent to the verified file, and by how many MB the page's process grew meanwhile.
fn once(args: &Args, payload: &str) -> Result<(f64, f64)> {
    let machine = Machine::without_server();
    let sending = Process::start(machine.command(&[payload, "--json"]))?;
    let code = sending.event("code", PATIENCE)?;
    let shown = code.event["link"].as_str().context("no link")?;
    // Only a page from this machine itself is a secure one without https.
    let (page, secret) = shown.split_once('#').context("a link without a secret")?;
    let port = page.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
    let (browser, executable) =
        if args.firefox { ("firefox", "/usr/bin/firefox-esr") } else { ("chromium", "/usr/bin/chromium") };
    let link = format!("http://localhost:{port}/#{secret}");
    let argument = json!({ "browser": browser, "executable": executable, "link": link });
    let told = Command::new("node")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/browser"))
        .args(["bench.mjs", &argument.to_string()])
        .output()
        .context("node does not start")?;
    ensure!(told.status.success(), "the page failed: {}", String::from_utf8_lossy(&told.stderr));
    sending.end(PATIENCE)?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let number = |name: &str| told.get(name).and_then(Value::as_f64).context("the script tells no figures");
    Ok((args.size as f64 / 1e6 / number("seconds")?, number("grew")? / 1e6))
}
