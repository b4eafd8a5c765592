//! A page receives and does not live to see the end: it is loaded anew, or its browser is killed, again and again.

use std::fmt;
use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::blow::Dice;
use super::{MIB, NAME};
use crate::chromium::{browser, run as run_script};
use crate::harness::{Machine, Peer, Rendezvous, content, text};

/// Most times that a page ends.
const MAX_ENDS: usize = 3;

/// How a page ends, and what part of everything has arrived by then, in per cent.
struct End {
    is_kill: bool,
    percent: u32,
}

/// Runs what `seed` decides and tells what happened; fails when anything else comes of it than what was sent. `None` without
/// a browser.
pub(crate) fn run(seed: u64) -> Option<String> {
    let browser = browser()?;
    let mut dice = Dice::new(seed);
    let server = Rendezvous::start();
    let alice = Machine::with_server(&server);
    lay_out(&alice, &mut dice);
    let ends = draw(&mut dice);
    // Each browser that was killed is followed by one that opens another link.
    let kills = ends.iter().filter(|end| end.is_kill).count();
    let mut senders: Vec<Peer> = (0..=kills).map(|_| alice.start(&[NAME])).collect();
    let links: Vec<String> = senders.iter_mut().map(|sending| text(&sending.event("code")["link"])).collect();
    let told = run_script(
        "anew.mjs",
        &json!({
            "kind": "chromium",
            "executable": browser,
            "links": links,
            "ends": ends.iter().map(End::to_json).collect::<Value>(),
        }),
    );
    assert_eq!((&told["title"], &told["complaints"]), (&json!("Saved"), &json!([])), "seed {seed}: {told:#}");
    assert_eq!(told["left"], json!([]), "seed {seed}: something is left over");
    let mut saved: Vec<String> =
        told["saved"].as_array().unwrap().iter().map(|file| text(&file["sha256"])).collect();
    let mut sent = digests(&alice.path(NAME));
    saved.sort();
    sent.sort();
    assert_eq!(saved, sent, "seed {seed}: {told:#}");
    let used = usize::try_from(told["opened"].as_u64().unwrap()).unwrap();
    senders.swap_remove(used - 1).end().succeeded();
    let ends: Vec<_> = ends.iter().map(End::to_string).collect();
    Some(format!("seed {seed}, a page: {}; identical", ends.join(", ")))
}

/// Makes something to send.
fn lay_out(machine: &Machine, dice: &mut Dice) {
    let large = 30 * MIB + dice.len(60 * MIB);
    if dice.below(2) == 0 {
        machine.write(NAME, &content(large));
        return;
    }
    fs::create_dir_all(machine.path(NAME).join("b")).unwrap();
    for (name, len) in
        [("a.bin", large / 2), ("b/1.bin", dice.len(200_000)), ("b/2.bin", 0), ("c.bin", large / 2)]
    {
        machine.write(&format!("{NAME}/{name}"), &content(len));
    }
}

/// One to three, in the order in which they come.
fn draw(dice: &mut Dice) -> Vec<End> {
    let count = 1 + dice.len(MAX_ENDS);
    let mut one = || End { is_kill: dice.below(2) == 0, percent: u32::try_from(dice.below(90)).unwrap() };
    let mut ends: Vec<_> = (0..count).map(|_| one()).collect();
    ends.sort_by_key(|end| end.percent);
    ends
}

/// SHA-256 of a file, or of every file of a tree.
fn digests(path: &Path) -> Vec<String> {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        return entries.flat_map(|entry| digests(&entry.unwrap().path())).collect();
    }
    vec![HEXLOWER.encode(&Sha256::digest(fs::read(path).unwrap()))]
}

impl End {
    fn how(&self) -> &'static str {
        if self.is_kill { "kill" } else { "reload" }
    }

    fn to_json(&self) -> Value {
        json!({ "how": self.how(), "at": f64::from(self.percent) / 100.0 })
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} %", self.how(), self.percent)
    }
}
