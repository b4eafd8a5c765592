//! Which addresses of this machine are worth telling anyone about.
//!
//! A link names one of them, the mDNS announcement carries a few, and every one becomes a host candidate. The system is
//! asked anew each time: a laptop changes networks between two transfers.

use std::net::{IpAddr, Ipv6Addr};

use crate::policy::Policy;

/// One address of one interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    name: String,
    address: IpAddr,
    /// Leading bits of `address` that name its network.
    prefix_len: u8,
    /// Whether it is a tunnel: reachable for those at its other end only.
    is_point_to_point: bool,
}

/// The addresses at which others can reach this machine, the likeliest first.
///
/// IPv4 comes before IPv6, private addresses before public ones, and tunnels last. Loopback, link-local addresses and the
/// bridges of containers and virtual machines are left out as long as anything else is there; a machine that is on no
/// network has its loopback addresses, so that two programs on it can still meet.
pub fn lan_addresses() -> Vec<IpAddr> {
    select(&interfaces())
}

/// Those of [`lan_addresses`] that `policy` allows.
pub fn allowed_addresses(policy: &Policy) -> Vec<IpAddr> {
    let mut allowed = interfaces();
    allowed.retain(|interface| policy.allows(&interface.name, interface.address));
    select(&allowed)
}

/// Whether `address` is one of this machine's own.
pub fn is_own(address: IpAddr) -> bool {
    interfaces().iter().any(|interface| interface.address == address.to_canonical())
}

/// Whether `address` belongs to this machine or to a network that one of its interfaces is attached to.
pub fn is_on_this_network(address: IpAddr) -> bool {
    is_attached(&interfaces(), address)
}

/// Every address of every interface that is up; none when the system does not tell.
fn interfaces() -> Vec<Interface> {
    let Ok(found) = if_addrs::get_if_addrs() else { return Vec::new() };
    let up = found.into_iter().filter(|interface| {
        !matches!(interface.oper_status, if_addrs::IfOperStatus::Down | if_addrs::IfOperStatus::NotPresent)
    });
    up.map(|interface| {
        let (address, prefix_len) = match &interface.addr {
            if_addrs::IfAddr::V4(v4) => (IpAddr::V4(v4.ip), v4.prefixlen),
            if_addrs::IfAddr::V6(v6) => (IpAddr::V6(v6.ip), v6.prefixlen),
        };
        Interface { is_point_to_point: interface.is_p2p, name: interface.name, address, prefix_len }
    })
    .collect()
}

fn select(interfaces: &[Interface]) -> Vec<IpAddr> {
    let ranks = interfaces.iter().filter_map(|interface| Some((rank(interface)?, interface.address)));
    let mut ranked: Vec<_> = ranks.collect();
    let best = ranked.iter().map(|(rank, _)| rank.group()).min();
    ranked.retain(|(rank, _)| Some(rank.group()) == best);
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().map(|(_, address)| address).collect()
}

/// How likely an address is the one that others reach, the likeliest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    PrivateV4,
    PublicV4,
    V6,
    Tunnel,
    Bridge,
    LinkLocal,
    Loopback,
}

impl Rank {
    /// Ranks of one group are named together; a later group only when every earlier one is empty.
    fn group(self) -> u8 {
        match self {
            Self::PrivateV4 | Self::PublicV4 | Self::V6 | Self::Tunnel => 0,
            Self::Bridge => 1,
            Self::LinkLocal => 2,
            Self::Loopback => 3,
        }
    }
}

/// `None` for an address that cannot be dialled without more than the address itself.
fn rank(interface: &Interface) -> Option<Rank> {
    let is_bridge = BRIDGES.iter().any(|prefix| interface.name.starts_with(prefix));
    match interface.address {
        address if address.is_unspecified() || address.is_multicast() => None,
        address if address.is_loopback() => Some(Rank::Loopback),
        // Without its interface, which differs on every machine, an IPv6 link-local address means nothing.
        IpAddr::V6(v6) if v6.is_unicast_link_local() => None,
        IpAddr::V4(v4) if v4.is_link_local() => Some(Rank::LinkLocal),
        _ if is_bridge => Some(Rank::Bridge),
        _ if interface.is_point_to_point => Some(Rank::Tunnel),
        IpAddr::V4(v4) if v4.is_private() => Some(Rank::PrivateV4),
        IpAddr::V4(_) => Some(Rank::PublicV4),
        IpAddr::V6(_) => Some(Rank::V6),
    }
}

/// How the names of interfaces begin that only containers and virtual machines on this machine sit behind.
const BRIDGES: [&str; 12] = [
    "docker",
    "br-",
    "veth",
    "virbr",
    "vmnet",
    "vboxnet",
    "lxc",
    "lxd",
    "cni",
    "flannel",
    "podman",
    "vEthernet (",
];

fn is_attached(interfaces: &[Interface], address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback()
        || interfaces.iter().any(|interface| match (interface.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                shared_bits((own.to_bits() ^ other.to_bits()).leading_zeros(), interface.prefix_len)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => same_network(own, other, interface.prefix_len),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        })
}

fn same_network(own: Ipv6Addr, other: Ipv6Addr, prefix_len: u8) -> bool {
    shared_bits((own.to_bits() ^ other.to_bits()).leading_zeros(), prefix_len)
}

/// A prefix of no bits at all, as some tunnels have, would put the whole Internet on this network.
fn shared_bits(equal: u32, prefix_len: u8) -> bool {
    prefix_len > 0 && equal >= u32::from(prefix_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, address: &str, prefix_len: u8) -> Interface {
        let address = address.parse().unwrap();
        Interface { name: name.to_owned(), address, prefix_len, is_point_to_point: name.starts_with("tun") }
    }

    fn selected(interfaces: &[Interface]) -> Vec<String> {
        select(interfaces).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn private_ipv4_addresses_come_first_and_tunnels_last() {
        let interfaces = [
            interface("lo", "127.0.0.1", 8),
            interface("tun0", "10.8.0.2", 24),
            interface("eth0", "2001:db8::5", 64),
            interface("eth0", "fe80::5", 64),
            interface("eth1", "203.0.113.5", 24),
            interface("wlan0", "192.168.1.5", 24),
        ];
        assert_eq!(selected(&interfaces), ["192.168.1.5", "203.0.113.5", "2001:db8::5", "10.8.0.2"]);
    }

    #[test]
    fn bridges_count_only_when_there_is_nothing_else() {
        let mut interfaces = vec![
            interface("lo", "127.0.0.1", 8),
            interface("docker0", "172.17.0.1", 16),
            interface("br-3f2a", "172.18.0.1", 16),
            interface("veth12ab", "169.254.3.4", 16),
        ];
        assert_eq!(selected(&interfaces), ["172.17.0.1", "172.18.0.1"]);
        interfaces.push(interface("enp3s0", "192.168.1.5", 24));
        assert_eq!(selected(&interfaces), ["192.168.1.5"]);
    }

    #[test]
    fn a_machine_on_no_network_has_its_loopback() {
        let interfaces = [interface("lo", "::1", 128), interface("lo", "127.0.0.1", 8)];
        assert_eq!(selected(&interfaces), ["127.0.0.1", "::1"]);
        assert_eq!(selected(&[]), Vec::<String>::new());
    }

    #[test]
    fn an_address_named_by_two_interfaces_is_told_once() {
        let interfaces = [interface("eth0", "192.168.1.5", 24), interface("eth0:1", "192.168.1.5", 24)];
        assert_eq!(selected(&interfaces), ["192.168.1.5"]);
    }

    #[test]
    fn an_address_is_on_this_network_when_an_interface_shares_its_prefix() {
        let interfaces = [
            interface("eth0", "192.168.1.5", 24),
            interface("eth0", "2001:db8::5", 64),
            interface("tun0", "10.8.0.2", 0),
        ];
        let attached = |address: &str| is_attached(&interfaces, address.parse().unwrap());
        for address in
            ["192.168.1.77", "192.168.1.5", "::ffff:192.168.1.9", "2001:db8::ffff", "127.0.0.1", "::1"]
        {
            assert!(attached(address), "{address}");
        }
        for address in ["192.168.2.77", "8.8.8.8", "2001:db8:1::1", "10.9.9.9"] {
            assert!(!attached(address), "{address}");
        }
    }

    #[test]
    fn this_machine_has_an_address() {
        let addresses = lan_addresses();
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(|&address| is_on_this_network(address)), "{addresses:?}");
        assert!(addresses.iter().all(|&address| is_own(address)), "{addresses:?}");
        assert!(!is_own([192, 0, 2, 1].into()));
    }
}
