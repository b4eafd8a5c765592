//! The page sends: from a real browser to a real `send`, and to a second page of the browser.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::browser::start;
use crate::chromium::{browser, run};
use crate::guard::{guarded, have_completed};
use crate::harness::{Cutter, Machine, Rendezvous, content, text};

/// A phone, small and upright.
const PHONE: (u32, u32) = (320, 568);

/// How a script runs `send` on a machine; it puts the code in the place of `CODE`.
fn receiver(machine: &Machine) -> Value {
    let command = machine.command(&["receive", "CODE", "--yes", "--json"]);
    let text = |value: &std::ffi::OsStr| value.to_str().unwrap().to_owned();
    let env = command.get_envs().filter_map(|(name, value)| Some((text(name), json!(text(value?)))));
    json!({
        "program": text(command.get_program()),
        "args": command.get_args().map(text).collect::<Vec<_>>(),
        "env": env.collect::<serde_json::Map<_, _>>(),
        "directory": machine.dir(),
    })
}

/// Chooses `files` on the page and sends them as `how` says.
#[track_caller]
fn send(browser: &Path, server: &Rendezvous, files: &[PathBuf], how: &Value) -> Value {
    send_through(browser, server.address(), files, how)
}

/// The same, from a page at this `host:port`.
#[track_caller]
fn send_through(browser: &Path, address: &str, files: &[PathBuf], how: &Value) -> Value {
    let page = format!("http://localhost:{}/", address.rsplit(':').next().unwrap());
    let mut argument = json!({ "browser": browser, "address": page, "files": files });
    argument.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
    let told = run("send.mjs", &argument);
    assert_eq!(told["complaints"], json!([]), "no violation of the policy, no error");
    assert_eq!(told["socketsBeforeTap"], 0, "nobody is asked for a code before a tap");
    assert_eq!((&told["isTooWide"], &told["hasPicture"]), (&json!(false), &json!(true)));
    let early = told["requestsBeforeTap"].as_array().unwrap();
    assert!(
        early.iter().all(|request| !text(request).contains("/send") && !text(request).contains("sending"))
    );
    let link = text(&told["link"]);
    assert!(link.starts_with(&format!("{page}#")), "{link}");
    let secret = link.split_once('#').unwrap().1;
    for request in told["requests"].as_array().unwrap() {
        let request = text(request);
        assert!(request.starts_with(&page) || request.starts_with("blob:"), "somebody else: {request}");
        assert!(!request.contains(secret), "a request with the secret: {request}");
    }
    told
}

/// The command received everything, and says so.
#[track_caller]
fn assert_received(told: &Value) {
    assert_eq!(told["title"], "Sent and verified", "{told:#}");
    assert_eq!(told["received"]["status"], 0, "{told:#}");
}

/// The error with which the command ended.
#[track_caller]
fn error(ended: &Value) -> Value {
    let out = text(&ended["out"]);
    let mut events = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let error = events.rfind(|event| event["event"] == "error");
    error.unwrap_or_else(|| panic!("no error: {out}"))["error"].clone()
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

#[test]
fn a_page_sends_files_of_every_awkward_size_to_a_terminal() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    for len in [0, 65_537, 20_000_000] {
        let bob = Machine::with_server(&server);
        let (name, bytes) = (format!("{len}.bin"), content(len));
        let file = alice.write(&name, &bytes);
        let told = send(&browser, &server, &[file], &json!({ "receiver": receiver(&bob) }));
        assert_received(&told);
        assert!(bob.read(&name) == bytes, "{len} bytes");
    }
}

#[test]
fn a_page_that_reaches_nobody_but_the_server_sends_through_its_relay() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let bob = Machine::with_server(&server);
    let bytes = content(20_000_000);
    let file = alice.write("a.bin", &bytes);
    let how = json!({ "receiver": receiver(&bob), "isUdpBlocked": true });
    let told = send(&browser, &server, std::slice::from_ref(&file), &how);
    assert_received(&told);
    assert!(bob.read("a.bin") == bytes);
    assert!(text(&told["path"]).starts_with("Relayed"), "{told:#}");
    let out = text(&told["received"]["out"]);
    assert!(out.contains(r#""path":"relay""#) && !out.contains("reconnecting"), "{out}");
    // Both ends of it are pages.
    let pages = send(&browser, &server, &[file], &json!({ "isUdpBlocked": true }));
    assert_eq!(pages["title"], "Sent and verified", "{pages:#}");
    assert_eq!(pages["saved"][0]["sha256"], sha256(&bytes).as_str(), "{pages:#}");
}

#[test]
fn a_page_sends_several_files_to_a_page_whatever_their_names() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let files = [("größe 日本語.txt", content(3)), ("CON.txt", content(70_000)), ("empty", Vec::new())];
    let paths: Vec<_> = files.iter().map(|(name, bytes)| alice.write(name, bytes)).collect();
    let told = send(&browser, &server, &paths, &json!({}));
    assert_eq!(told["title"], "Sent and verified", "{told:#}");
    let sent = ["größe 日本語.txt", "_CON.txt", "empty"];
    let saved = sent
        .iter()
        .zip(&files)
        .map(|(name, (_, bytes))| json!({ "name": name, "size": bytes.len(), "sha256": sha256(bytes) }));
    assert_eq!(told["saved"], saved.collect::<Value>());
}

#[test]
fn a_page_sends_a_text_which_the_other_shows_and_both_see_the_same_words() {
    let Some(browser) = browser() else { return };
    let (server, _) = start();
    let words = "größe\n  <b>שלום</b> https://example.org/\n";
    let told = send(&browser, &server, &[], &json!({ "text": words }));
    assert_eq!((&told["title"], &told["text"]), (&json!("Sent and verified"), &json!(words)), "{told:#}");
    assert_eq!(told["otherTitle"], "Received and verified", "nothing has to be saved");
    let [ours, theirs] = [&told["words"][0], &told["words"][1]];
    assert_eq!(ours, theirs);
    assert_eq!(text(ours).split(' ').count(), 4, "{ours}");
}

#[test]
fn a_private_server_asks_whoever_sends_for_its_token() {
    let Some(browser) = browser() else { return };
    let server = Rendezvous::start_set(&["token='the token of this server'"]);
    let alice = Machine::with_server(&server);
    let file = alice.write("a.bin", &content(70_000));
    let how = json!({ "tokens": ["another", "the token of this server"] });
    let told = send(&browser, &server, &[file], &how);
    assert_eq!(told["title"], "Sent and verified", "{told:#}");
    assert_eq!(told["refusals"], json!(["", "That is not its token."]));
}

#[test]
fn while_somebody_guesses_codes_pages_work_for_theirs_and_notice_nothing_else() {
    let Some(browser) = browser() else { return };
    let server = guarded();
    let alice = Machine::with_server(&server);
    let file = alice.write("a.bin", &content(70_000));
    let told = send(&browser, &server, &[file], &json!({}));
    assert_eq!(told["title"], "Sent and verified", "{told:#}");
    assert!(told["awaited"].as_array().unwrap().contains(&json!("Working for a code")), "{told:#}");
    // A page reports how it ended, as a terminal does.
    have_completed(&server, 1);
}

#[test]
fn a_phone_sends_and_a_phone_receives() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let long = format!("{}.jpg", "name".repeat(50));
    let file = alice.write(&long, &content(300_000));
    let size = json!({ "width": PHONE.0, "height": PHONE.1 });
    let told = send(&browser, &server, std::slice::from_ref(&file), &json!({ "size": size }));
    assert_eq!(told["saved"][0]["sha256"], sha256(&alice.read(&long)).as_str(), "{told:#}");
    let bob = Machine::with_server(&server);
    let sent = send(&browser, &server, &[file], &json!({ "size": size, "receiver": receiver(&bob) }));
    assert_received(&sent);
}

#[test]
fn a_wrong_code_is_used_up_and_the_page_shows_another() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let (eve, bob) = (Machine::with_server(&server), Machine::with_server(&server));
    let file = alice.write("a.txt", b"a");
    let how = json!({ "receiver": receiver(&bob), "guess": receiver(&eve) });
    let told = send(&browser, &server, &[file], &how);
    assert_eq!(error(&told["guessed"]), "wrong_code");
    assert!(text(&told["notice"]).contains("wrong code"), "{told:#}");
    assert_ne!(told["codes"][0], told["codes"][1]);
    assert_received(&told);
    assert_eq!(eve.names(), Vec::<String>::new());
}

#[test]
fn a_page_whose_connection_to_the_server_breaks_keeps_its_code() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let bob = Machine::with_server(&server);
    // The first message of the server is that there is a code; the second would be that somebody came.
    let wire = Cutter::before(server.address(), r#""type":"paired""#, 1);
    let file = alice.write("a.bin", &content(100_000));
    let how = json!({ "early": receiver(&bob), "receiver": receiver(&bob) });
    let told = send_through(&browser, &wire.address(), &[file], &how);
    assert!(wire.has_cut());
    let codes = told["codes"].as_array().unwrap();
    assert!(codes.len() == 2 && codes[0] == codes[1], "{told:#}");
    assert_ne!(told["early"]["status"], 0, "{told:#}");
    assert_received(&told);
    assert_eq!(bob.read("a.bin"), content(100_000));
}

#[test]
fn a_page_finds_its_receiver_again_and_goes_on() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let bytes = content(40 << 20);
    let file = alice.write("large.bin", &bytes);
    let bob = Machine::with_server(&server);
    let told = send(&browser, &server, &[file], &json!({ "receiver": receiver(&bob), "pauses": true }));
    assert_received(&told);
    assert_eq!(sha256(&bob.read("large.bin")), sha256(&bytes));
    let out = text(&told["received"]["out"]);
    assert_eq!(
        (out.matches(r#""event":"reconnecting""#).count(), out.matches(r#""event":"resumed""#).count()),
        (1, 1),
        "{out}"
    );
}

#[test]
fn whoever_stops_it_the_other_side_is_told() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let large = alice.path("large.bin");
    // Holes read as zeros.
    std::fs::File::create(&large).unwrap().set_len(3_000_000_000).unwrap();
    let stops = [
        ("sender", "Cancelled", "cancelled_by_peer"),
        ("receiver", "The other side has stopped it", "interrupted"),
    ];
    for (who, title, told_there) in stops {
        let bob = Machine::with_server(&server);
        let how = json!({ "receiver": receiver(&bob), "stop": who });
        let told = send(&browser, &server, std::slice::from_ref(&large), &how);
        assert_eq!((&told["title"], error(&told["received"])), (&json!(title), json!(told_there)), "{who}");
    }
    let bob = Machine::with_server(&server);
    let how = json!({ "receiver": receiver(&bob), "stop": "page" });
    let left = send(&browser, &server, std::slice::from_ref(&large), &how);
    assert_eq!(error(&left["received"]), "interrupted", "{left:#}");
    for (who, here, there) in [
        ("sender", "Cancelled", "The sender has stopped it"),
        ("receiver", "The other side has stopped it", "Cancelled"),
    ] {
        let told = send(&browser, &server, std::slice::from_ref(&large), &json!({ "stop": who }));
        assert_eq!((&told["title"], &told["otherTitle"]), (&json!(here), &json!(there)), "{who}: {told:#}");
    }
}
