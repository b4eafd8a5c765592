//! A page that finds no direct path uses the TURN server that it was told of, with the credential that it was given, or the
//! relay of the rendezvous.

use std::thread;

use serde_json::json;

use super::{BOTH, Kind, Way, assert_saved, case, has_browsers, run_by};
use crate::chromium;
use crate::harness::{Coturn, Ended, Machine, Rendezvous, content, text};
use crate::netlab::{Access, Internet, SERVER_V4};
use crate::upgrade::{close, goes_over, paths};

/// A side that goes through the rendezvous at all times, and says so.
fn assert_relayed(told: &serde_json::Value, sent: &Ended) {
    assert!(text(&told["path"]).starts_with("Relayed"), "{told:#}");
    assert_eq!(paths(sent), ["relay"], "{sent:?}");
    assert_eq!(sent.events_of("reconnecting").len(), 0, "{sent:?}");
}

#[test]
fn a_page_behind_a_symmetric_router_receives_through_a_relay() {
    if !has_browsers() {
        return;
    }
    let Some(internet) = Internet::new() else { return };
    let _coturn = Coturn::start(&internet.server);
    let relay = format!("turn:{SERVER_V4}:3478");
    let arguments = ["--stun-listen", "[::]:0", "--turn-url", &relay, "--no-record-relay"];
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

#[test]
fn a_page_that_reaches_nobody_but_the_server_receives_through_its_relay() {
    if !has_browsers() {
        return;
    }
    let Some(internet) = Internet::new() else { return };
    let server = Rendezvous::start_inside_with(&internet.server, "[::]:0", &["--stun-listen", "[::]:0"]);
    let url = format!("http://{SERVER_V4}:{}", server.port());
    let sides = [Access::Open, Access::UdpBlocked];
    let sides = [1, 2].map(|number| internet.connect(number, sides[usize::from(number) - 1]));
    let alice = Machine::with_server_at(&url).inside(&sides[0].machine);
    let bytes = content(20_000_000);
    alice.write("a.bin", &bytes);
    for kind in BOTH {
        let mut sending = alice.start(&["a.bin"]);
        let cases = [case(&mut sending, &format!("{url}/"), Way::Code)];
        let told = run_by(sides[1].machine.command("node"), kind, &cases);
        assert_saved(&told[0], &[("a.bin", &bytes)]);
        assert_relayed(&told[0], sending.end().succeeded());
    }
}

#[test]
fn a_page_moves_in_mid_file_from_the_relay_to_the_direct_path_that_comes_up_later() {
    if !has_browsers() {
        return;
    }
    let Some(internet) = Internet::new() else { return };
    let rate = "limits.relay_session_rate='16777216/s'";
    let arguments = ["--stun-listen", "[::]:0", "--set", rate];
    let server = Rendezvous::start_inside_with(&internet.server, "[::]:0", &arguments);
    let url = format!("http://{SERVER_V4}:{}", server.port());
    let sides = [1, 2].map(|number| internet.connect(number, Access::Open));
    let alice = Machine::with_server_at(&url).inside(&sides[0].machine);
    let bytes = content(200 << 20);
    alice.write("a.bin", &bytes);
    close(&sides[1], true);
    let mut sending = alice.start(&["a.bin"]);
    let cases = [case(&mut sending, &format!("{url}/"), Way::Code)];
    let node = sides[1].machine.command("node");
    let told = thread::scope(|scope| {
        let page = scope.spawn(|| run_by(node, Kind::Chromium, &cases));
        goes_over(&mut sending, "relay");
        close(&sides[1], false);
        page.join().unwrap()
    });
    assert_saved(&told[0], &[("a.bin", &bytes)]);
    let sent = sending.end();
    assert_eq!(paths(sent.succeeded()), ["relay", "direct"], "{sent:?}");
    assert_eq!(sent.events_of("reconnecting").len(), 0, "{sent:?}");
    assert_eq!(sent.events_of("finished")[0]["moved"], bytes.len(), "nothing is sent twice: {sent:?}");
    assert!(text(&told[0]["path"]).starts_with("Direct"), "{told:#?}");
}

#[test]
fn a_path_on_which_more_comes_than_may_come_before_its_turn_is_lost() {
    if !has_browsers() {
        return;
    }
    let told = chromium::run("lanes.mjs", &json!({}));
    assert_eq!(told["lost"], 1, "{told:#}");
    assert_eq!(told["left"], 0, "{told:#}");
    let most = told["most"].as_u64().unwrap();
    assert!((8 << 20..17 << 20).contains(&most), "of 65 MB that came, {most} bytes were kept");
}
