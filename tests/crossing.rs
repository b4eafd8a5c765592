//! One transfer between two sides, and the path that it is to take.

use std::fmt;
use std::time::{Duration, Instant};

use crate::harness::{Coturn, Ended, Machine, Peer, Proxy, Rendezvous, content, text};
use crate::netlab::{Access, HTTPS, Internet, ROUTER, SERVER_V4, SERVER_V6, Side};

/// Whether there is a TURN server. The rendezvous answers STUN all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    /// The rendezvous hands out credentials for one, and has a relay of its own.
    Offered,
    /// It has the relay only.
    Missing,
    /// It has credentials, and no relay.
    Alone,
    /// It has neither.
    Nothing,
}

/// The path of a transfer, as `--json` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// `local_network`.
    Local,
    /// `direct`.
    Direct,
    /// `turn`.
    Turn,
    /// `relay`: through the rendezvous.
    Relay,
    /// The command says that there is none, and what to do.
    None,
}

/// What came of a transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossing {
    /// The path that both sides name.
    pub(crate) path: Path,
    /// From the code being accepted to the first byte that the receiver has, or to giving up.
    pub(crate) took: Duration,
}

impl Path {
    /// As the table in tests/netlab/README.md has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Direct => "direct",
            Self::Turn => "turn",
            Self::Relay => "relay",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {:.2?}", self.path.name(), self.took)
    }
}

/// The path that there has to be between two sides: RFC 5128 §3 for what routers let through.
pub(crate) fn expected(one: Access, other: Access, turn: Turn) -> Path {
    let one_of = |kinds: &[Access]| kinds.contains(&one) || kinds.contains(&other);
    let both_of = |kinds: &[Access]| kinds.contains(&one) && kinds.contains(&other);
    // Every other way needs UDP, to the TURN server as well.
    let without_udp = if matches!(turn, Turn::Offered | Turn::Missing) { Path::Relay } else { Path::None };
    if one_of(&[Access::UdpBlocked, Access::HttpsOnly, Access::ProxyOnly]) {
        return without_udp;
    }
    let is_met = if one_of(&[Access::Ipv6Only]) {
        both_of(&[Access::Ipv6Only, Access::Open])
    } else {
        // Where each destination gets another port, that port has to be let in without having been asked.
        let symmetric = [Access::Symmetric, Access::SymmetricRandom];
        let strict = [&symmetric[..], &[Access::PortRestricted]].concat();
        !(one_of(&symmetric) && both_of(&strict))
    };
    match turn {
        _ if is_met => Path::Direct,
        Turn::Offered | Turn::Alone => Path::Turn,
        Turn::Missing | Turn::Nothing => without_udp,
    }
}

impl Crossing {
    /// Whether a small file may have gone this way where this one is the best. A TURN server is asked for a path when there has
    /// been no other for a second; the rendezvous has carried it all by then.
    pub(crate) fn may_be(self, best: Path) -> bool {
        self.path == best || (best, self.path) == (Path::Turn, Path::Relay)
    }
}

/// Sends a file of `len` bytes from one side of a new internet to the other.
#[track_caller]
pub(crate) fn cross(internet: &Internet, [one, other]: [Access; 2], turn: Turn, len: usize) -> Crossing {
    let sides = [(&internet.connect(1, one), one), (&internet.connect(2, other), other)];
    send_between(internet, sides, turn, len)
}

/// A file that arrives at once, in bytes.
pub(crate) const LEN: usize = 1_000;

/// Sends a file of `len` bytes; the sender's side first.
#[track_caller]
pub(crate) fn send_between(
    internet: &Internet,
    sides: [(&Side, Access); 2],
    turn: Turn,
    len: usize,
) -> Crossing {
    send_with(internet, sides, (turn, len), [&[], &[]]).0
}

/// The same, each side with flags of its own, and what both of them have said.
#[track_caller]
pub(crate) fn send_with(
    internet: &Internet,
    sides: [(&Side, Access); 2],
    (turn, len): (Turn, usize),
    flags: [&[&str]; 2],
) -> (Crossing, [Ended; 2]) {
    let (urls, mut arguments) = (turn_urls(), vec!["--stun-listen", "[::]:0"]);
    if matches!(turn, Turn::Alone | Turn::Nothing) {
        arguments.push("--no-record-relay");
    }
    let _coturn = matches!(turn, Turn::Offered | Turn::Alone).then(|| {
        arguments.extend(urls.iter().flat_map(|url| ["--turn-url", url]));
        Coturn::start(&internet.server)
    });
    let listen = format!("[::]:{HTTPS}");
    let _server = Rendezvous::start_inside_with(&internet.server, &listen, &arguments);
    let [(alice, alices_proxy), (bob, bobs_proxy)] = sides.map(machine);
    alice.write("a.bin", &content(len));
    let mut sending = begin(&alice, &[&["a.bin"], flags[0]].concat(), alices_proxy.as_ref());
    let code = sending.code();
    let receive = [&["receive", &code, "--yes"], flags[1]].concat();
    let mut receiving = begin(&bob, &receive, bobs_proxy.as_ref());
    receiving.event("paired");
    let accepted = Instant::now();
    let is_there = receiving.comes_to(|event| {
        event["event"] == "saved" || event["event"] == "progress" && event["done"].as_u64() > Some(0)
    });
    let took = accepted.elapsed();
    let (sent, received) = (sending.end(), receiving.end());
    if !is_there {
        for ended in [&sent, &received] {
            let last = ended.events().pop().unwrap();
            let error = ended.failed(&text(&last["error"]), 5);
            assert!(error["error"] == "no_path" || error["error"] == "no_relay", "{error}");
            assert!(error["hint"].is_string(), "{error}");
        }
        return (Crossing { path: Path::None, took }, [sent, received]);
    }
    sent.succeeded();
    received.succeeded();
    assert_eq!(bob.read("a.bin"), content(len));
    let [there, here] =
        [&sent, &received].map(|ended| text(&ended.events_of("path").last().unwrap()["path"]));
    assert_eq!(there, here, "both sides name the same path in the end");
    let path = match here.as_str() {
        "local_network" => Path::Local,
        "direct" => Path::Direct,
        "turn" => Path::Turn,
        "relay" => Path::Relay,
        other => panic!("a path of another name: {other}"),
    };
    (Crossing { path, took }, [sent, received])
}

/// A machine of a side, and the proxy without which it gets nowhere, where that is so.
fn machine((side, access): (&Side, Access)) -> (Machine, Option<Proxy>) {
    let host = if access == Access::Ipv6Only { format!("[{SERVER_V6}]") } else { SERVER_V4.to_owned() };
    let machine = Machine::with_server_at(&format!("http://{host}:{HTTPS}")).inside(&side.machine);
    let router = side.router.as_ref().filter(|_| access == Access::ProxyOnly);
    (machine, router.map(|router| Proxy::start(router, ROUTER)))
}

/// `send` on a machine, behind its proxy.
fn begin(machine: &Machine, arguments: &[&str], proxy: Option<&Proxy>) -> Peer {
    let mut command = machine.command(arguments);
    if let Some(proxy) = proxy {
        command.env("ALL_PROXY", proxy.url());
    }
    command.arg("--json");
    Peer::start(command)
}

fn turn_urls() -> [String; 2] {
    [format!("turn:{SERVER_V4}:3478"), format!("turn:[{SERVER_V6}]:3478")]
}
