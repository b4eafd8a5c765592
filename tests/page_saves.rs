//! The page saves what it received: everything at once, into a folder or an archive, and shows what can be shown.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::browser::start;
use crate::chromium::{browser, run};
use crate::harness::{Machine, Peer, Rendezvous, content, text};

/// The smallest PNG: one transparent pixel.
const PIXEL: &[u8] =
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// What an archive holds, read by a program that is not ours: path, length and SHA-256 of each file.
const READ_ARCHIVE: &str = "
import hashlib, json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
digest = lambda entry: hashlib.sha256(archive.read(entry)).hexdigest()
print(json.dumps([[entry.filename, entry.file_size, digest(entry)] for entry in archive.infolist()]))
";

/// What an archive that is larger than any disk says of itself.
const READ_DIRECTORY: &str = "
import json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for entry in archive.infolist(): archive.open(entry).close()
print(json.dumps([[entry.filename, entry.file_size] for entry in archive.infolist()]))
";

#[track_caller]
fn python(program: &str, argument: &Path) -> Value {
    let output = Command::new("python3").args(["-c", program]).arg(argument).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Receives in a browser what `sending` offers and saves it as `how` says.
#[track_caller]
fn save(browser: &Path, server: &Rendezvous, mut sending: Peer, how: &Value) -> Value {
    let link = text(&sending.event("code")["link"]);
    let port = server.address().rsplit(':').next().unwrap();
    let link = format!("http://localhost:{port}/#{}", link.split_once('#').unwrap().1);
    let mut argument = json!({ "browser": browser, "link": link });
    argument.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
    let told = run("save.mjs", &argument);
    assert_eq!(told["complaints"], json!([]), "no violation of the policy, no error");
    assert_eq!(told["isTooWide"], false);
    sending.end().succeeded();
    told
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Fifty files in folders, with names of every script and some that try to be more than a name.
fn fifty(machine: &Machine) -> BTreeMap<String, Vec<u8>> {
    let odd = ["größe 日本語", "שלום", "it's $HOME `x`", "&lt;b&gt;", "100%", "a;b", "'(x)'+", "-rf"];
    let name = |index: usize| match odd.get(index) {
        Some(odd) => format!("tree/{odd}.txt"),
        None => format!("tree/folder {}/{index}.bin", index % 5),
    };
    let files: BTreeMap<_, _> = (0..50).map(|index| (name(index), content(index * 2_111))).collect();
    for (path, bytes) in &files {
        std::fs::create_dir_all(machine.path(path).parent().unwrap()).unwrap();
        machine.write(path, bytes);
    }
    files
}

#[test]
fn fifty_files_are_saved_as_one_archive_with_and_without_a_service_worker() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let files = fifty(&alice);
    let expected: BTreeMap<_, _> =
        files.iter().map(|(path, bytes)| (path.clone(), (bytes.len(), sha256(bytes)))).collect();
    for plain in [false, true] {
        let out = alice.path("out.zip");
        let told = save(&browser, &server, alice.start(&["tree"]), &json!({ "out": out, "plain": plain }));
        assert_eq!((&told["archive"], &told["title"]), (&json!("tree.zip"), &json!("Saved")), "{told:#}");
        assert_eq!(told["isStreamed"], !plain, "with a service worker nothing is copied");
        if !plain {
            assert_eq!(told["again"], json!([[404, false], [404, false]]), "it answers for a download once");
        }
        let found: Vec<(String, usize, String)> = serde_json::from_value(python(READ_ARCHIVE, &out)).unwrap();
        assert_eq!(found.len(), files.len());
        let found: BTreeMap<_, _> =
            found.into_iter().map(|(path, len, digest)| (path, (len, digest))).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn an_archive_is_called_what_its_folder_is_called_whatever_that_is() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let name = "größe) ('b'; x=y%0d%0aSet-Cookie";
    std::fs::create_dir(alice.path(name)).unwrap();
    for file in ["a.txt", "b.txt"] {
        alice.write(&format!("{name}/{file}"), file.as_bytes());
    }
    let out = alice.path("out.zip");
    let told = save(&browser, &server, alice.start(&[name]), &json!({ "out": out }));
    assert_eq!(
        (&told["archive"], &told["isStreamed"]),
        (&json!(format!("{name}.zip")), &json!(true)),
        "{told:#}"
    );
}

#[test]
fn all_files_go_into_a_folder_and_replace_nothing() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let files = fifty(&alice);
    let told = save(&browser, &server, alice.start(&["tree"]), &json!({ "folder": true }));
    let saved: BTreeMap<String, String> = told["folder"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (text(&file["path"]), text(&file["sha256"])))
        .collect();
    // It was done twice.
    assert_eq!(saved.len(), 2 * files.len());
    for (path, bytes) in &files {
        let (stem, end) = path.rsplit_once('.').unwrap();
        assert_eq!(saved[path], sha256(bytes), "{path}");
        assert_eq!(saved[&format!("{stem} (1).{end}")], sha256(bytes), "{path}");
    }
}

#[test]
fn previews_show_media_and_text_and_run_nothing() {
    let Some(browser) = browser() else { return };
    let (server, alice) = start();
    let script = "<svg xmlns='http://www.w3.org/2000/svg' onload='document.title=1'/>";
    alice.write("note.txt", "zwei\n<b>Zeilen</b>".as_bytes());
    alice.write("picture.png", &BASE64.decode(PIXEL).unwrap());
    for name in ["drawing.svg", "page.html", "liar.png"] {
        alice.write(name, script.as_bytes());
    }
    alice.write("binary.txt", &[0xff, 0xfe, 0xfd]);
    alice.write("program.exe", b"MZ");
    let names =
        ["note.txt", "picture.png", "drawing.svg", "page.html", "liar.png", "binary.txt", "program.exe"];
    let told =
        save(&browser, &server, alice.start(&names), &json!({ "size": { "width": 320, "height": 568 } }));
    let previews = &told["previews"];
    let shown = |name: &str| (previews[name]["element"].clone(), previews[name]["text"].clone());
    assert_eq!(shown("note.txt"), (json!("pre"), json!("zwei\n<b>Zeilen</b>")));
    assert_eq!(
        (&previews["picture.png"]["element"], &previews["picture.png"]["width"]),
        (&json!("img"), &json!(1))
    );
    for name in ["drawing.svg", "page.html"] {
        assert_eq!(shown(name), (json!("pre"), json!(script)), "{name}: as text");
    }
    for name in ["liar.png", "binary.txt"] {
        let (element, words) = shown(name);
        assert_eq!(element, Value::Null, "{name}");
        assert!(text(&words).contains("cannot show it"), "{name}: {words}");
    }
    assert_eq!(previews["program.exe"], Value::Null);
    assert_eq!(told["copied"], "zwei\n<b>Zeilen</b>");
    assert_eq!(told["title"], "Received and verified", "nothing is saved by looking at it");
}

#[test]
fn an_archive_may_be_larger_than_four_gigabytes_and_hold_any_number_of_files() {
    if browser().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("large.zip");
    let large =
        json!([["empty", 0], ["d/größe", 5_000_000_000_u64], ["behind", 7], ["edge", u32::MAX], ["last", 1]]);
    let many = (0..70_000).map(|index| json!([index.to_string(), 0])).collect::<Value>();
    for (argument, expected) in [(json!({ "files": large }), &large), (json!({ "count": 70_000 }), &many)] {
        let mut argument = argument;
        argument["out"] = json!(out);
        let told = run("zip.mjs", &argument);
        assert_eq!(told["said"], told["len"], "the length is known beforehand");
        assert_eq!(python(READ_DIRECTORY, &out), *expected);
    }
}
