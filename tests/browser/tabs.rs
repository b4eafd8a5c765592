//! Several tabs of one browser, which share what it stores.

use serde_json::json;

use super::{BOTH, Kind, assert_saved, has_browsers, page, start};
use crate::chromium;
use crate::harness::{Peer, content, text};

/// The last two take longer than opening a tab does.
const FILES: [(&str, usize); 3] =
    [("first.bin", 100_000), ("large.bin", 200 << 20), ("other.bin", 100 << 20)];

#[test]
fn two_tabs_receive_at_once_and_a_third_with_the_same_link_disturbs_neither() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    let files = FILES.map(|(name, len)| (name, content(len)));
    for (name, bytes) in &files {
        alice.write(name, bytes);
    }
    let [first, large, other] = files.each_ref().map(|(name, bytes)| (*name, bytes.as_slice()));
    let link = |sending: &mut Peer| {
        let link = text(&sending.event("code")["link"]);
        format!("{}#{}", page(&server), link.split_once('#').unwrap().1)
    };
    for kind in BOTH {
        let mut senders = [alice.start(&[first.0, large.0]), alice.start(&[other.0])];
        let links = senders.each_mut().map(link);
        let argument = json!({ "kind": kind.name(), "executable": kind.program(), "links": links });
        let told = chromium::run("tabs.mjs", &argument);
        assert_eq!(told["complaints"], json!([]), "{kind:?}");
        assert_eq!(told["again"]["title"], "Already used in this browser", "{kind:?}");
        assert!(text(&told["again"]["text"]).contains("another tab"), "{kind:?}: {told:#}");
        assert_eq!(
            told["meanwhile"],
            json!(["Receiving", "Receiving"]),
            "{kind:?}: they are beside each other"
        );
        let kept: Vec<_> = told["kept"].as_array().unwrap().iter().map(text).collect();
        assert_eq!(kept.len(), 2, "{kind:?}: what is in use stays: {kept:?}");
        // Where the script can, the first transfer looks as old as what was deleted.
        let is_old = kept.iter().any(|name| name.starts_with("send-2-"));
        assert_eq!(is_old, kind == Kind::Chromium, "{kept:?}");
        assert_saved(&told["ends"][0], &[first, large]);
        assert_saved(&told["ends"][1], &[other]);
        for sender in senders {
            sender.end().succeeded();
        }
    }
}
