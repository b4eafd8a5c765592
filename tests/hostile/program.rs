//! The real programs as processes, and what their user would see.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::room::Room;
use crate::harness::{NOTICED, bins};

/// Nothing in this file takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often a running process is looked at.
const TICK: Duration = Duration::from_millis(5);

/// A running `send`. It is killed when dropped.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    started: Instant,
    lines: mpsc::Receiver<String>,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
    peak_memory: JoinHandle<u64>,
}

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ending {
    /// The exit status; `None` when a signal killed it, as a panic that aborts does.
    pub(super) status: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) took: Duration,
    /// Most memory it ever had resident, in bytes, as far as it was seen.
    pub(super) peak_memory: u64,
}

impl Program {
    /// Starts `send` with these arguments in the room's output directory.
    pub(super) fn start<S: AsRef<OsStr>>(room: &Room, args: impl IntoIterator<Item = S>) -> Self {
        let home = room.home();
        let mut child = Command::new(&bins().send)
            .args(args)
            .current_dir(room.output())
            .env_clear()
            .env("HOME", &home)
            .env("XDG_STATE_HOME", home.join("state"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (queue, lines) = mpsc::channel();
        let stdout = read(child.stdout.take().unwrap(), Some(queue));
        let stderr = read(child.stderr.take().unwrap(), None);
        let pid = child.id();
        let peak_memory = thread::spawn(move || watch_memory(pid));
        Self { child, started: Instant::now(), lines, stdout, stderr, peak_memory }
    }

    /// Receives with a link or a code, as a script does: everything agreed beforehand.
    pub(super) fn receive(room: &Room, link: &str, more: &[&str]) -> Self {
        Self::start(room, [&["receive", "--yes", link], more].concat())
    }

    /// Sends a file through a server, and gives the link and the code it shows.
    pub(super) async fn send(room: &Room, server: &str, path: &Path, more: &[&str]) -> (Self, Invitation) {
        let args = [&["--json", "--no-qr", "--server", server, path.to_str().unwrap()], more].concat();
        let program = Self::start(room, args);
        tokio::task::spawn_blocking(move || {
            let invitation = program.invitation();
            (program, invitation)
        })
        .await
        .unwrap()
    }

    /// The next link and code that the program shows.
    pub(super) fn invitation(&self) -> Invitation {
        let event = self.wait_for("code");
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        Invitation { code: text("code"), link: text("link") }
    }

    /// The next event of this name.
    pub(super) fn wait_for(&self, name: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("the program says so");
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Ctrl-C.
    pub(super) fn interrupt(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).unwrap();
    }

    /// Returns once it has ended by itself.
    pub(super) async fn ended(&mut self) {
        while self.child.try_wait().unwrap().is_none() {
            tokio::time::sleep(TICK).await;
        }
    }

    /// Waits for the end.
    pub(super) async fn end(self) -> Ending {
        tokio::task::spawn_blocking(|| self.wait()).await.unwrap()
    }

    /// Waits until it has lost its peer and looks for it, ends it by Ctrl-C, and sees that it ends at once.
    pub(super) async fn interrupt_while_it_reconnects(self) -> Ending {
        let ending = tokio::task::spawn_blocking(|| {
            self.wait_for("reconnecting");
            let since = Instant::now();
            self.interrupt();
            let ending = self.wait();
            assert!(since.elapsed() < NOTICED, "{ending:#?}");
            ending
        });
        let ending = ending.await.unwrap();
        assert_eq!(ending.status, Some(130), "{ending:#?}");
        ending
    }

    /// Waits for the end of a program that goes by itself, or that would wait for its peer if nobody stopped it.
    pub(super) async fn end_or_stop_reconnecting(self) -> Ending {
        let ending = tokio::task::spawn_blocking(|| {
            while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
                if line.contains("\"event\":\"reconnecting\"") {
                    self.interrupt();
                    break;
                }
            }
            self.wait()
        });
        ending.await.unwrap()
    }

    fn wait(mut self) -> Ending {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.started.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
            thread::sleep(TICK);
        };
        let took = self.started.elapsed();
        let stdout = std::mem::replace(&mut self.stdout, thread::spawn(String::new)).join().unwrap();
        let stderr = std::mem::replace(&mut self.stderr, thread::spawn(String::new)).join().unwrap();
        let peak_memory = std::mem::replace(&mut self.peak_memory, thread::spawn(|| 0)).join().unwrap();
        Ending { status: status.code(), stdout, stderr, took, peak_memory }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a sender shows.
#[derive(Clone, Debug)]
pub(super) struct Invitation {
    pub(super) code: String,
    pub(super) link: String,
}

impl Ending {
    /// The program failed as this status says, with a sentence, without a panic, and without obeying anyone.
    #[track_caller]
    pub(super) fn assert_failed(&self, status: i32) {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self.assert_clean();
        let words = self.stderr.split_whitespace().count() + self.stdout.split_whitespace().count();
        assert!(words >= 5, "a sentence says what happened: {self:#?}");
    }

    /// Nothing on the terminal is obeyed by it, and nobody panicked.
    #[track_caller]
    pub(super) fn assert_clean(&self) {
        for stream in [&self.stdout, &self.stderr] {
            let raw = stream.chars().find(|character| is_obeyed(*character));
            assert_eq!(raw, None, "{self:#?}");
            assert!(!stream.contains("panicked"), "{self:#?}");
            assert!(!stream.contains("Error {") && !stream.contains("Err("), "a Debug print: {self:#?}");
        }
    }

    /// The `error` of the error event of `--json`.
    #[track_caller]
    pub(super) fn error(&self) -> String {
        let events = self.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let error = events.rev().find(|event| event["event"] == "error");
        let error = error.unwrap_or_else(|| panic!("no error event: {self:#?}"));
        error["error"].as_str().unwrap().to_owned()
    }
}

/// Whether a terminal obeys a character, or shows text in another order because of it.
fn is_obeyed(character: char) -> bool {
    let is_control = character.is_control() && character != '\n';
    let is_invisible = matches!(character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    is_control || is_invisible
}

fn read(stream: impl Read + Send + 'static, lines: Option<mpsc::Sender<String>>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            let piece = String::from_utf8_lossy(&line).into_owned();
            text.push_str(&piece);
            if let Some(lines) = &lines {
                let _ = lines.send(piece);
            }
            line.clear();
        }
        text
    })
}

/// Watches a process until it ends; the most memory that it was seen to have resident, in bytes.
fn watch_memory(pid: u32) -> u64 {
    let mut peak = 0;
    // A process that has ended and was not waited for yet has no memory.
    while let Some(seen) = resident_peak(pid) {
        peak = seen;
        thread::sleep(TICK);
    }
    peak
}

/// Peak resident memory of a process, in bytes.
fn resident_peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
    Some(kibibytes * 1024)
}
