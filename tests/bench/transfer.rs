//! One transfer between two real processes, without a server, watched while it runs.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::measured::{Cost, Run};

/// How often a process is looked at.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);

/// Builds `send` with the release profile and gives the path of the binary.
pub(crate) fn build() -> Result<PathBuf> {
    let arguments =
        ["build", "--release", "--locked", "-p", "send", "--bin", "send", "--message-format=json"];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "`send` does not build");
    let lines = output.stdout.lines().map_while(Result::ok);
    let messages = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let built = messages.filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)));
    built.last().context("cargo names no binary")
}

/// A file of random bytes.
pub(crate) fn make_file(directory: &Path, size: u64) -> Result<PathBuf> {
    let path = directory.join("payload.bin");
    let mut file = File::create(&path)?;
    let mut chunk = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        getrandom::fill(&mut chunk)?;
        let len = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
        file.write_all(chunk.get(..len).unwrap_or_default())?;
        left -= len as u64;
    }
    file.sync_all()?;
    Ok(path)
}

/// Sends `file` from one process to another and compares what arrived.
pub(crate) fn run(send: &Path, file: &Path, scratch: &Path) -> Result<Run> {
    let size = file.metadata()?.len();
    let output = tempfile::tempdir_in(scratch)?;
    let started = Instant::now();
    let mut sender = spawn(send, scratch, &[file.as_os_str()])?;
    let mut events = BufReader::new(sender.stdout.take().context("no output")?);
    let code = wait_for(&mut events, "code")?;
    let code_after = started.elapsed().as_secs_f64();
    let drain = thread::spawn(move || last_elapsed(events));

    let received = Instant::now();
    let arguments =
        [std::ffi::OsStr::new("receive"), "--yes".as_ref(), "--output".as_ref(), output.path().as_os_str()];
    let mut receiver = spawn_with_code(send, scratch, &arguments, &code)?;
    let watched = (watch(sender.id(), size), watch(receiver.id(), size));
    let mut log = String::new();
    receiver.stdout.take().context("no output")?.read_to_string(&mut log)?;
    ensure!(receiver.wait()?.success(), "the receiver failed: {log}");
    let whole = received.elapsed().as_secs_f64();
    ensure!(sender.wait()?.success(), "the sender failed");
    let elapsed = drain.join().ok().flatten().context("the sender told no duration")?;
    let cost = |watching: thread::JoinHandle<Cost>| watching.join().unwrap_or_default();
    let arrived = output.path().join(file.file_name().unwrap_or_default());
    ensure!(same(file, &arrived)?, "what arrived differs from what was sent");
    let rate = size as f64 / 1e6 / elapsed;
    Ok(Run { rate, code_after, whole, sender: cost(watched.0), receiver: cost(watched.1) })
}

pub(crate) fn spawn(send: &Path, scratch: &Path, arguments: &[&std::ffi::OsStr]) -> Result<Child> {
    spawn_with_code(send, scratch, arguments, "")
}

fn spawn_with_code(send: &Path, scratch: &Path, arguments: &[&std::ffi::OsStr], code: &str) -> Result<Child> {
    Command::new(send)
        .args(arguments)
        .args(["--json", "--no-qr"])
        .env("SEND_CODE", code)
        .env("XDG_STATE_HOME", scratch.join("state"))
        .env("XDG_CONFIG_HOME", scratch.join("config"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("`send` does not start")
}

/// A field of the event that tells code and link.
pub(crate) fn wait_for(events: &mut impl std::io::BufRead, field: &str) -> Result<String> {
    for line in events.lines() {
        let event: Value = serde_json::from_str(&line?)?;
        if event.get("event").is_some_and(|name| name == "code") {
            return Ok(event.get(field).and_then(Value::as_str).context("no code")?.to_owned());
        }
    }
    anyhow::bail!("the sender showed no code")
}

/// How long the transfer took, as the sender says in its last event.
fn last_elapsed(events: impl std::io::BufRead) -> Option<f64> {
    let lines = events.lines().map_while(Result::ok);
    let values = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    values.filter_map(|event| event.get("elapsed").and_then(Value::as_f64)).last()
}

/// Looks at a process until it is gone.
fn watch(id: u32, size: u64) -> thread::JoinHandle<Cost> {
    thread::spawn(move || {
        let mut last = Cost::default();
        while let Some(cost) = Cost::so_far(id, size) {
            last = cost;
            thread::sleep(SAMPLE_INTERVAL);
        }
        last
    })
}

fn same(one: &Path, other: &Path) -> Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let len = one.read(&mut a)?;
        if len == 0 {
            return Ok(other.read(&mut b)? == 0);
        }
        if other.read_exact(b.get_mut(..len).unwrap_or_default()).is_err() || a.get(..len) != b.get(..len) {
            return Ok(false);
        }
    }
}
