//! What stands between a machine and the internet, in the words of RFC 4787 and of those who look at their router's settings.

use super::internet::SERVER_V4;

/// How a side reaches the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    /// Public addresses of both families, and nothing in between.
    Open,
    /// A router that keeps a machine's port and lets anybody send to it (full cone).
    FullCone,
    /// One that lets in whoever's address the machine has sent to (address-restricted cone).
    AddressRestricted,
    /// One that lets in whoever's address and port it has sent to (port-restricted cone): what Linux does.
    PortRestricted,
    /// One that gives every destination another port, counting up (symmetric).
    Symmetric,
    /// The same, with ports that cannot be foreseen.
    SymmetricRandom,
    /// A router of an office that lets no UDP out.
    UdpBlocked,
    /// One that lets nothing out but connections to the server, at the port of HTTPS.
    HttpsOnly,
    /// One that lets nothing out at all, beside a proxy that opens tunnels (CONNECT).
    ProxyOnly,
    /// No IPv4 at all, behind a firewall that lets in what was asked for.
    Ipv6Only,
    /// A public IPv4 address, no IPv6.
    Ipv4Only,
}

impl Access {
    /// Every kind.
    pub(crate) const ALL: [Self; 11] = [
        Self::Open,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
        Self::SymmetricRandom,
        Self::UdpBlocked,
        Self::HttpsOnly,
        Self::ProxyOnly,
        Self::Ipv6Only,
        Self::Ipv4Only,
    ];

    /// As the table in tests/netlab/README.md has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::FullCone => "full cone",
            Self::AddressRestricted => "address-restricted",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::SymmetricRandom => "symmetric, random",
            Self::UdpBlocked => "UDP blocked",
            Self::HttpsOnly => "HTTPS only",
            Self::ProxyOnly => "proxy only",
            Self::Ipv6Only => "IPv6 only",
            Self::Ipv4Only => "IPv4 only",
        }
    }
}

/// The rules of a router whose outside is `eth0`, for `nft`.
///
/// Linux itself translates as a port-restricted cone, as long as what comes in unasked is dropped before it leaves a trace: else
/// the first packet of the other side would take the place of the one that goes out, which would then get another port.
pub(super) fn rules(access: Access) -> String {
    let (kept, inwards, outwards) = match access {
        Access::FullCone => (
            "set mapped { type inet_service; flags dynamic,timeout; timeout 5m; }",
            "iifname eth0 udp dport @mapped dnat ip to 192.168.1.2",
            "meta l4proto udp add @mapped { udp sport } masquerade",
        ),
        Access::AddressRestricted => (
            "set asked { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; }",
            "iifname eth0 ip saddr . udp dport @asked dnat ip to 192.168.1.2",
            "meta l4proto udp add @asked { ip daddr . udp sport } masquerade",
        ),
        Access::Symmetric => ("", "", "meta l4proto udp masquerade to :numgen inc mod 10000 offset 20000"),
        Access::SymmetricRandom => {
            ("", "", "meta l4proto udp masquerade to :numgen random mod 40000 offset 20000")
        }
        Access::Open
        | Access::Ipv4Only
        | Access::Ipv6Only
        | Access::PortRestricted
        | Access::UdpBlocked
        | Access::HttpsOnly
        | Access::ProxyOnly => ("", "", ""),
    };
    let https_only = format!("iifname lan ip daddr {SERVER_V4} tcp dport {HTTPS} accept; iifname lan drop");
    let barred: &str = match access {
        Access::UdpBlocked => "meta l4proto udp drop",
        Access::HttpsOnly => &https_only,
        Access::ProxyOnly => "iifname lan drop",
        Access::Open
        | Access::FullCone
        | Access::AddressRestricted
        | Access::PortRestricted
        | Access::Symmetric
        | Access::SymmetricRandom
        | Access::Ipv6Only
        | Access::Ipv4Only => "",
    };
    format!(
        "table inet router {{
            {kept}
            chain inwards {{ type nat hook prerouting priority dstnat; {inwards}; }}
            chain outwards {{
                type nat hook postrouting priority srcnat; oifname != eth0 accept; meta nfproto ipv6 accept; {outwards}; masquerade;
            }}
            chain own {{
                type filter hook input priority filter;
                iifname eth0 meta l4proto != {{ icmp, ipv6-icmp }} ct state != {{ established, related }} drop;
            }}
            chain through {{
                type filter hook forward priority filter; {barred};
                iifname eth0 ct status dnat accept;
                iifname eth0 ct state != {{ established, related }} drop;
            }}
        }}"
    )
}

/// Where the server listens, as the only port that some offices let out to.
pub(crate) const HTTPS: u16 = 443;
