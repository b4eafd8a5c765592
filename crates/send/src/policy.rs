//! Which ways to the other side may be tried.

use std::net::IpAddr;

/// What the user allows. The default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether the other side is reached through a TURN server.
    pub relay: Relay,
    /// Names of the interfaces to use; empty: all of them.
    pub interfaces: Vec<String>,
    /// Over which addresses.
    pub family: Family,
}

/// Whether the other side is reached through a server that passes on every byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Relay {
    /// Where there is no direct path.
    #[default]
    Allowed,
    /// Always: the other side learns no address of this machine.
    Only,
    /// Never: no server sees how much is sent.
    Never,
}

/// Which addresses are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Those of both families.
    #[default]
    Both,
    /// Those of IPv4.
    V4,
    /// Those of IPv6.
    V6,
}

impl Policy {
    /// Whether an address of an interface of this machine may be used.
    pub fn allows(&self, interface: &str, address: IpAddr) -> bool {
        let is_named = self.interfaces.is_empty() || self.interfaces.iter().any(|name| name == interface);
        is_named
            && match self.family {
                Family::Both => true,
                Family::V4 => address.is_ipv4(),
                Family::V6 => address.is_ipv6(),
            }
    }

    /// Whether a candidate of the other side (RFC 8839 §5.1) may be tried: one of a relay is one that passes on.
    pub fn allows_candidate(&self, candidate: &str) -> bool {
        let mut words = candidate.split_ascii_whitespace();
        self.relay != Relay::Never || !(words.any(|word| word == "typ") && words.next() == Some("relay"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_used_unless_others_are_named() {
        let address = IpAddr::from([192, 0, 2, 1]);
        let everything = Policy::default();
        assert!(everything.allows("eth0", address) && everything.allows("tun0", address));
        let named = Policy { interfaces: vec!["eth0".to_owned(), "eth1".to_owned()], ..Policy::default() };
        assert!(named.allows("eth1", address) && !named.allows("eth", address));
        let v6 = Policy { family: Family::V6, ..Policy::default() };
        assert!(!v6.allows("eth0", address) && v6.allows("eth0", "2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn without_relays_the_other_sides_relay_is_not_tried_either() {
        let never = Policy { relay: Relay::Never, ..Policy::default() };
        let relay = "candidate:1 1 udp 16777215 192.0.2.9 50000 typ relay raddr 192.0.2.1 rport 9";
        let host = "candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host";
        assert!(!never.allows_candidate(relay) && never.allows_candidate(host));
        assert!(Policy::default().allows_candidate(relay));
        assert!(never.allows_candidate("candidate:relay 1 udp 1 192.0.2.1 1 typ host"));
    }
}
