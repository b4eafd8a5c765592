//! A connection that breaks in the middle, and the page goes on by itself.

use serde_json::json;

use super::*;
use crate::harness::content;

#[test]
fn a_page_finds_its_sender_again_and_goes_on_wherever_it_keeps_the_file() {
    if !has_browsers() {
        return;
    }
    let server = Rendezvous::start_everywhere();
    let insecure = format!("http://{}:{}/", own_address(), port(&server));
    let alice = Machine::with_server_at(&insecure);
    let bytes = content(40 << 20);
    alice.write("video.mp4", &bytes);
    // Files of the origin, a database, and the browser whose channel stays with the page.
    let places =
        [(Kind::Chromium, page(&server)), (Kind::Chromium, insecure), (Kind::Firefox, page(&server))];
    for (kind, page) in places {
        let mut sending = alice.start(&["video.mp4"]);
        let mut case = case(&mut sending, &page, Way::Link);
        case["pauses"] = json!([sending.id()]);
        let told = run(kind, &[case]);
        assert_saved(&told[0], &[("video.mp4", &bytes)]);
        let sent = sending.end();
        sent.succeeded();
        assert_eq!(sent.events_of("code").len(), 1, "without a new code: {sent:?}");
        assert_sent_once(&sent, bytes.len());
    }
}
