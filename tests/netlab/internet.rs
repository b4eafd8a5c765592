//! An internet in small: a switch of public addresses, a server on it, and sides that reach it in different ways.
//!
//! ```text
//! server 100.0.0.1 ──────────┐           the addresses of nobody here: nothing leaves the laboratory
//!        2001:db8::1         │
//! side 1, open ──────────────┼── switch
//! side 2 ── router ──────────┘
//!           192.168.1.1, its machine 192.168.1.2, as in every home
//! ```

use super::may_mount_and_connect;
use super::namespace::Namespace;
use super::router::{self, Access};

/// The switch, and the machine of the rendezvous. It lasts as long as this value and the last process inside.
pub(crate) struct Internet {
    switch: Namespace,
    /// Where the rendezvous and the TURN server run. It also passes on between IPv6 networks.
    pub(crate) server: Namespace,
}

/// Somebody's machine, and the router before it.
pub(crate) struct Side {
    /// Where programs run.
    pub(crate) machine: Namespace,
    /// The router, where there is one: to its machines, [`ROUTER`].
    pub(crate) router: Option<Namespace>,
}

/// Of the server.
pub(crate) const SERVER_V4: &str = "100.0.0.1";
/// Of a router, as its machines see it.
pub(crate) const ROUTER: &str = "192.168.1.1";
/// Of the server.
pub(crate) const SERVER_V6: &str = "2001:db8::1";

impl Internet {
    /// A laboratory, which takes root; see [`super::Netlab::new`].
    pub(crate) fn new() -> Option<Self> {
        if !may_mount_and_connect() {
            return None;
        }
        let switch = Namespace::new();
        switch.run("ip", &["link", "add", "br0", "type", "bridge"]);
        switch.run("ip", &["link", "set", "br0", "up"]);
        let internet = Self { switch, server: Namespace::new() };
        internet.plug(&internet.server, "server");
        internet.server.forward();
        internet.server.address(&format!("{SERVER_V4}/24"));
        internet.server.address(&format!("{SERVER_V6}/64"));
        Some(internet)
    }

    /// A side that reaches this internet by `access`; `number`, from 1, tells it from others.
    pub(crate) fn connect(&self, number: u8, access: Access) -> Side {
        let machine = Namespace::new();
        let name = format!("side{number}");
        if matches!(access, Access::Open | Access::Ipv4Only) {
            self.plug(&machine, &name);
            // On no common network with anybody, as on the real one.
            machine.address(&format!("100.0.0.{}/32", 20 + number));
            machine.run("ip", &["route", "add", "100.0.0.0/24", "dev", "eth0"]);
            if access == Access::Open {
                machine.address(&format!("2001:db8::{}/128", 20 + number));
                machine.run("ip", &["-6", "route", "add", "2001:db8::/64", "dev", "eth0"]);
                machine.run("ip", &["-6", "route", "add", "default", "via", SERVER_V6]);
            }
            return Side { machine, router: None };
        }
        let router = Namespace::new();
        self.plug(&router, &name);
        router.forward();
        router.join("lan", &machine, "eth0");
        if access == Access::Ipv6Only {
            let (outside, inside) = (format!("2001:db8::{}", 10 + number), format!("2001:db8:{number}::"));
            router.address(&format!("{outside}/64"));
            router.run("ip", &["-6", "route", "add", "default", "via", SERVER_V6]);
            router.run("ip", &["-6", "addr", "add", &format!("{inside}1/64"), "dev", "lan", "nodad"]);
            machine.address(&format!("{inside}2/64"));
            machine.run("ip", &["-6", "route", "add", "default", "via", &format!("{inside}1")]);
            self.server.run("ip", &["-6", "route", "add", &format!("{inside}/64"), "via", &outside]);
        } else {
            router.address(&format!("100.0.0.{}/24", 10 + number));
            router.run("ip", &["addr", "add", &format!("{ROUTER}/24"), "dev", "lan"]);
            machine.address("192.168.1.2/24");
            machine.run("ip", &["route", "add", "default", "via", ROUTER]);
        }
        router.run("nft", &[&router::rules(access)]);
        Side { machine, router: Some(router) }
    }

    /// Two machines at one router.
    pub(crate) fn connect_beside(&self, number: u8) -> [Side; 2] {
        let router = Namespace::new();
        self.plug(&router, &format!("side{number}"));
        router.forward();
        router.address(&format!("100.0.0.{}/24", 10 + number));
        router.run("ip", &["link", "add", "lan", "type", "bridge"]);
        router.run("ip", &["link", "set", "lan", "up"]);
        router.run("ip", &["addr", "add", &format!("{ROUTER}/24"), "dev", "lan"]);
        router.run("nft", &[&router::rules(Access::PortRestricted)]);
        [2, 3].map(|host| {
            let (machine, port) = (Namespace::new(), format!("port{host}"));
            router.join(&port, &machine, "eth0");
            router.run("ip", &["link", "set", &port, "master", "lan"]);
            machine.address(&format!("192.168.1.{host}/24"));
            machine.run("ip", &["route", "add", "default", "via", ROUTER]);
            Side { machine, router: Some(router.clone()) }
        })
    }

    /// A cable from `space`, where it is `eth0`, to the switch.
    fn plug(&self, space: &Namespace, port: &str) {
        self.switch.join(port, space, "eth0");
        self.switch.run("ip", &["link", "set", port, "master", "br0"]);
    }
}
