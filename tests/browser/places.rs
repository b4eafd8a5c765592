//! Where files are kept while they come, and straight to where the person wants it: a file or a folder that was chosen, and downloads that begin before the end.

use serde_json::json;

use super::{Kind, Way, assert_saved, assert_sent_once, case, has_browsers, page, run, start};
use crate::chromium::{browser, run as run_script};
use crate::harness::content;

/// So much is worth the question where to save it: bytes.
const LARGE: usize = 70_000_000;

#[test]
fn every_place_takes_back_what_was_written_and_hands_over_what_is_there() {
    let Some(browser) = browser() else { return };
    let (server, _) = start();
    let told = run_script("spools.mjs", &json!({ "executable": browser, "address": page(&server) }));
    assert_eq!(told["problems"], json!([]));
}

#[test]
fn a_file_goes_straight_to_where_it_is_to_be_and_goes_on_there_after_a_break() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    let bytes = content(LARGE);
    alice.write("large.bin", &bytes);
    let mut sending = alice.start(&["large.bin"]);
    let mut case = case(&mut sending, &page(&server), Way::Link);
    case["places"] = json!(true);
    case["target"] = json!(true);
    case["pauses"] = json!([sending.id()]);
    let told = &run(Kind::Chromium, &[case])[0];
    assert_saved(told, &[("large.bin", &bytes)]);
    assert_eq!(told["saved"][0]["name"], "large.bin");
    let sent = sending.end();
    sent.succeeded();
    assert_sent_once(&sent, bytes.len());
}

#[test]
fn a_folder_that_was_chosen_gets_the_folders_that_were_sent() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    let (large, small) = (content(LARGE), content(70_001));
    std::fs::create_dir_all(alice.path("tree/deep/er")).unwrap();
    let files: [(&str, &[u8]); 3] =
        [("tree/a.bin", &large), ("tree/deep/empty", b""), ("tree/deep/er/b.bin", &small)];
    for (path, bytes) in files {
        alice.write(path, bytes);
    }
    let mut sending = alice.start(&["tree"]);
    let mut case = case(&mut sending, &page(&server), Way::Link);
    case["places"] = json!(true);
    case["target"] = json!(true);
    let told = &run(Kind::Chromium, &[case])[0];
    assert_saved(told, &files);
    for (index, (path, _)) in files.iter().enumerate() {
        assert_eq!(told["saved"][index]["name"], *path);
    }
    sending.end().succeeded();
}

#[test]
fn a_full_storage_can_be_left_for_a_place_with_room_and_nothing_is_lost() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    let bytes = content(30_000_000);
    alice.write("large.bin", &bytes);
    // Chromium asks where; Firefox cannot, and neither can Chromium then.
    let ways = [
        (Kind::Chromium, true, "target"),
        (Kind::Chromium, false, "download"),
        (Kind::Firefox, false, "download"),
    ];
    for (kind, places, choice) in ways {
        let mut sending = alice.start(&["large.bin"]);
        let mut case = case(&mut sending, &page(&server), Way::Link);
        case["quota"] = json!(8_000_000);
        case["places"] = json!(places);
        case["whenFull"] = json!(choice);
        case["more"] = json!(200_000_000);
        let told = run(kind, &[case]);
        assert_eq!(told[0]["title"], "Saved", "{kind:?} {choice} {told:#?}");
        assert_saved(&told[0], &[("large.bin", &bytes)]);
        let sent = sending.end();
        sent.succeeded();
        assert_sent_once(&sent, bytes.len());
    }
}

#[test]
fn a_browser_that_stores_nothing_downloads_what_comes_while_it_comes() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    let bytes = content(30_000_000);
    alice.write("large.bin", &bytes);
    let mut sending = alice.start(&["large.bin"]);
    let mut case = case(&mut sending, &page(&server), Way::Link);
    case["quota"] = json!(1);
    case["places"] = json!(false);
    case["isDownload"] = json!(true);
    case["pauses"] = json!([sending.id()]);
    let told = run(Kind::Chromium, &[case]);
    assert_saved(&told[0], &[("large.bin", &bytes)]);
    assert_eq!(told[0]["saved"][0]["name"], "large.bin");
    sending.end().succeeded();
}
