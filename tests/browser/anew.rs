//! The page goes on after it was loaded anew, and a browser after it was killed.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Kind, Way, assert_saved, case, has_browsers, own_address, page, port, start};
use crate::disturbances::run_page;
use crate::harness::{Ended, Machine, Rendezvous, content, text};

/// Lets a page receive from the first of `links`, and from the next each time that its browser was killed. An end is how the
/// page ends, and what part of everything has arrived by then.
#[track_caller]
fn receive(kind: Kind, ends: &[(&str, f64)], links: &[Value]) -> Value {
    let ends: Vec<_> = ends.iter().map(|(how, at)| json!({ "how": how, "at": at })).collect();
    let argument = json!({ "kind": kind.name(), "executable": kind.program(), "ends": ends, "links": links });
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let mut node = Command::new("node");
    let output = node.current_dir(directory).args(["anew.mjs", &argument.to_string()]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{kind:?}: {out}\n{err}");
    let told: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("not JSON: {out}\n{err}"));
    assert_eq!(told["error"], Value::Null, "{kind:?} {told:#}");
    assert_eq!(told["complaints"], json!([]), "{kind:?}");
    assert_eq!(told["left"], json!([]), "who receives more wants nothing of it any more: {kind:?}");
    told
}

/// Bytes that were sent again after one interruption are no more than were on the way, and what a page had not written.
#[track_caller]
fn assert_goes_on(sent: &Ended, len: usize) {
    let moved = sent.events_of("finished")[0]["moved"].as_u64().unwrap();
    let breaks = sent.events_of("reconnecting").len().max(1) as u64;
    assert!(moved <= len as u64 + breaks * (9 << 20), "{moved} bytes were sent of {len}: {sent:?}");
}

#[test]
fn a_page_that_is_loaded_anew_goes_on_by_itself_wherever_it_keeps_the_file() {
    if !has_browsers() {
        return;
    }
    let server = Rendezvous::start_everywhere();
    let insecure = format!("http://{}:{}/", own_address(), port(&server));
    let alice = Machine::with_server_at(&insecure);
    let bytes = content(60_000_003);
    alice.write("large.bin", &bytes);
    let places =
        [(Kind::Chromium, page(&server)), (Kind::Chromium, insecure), (Kind::Firefox, page(&server))];
    for (kind, place) in places {
        let mut sending = alice.start(&["large.bin"]);
        let link = case(&mut sending, &place, Way::Link)["link"].clone();
        let told = receive(kind, &[("reload", 0.3)], &[link]);
        assert_saved(&told, &[("large.bin", &bytes)]);
        assert_eq!(told["places"], 1, "it went on where it was: {kind:?} {told:#}");
        let sent = sending.end();
        sent.succeeded();
        assert_goes_on(&sent, bytes.len());
    }
}

#[test]
fn a_browser_that_was_killed_goes_on_with_a_new_code_and_trusts_no_name() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    std::fs::create_dir(alice.path("tree")).unwrap();
    let (small, large) = (content(70_001), content(60_000_003));
    alice.write("tree/a.bin", &small);
    alice.write("tree/b.bin", &large);
    for is_changed in [false, true] {
        let first = &mut alice.start(&["tree"]);
        let mut links = vec![case(first, &page(&server), Way::Link)["link"].clone()];
        let bob = Machine::with_server(&server);
        std::fs::create_dir(bob.path("tree")).unwrap();
        let mut other = large.clone();
        if is_changed {
            other[100] ^= 1;
        }
        bob.write("tree/a.bin", &small);
        bob.write("tree/b.bin", &other);
        let mut second = bob.start(&["tree"]);
        links.push(case(&mut second, &page(&server), Way::Link)["link"].clone());
        let told = receive(Kind::Chromium, &[("kill", 0.3)], &links);
        assert_saved(&told, &[("a.bin", &small), ("b.bin", &other)]);
        assert_eq!(told["notes"][0], "");
        assert!(text(&told["notes"][1]).contains("are here already"), "{told:#}");
        let sent = second.end();
        sent.succeeded();
        let moved = sent.events_of("finished")[0]["moved"].as_u64().unwrap();
        let all = (small.len() + other.len()) as u64;
        let kept = all * 3 / 10 - (9 << 20);
        // A connection that breaks on a busy machine costs what was on its way.
        let again = sent.events_of("reconnecting").len() as u64 * (9 << 20);
        if is_changed {
            let len = other.len() as u64;
            assert!(
                (len..=len + again).contains(&moved),
                "what is another file is sent whole, and what is the same is not: {moved} bytes of {len}, {sent:?}"
            );
        } else {
            assert!(moved <= all - kept + again, "{moved} of {all} bytes were sent: {sent:?}");
        }
    }
}

#[test]
fn a_page_that_ends_at_random_and_more_than_once_gets_there() {
    if has_browsers() {
        // As many as one likes are run by the program `chaos`.
        run_page(1_000).expect("there is a browser");
    }
}
