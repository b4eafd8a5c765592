//! The page in a real browser, receiving from a real `send` through a real rendezvous. The scripts are in `browser/`.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Machine, Peer, Rendezvous, content, text};

/// How the receiver learns where to go.
#[derive(Clone, Copy)]
enum Way {
    Link,
    Code,
}

/// Where Debian puts it.
const CHROMIUM: &str = "/usr/bin/chromium";

/// The browser and its driver, or a word about why there is none; continuous integration has to have them.
pub(crate) fn browser() -> Option<PathBuf> {
    let chromium = PathBuf::from(CHROMIUM);
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/node_modules/playwright-core");
    if chromium.exists() && driver.exists() {
        return Some(chromium);
    }
    let missing =
        format!("no browser tests: {CHROMIUM} or {} is missing; tests/run installs both", driver.display());
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    // Not through the test's own output, which nobody sees when it passes.
    let _ = writeln!(std::io::stderr(), "{missing}");
    None
}

/// Runs a script and gives what it told.
#[track_caller]
pub(crate) fn run(script: &str, argument: &Value) -> Value {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let mut node = Command::new("node");
    let output = node.current_dir(directory).arg(script).arg(argument.to_string()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let told: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("not JSON: {out}\n{err}"));
    assert_eq!(told["error"], Value::Null, "{told:#}");
    told
}

/// Receives in a browser what `sending` offers, and checks what no page may do.
#[track_caller]
fn receive(browser: &Path, server: &Rendezvous, sending: &mut Peer, way: Way) -> Value {
    let invitation = sending.event("code");
    let page = format!("http://localhost:{}/", server.address().rsplit(':').next().unwrap());
    let link = text(&invitation["link"]);
    let secret = link.split_once('#').unwrap().1.to_owned();
    let told = match way {
        // The same machine under a name that browsers trust without https.
        Way::Link => run("receive.mjs", &json!({ "browser": browser, "link": format!("{page}#{secret}") })),
        Way::Code => {
            run("receive.mjs", &json!({ "browser": browser, "address": page, "code": invitation["code"] }))
        }
    };
    if matches!(way, Way::Link) {
        assert_eq!(told["address"], page.as_str(), "the secret leaves the address");
    }
    assert_eq!(told["socketsBeforeTap"], 0, "nothing is claimed before a tap");
    assert_eq!(told["complaints"], json!([]), "no violation of the policy, no error");
    for request in told["requests"].as_array().unwrap() {
        let request = text(request);
        let is_own = request.starts_with(&page) || request.starts_with("blob:http://localhost");
        assert!(
            is_own && !request.contains(&secret),
            "a request to somebody else, or with the secret: {request}"
        );
    }
    told
}

/// What was saved has to be these files, in this order.
#[track_caller]
fn assert_saved(told: &Value, expected: &[(&str, &[u8])]) {
    // It says so once everything was saved.
    assert_eq!(told["title"], "Saved", "{told:#}");
    let digest = |bytes: &[u8]| HEXLOWER.encode(&Sha256::digest(bytes));
    let expected = expected
        .iter()
        .map(|(name, bytes)| json!({ "name": name, "size": bytes.len(), "sha256": digest(bytes) }));
    assert_eq!(told["saved"], expected.collect::<Value>());
}

pub(crate) fn start() -> (Rendezvous, Machine) {
    let server = Rendezvous::start();
    let machine = Machine::with_server(&server);
    (server, machine)
}

#[test]
fn a_browser_receives_files_of_every_awkward_size_by_link_and_by_code() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let ways = [Way::Link, Way::Code].into_iter().cycle();
    for (len, way) in [0, 1, 65_535, 65_536, 65_537, 1 << 20].into_iter().zip(ways) {
        let (name, bytes) = (format!("{len}.bin"), content(len));
        alice.write(&name, &bytes);
        let mut sending = alice.start(&[&name]);
        let told = receive(&browser, &server, &mut sending, way);
        assert_saved(&told, &[(&name, &bytes)]);
        sending.end().succeeded();
    }
}

#[test]
fn a_browser_receives_more_than_it_keeps_in_memory() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let bytes = content(20_000_000);
    alice.write("large.bin", &bytes);
    for way in [Way::Link, Way::Code] {
        let mut sending = alice.start(&["large.bin"]);
        let told = receive(&browser, &server, &mut sending, way);
        assert_saved(&told, &[("large.bin", &bytes)]);
        sending.end().succeeded();
    }
}

#[test]
fn a_browser_receives_several_files_whatever_their_names() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let files: [(&str, &[u8]); 5] = [
        ("größe 日本語.txt", b"one"),
        ("&lt;b&gt;.html", b"<script>alert(1)</script>"),
        ("שלום.txt", b"three"),
        ("it's $HOME `x`.svg", b"<svg onload='alert(1)'/>"),
        ("empty", b""),
    ];
    for (name, bytes) in files {
        alice.write(name, bytes);
    }
    for way in [Way::Link, Way::Code] {
        let mut sending = alice.start(&files.map(|(name, _)| name));
        let told = receive(&browser, &server, &mut sending, way);
        assert_eq!(told["offered"], json!(files.map(|(name, _)| name)));
        assert_saved(&told, &files);
        sending.end().succeeded();
    }
}

#[test]
fn a_wrong_code_is_explained_and_uses_up_one_attempt() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    alice.write("a.txt", b"a");
    let mut sending = alice.start(&["a.txt"]);
    let code = sending.code();
    let (nameplate, password) = code.split_once('-').unwrap();
    let wrong = if password == "0000" { "1111" } else { "0000" };
    let page = format!("http://localhost:{}/", server.address().rsplit(':').next().unwrap());
    let argument = json!({ "browser": browser, "address": page, "code": format!("{nameplate}-{wrong}") });
    let told = run("receive.mjs", &argument);
    assert_eq!(told["title"], "The code was not right");
    assert_eq!(told["complaints"], json!([]));
    let next = sending.event("code");
    assert_eq!(next["reissued"], "wrong_code");
    assert_ne!(next["code"], json!(code));
}

#[test]
fn a_code_that_leads_nowhere_is_explained() {
    let Some(browser) = browser() else { return };
    let server = Rendezvous::start();
    let page = format!("http://localhost:{}/", server.address().rsplit(':').next().unwrap());
    let told = run("receive.mjs", &json!({ "browser": browser, "address": page, "code": "4711-0000" }));
    assert_eq!(told["title"], "This code leads nowhere");
    assert_eq!(told["complaints"], json!([]));
}
