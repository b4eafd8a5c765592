//! A TURN server that is configured as `deploy/turnserver.conf` says is of no use for reaching what only it can reach.

use crate::harness::Coturn;
use crate::netlab::{Internet, SERVER_V4, SERVER_V6};

#[test]
fn nobody_gets_through_it_into_its_own_networks() {
    let Some(internet) = Internet::new() else { return };
    let coturn = Coturn::start(&internet.server);
    for peer in ["100.0.0.77", "2001:db8::77"] {
        assert!(coturn.passes_on_to(peer), "{peer} is a peer like any other");
    }
    for peer in [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "224.0.0.251",
        SERVER_V4,
        "::",
        "::1",
        "::10.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "ff02::fb",
        SERVER_V6,
    ] {
        assert!(!coturn.passes_on_to(peer), "{peer}");
    }
}
