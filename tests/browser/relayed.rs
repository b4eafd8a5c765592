//! A page that finds no direct path uses the TURN server that it was told of, with the credential that it was given.

use super::{BOTH, Way, assert_saved, case, has_browsers, run_by};
use crate::harness::{Coturn, Machine, Rendezvous, content, text};
use crate::netlab::{Access, Internet, SERVER_V4};

#[test]
fn a_page_behind_a_symmetric_router_receives_through_a_relay() {
    if !has_browsers() {
        return;
    }
    let Some(internet) = Internet::new() else { return };
    let _coturn = Coturn::start(&internet.server);
    let relay = format!("turn:{SERVER_V4}:3478");
    let arguments = ["--stun-listen", "[::]:0", "--turn-url", &relay];
    let server = Rendezvous::start_inside_with(&internet.server, "[::]:0", &arguments);
    let url = format!("http://{SERVER_V4}:{}", server.port());
    let sides = [1, 2].map(|number| internet.connect(number, Access::SymmetricRandom));
    let alice = Machine::with_server_at(&url).inside(&sides[0].machine);
    let bytes = content(300_000);
    alice.write("a.bin", &bytes);
    for kind in BOTH {
        let mut sending = alice.start(&["a.bin"]);
        let cases = [case(&mut sending, &format!("{url}/"), Way::Code)];
        let told = run_by(sides[1].machine.command("node"), kind, &cases);
        assert_saved(&told[0], &[("a.bin", &bytes)]);
        let sent = sending.end();
        assert_eq!(text(&sent.succeeded().events_of("path")[0]["path"]), "turn", "{kind:?}");
    }
}
