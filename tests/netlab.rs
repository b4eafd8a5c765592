//! Networks of their own for a rendezvous and two machines, in which cables can be cut.
//!
//! Each machine is a network namespace with a cable to a switch, which is one too:
//!
//! ```text
//! server 10.83.0.1 ──┐
//! alice  10.83.0.2 ──┼── switch
//! bob    10.83.0.3 ──┘
//! ```
//!
//! The namespaces have no names, so any number of laboratories run side by side, and the kernel removes them with the last
//! process inside, also when the tests are killed. Nothing outside them is touched.

mod cable;
mod internet;
mod link;
mod namespace;
mod router;
mod wire;

use std::env;
use std::time::Duration;

pub(crate) use cable::Cut;
use cable::{Cable, prepare_switch};
pub(crate) use internet::{Internet, ROUTER, SERVER_V4, SERVER_V6, Side};
pub(crate) use link::Link;
pub(crate) use namespace::Namespace;
pub(crate) use router::{Access, HTTPS};
pub(crate) use wire::Wire;

/// A machine of a laboratory, and its cable.
pub(crate) struct Host {
    /// Where its programs run.
    pub(crate) space: Namespace,
    /// Its way to the others.
    pub(crate) cable: Cable,
    /// Its address.
    pub(crate) address: &'static str,
}

/// Three machines on one switch, gone with this value and the last process inside.
pub(crate) struct Netlab {
    /// That of the rendezvous.
    pub(crate) server: Host,
    /// That of one user.
    pub(crate) alice: Host,
    /// That of the other.
    pub(crate) bob: Host,
}

impl Netlab {
    /// A laboratory, which takes root. Whoever has not is told so and does without, except where everything has to be tested.
    pub(crate) fn new() -> Option<Self> {
        if !may_mount_and_connect() {
            return None;
        }
        let switch = Namespace::new();
        prepare_switch(&switch);
        let host = |name, address| {
            let space = Namespace::new();
            let cable = Cable::plug(&switch, &space, name, address);
            Host { space, cable, address }
        };
        let (server, alice) = (host("server", "10.83.0.1"), host("alice", "10.83.0.2"));
        Some(Self { server, alice, bob: host("bob", "10.83.0.3") })
    }
}

/// Whether this is root, who may make networks and mount disks. Nobody else may, and is told so: a test then shows nothing,
/// which is a failure where everything has to be tested (`CI=true`).
#[expect(clippy::print_stdout, reason = "a test that shows nothing says so")]
pub(crate) fn may_mount_and_connect() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        let is_ci = env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!is_ci, "networks cannot be made and disks not mounted without root");
        println!("skipped: takes root, to make networks and to mount disks");
    }
    is_root
}

/// Lets the time pass for which a network or a process stays away: how long that is, is what is tested.
pub(crate) fn stay_away(duration: Duration) {
    std::thread::sleep(duration);
}
