//! Codes, links, paths and manifests.

use serde::Deserialize;
use serde_json::{Value, json};
use wire::code::{Code, ParseCodeError};
use wire::keys::link_slot;
use wire::link::ShareLink;
use wire::manifest::{Entry, EntryKind, Manifest, ManifestBuilder, ManifestError, Purpose};
use wire::safe_path::SafePath;

use super::{Hex, show};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Codes {
    /// What people type; all of it means the same.
    typed: Vec<String>,
}

pub(crate) fn code(given: &Codes) -> Value {
    same(given.typed.iter().map(|text| match text.parse::<Code>() {
        Ok(code) => json!({ "code": code.expose().as_str() }),
        Err(error) => json!({ "refused": code_error(error) }),
    }))
}

fn code_error(error: ParseCodeError) -> &'static str {
    match error {
        ParseCodeError::Empty => "empty",
        ParseCodeError::NotACode => "not a code",
        ParseCodeError::NeedsDash { .. } => "needs a dash",
        ParseCodeError::Nameplate => "nameplate",
        ParseCodeError::PasswordTooShort => "password too short",
        ParseCodeError::PasswordTooLong => "password too long",
        ParseCodeError::UnknownWord { .. } => "unknown word",
        _ => "unknown",
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Links {
    /// What people scan or paste; all of it means the same.
    pasted: Vec<String>,
}

pub(crate) fn link(given: &Links) -> Value {
    same(given.pasted.iter().map(|text| match text.parse::<ShareLink>() {
        Ok(link) => {
            let slot = link_slot(link.password()).unwrap();
            json!({ "link": link.expose().as_str(), "origin": link.origin(), "slot": show(slot.as_bytes()) })
        }
        Err(_) => json!({ "refused": true }),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paths {
    paths: Vec<String>,
}

pub(crate) fn path(given: &Paths) -> Value {
    same(given.paths.iter().map(|path| json!({ "accepted": SafePath::parse(path).is_ok() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    purpose: u8,
    /// What a sender has,
    entries: Option<Vec<Listed>>,
    /// or what a receiver gets.
    parts: Option<Vec<Hex>>,
    /// and is told at the end.
    announced: Option<Announced>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Announced {
    entries: u32,
    total_size: u64,
    digest: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    kind: u8,
    path: String,
    #[serde(default)]
    mode: u16,
    #[serde(default)]
    mtime: i64,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    target: String,
}

pub(crate) fn manifest(given: &Offer) -> Value {
    let purpose = Purpose::from_byte(given.purpose).unwrap();
    let manifest = match (&given.entries, &given.parts) {
        (Some(entries), None) => entries
            .iter()
            .map(listed)
            .collect::<Option<Vec<_>>>()
            .ok_or(ManifestError::Empty)
            .and_then(|entries| Manifest::new(purpose, &entries)),
        (None, Some(parts)) => received(purpose, parts, given.announced.as_ref().unwrap()),
        _ => panic!("either entries or parts"),
    };
    let Ok(manifest) = manifest else { return json!({ "refused": true }) };
    json!({
        "parts": manifest.parts().map(|part| show(&part)).collect::<Vec<_>>(),
        "entries": manifest.entries().len(),
        "total_size": manifest.total_size(),
        "digest": show(manifest.digest()),
    })
}

fn listed(listed: &Listed) -> Option<Entry> {
    let kind = match listed.kind {
        1 => EntryKind::File { size: listed.size },
        2 => EntryKind::Directory,
        3 => EntryKind::Symlink { target: listed.target.clone() },
        4 => EntryKind::Stream,
        other => panic!("no entry is of kind {other}"),
    };
    Some(Entry { path: SafePath::parse(&listed.path).ok()?, kind, mode: listed.mode, mtime: listed.mtime })
}

fn received(purpose: Purpose, parts: &[Hex], announced: &Announced) -> Result<Manifest, ManifestError> {
    let mut builder = ManifestBuilder::new(purpose);
    parts.iter().try_for_each(|part| builder.push_part(&part.0))?;
    builder.finish(announced.entries, announced.total_size, announced.digest.array())
}

/// The one value that all of them are.
fn same(values: impl Iterator<Item = Value>) -> Value {
    let mut values: Vec<_> = values.collect();
    values.dedup();
    assert_eq!(values.len(), 1, "one claim, several outcomes: {values:?}");
    values.remove(0)
}
