//! The program itself.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A running server, killed with this value.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command()
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { child, address: address.trim_end().to_owned() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rendezvous"));
    command.env_remove("RENDEZVOUS_CONFIG").env_remove("RENDEZVOUS_LISTEN");
    command
}

#[test]
fn it_prints_its_address_answers_the_health_check_and_stops_on_sigterm() {
    let mut server = Process::start(&["--listen", "127.0.0.1:0"], &[]);
    let healthy = command().args(["--healthcheck", "--listen", &server.address]).status().unwrap();
    assert!(healthy.success());
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(server.child.wait().unwrap().success());
    let gone = command().args(["--healthcheck", "--listen", &server.address]).output().unwrap();
    assert_eq!(gone.status.code(), Some(1));
}

#[test]
fn a_flag_wins_over_the_environment() {
    let server = Process::start(&["--listen", "127.0.0.1:0"], &[("RENDEZVOUS_LISTEN", "192.0.2.1:1")]);
    assert!(server.address.starts_with("127.0.0.1:"), "{}", server.address);
}

#[test]
fn a_setting_that_does_not_exist_is_named() {
    let output = command().args(["--set", "limits.clams=1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("error: the configuration is not valid"), "{text}");
    assert!(text.contains("clams"), "{text}");
}

#[test]
fn what_it_says_of_stun_and_turn_is_what_was_asked_for() {
    let directory = tempfile::TempDir::new().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "north\n").unwrap();
    let secret = secret.to_str().unwrap();
    let turn = ["--turn-url", "turn:turn.example.org:3478"];
    let with_file = [&["--listen", "127.0.0.1:0", "--stun-listen", "127.0.0.1:0"], &turn[..]].concat();
    let told = Process::start(&[&with_file[..], &["--turn-secret-file", secret]].concat(), &[]);
    assert!(!told.address.is_empty(), "with a secret in a file");
    let inherited = Process::start(&with_file, &[("RENDEZVOUS_TURN_SECRET", "north")]);
    assert!(!inherited.address.is_empty(), "with a secret in the environment");
    let without = command().args(turn).output().unwrap();
    let text = String::from_utf8(without.stderr).unwrap();
    assert!(text.contains("`turn:turn.example.org:3478` needs `turn_secret`"), "{text}");
    let nowhere = command().args(["--turn-secret-file", "/nowhere/at/all"]).output().unwrap();
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("/nowhere/at/all cannot be read"));
}
