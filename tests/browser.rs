//! The page in real browsers, receiving from a real `send` through a real rendezvous. The scripts are in `browser/`.
//!
//! Starting a browser takes longer than receiving a small file, so one browser goes through all cases of a test.

mod anew;
mod first_load;
mod frames;
mod places;
mod receive;
mod reconnect;
mod refusals;
mod relayed;
mod stops;
mod tabs;

use std::env;
use std::io::Write;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Ended, Machine, Peer, Rendezvous, text};

/// How the receiver learns where to go.
#[derive(Clone, Copy)]
enum Way {
    Link,
    Code,
}

/// What receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Chromium,
    Firefox,
    /// With nothing but private windows.
    PrivateFirefox,
}

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];

impl Kind {
    fn name(self) -> &'static str {
        if self == Self::Chromium { "chromium" } else { "firefox" }
    }

    /// Where Debian puts it.
    fn program(self) -> &'static str {
        if self == Self::Chromium { "/usr/bin/chromium" } else { "/usr/bin/firefox-esr" }
    }
}

/// Whether there are browsers and what drives them, or a word about why not; continuous integration has to have them.
fn has_browsers() -> bool {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/node_modules/puppeteer-core");
    let needed = BOTH.map(|kind| PathBuf::from(kind.program())).into_iter().chain([driver]);
    let missing: Vec<_> = needed.filter(|path| !path.exists()).collect();
    if missing.is_empty() {
        return true;
    }
    let missing = format!("no browser tests: {missing:?} are missing; tests/run installs them");
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    // Not through the test's own output, which nobody sees when it passes.
    let _ = writeln!(std::io::stderr(), "{missing}");
    false
}

/// Goes through `cases` in one browser and gives what was seen of each.
#[track_caller]
fn run(kind: Kind, cases: &[Value]) -> Vec<Value> {
    run_by(Command::new("node"), kind, cases)
}

/// The same with the browser where `node` runs.
#[track_caller]
fn run_by(mut node: Command, kind: Kind, cases: &[Value]) -> Vec<Value> {
    let argument = json!({
        "kind": kind.name(),
        "executable": kind.program(),
        "isPrivate": kind == Kind::PrivateFirefox,
        "cases": cases,
    });
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let output = node.current_dir(directory).args(["receive.mjs", &argument.to_string()]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{kind:?}: {out}\n{err}");
    let told: Vec<Value> = serde_json::from_str(&out).unwrap_or_else(|_| panic!("not JSON: {out}\n{err}"));
    assert_eq!(told.len(), cases.len());
    for (case, one) in cases.iter().zip(&told) {
        assert_eq!(one["error"], Value::Null, "{kind:?} {case} {one:#}");
        assert_eq!(one["complaints"], json!([]), "no violation of the policy, no error: {kind:?} {case}");
        assert_eq!(one["opened"], 0, "nothing was opened: {kind:?} {case}");
        check_requests(case, one);
    }
    told
}

/// Nothing is asked of anybody else, nothing with the secret, and before a tap nothing that could claim the code.
#[track_caller]
fn check_requests(case: &Value, told: &Value) {
    let start = case["link"].as_str().or_else(|| case["address"].as_str()).unwrap();
    let (page, secret) = start.split_once('#').unwrap_or((start, "no secret"));
    for request in told["requests"].as_array().unwrap() {
        let request = text(request);
        // What an address itself contains is asked of nobody: the icon of the page, and pictures of the browser's own.
        let is_own = [page, &format!("blob:{page}"), "data:"].iter().any(|own| request.starts_with(own));
        assert!(
            is_own && !request.contains(secret),
            "a request to somebody else, or with the secret: {request}"
        );
    }
    assert_eq!(told["end"], page, "nothing has taken the place of the page");
    if case["link"].is_string() {
        assert_eq!(told["address"], page, "the secret leaves the address");
        let before = told["requestsBeforeTap"].as_array().unwrap();
        let claims = before.iter().filter(|request| text(request).contains("worker"));
        assert_eq!(claims.count(), 0, "nothing is claimed before a tap: {before:?}");
    }
}

/// The case of somebody who goes the way `way` to what `sending` offers, on a page at `page`.
#[track_caller]
fn case(sending: &mut Peer, page: &str, way: Way) -> Value {
    let invitation = sending.event("code");
    match way {
        Way::Link => {
            let link = text(&invitation["link"]);
            json!({ "link": format!("{page}#{}", link.split_once('#').unwrap().1) })
        }
        Way::Code => json!({ "address": page, "code": invitation["code"] }),
    }
}

/// What was saved has to be these files, in this order; names are what each browser makes of them.
#[track_caller]
fn assert_saved(told: &Value, expected: &[(&str, &[u8])]) {
    // It says so once everything was saved.
    assert_eq!(told["title"], "Saved", "{told:#}");
    let saved: Vec<_> =
        told["saved"].as_array().unwrap().iter().map(|file| (&file["size"], text(&file["sha256"]))).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(_, bytes)| (json!(bytes.len()), HEXLOWER.encode(&Sha256::digest(bytes))))
        .collect();
    let expected: Vec<_> = expected.iter().map(|(size, digest)| (size, digest.clone())).collect();
    assert_eq!(saved, expected);
}

/// Nothing of `len` bytes was sent again but what was on the way when the connection broke: the credit window, and a MiB.
/// A browser that is kept waiting by its disk may break it too.
#[track_caller]
fn assert_sent_once(sent: &Ended, len: usize) {
    let breaks = sent.events_of("reconnecting").len() as u64;
    let again = sent.events_of("finished")[0]["moved"].as_u64().unwrap() - len as u64;
    assert!(again <= breaks * (9 << 20), "{again} bytes were sent again after {breaks} breaks: {sent:?}");
}

/// A server, and a machine that uses it.
pub(crate) fn start() -> (Rendezvous, Machine) {
    let server = Rendezvous::start();
    let machine = Machine::with_server(&server);
    (server, machine)
}

/// The page of `server` under a name that browsers trust without https.
fn page(server: &Rendezvous) -> String {
    format!("http://localhost:{}/", port(server))
}

fn port(server: &Rendezvous) -> &str {
    server.address().rsplit(':').next().unwrap()
}

/// The address that other machines know this one by. Nothing is sent to find it out.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.200:9").expect("a machine with a network");
    socket.local_addr().unwrap().ip()
}
