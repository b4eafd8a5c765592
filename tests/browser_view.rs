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

#[test]
fn the_other_side_is_looked_for_soon_often_and_for_ten_minutes() {
    let Some(_) = browser() else { return };
    let told = run("rejoin.mjs", &json!({}));
    let attempts: Vec<u64> =
        told["attempts"].as_array().unwrap().iter().map(|time| time.as_u64().unwrap()).collect();
    assert_eq!(attempts[..3], [500, 16_500, 33_500], "each attempt waits a quarter of a minute: {told}");
    let pauses = attempts.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(pauses.take(30).all(|pause| pause <= 17_000), "{told}");
    let gave_up = told["gaveUp"].as_u64().unwrap();
    assert!((600_000..=617_000).contains(&gave_up), "{told}");
    assert_eq!((&told["hurried"], &told["afterBack"]), (&json!(1), &json!(0)), "{told}");
}
