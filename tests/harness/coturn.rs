//! A running `turnserver` of coturn, as `deploy/turnserver.conf` has it.

use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::PATIENCE;
use super::transcript::Transcript;
use crate::netlab::{Namespace, SERVER_V4, SERVER_V6};

/// What it and the rendezvous of a laboratory share.
pub(crate) const TURN_SECRET: &str = "a secret of the laboratory";

/// The server's process in a network of its own, where it has its usual port; killed with this value.
pub(crate) struct Coturn {
    child: Child,
    space: Namespace,
    log: Transcript,
    _state: TempDir,
}

impl Coturn {
    /// Starts it on the server of an internet.
    pub(crate) fn start(space: &Namespace) -> Self {
        let state = TempDir::new().unwrap();
        let at = |name: &str| state.path().join(name).display().to_string();
        let configuration = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/turnserver.conf");
        let mut command = space.command("turnserver");
        command.args(["-c", configuration, "--log-file=stdout", "--realm=lab"]);
        command.arg(format!("--static-auth-secret={TURN_SECRET}"));
        for address in [SERVER_V4, SERVER_V6] {
            command.args([format!("--listening-ip={address}"), format!("--relay-ip={address}")]);
        }
        // As the compose file does: not even this machine's own addresses.
        command.args([SERVER_V4, SERVER_V6].map(|own| format!("--denied-peer-ip={own}")));
        command.args([format!("--userdb={}", at("users")), format!("--pidfile={}", at("pid"))]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("turnserver does not start: {error}"));
        let log = Transcript::of(child.stdout.take().unwrap());
        // The last that it says before it serves.
        let ready = log.wait_for(PATIENCE, |text| text.contains("DB connection success").then_some(()));
        let server = Self { child, space: space.clone(), log, _state: state };
        assert!(ready.is_some(), "turnserver does not start: {}", server.log.text());
        server
    }

    /// Whether it would pass on to `peer`, asked with a credential that is good.
    #[track_caller]
    pub(crate) fn passes_on_to(&self, peer: &str) -> bool {
        let mut command = self.space.command("turnutils_uclient");
        // A user of its own each time: one has two allocations.
        command.args(["-v", "-c", "-n", "1", "-W", TURN_SECRET, "-u", &peer.replace(':', "-"), "-e", peer]);
        if peer.contains(':') {
            command.arg("-x");
        }
        let mut client = command.arg(SERVER_V4).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = Transcript::of(client.stdout.take().unwrap());
        let answer = said.wait_for(PATIENCE, |text| {
            let is_refused = text.contains("channel bind: error 403 (Forbidden IP)");
            let is_allowed = text.contains("success: 0x");
            if is_refused { Some(false) } else { is_allowed.then_some(true) }
        });
        // It would go on asking, or sending.
        let _ = client.kill();
        let _ = client.wait();
        answer.unwrap_or_else(|| panic!("{peer} is neither refused nor reached: {}", said.text()))
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
