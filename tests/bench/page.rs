//! One transfer from a real process into a page of Chromium, watched while it runs.

use std::io::BufReader;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::transfer;

/// Where Debian puts it.
const CHROMIUM: &str = "/usr/bin/chromium";

/// One transfer into a page.
#[derive(Debug)]
pub(crate) struct PageRun {
    /// Bytes of file per second, in MB, from consent to the verified file.
    pub(crate) rate: f64,
    /// By how much the page's processes grew meanwhile, in MB.
    pub(crate) growth: f64,
}

/// Sends `file` from a process to a page that keeps it in the origin's file system.
pub(crate) fn run(send: &Path, file: &Path, scratch: &Path) -> Result<PageRun> {
    let size = file.metadata()?.len() as f64;
    let mut sender = transfer::spawn(send, scratch, &[file.as_os_str()])?;
    let mut events = BufReader::new(sender.stdout.take().context("no output")?);
    let link = transfer::wait_for(&mut events, "link")?;
    let drain = std::thread::spawn(move || std::io::copy(&mut events, &mut std::io::sink()));
    // Only a page from this machine itself is a secure one without https.
    let (page, secret) = link.split_once('#').context("a link without a secret")?;
    let port = page.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
    let argument = json!({ "executable": CHROMIUM, "link": format!("http://localhost:{port}/#{secret}") });
    let told = Command::new("node")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/browser"))
        .args(["bench.mjs", &argument.to_string()])
        .output()
        .context("node does not start")?;
    ensure!(told.status.success(), "the page failed: {}", String::from_utf8_lossy(&told.stderr));
    ensure!(sender.wait()?.success(), "the sender failed");
    let _ = drain.join();
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let number = |name: &str| told.get(name).and_then(Value::as_f64).context("the script tells no figures");
    Ok(PageRun { rate: size / 1e6 / number("seconds")?, growth: number("grew")? / 1e6 })
}
