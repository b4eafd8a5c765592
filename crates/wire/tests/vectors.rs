//! The golden vectors: one JSON file per claim under `tests/vectors`.
//!
//! A file names its claim, the section it comes from and its kind; `given` goes in, `expect` must come out, all of it.
//! With `WIRE_VECTORS=write` in the environment, `expect` is written instead of compared: for a new file, whose
//! `expect` the implementation in `tests/reference` must then confirm.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

#[path = "vectors/handshake.rs"]
mod handshake;
#[path = "vectors/names.rs"]
mod names;
#[path = "vectors/record.rs"]
mod record;
#[path = "vectors/signal.rs"]
mod signal;
#[path = "vectors/transfer.rs"]
mod transfer;

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    claim: String,
    section: String,
    kind: String,
    given: Value,
    #[serde(default)]
    expect: Value,
}

/// What comes out of what a vector gives.
fn compute(kind: &str, given: &Value) -> Result<Value, String> {
    match kind {
        "code" => apply(given, names::code),
        "link" => apply(given, names::link),
        "path" => apply(given, names::path),
        "manifest" => apply(given, names::manifest),
        "handshake" => apply(given, handshake::handshake),
        "signal" => apply(given, signal::signal),
        "description" => apply(given, signal::description),
        "record" => apply(given, record::record),
        "message" => apply(given, transfer::message),
        other => Err(format!("no such kind: {other}")),
    }
}

fn apply<T: DeserializeOwned>(given: &Value, function: fn(&T) -> Value) -> Result<Value, String> {
    serde_json::from_value(given.clone()).map(|given| function(&given)).map_err(|error| error.to_string())
}

/// Lower-case hexadecimal text in a vector.
#[derive(Clone, Debug)]
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HEXLOWER.decode(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Hex {
    fn array<const N: usize>(&self) -> [u8; N] {
        self.0.as_slice().try_into().unwrap()
    }
}

/// Bytes as a vector shows them: long ones by their hash.
fn show(bytes: &[u8]) -> Value {
    if bytes.len() <= 512 {
        return json!(HEXLOWER.encode(bytes));
    }
    let digest: [u8; 32] =
        sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), bytes)).into();
    json!({ "len": bytes.len(), "sha256": HEXLOWER.encode(&digest) })
}

/// A change on the way: `remove` bytes at `at` give way to `insert`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Splice {
    at: usize,
    #[serde(default)]
    remove: usize,
    #[serde(default)]
    insert: Option<Hex>,
}

impl Splice {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let insert = self.insert.clone().map(|hex| hex.0).unwrap_or_default();
        bytes.splice(self.at..self.at + self.remove, insert);
    }
}

/// `A wrong password.` becomes `a_wrong_password`.
fn file_name(claim: &str) -> String {
    let words: Vec<_> = claim.split(|character: char| !character.is_ascii_alphanumeric()).collect();
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join("_").to_ascii_lowercase()
}

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    files
}

/// What is wrong with a file, if anything is.
fn check(path: &Path, write: bool) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let vector: Vector = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if path.file_stem().is_none_or(|stem| stem != file_name(&vector.claim).as_str()) {
        return Err(format!("the claim {:?} belongs into another file", vector.claim));
    }
    if !vector.section.starts_with("PROTOCOL.md §") {
        return Err("no section".to_owned());
    }
    let computed = compute(&vector.kind, &vector.given)?;
    if write {
        let Vector { claim, section, kind, given, .. } = vector;
        let whole =
            json!({ "claim": claim, "section": section, "kind": kind, "given": given, "expect": computed });
        let pretty = serde_json::to_string_pretty(&whole).unwrap() + "\n";
        return std::fs::write(path, pretty).map_err(|error| error.to_string());
    }
    if computed == vector.expect { Ok(()) } else { Err(format!("{computed:#}")) }
}

#[test]
fn every_vector_holds() {
    let write = std::env::var_os("WIRE_VECTORS").is_some_and(|mode| mode == "write");
    let files = files();
    assert!(files.len() >= 100, "only {} vectors found", files.len());
    let mut failures = Vec::new();
    for path in &files {
        if let Err(error) = check(path, write) {
            failures.push(format!("{}: {error}", path.file_stem().unwrap().display()));
        }
    }
    assert!(failures.is_empty(), "{} of {} fail\n{}", failures.len(), files.len(), failures.join("\n"));
}

#[test]
fn every_kind_has_a_vector_and_an_unknown_kind_is_an_error() {
    let kind = |path: &PathBuf| {
        let vector: Vector = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        vector.kind
    };
    let mut kinds: Vec<_> = files().iter().map(kind).collect();
    kinds.sort();
    kinds.dedup();
    let all = ["code", "description", "handshake", "link", "manifest", "message", "path", "record", "signal"];
    assert_eq!(kinds, all);
    assert!(compute("weather", &json!({})).is_err());
    assert!(compute("link", &json!({ "pasted": ["x"], "unknown": 1 })).is_err());
}
