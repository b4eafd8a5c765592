//! Effects, secrets and other people's crates have owners: outside of them their names do not occur.

use super::source::{Source, code, name, occurrences, sources};

/// Names, and the only files that may contain them, as beginnings of paths.
struct Owned {
    /// What is owned, and why.
    what: &'static str,
    names: &'static [&'static str],
    owners: &'static [&'static str],
}

/// Each with the owners that ARCHITECTURE.md names.
const OWNED: [Owned; 8] = [
    Owned {
        what: "standard output and standard error: one owner per program decides who reads them",
        names: &["println", "eprintln", "print", "eprint", "stdout", "stderr"],
        owners: &["crates/send/src/ui", "crates/send/src/main.rs", "crates/rendezvous/src/main.rs"],
    },
    Owned {
        what: "the WebSocket client",
        names: &["tokio_tungstenite"],
        owners: &["crates/send/src/signaling.rs", "crates/send/src/signaling/records.rs"],
    },
    Owned {
        what: "key derivation and MACs: every label is in one table",
        names: &["hkdf", "hmac", "Hkdf", "Hmac"],
        owners: &[
            "crates/wire/src/keys.rs",
            // The credentials of TURN are not of the protocol: coturn computes the same.
            "crates/rendezvous/src/handout/turn.rs",
            // Nor is what this server lets in by at its own relay.
            "crates/rendezvous/src/handout/ticket.rs",
        ],
    },
    Owned {
        what: "the AEAD: one place counts nonces",
        names: &["chacha20poly1305", "ChaCha20Poly1305", "CHACHA20_POLY1305", "wire_cipher"],
        owners: &[
            "crates/wire/src/cipher.rs",
            // Which counts nothing: its nonces come from there.
            "crates/wire-cipher/src/lib.rs",
        ],
    },
    Owned {
        what: "the PAKE",
        names: &["spake2", "curve25519_dalek"],
        owners: &["crates/wire/src/handshake/pake.rs"],
    },
    Owned {
        what: "the secret of a session as bytes: only a page keeps it elsewhere than in memory",
        names: &["to_token", "from_token"],
        owners: &["crates/wire/src/keys.rs", "crates/wire/src/wasm/session.rs"],
    },
    Owned {
        what: "directory handles: nothing else writes what a peer names",
        names: &["cap_std", "cap_fs_ext"],
        owners: &["crates/send/src/storage.rs", "crates/send/src/storage/"],
    },
    Owned {
        what: "the text of codes, links and what was typed",
        names: &["expose"],
        owners: &[
            "crates/send/src/ui",
            // Where they are defined.
            "crates/wire/src/code.rs",
            "crates/wire/src/link.rs",
            "crates/send/src/report.rs",
            // Remembers a code that was tried, as a keyed hash.
            "crates/send/src/tried.rs",
            // Warns of a link on the command line.
            "crates/send/src/main.rs",
            // Parses what the user typed.
            "crates/send/src/commands/receive.rs",
            // Puts the link into the invitation that `ui` shows.
            "crates/send/src/commands/send.rs",
            // Gives both to the page that shows them.
            "crates/wire/src/wasm/sending.rs",
        ],
    },
];

/// Where `owned` is named by others.
fn trespasses(owned: &Owned, sources: &[Source]) -> Vec<String> {
    let foreign = |source: &&Source| !owned.owners.iter().any(|owner| source.path.starts_with(owner));
    let named = |source: &Source| {
        let found = owned.names.iter().filter(|word| occurrences(&source.code, word).next().is_some());
        found.map(|word| format!("{}: `{word}`", source.path)).collect::<Vec<_>>()
    };
    sources.iter().filter(foreign).flat_map(named).collect()
}

/// Where a crate of WebRTC is named, as distinct from our module that wraps it.
fn names_webrtc(source: &Source) -> bool {
    let module =
        source.code.contains("transport::webrtc::{self") || source.code.contains("transport::webrtc;");
    ["webrtc", "rtc"].iter().any(|krate| {
        occurrences(&source.code, krate).any(|at| {
            let (before, after) = (source.code[..at].trim_end(), &source.code[at + krate.len()..]);
            let import = before.ends_with("use") || before.ends_with(['{', ',']) && after.starts_with("::");
            after.starts_with("::") && !before.ends_with("::") && (import || !module)
        })
    })
}

/// What the rendezvous takes from `wire` besides nameplates and signaling messages.
fn beyond_signaling(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for at in occurrences(&source.code, "wire") {
        let Some(path) = source.code[at..].strip_prefix("wire::") else { continue };
        let module = name(path);
        let item = path[module.len()..].strip_prefix("::").map(name).unwrap_or_default();
        if module != "signaling" && (module, item) != ("code", "Nameplate") {
            found.push(format!("{}: wire::{module}::{item}", source.path));
        }
    }
    found
}

fn everything() -> Vec<Source> {
    ["wire", "wire-cipher", "rendezvous", "send"].into_iter().flat_map(sources).collect()
}

fn sample(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), code: code(text) }
}

#[test]
fn effects_and_secrets_are_touched_by_their_owners_only() {
    let sources = everything();
    for owned in &OWNED {
        assert_eq!(trespasses(owned, &sources), Vec::<String>::new(), "{}", owned.what);
        let used = |owner: &str| sources.iter().any(|source| source.path.starts_with(owner));
        assert!(owned.owners.iter().all(|owner| used(owner)), "an owner of {} is no more", owned.what);
    }
}

#[test]
fn a_trespass_is_found() {
    let samples = [
        "println!();",
        "use tokio_tungstenite::connect;",
        "use hkdf::Hkdf;",
        "let c = chacha20poly1305::new();",
        "spake2::start()",
        "secret.to_token()",
        "use cap_std::fs::Dir;",
        "code.expose()",
    ];
    for (owned, text) in OWNED.iter().zip(samples) {
        let at = |path: &str| trespasses(owned, &[sample(path, text)]).len();
        assert!(at("crates/send/src/connect.rs") > 0, "{text}");
        assert_eq!(at(&format!("{}x.rs", owned.owners[0])), 0, "{text}");
    }
}

#[test]
fn only_the_transport_names_the_webrtc_crates() {
    let ours = |source: &&Source| !source.path.starts_with("crates/send/src/transport/webrtc");
    let sources = everything();
    let found: Vec<_> = sources.iter().filter(ours).filter(|source| names_webrtc(source)).collect();
    assert!(found.is_empty(), "{:?}", found.iter().map(|source| &source.path).collect::<Vec<_>>());
    assert!(sources.iter().any(names_webrtc), "the transport does");
}

#[test]
fn naming_a_webrtc_crate_is_told_from_naming_our_module() {
    let named = |text: &str| names_webrtc(&sample("crates/send/src/connect.rs", text));
    assert!(named("use webrtc::peer_connection::X;") && named("fn a(b: rtc::C) {}"));
    assert!(named("use crate::transport::webrtc::{self, A};\nuse webrtc::B;"));
    assert!(!named("use crate::transport::webrtc::{self, A};\nlet role = webrtc::Role::Initiator;"));
    assert!(!named("use crate::transport::webrtc::A;"));
}

#[test]
fn the_rendezvous_knows_nameplates_and_signaling_messages_and_nothing_else_of_the_protocol() {
    let sources = sources("rendezvous");
    assert_eq!(sources.iter().flat_map(beyond_signaling).collect::<Vec<_>>(), Vec::<String>::new());
    assert!(sources.iter().any(|source| source.code.contains("wire::signaling")), "it knows those");
}

#[test]
fn a_rendezvous_that_reads_more_is_found() {
    let found = |text: &str| beyond_signaling(&sample("crates/rendezvous/src/hub.rs", text)).len();
    assert_eq!(found("use wire::code::Password; use wire::record::Opener; use wire::{keys, code::Code};"), 3);
    assert_eq!(found("use wire::code::Nameplate; use wire::signaling::{Role, Claim};"), 0);
}
