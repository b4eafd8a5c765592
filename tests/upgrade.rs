//! A transfer begins on whatever works and ends on the best there is, and goes on when that is gone again.

use std::time::{Duration, Instant};

use crate::harness::{Ended, Machine, Peer, Rendezvous, Snapshot, content, text};
use crate::netlab::{Access, Internet, SERVER_V4, Side, stay_away};

const MIB: usize = 1024 * 1024;

/// A file that takes about twenty seconds through the rendezvous.
const LEN: usize = 300 * MIB;

/// What a path may cost that dies without a word: the credit window, and a MiB.
const COST: u64 = wire::transfer::CREDIT_WINDOW + MIB as u64;

/// Lets no UDP out of or into a machine, or does again.
pub(crate) fn close(side: &Side, is_closed: bool) {
    side.machine.run("nft", &["add table inet wall; flush table inet wall"]);
    if is_closed {
        side.machine.run(
            "nft",
            &["add chain inet wall in { type filter hook input priority filter; }; \
               add rule inet wall in meta l4proto udp drop"],
        );
    }
}

/// The paths that a side has named, in order.
pub(crate) fn paths(ended: &Ended) -> Vec<String> {
    ended.events_of("path").iter().map(|event| text(&event["path"])).collect()
}

pub(crate) fn goes_over(peer: &mut Peer, path: &str) {
    assert!(peer.comes_to(|event| event["event"] == "path" && event["path"] == path), "{peer:?}");
}

#[test]
fn it_begins_on_the_relay_moves_to_the_direct_path_and_back() {
    let Some(internet) = Internet::new() else { return };
    let rate = "limits.relay_session_rate='16777216/s'";
    let server = Rendezvous::start_inside_with(
        &internet.server,
        "[::]:0",
        &["--stun-listen", "[::]:0", "--set", rate],
    );
    let sides = [1, 2].map(|number| internet.connect(number, Access::Open));
    let [alice, bob] = [0, 1].map(|side| {
        Machine::with_server_at(&format!("http://{SERVER_V4}:{}", server.port())).inside(&sides[side].machine)
    });
    alice.write("big.bin", &content(LEN));
    close(&sides[1], true);
    let mut sending = alice.start(&["big.bin"]);
    let code = sending.code();
    let mut receiving = bob.start(&["receive", &code, "--yes"]);
    let since = Instant::now();
    goes_over(&mut receiving, "relay");
    println!("on the relay after {:.2?}", since.elapsed());
    receiving.under_way();
    stay_away(Duration::from_secs(5).saturating_sub(since.elapsed()));
    close(&sides[1], false);
    let opened = Instant::now();
    goes_over(&mut receiving, "direct");
    println!("direct {:.2?} after it was open", opened.elapsed());
    close(&sides[1], true);
    let (received, sent) = (receiving.end(), sending.end());
    received.succeeded();
    sent.succeeded();
    assert_eq!(Snapshot::of(&alice.path("big.bin")), Snapshot::of(&bob.path("big.bin")));
    assert_eq!(paths(&received), ["relay", "direct", "relay"], "{received:?}");
    assert_eq!(paths(&sent), ["relay", "direct", "relay"], "{sent:?}");
    assert_eq!(sent.events_of("reconnecting").len(), 1, "only when the direct path died: {sent:?}");
    let moved = sent.events_of("finished")[0]["moved"].as_u64().unwrap();
    println!("sent again: {} bytes", moved - LEN as u64);
    assert!(moved <= LEN as u64 + COST, "{moved}");
}
