//! A cable between a machine and the switch.

use super::namespace::{Namespace, Traffic};

/// The machine's end of every cable.
const INTERFACE: &str = "eth0";

/// What the switch does: it drops what comes from a port of a set or goes to one, all of it or what is not the server's.
/// Questions for the addresses of neighbours are let through, as where a line is cut that lies behind the next router; a
/// machine that gets no answer to them notices much more.
const RULES: &str = "\
    add table bridge cables; \
    add set bridge cables silent { type ifname; }; \
    add set bridge cables apart { type ifname; }; \
    add chain bridge cables through { type filter hook forward priority 0; }; \
    add rule bridge cables through ether type arp accept; \
    add rule bridge cables through iifname @silent drop; \
    add rule bridge cables through oifname @silent drop; \
    add rule bridge cables through iifname @apart oifname != server drop; \
    add rule bridge cables through oifname @apart iifname != server drop";

/// How a cable fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Every packet is lost, both ways, and nobody is told.
    Silent,
    /// So is every packet from and to the other user; the server is there as ever.
    Apart,
    /// It is pulled out: both ends see that there is no link.
    Unplugged,
}

/// A cable, whose other end is a port of the switch.
pub(crate) struct Cable {
    switch: Namespace,
    space: Namespace,
    port: &'static str,
}

/// Makes a switch of an empty network.
pub(super) fn prepare_switch(switch: &Namespace) {
    switch.run("ip", &["link", "add", "br0", "type", "bridge"]);
    switch.run("ip", &["link", "set", "br0", "up"]);
    switch.run("nft", &[RULES]);
}

/// Lets packets out at a rate, three milliseconds' worth or one packet at once.
fn queue(space: &Namespace, end: &str, kbit: u32, delay: u32) {
    let (rate, burst, latency) = (format!("{kbit}kbit"), (kbit * 3 / 8).max(1_600), format!("{delay}ms"));
    let queue = ["qdisc", "replace", "dev", end, "root", "tbf"];
    space.run(
        "tc",
        &[&queue[..], &["rate", &rate, "burst", &burst.to_string(), "latency", &latency]].concat(),
    );
}

impl Cable {
    /// Connects a network to the switch, and gives it an address there.
    pub(super) fn plug(switch: &Namespace, space: &Namespace, port: &'static str, address: &str) -> Self {
        switch.join(port, space, INTERFACE);
        switch.run("ip", &["link", "set", port, "master", "br0"]);
        space.address(&format!("{address}/24"));
        Self { switch: switch.clone(), space: space.clone(), port }
    }

    /// Interrupts it.
    pub(crate) fn cut(&self, cut: Cut) {
        match cut {
            Cut::Silent => self.rule("add", "silent"),
            Cut::Apart => self.rule("add", "apart"),
            Cut::Unplugged => self.switch.run("ip", &["link", "set", self.port, "down"]),
        }
    }

    /// Mends what [`Cable::cut`] did.
    pub(crate) fn restore(&self, cut: Cut) {
        match cut {
            Cut::Silent => self.rule("delete", "silent"),
            Cut::Apart => self.rule("delete", "apart"),
            Cut::Unplugged => self.switch.run("ip", &["link", "set", self.port, "up"]),
        }
    }

    /// Interrupts it until `meanwhile` is over.
    pub(crate) fn without(&self, cut: Cut, meanwhile: impl FnOnce()) {
        self.cut(cut);
        meanwhile();
        self.restore(cut);
    }

    /// Puts the port into a set of the switch, or takes it out.
    fn rule(&self, change: &str, set: &str) {
        self.switch.run("nft", &[&format!("{change} element bridge cables {set} {{ {} }}", self.port)]);
    }

    /// Makes it as slow as `kbit` kilobits per second each way. Where there are more, packets wait for up to `delay`
    /// milliseconds.
    pub(crate) fn narrow(&self, kbit: u32, delay: u32) {
        queue(&self.switch, self.port, kbit, delay);
        self.narrow_upload(kbit, delay);
    }

    /// The same for what the machine sends.
    pub(crate) fn narrow_upload(&self, kbit: u32, delay: u32) {
        queue(&self.space, INTERFACE, kbit, delay);
    }

    /// Makes it as fast as it was; what still waits is lost.
    pub(crate) fn widen(&self) {
        for (space, end) in [(&self.switch, self.port), (&self.space, INTERFACE)] {
            // One way may be as wide as ever; either way there is the queue of the beginning then.
            space.run("tc", &["qdisc", "replace", "dev", end, "root", "noqueue"]);
        }
    }

    /// What the machine has received and sent.
    pub(crate) fn traffic(&self) -> Traffic {
        self.space.traffic(INTERFACE)
    }
}
