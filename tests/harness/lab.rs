//! Networks of their own for a server and two machines, with a cable that can be pulled out.

use std::env;
use std::process::{self, Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// Three network namespaces and a bridge between them, gone with this value:
///
/// ```text
/// alice 10.83.0.2 ──┐
///                   ├── hub 10.83.0.1, where the server runs
/// bob   10.83.0.3 ──┘
/// ```
pub(crate) struct Lab {
    hub: String,
    alice: String,
    bob: String,
}

/// The server's address in a [`Lab`].
pub(crate) const HUB: &str = "10.83.0.1";

impl Lab {
    /// A laboratory, which takes root. Whoever has not may do without, except where everything has to be tested.
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            let is_ci = env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!is_ci, "networks cannot be made without root");
            return None;
        }
        let name = |role: &str| format!("send-{}-{}-{role}", process::id(), COUNT.load(Ordering::Relaxed));
        let lab = Self { hub: name("hub"), alice: name("alice"), bob: name("bob") };
        COUNT.fetch_add(1, Ordering::Relaxed);
        for space in [&lab.hub, &lab.alice, &lab.bob] {
            ip(&["netns", "add", space]);
            ip(&["-n", space, "link", "set", "lo", "up"]);
        }
        ip(&["-n", &lab.hub, "link", "add", "br0", "type", "bridge"]);
        ip(&["-n", &lab.hub, "addr", "add", &format!("{HUB}/24"), "dev", "br0"]);
        ip(&["-n", &lab.hub, "link", "set", "br0", "up"]);
        for (space, port, address) in
            [(&lab.alice, "alice", "10.83.0.2/24"), (&lab.bob, "bob", "10.83.0.3/24")]
        {
            let cable = ["link", "add", "name", "eth0", "netns", space];
            ip(&[&cable[..], &["type", "veth", "peer", "name", port, "netns", &lab.hub]].concat());
            ip(&["-n", &lab.hub, "link", "set", port, "master", "br0", "up"]);
            ip(&["-n", space, "addr", "add", address, "dev", "eth0"]);
            ip(&["-n", space, "link", "set", "eth0", "up"]);
        }
        Some(lab)
    }

    /// The namespace of the server.
    pub(crate) fn hub(&self) -> &str {
        &self.hub
    }

    /// That of one machine.
    pub(crate) fn alice(&self) -> &str {
        &self.alice
    }

    /// That of the other.
    pub(crate) fn bob(&self) -> &str {
        &self.bob
    }

    /// Pulls out the cable of the second machine.
    pub(crate) fn cut(&self) {
        ip(&["-n", &self.hub, "link", "set", "bob", "down"]);
    }

    /// Puts it in again.
    pub(crate) fn mend(&self) {
        ip(&["-n", &self.hub, "link", "set", "bob", "up"]);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for space in [&self.hub, &self.alice, &self.bob] {
            // With the last process in it, which the test has ended, it takes its end of the cable along.
            let _ = Command::new("ip").args(["netns", "del", space]).output();
        }
    }
}

/// `program` as it runs in a namespace.
pub(super) fn inside(space: &str, program: &std::path::Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", space]).arg(program);
    command
}

#[track_caller]
fn ip(arguments: &[&str]) -> Output {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
