//! The server is reached through the proxy that the environment names, and the other side as ever.

use crate::crossing::LEN;
use crate::harness::{Machine, Peer, Proxy, Rendezvous, content, text};
use crate::netlab::{Access, Internet, SERVER_V4};

/// `send` on `machine`, which is to use `proxy`.
fn start(machine: &Machine, arguments: &[&str], proxy: &str) -> Peer {
    let mut command = machine.command(arguments);
    command.arg("--json").env("ALL_PROXY", proxy);
    Peer::start(command)
}

#[test]
fn both_sides_reach_the_server_through_a_proxy_and_each_other_without() {
    let Some(internet) = Internet::new() else { return };
    let server = Rendezvous::start_inside_with(&internet.server, "[::]:0", &["--stun-listen", "[::]:0"]);
    let proxy = Proxy::start(&internet.server, SERVER_V4);
    let sides = [1, 2].map(|number| internet.connect(number, Access::PortRestricted));
    let address = format!("{SERVER_V4}:{}", server.port());
    let [alice, bob] =
        [0, 1].map(|side| Machine::with_server_at(&format!("http://{address}")).inside(&sides[side].machine));
    alice.write("a.bin", &content(LEN));
    let mut sending = start(&alice, &["a.bin"], &proxy.url());
    let receiving = start(&bob, &["receive", &sending.code(), "--yes"], &proxy.url());
    let received = receiving.end();
    assert_eq!(text(&received.succeeded().events_of("path")[0]["path"]), "direct");
    sending.end().succeeded();
    assert_eq!(bob.read("a.bin"), content(LEN));
    let asked_for = proxy.asked_for();
    assert!(asked_for.len() >= 2 && asked_for.iter().all(|asked| *asked == address), "{asked_for:?}");
}

#[test]
fn behind_proxies_that_are_the_only_way_out_the_rendezvous_passes_everything_on() {
    let Some(internet) = Internet::new() else { return };
    let server = Rendezvous::start_inside_with(&internet.server, "[::]:0", &[]);
    let proxy = Proxy::start(&internet.server, SERVER_V4);
    let sides = [1, 2].map(|number| internet.connect(number, Access::UdpBlocked));
    let address = format!("{SERVER_V4}:{}", server.port());
    let [alice, bob] =
        [0, 1].map(|side| Machine::with_server_at(&format!("http://{address}")).inside(&sides[side].machine));
    alice.write("a.bin", &content(LEN));
    let mut sending = start(&alice, &["a.bin"], &proxy.url());
    let received = start(&bob, &["receive", &sending.code(), "--yes"], &proxy.url()).end();
    assert_eq!(text(&received.succeeded().events_of("path")[0]["path"]), "relay");
    sending.end().succeeded();
    assert_eq!(bob.read("a.bin"), content(LEN));
    assert_eq!(proxy.asked_for(), [(); 4].map(|()| address.clone()));
}

#[test]
fn a_proxy_that_is_not_there_is_named_and_what_to_do() {
    let Some(internet) = Internet::new() else { return };
    let side = internet.connect(1, Access::PortRestricted);
    let alice = Machine::with_server_at(&format!("http://{SERVER_V4}:1")).inside(&side.machine);
    alice.write("a.bin", &content(LEN));
    let sent = start(&alice, &["a.bin"], "http://joe:secret@100.0.0.1:2").end();
    let error = sent.failed("server_unreachable", 5);
    assert!(
        error["causes"].to_string().contains("the proxy http://100.0.0.1:2 does not lead there"),
        "{error}"
    );
    assert!(text(&error["hint"]).contains("HTTPS_PROXY"), "{error}");
    assert!(!sent.out.contains("secret") && !sent.err.contains("secret"));
}
