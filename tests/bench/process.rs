//! A program that is measured: what it says and when, and what it costs.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::measured::Cost;

/// How often its costs are looked at: the last look is how they are known, for the system tells them of living processes only.
const LOOK: Duration = Duration::from_millis(10);

/// A running `send --json`, killed with this value.
pub(crate) struct Process {
    child: Child,
    /// When it was started.
    pub(crate) started: Instant,
    said: Receiver<Said>,
    cost: Arc<Mutex<Cost>>,
}

/// An event, and when it came.
pub(crate) struct Said {
    /// When its line was read.
    pub(crate) at: Instant,
    /// What it says.
    pub(crate) event: Value,
}

impl Said {
    /// A number of it, 0 where there is none.
    pub(crate) fn number(&self, field: &str) -> f64 {
        self.event[field].as_f64().unwrap_or_default()
    }
}

/// What is left of a program that succeeded.
pub(crate) struct Ended {
    /// When it was gone.
    pub(crate) at: Instant,
    /// What it had cost.
    pub(crate) cost: Cost,
    /// The event `finished`.
    pub(crate) finished: Said,
}

impl Process {
    /// Runs `command`, which is to print JSON lines.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let started = Instant::now();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().context("`send` does not start")?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let (tell, said) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str(&line) {
                    // Nobody listens when nobody wants to know.
                    let _ = tell.send(Said { at: Instant::now(), event });
                }
            }
        });
        let cost = watch(child.id());
        Ok(Self { child, started, said, cost })
    }

    /// The next event of this name; those before it are passed over.
    pub(crate) fn event(&self, name: &str, patience: Duration) -> Result<Said> {
        let deadline = Instant::now() + patience;
        while let Ok(said) = self.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if said.event["event"] == name {
                return Ok(said);
            }
            if said.event["event"] == "error" {
                bail!("`send` failed: {}", said.event);
            }
        }
        bail!("no event `{name}`")
    }

    /// Follows it until it says `finished`, or until `deadline`: then the last `progress` is all there is.
    pub(crate) fn follow(&self, deadline: Instant, mut progress: impl FnMut(&Said)) -> Result<Option<Said>> {
        while let Ok(said) = self.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            match said.event["event"].as_str() {
                Some("finished") => return Ok(Some(said)),
                Some("error") => bail!("`send` failed: {}", said.event),
                Some("progress") => progress(&said),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Waits for its end, with success.
    pub(crate) fn end(mut self, patience: Duration) -> Result<Ended> {
        let finished = self.event("finished", patience)?;
        let status = self.child.wait()?;
        let at = Instant::now();
        if !status.success() {
            bail!("`send` ended with {status}");
        }
        Ok(Ended { at, cost: self.cost(), finished })
    }

    /// What it has cost, as last seen.
    pub(crate) fn cost(&self) -> Cost {
        *self.cost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ctrl-C; it has a few seconds to say goodbye.
    pub(crate) fn interrupt(self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        while self.said.recv_timeout(Duration::from_secs(15)).is_ok() {}
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks at a process until it is gone.
fn watch(id: u32) -> Arc<Mutex<Cost>> {
    let last = Arc::<Mutex<Cost>>::default();
    let seen = Arc::clone(&last);
    thread::spawn(move || {
        while let Some(cost) = Cost::so_far(id) {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = cost;
            thread::sleep(LOOK);
        }
    });
    last
}
