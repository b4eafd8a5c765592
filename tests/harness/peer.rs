//! A running `send`.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use super::PATIENCE;
use super::transcript::Transcript;

/// A process of `send`, killed with this value.
pub(crate) struct Peer {
    child: Child,
    started: Instant,
    input: Option<Box<dyn Write>>,
    out: Transcript,
    err: Transcript,
    /// Lines of standard output that [`Peer::event`] has passed.
    seen: usize,
}

/// How often whoever waits for one process looks at another.
const LOOK: Duration = Duration::from_millis(200);

/// What a process has left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit status, or the negative number of the signal that ended it.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) out: String,
    /// Its standard error.
    pub(crate) err: String,
    /// How long it has run.
    pub(crate) lived: Duration,
}

impl Peer {
    /// Runs `command` with pipes.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Transcript::of(child.stdout.take().unwrap());
        let err = Transcript::of(child.stderr.take().unwrap());
        let input = child.stdin.take().map(|input| Box::new(input) as Box<dyn Write>);
        Self { child, started: Instant::now(), input, out, err, seen: 0 }
    }

    /// Runs `command` with a terminal for standard input and standard error.
    pub(super) fn start_at_terminal(mut command: Command) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let inside = File::options().read(true).write(true).open(name).unwrap();
        command.env("NO_COLOR", "1").stdin(inside.try_clone().unwrap()).stderr(inside).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It holds the inside of the terminal, whose last user must be the child.
        drop(command);
        let out = Transcript::of(child.stdout.take().unwrap());
        let outside = File::from(terminal);
        let err = Transcript::of(outside.try_clone().unwrap());
        Self { child, started: Instant::now(), input: Some(Box::new(outside)), out, err, seen: 0 }
    }

    /// Waits for the next event of this name; those before it are passed over.
    #[track_caller]
    pub(crate) fn event(&mut self, name: &str) -> Value {
        self.event_that(name, |_| true)
    }

    /// Waits for the next event of this name of which `fits` is true.
    #[track_caller]
    pub(crate) fn event_that(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let seen = self.seen;
        let found = self.out.wait_for(PATIENCE, |text| {
            let complete = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let mut events = complete.map(parse).enumerate().skip(seen);
            events.find(|(_, event)| event["event"] == name && fits(event))
        });
        let Some((index, event)) = found else { panic!("no event `{name}`: {self:?}") };
        self.seen = index + 1;
        event
    }

    /// How many bytes it has said are done.
    pub(crate) fn done(&self) -> u64 {
        let text = self.out.text();
        let events = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(parse);
        let done =
            events.filter(|event| event["event"] == "progress").filter_map(|event| event["done"].as_u64());
        done.max().unwrap_or(0)
    }

    /// Waits until so many bytes are done; `false` when it is over before that.
    pub(crate) fn progresses_to(&self, done: u64) -> bool {
        self.comes_to(|event| event["event"] == "progress" && event["done"].as_u64() >= Some(done.max(1)))
    }

    /// Waits until it has said something of which `fits` is true; `false` when it is over before that.
    pub(crate) fn comes_to(&self, fits: impl Fn(&Value) -> bool) -> bool {
        let outcome = self.out.wait_for(PATIENCE, |text| {
            let complete = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            complete.map(parse).find_map(|event| {
                let is_over = event["event"] == "finished" || event["event"] == "error";
                if is_over { Some(false) } else { fits(&event).then_some(true) }
            })
        });
        outcome.unwrap_or(false)
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.out.wait_for_end(Duration::ZERO)
    }

    /// Whether it has ended, and not with success: killed, or with an error told.
    pub(crate) fn has_ended_badly(&self) -> bool {
        self.has_ended() && !self.out.text().contains("\"event\":\"finished\"")
    }

    /// Ctrl-C, for one that may have ended.
    pub(crate) fn interrupt(&self) {
        self.signal_if_there(Signal::INT);
    }

    /// Sends a signal to one that may have ended.
    pub(crate) fn signal_if_there(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits for the end of one that nobody stops; `false` when it has not come.
    pub(crate) fn ends_by_itself(&self) -> bool {
        self.out.wait_for_end(PATIENCE)
    }

    /// Waits for the end, and interrupts it once `is_hopeless` says that there is nothing to wait for.
    #[track_caller]
    pub(crate) fn end_unless(self, is_hopeless: impl Fn() -> bool) -> Ended {
        let since = Instant::now();
        while since.elapsed() < PATIENCE && !self.out.wait_for_end(LOOK) {
            if is_hopeless() {
                self.interrupt();
                break;
            }
        }
        self.end()
    }

    /// Waits for the next code.
    #[track_caller]
    pub(crate) fn code(&mut self) -> String {
        text(&self.event("code")["code"])
    }

    /// Waits until something has moved and most of it has not.
    #[track_caller]
    pub(crate) fn under_way(&mut self) {
        self.event_that("progress", |event| {
            let (done, size) = (event["done"].as_u64().unwrap(), event["size"].as_u64().unwrap());
            done > 0 && done < size / 2
        });
    }

    /// Waits until standard error says `words`, which a terminal may not have ended with a new line.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        let found = self.err.wait_for(PATIENCE, |text| text.contains(words).then_some(()));
        assert!(found.is_some(), "`{words}` is not said: {self:?}");
    }

    /// Waits for the first whole line of standard output.
    #[track_caller]
    pub(crate) fn first_line(&self) -> String {
        let line = self.out.wait_for(PATIENCE, |text| text.split_once('\n').map(|(line, _)| line.to_owned()));
        line.unwrap_or_else(|| panic!("no line on standard output: {self:?}"))
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The most memory that it ever had resident, in bytes; `None` once it has ended.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kibibytes * 1024)
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn end(self) -> Ended {
        self.end_within(PATIENCE)
    }

    /// Waits for an end that a user has to see within `patience`.
    #[track_caller]
    pub(crate) fn end_within(mut self, patience: Duration) -> Ended {
        // A process without its streams is one that is ending.
        let has_ended = self.out.wait_for_end(patience) && self.err.wait_for_end(patience);
        assert!(has_ended, "still running after {patience:?}: {self:?}");
        let status = self.child.wait().unwrap();
        let lived = self.started.elapsed();
        let (out, err) = (self.out.text(), self.err.text());
        assert!(!err.contains("panicked"), "{err}");
        Ended { code: status.code().or_else(|| status.signal().map(|number| -number)), out, err, lived }
    }
}

impl std::fmt::Debug for Peer {
    /// Everything it has said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\n--- stdout\n{}\n--- stderr\n{}\n---", self.out.text(), self.err.text())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Every event, in order; fails for a line that is none.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.out.lines().map(parse).collect()
    }

    /// Events of one name.
    pub(crate) fn events_of(&self, name: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == name).collect()
    }

    /// The last line, which has to be an error with this name and exit status: what happened in one sentence.
    #[track_caller]
    pub(crate) fn failed(&self, name: &str, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{self:?}");
        let error = self.events().pop().unwrap_or_default();
        assert_eq!((&error["event"], &error["error"]), (&"error".into(), &name.into()), "{self:?}");
        assert_eq!(error["exit_code"], code, "{self:?}");
        assert_eq!(self.events_of("error").len(), 1, "{self:?}");
        assert!(text(&error["message"]).len() > 10, "{self:?}");
        error
    }

    /// It has done what it was asked for.
    #[track_caller]
    pub(crate) fn succeeded(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// The text that a JSON value is.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

#[track_caller]
fn parse(line: &str) -> Value {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    assert_eq!(event["v"], 1, "{line}");
    event
}
