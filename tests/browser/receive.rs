//! What arrives is what was sent.

use serde_json::json;

use super::{BOTH, Kind, Way, assert_saved, case, has_browsers, own_address, page, port, run, start};
use crate::harness::{Machine, Rendezvous, content, text};

#[test]
fn a_browser_receives_files_of_every_awkward_size_by_link_and_by_code() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    let sizes = [0, 1, 65_535, 65_536, 65_537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1];
    let files = sizes.map(|len| (format!("{len}.bin"), content(len)));
    for (name, bytes) in &files {
        alice.write(name, bytes);
    }
    for kind in BOTH {
        let mut senders: Vec<_> = files.iter().map(|(name, _)| alice.start(&[name])).collect();
        let ways = [Way::Link, Way::Code].into_iter().cycle();
        let cases: Vec<_> =
            senders.iter_mut().zip(ways).map(|(sender, way)| case(sender, &page(&server), way)).collect();
        for (told, (name, bytes)) in run(kind, &cases).iter().zip(&files) {
            assert_saved(told, &[(name, bytes)]);
            assert_eq!(told["saved"][0]["name"], json!(name));
        }
        for sender in senders {
            sender.end().succeeded();
        }
    }
}

#[test]
fn a_browser_receives_more_than_it_keeps_in_memory_wherever_it_keeps_it() {
    if !has_browsers() {
        return;
    }
    let server = Rendezvous::start_everywhere();
    let insecure = format!("http://{}:{}/", own_address(), port(&server));
    let alice = Machine::with_server_at(&insecure);
    let bytes = content(20_000_000);
    alice.write("large.bin", &bytes);
    // The file system of the origin, nothing of the kind in a private window, a database on a page without https.
    for (kind, page) in [
        (Kind::Chromium, page(&server)),
        (Kind::Firefox, page(&server)),
        (Kind::PrivateFirefox, page(&server)),
        (Kind::Chromium, insecure.clone()),
        (Kind::Firefox, insecure),
    ] {
        let mut sending = alice.start(&["large.bin"]);
        let cases = [case(&mut sending, &page, Way::Link)];
        assert_saved(&run(kind, &cases)[0], &[("large.bin", &bytes)]);
        sending.end().succeeded();
    }
}

#[test]
fn a_browser_receives_a_file_larger_than_any_queue_on_the_way() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    let bytes = content(300 << 20);
    alice.write("video.mp4", &bytes);
    for kind in BOTH {
        let mut sending = alice.start(&["video.mp4"]);
        let cases = [case(&mut sending, &page(&server), Way::Link)];
        assert_saved(&run(kind, &cases)[0], &[("video.mp4", &bytes)]);
        sending.end().succeeded();
    }
}

#[test]
fn a_browser_receives_fifty_files_whatever_their_names_and_however_the_page_came() {
    if !has_browsers() {
        return;
    }
    let server = Rendezvous::start_everywhere();
    let insecure = format!("http://{}:{}/", own_address(), port(&server));
    let alice = Machine::with_server_at(&insecure);
    // What a name is here, and what it is called where it is repaired on its way.
    let awkward = [
        "größe 日本語.txt",
        "&lt;b&gt;.html",
        "שלום.txt",
        "صورة ١.jpg",
        "it's $HOME `x`.svg",
        "__proto__",
        "constructor",
        "%0d%0aSet-Cookie.txt",
        "a) (b.txt",
        "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f}.png",
        "e\u{301}.txt",
        "empty",
    ];
    let repaired = [
        ("<img src=x onerror=alert(1)>.png", "_img src=x onerror=alert(1)_.png"),
        ("javascript:alert(1)", "javascript_alert(1)"),
        ("a\r\nSet-Cookie: b=c.txt", "a__Set-Cookie_ b=c.txt"),
        ("photo\u{202e}gpj.exe", "photogpj.exe"),
        ("\u{2066}isolated\u{200b}.txt", "isolated.txt"),
        ("\"quoted\".txt", "_quoted_.txt"),
    ];
    let plain: Vec<String> =
        (awkward.len() + repaired.len()..50).map(|number| format!("{number}.txt")).collect();
    let same = awkward.into_iter().chain(plain.iter().map(String::as_str)).map(|name| (name, name));
    let names: Vec<(&str, &str)> = repaired.into_iter().chain(same).collect();
    let files: Vec<(&str, Vec<u8>)> = names
        .iter()
        .map(|&(name, _)| (name, if name == "empty" { Vec::new() } else { name.as_bytes().to_vec() }))
        .collect();
    for (name, bytes) in &files {
        alice.write(name, bytes);
    }
    let arguments: Vec<&str> = names.iter().map(|&(name, _)| name).collect();
    let offered: Vec<&str> = names.iter().map(|&(_, sent)| sent).collect();
    let expected: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    for (kind, page) in BOTH.into_iter().flat_map(|kind| [(kind, page(&server)), (kind, insecure.clone())]) {
        let mut sending = alice.start(&arguments);
        let cases = [case(&mut sending, &page, Way::Link)];
        let told = &run(kind, &cases)[0];
        assert_eq!(told["offered"], json!(offered), "{kind:?} {page}");
        assert_saved(told, &expected);
        sending.end().succeeded();
    }
}

#[test]
fn a_phone_receives_by_an_insecure_page_what_a_terminal_sends() {
    if !has_browsers() {
        return;
    }
    let server = Rendezvous::start_everywhere();
    let insecure = format!("http://{}:{}/", own_address(), port(&server));
    let alice = Machine::with_server_at(&insecure);
    let name = format!("{}.jpg", "name".repeat(50));
    let bytes = content(300_000);
    alice.write(&name, &bytes);
    for (kind, way) in BOTH.into_iter().zip([Way::Link, Way::Code]) {
        let mut sending = alice.start(&[&name]);
        let mut case = case(&mut sending, &insecure, way);
        case["size"] = json!({ "width": 320, "height": 568 });
        let told = &run(kind, &[case])[0];
        assert_saved(told, &[(&name, &bytes)]);
        assert_eq!(told["isTooWide"], false, "{kind:?}");
        sending.end().succeeded();
    }
}

#[test]
fn what_would_run_or_lead_somewhere_is_saved_and_does_neither() {
    if !has_browsers() {
        return;
    }
    let (server, alice) = start();
    let script = "window.open('/elsewhere'); location = '/elsewhere'";
    let files = [
        ("x.html", format!("<meta http-equiv=refresh content='0;url=/elsewhere'><script>{script}</script>")),
        ("x.svg", format!("<svg xmlns='http://www.w3.org/2000/svg'><script>{script}</script></svg>")),
        ("x.js", script.to_owned()),
        ("x.url", "[InternetShortcut]\nURL=http://localhost/elsewhere\n".to_owned()),
    ];
    for (name, words) in &files {
        alice.write(name, words.as_bytes());
    }
    for kind in BOTH {
        let mut senders: Vec<_> = files.iter().map(|(name, _)| alice.start(&[name])).collect();
        let cases: Vec<_> =
            senders.iter_mut().map(|sender| case(sender, &page(&server), Way::Link)).collect();
        for (told, (name, words)) in run(kind, &cases).iter().zip(&files) {
            assert_saved(told, &[(name, words.as_bytes())]);
            // A browser may add to what it takes for dangerous.
            assert!(text(&told["saved"][0]["name"]).starts_with(name), "{kind:?}: {told:#}");
            assert_eq!(
                told["types"],
                json!(["application/octet-stream"]),
                "{kind:?}: a download and nothing else"
            );
        }
        for sender in senders {
            sender.end().succeeded();
        }
    }
}

#[test]
fn without_a_server_the_link_leads_to_a_page_on_this_network() {
    if !has_browsers() {
        return;
    }
    let alice = Machine::without_server();
    let bytes = content(100_000);
    alice.write("a.bin", &bytes);
    for kind in BOTH {
        let mut sending = alice.start(&["a.bin"]);
        let link = text(&sending.event("code")["link"]);
        assert!(link.starts_with(&format!("http://{}:", own_address())), "{link}");
        assert_saved(&run(kind, &[json!({ "link": link })])[0], &[("a.bin", &bytes)]);
        sending.end().succeeded();
    }
}
