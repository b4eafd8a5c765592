//! The page as people see, hear and use it: every screen, in every language. The scripts are in `browser/`.

use serde_json::json;

use crate::chromium::{browser, run};
use crate::harness::{Machine, Rendezvous};
use crate::locales;

/// The page under a name that browsers trust without https.
fn address(server: &Rendezvous) -> String {
    format!("http://localhost:{}/", server.address().rsplit(':').next().unwrap())
}

#[test]
fn no_screen_has_anything_wrong_with_it() {
    let Some(browser) = browser() else { return };
    let server = Rendezvous::start();
    let told = run(
        "view.mjs",
        &json!({
            "browser": browser,
            "address": address(&server),
            "languages": locales::languages(),
            "reasons": locales::reasons(),
        }),
    );
    assert_eq!(told["problems"], json!([]));
    assert!(told["screens"].as_u64().unwrap() > 80, "{told}");
}

#[test]
fn the_page_does_what_people_want_by_hand_by_keyboard_and_by_ear() {
    let Some(browser) = browser() else { return };
    let server = Rendezvous::start();
    let told = run("behaviour.mjs", &json!({ "browser": browser, "address": address(&server) }));
    assert_eq!(told["problems"], json!([]));
    assert!(told["claims"].as_u64().unwrap() > 10, "{told}");
}

#[test]
fn the_page_is_small_and_is_there_without_its_server() {
    let Some(browser) = browser() else { return };
    let server = Rendezvous::start();
    let alice = Machine::with_server(&server);
    alice.write("a.txt", b"a");
    let mut sending = alice.start(&["a.txt"]);
    let told =
        run("shell.mjs", &json!({ "browser": browser, "address": address(&server), "code": sending.code() }));
    sending.end().succeeded();
    assert_eq!(told["problems"], json!([]));
}
