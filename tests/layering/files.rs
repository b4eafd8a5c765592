//! What no file of the project contains.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::source::{code, files, occurrences, workspace};

/// The text files that are committed, by path. Locked versions and word lists are nobody's prose.
fn texts() -> Vec<(String, String)> {
    let text = |path: String| {
        let text = fs::read_to_string(workspace().join(&path)).ok()?;
        Some((path, text))
    };
    let found: Vec<_> = files("").into_iter().filter_map(text).collect();
    assert!(found.len() > 100, "the project is here");
    found
}

/// A directory of one machine, if `text` names one.
fn machine_path(text: &str, places: &[String]) -> Option<String> {
    places.iter().find(|place| text.contains(place.as_str())).cloned()
}

/// This machine's own places, and the usual place of a superuser.
fn places() -> Vec<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let here = workspace().display().to_string();
    let own = [home, here].into_iter().filter(|path| path.matches('/').count() > 1 || path.len() > 5);
    // Put together, so that this file does not contain it.
    own.chain([["/ro", "ot/"].concat()]).collect()
}

/// A note of unfinished work.
fn note_to_self(text: &str) -> Option<&'static str> {
    NOTES
        .into_iter()
        .find(|note| {
            let spelled = [note.0, note.1].concat();
            occurrences(text, &spelled).next().is_some()
        })
        .map(|note| note.1)
}

/// In two parts, so that this file contains none.
const NOTES: [(&str, &str); 3] = [("TO", "DO"), ("FIX", "ME"), ("X", "XX")];

/// An attribute that makes a test pass without running or by failing.
fn excused_test(text: &str) -> bool {
    let plain = code(text).replace(char::is_whitespace, "");
    ["#[ignore", "#[should_panic"].iter().any(|attribute| plain.contains(attribute))
}

/// Where the locked packages of this name come from: `None` is the workspace.
fn locked(lock: &str, name: &str) -> Vec<Option<String>> {
    let wanted = format!("name = \"{name}\"");
    let packages = lock.split("[[package]]").filter(|package| package.lines().any(|line| line == wanted));
    let source =
        |package: &str| package.lines().find(|line| line.starts_with("source = ")).map(str::to_owned);
    packages.map(source).collect()
}

/// Nothing else would notice: a transfer over a clean link is as fast with the published one.
#[test]
fn the_sctp_that_is_built_is_the_projects_own() {
    // `tests/run --full` builds and tests a copy without it.
    if !workspace().join("crates/sctp").exists() {
        return;
    }
    let lock = fs::read_to_string(workspace().join("Cargo.lock")).unwrap();
    assert_eq!(locked(&lock, "rtc-sctp"), [None]);
    assert!(matches!(&locked(&lock, "rtc")[..], [Some(_)]), "a published package has a source");
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    let places = places();
    for (path, text) in texts() {
        assert_eq!(machine_path(&text, &places), None, "{path}");
    }
}

#[test]
fn no_file_holds_a_note_of_unfinished_work() {
    for (path, text) in texts() {
        assert_eq!(note_to_self(&text), None, "{path}");
    }
}

#[test]
fn no_test_is_skipped_and_none_passes_by_panicking() {
    let rust = |(path, _): &(String, String)| Path::new(path).extension() == Some(OsStr::new("rs"));
    for (path, text) in texts().into_iter().filter(rust) {
        // Test modules are what this is about, so they are not taken out.
        assert!(!excused_test(&text.replace("#[cfg(test)]", "")), "{path}");
    }
}

/// What only the protocol knows, if a script of the page knows it too: labels, and quoted names of messages.
fn protocol_name(script: &str) -> Option<&'static str> {
    let quoted =
        |name: &str| ['\'', '"', '`'].iter().any(|quote| script.contains(&format!("{quote}{name}{quote}")));
    if script.contains("send/1") || script.contains("v1/") {
        return Some("a label or an address");
    }
    MESSAGES.into_iter().find(|name| quoted(name))
}

/// Names of signaling messages and of their fields' values that are not also names in browsers.
const MESSAGES: [&str; 9] = [
    "create",
    "claim",
    "meet",
    "paired",
    "door_closed",
    "open_door",
    "end_of_candidates",
    "wrong_code",
    "typed",
];

/// The scripts of the page that are written by hand.
fn page_scripts() -> impl Iterator<Item = (String, String)> {
    texts().into_iter().filter(|(path, _)| {
        let is_script = Path::new(path).extension().is_some_and(|extension| extension == "js");
        is_script && path.starts_with("web-static/") && !path.starts_with("web-static/wire/")
    })
}

#[test]
fn the_scripts_of_the_page_know_nothing_of_the_protocol() {
    let mut count = 0;
    for (path, text) in page_scripts() {
        assert_eq!(protocol_name(&text), None, "{path}");
        count += 1;
    }
    assert!(count > 5, "the scripts are here");
}

#[test]
fn a_script_that_knows_the_protocol_is_found() {
    assert!(protocol_name("socket.send(JSON.stringify({ type: 'claim' }))").is_some());
    assert!(protocol_name("hkdf('send/1 pw')").is_some());
    assert_eq!(protocol_name("say({ type: 'offer' })"), None);
}

/// What leads a browser somewhere or makes text into more than text, and the only scripts that do it.
const LEADING: [(&str, &[&str]); 14] = [
    // A download: to a blob.
    (".href =", &["web-static/save.js"]),
    // A download as well, and media whose type is ours.
    (".src =", &["web-static/save.stream.js", "web-static/views/preview.js"]),
    // What a person taps.
    ("location.reload", &["web-static/failures.js"]),
    ("location =", &[]),
    ("location.assign", &[]),
    ("location.replace", &[]),
    ("window.open", &[]),
    ("openWindow", &[]),
    (".navigate(", &[]),
    ("innerHTML", &[]),
    ("outerHTML", &[]),
    ("insertAdjacentHTML", &[]),
    ("document.write", &[]),
    ("srcdoc", &[]),
];

/// What of [`LEADING`] a script does that it may not.
fn leads(path: &str, script: &str) -> Vec<&'static str> {
    let forbidden = LEADING.into_iter().filter(|(way, by)| script.contains(way) && !by.contains(&path));
    forbidden.map(|(way, _)| way).collect()
}

#[test]
fn nothing_that_a_peer_says_can_lead_the_page_anywhere() {
    let scripts: Vec<_> = page_scripts().collect();
    for (path, text) in &scripts {
        assert_eq!(leads(path, text), Vec::<&str>::new(), "{path}");
    }
    for (way, by) in LEADING {
        let still = |owner: &&str| scripts.iter().any(|(path, text)| path == owner && text.contains(way));
        assert!(by.iter().all(still), "`{way}` is no more where it may be");
    }
    assert_eq!(leads("web-static/app.js", "anchor.href = link"), [".href ="]);
    assert_eq!(leads("web-static/save.js", "anchor.href = link"), Vec::<&str>::new());
}

#[test]
fn what_no_file_may_contain_is_found() {
    let places = places();
    let place = format!("see {}x", ["/ro", "ot/"].concat());
    assert!(machine_path(&place, &places).is_some());
    assert_eq!(machine_path("/etc/hosts", &places), None);
    let note = format!("// {}{}: later", NOTES[0].0, NOTES[0].1);
    assert!(note_to_self(&note).is_some());
    assert_eq!(note_to_self("a method"), None);
    assert!(excused_test("#[test]\n#[ignore = \"slow\"]\nfn a() {}") && excused_test("#[ should_panic ]"));
    assert!(!excused_test("// #[ignore]\n#[test]\nfn a() {}"));
}
