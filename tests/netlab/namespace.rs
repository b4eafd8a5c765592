//! A network namespace that lives as long as whoever uses it.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network of its own, with nothing in it but itself. Clones are the same network.
#[derive(Clone)]
pub(crate) struct Namespace(Arc<Holder>);

/// A process that does nothing in the namespace until the tests are over or have died, which it sees by the end of its
/// standard input.
struct Holder(Child);

/// What went over an interface, in bytes with all headers, since it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    /// In.
    pub(crate) received: u64,
    /// Out.
    pub(crate) sent: u64,
}

impl Namespace {
    /// An empty network. Takes root.
    pub(crate) fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // What comes back was said in the new network.
        holder.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        holder.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let space = Self(Arc::new(Holder(holder)));
        space.run("ip", &["link", "set", "lo", "up"]);
        space
    }

    /// The process that stands for it where the kernel wants one.
    pub(super) fn id(&self) -> u32 {
        self.0.0.id()
    }

    /// `program` as it runs there. It is found by the `PATH` of the caller.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.id())).arg("--").arg(program);
        command
    }

    /// Does `what` in a thread of its own that is in this network, as are threads that it starts and sockets that it makes.
    pub(crate) fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let network = fs::File::open(format!("/proc/{}/ns/net", self.id())).unwrap();
        thread::scope(|scope| {
            let entered = scope.spawn(move || {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                what()
            });
            entered.join().unwrap()
        })
    }

    /// Runs a program there; it has to succeed.
    #[track_caller]
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
    }

    /// A cable from `port` here to `interface` there, both up.
    pub(super) fn join(&self, port: &str, other: &Self, interface: &str) {
        let other_id = other.id().to_string();
        let near = ["link", "add", "name", port, "type", "veth"];
        self.run("ip", &[&near[..], &["peer", "name", interface, "netns", &other_id]].concat());
        self.run("ip", &["link", "set", port, "up"]);
        other.run("ip", &["link", "set", interface, "up"]);
    }

    /// Gives `eth0` an address, in use at once.
    pub(super) fn address(&self, address: &str) {
        let checked = if address.contains(':') { &["nodad"][..] } else { &[] };
        self.run("ip", &[&["addr", "add", address, "dev", "eth0"], checked].concat());
    }

    /// Passes on what is for others.
    pub(super) fn forward(&self) {
        for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            self.run("sh", &["-c", &format!("echo 1 > /proc/sys/net/{setting}")]);
        }
    }

    /// What went over `interface`.
    pub(super) fn traffic(&self, interface: &str) -> Traffic {
        let table = fs::read_to_string(format!("/proc/{}/net/dev", self.id())).unwrap();
        let row =
            table.lines().find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':')).unwrap();
        let numbers: Vec<u64> = row.split_whitespace().map(|number| number.parse().unwrap()).collect();
        // Eight columns for what came in, then those for what went out, bytes first (proc_net(5)).
        Traffic { received: numbers[0], sent: numbers[8] }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended with a signal to the whole group.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
