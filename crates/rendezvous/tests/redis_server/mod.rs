//! A Redis of a test's own, on a socket in a directory of its own; nothing of it stays.

#![allow(dead_code, reason = "every test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rendezvous::{RedisAddress, TlsFiles};
use wire::code::Nameplate;
use wire::signaling::{ClientMessage, CloseReason, ServerMessage};

use super::common::TestServer;

/// A running Redis, killed with this value.
pub(crate) struct Redis {
    child: Child,
    directory: tempfile::TempDir,
    flags: Vec<String>,
    user: Option<(&'static str, &'static str)>,
}

impl Redis {
    /// Starts one. Without the program the test fails: `tests/run` installs it.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"].map(str::to_owned), None)
    }

    /// Starts one with these flags, which is asked as that user with that password.
    pub(crate) fn start_with(flags: &[String], user: Option<(&'static str, &'static str)>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let child = spawn(&directory, flags);
        let redis = Self { child, directory, flags: flags.to_owned(), user };
        redis.wait();
        redis
    }

    /// Starts one that is also reached by TLS, at `localhost` and the port that comes with it.
    pub(crate) fn start_encrypted(files: &TlsFiles) -> (Self, u16) {
        // It cannot be told to take any free port. Whoever takes this one in between makes it fail, and the test with it.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let (certificate, key) = (path(&files.certificate), path(&files.key));
        let mut flags =
            ["--save", "", "--bind", "127.0.0.1", "--tls-auth-clients", "no"].map(str::to_owned).to_vec();
        for (flag, value) in [
            ("--tls-port", port.to_string()),
            ("--tls-ca-cert-file", certificate.clone()),
            ("--tls-cert-file", certificate),
            ("--tls-key-file", key),
        ] {
            flags.extend([flag.to_owned(), value]);
        }
        (Self::start_with(&flags, None), port)
    }

    /// Ends it, with all that it knows.
    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, empty.
    pub(crate) fn resume(&mut self) {
        self.child = spawn(&self.directory, &self.flags);
        self.wait();
    }

    pub(crate) fn address(&self) -> RedisAddress {
        self.url().parse().unwrap()
    }

    /// Its address as an operator writes it.
    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) fn address_as(&self, user: &str, password: &str) -> RedisAddress {
        format!("unix://{}?user={user}&pass={password}", self.socket().display()).parse().unwrap()
    }

    /// What `redis-cli` says to a command.
    pub(crate) fn run(&self, command: &[&str]) -> String {
        let output = self.cli().args(command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The text at a key.
    pub(crate) fn value(&self, key: &str) -> String {
        self.run(&["get", key]).trim_end_matches('\n').to_owned()
    }

    /// Runs a command whose last word is these bytes, as they are.
    pub(crate) fn feed(&self, command: &[&str], bytes: &[u8]) {
        let mut cli = self.cli();
        let mut cli =
            cli.arg("-x").args(command).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        cli.stdin.take().unwrap().write_all(bytes).unwrap();
        assert!(cli.wait().unwrap().success());
    }

    fn wait(&self) {
        let began = Instant::now();
        while self.run(&["ping"]).trim() != "PONG" {
            assert!(began.elapsed() < PATIENCE, "redis-server does not answer");
        }
    }

    fn cli(&self) -> Command {
        let mut cli = Command::new("redis-cli");
        cli.arg("-s").arg(self.socket()).stderr(Stdio::null());
        if let Some((user, password)) = self.user {
            cli.args(["--user", user, "--pass", password]);
        }
        cli
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &tempfile::TempDir, flags: &[String]) -> Child {
    let mut server = Command::new("redis-server");
    server.args(flags).args(["--port", "0", "--unixsocket"]);
    server.arg(directory.path().join("redis.sock")).arg("--dir").arg(directory.path());
    let spawned = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    spawned.expect("redis-server has to be installed: tests/run does it")
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it does not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Claims until that is refused for this reason: what was counted elsewhere arrives a moment later.
pub(crate) async fn until_refused(server: &TestServer, nameplate: Nameplate, expected: CloseReason) {
    let began = Instant::now();
    loop {
        let mut guesser = server.connect().await;
        guesser.claim(nameplate).await;
        if matches!(guesser.hear().await, ServerMessage::Refused { reason, .. } if reason == expected) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "it is not refused");
    }
}

/// Asks for codes until that takes work: instances tell each other every second what they have seen.
pub(crate) async fn until_guarded(server: &TestServer) {
    let began = Instant::now();
    loop {
        let mut sender = server.connect().await;
        sender
            .say(ClientMessage::Create { v: 1, typed: true, link_slot: None, token: None, return_slot: None })
            .await;
        if matches!(sender.hear().await, ServerMessage::Challenge(_)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "nobody has to work");
    }
}

/// Ten times what anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);
