//! What is to be sent: the files that the user chose, under names that every receiver can store.

use std::collections::{BTreeMap, BTreeSet};

use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use crate::manifest::{Entry, EntryKind, Manifest, ManifestError, Purpose};
use crate::safe_path::{SafePath, sanitize_name};

/// Files in the order in which they will travel.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Offer {
    purpose: Purpose,
    entries: Vec<Entry>,
    /// What each directory is called at the receiver, by its path here.
    directories: BTreeMap<String, String>,
    /// Names that are given away, as systems compare them.
    taken: BTreeSet<String>,
}

#[wasm_bindgen]
impl Offer {
    /// An offer of nothing.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::of(Purpose::Files)
    }

    /// An offer of a text, which is the one file that is added, of at most a mebibyte: the receiver shows it.
    #[must_use]
    pub fn text() -> Self {
        Self::of(Purpose::Text)
    }

    /// Adds a file of `size` bytes, modified `mtime` seconds after 1970, and gives the path under which it travels. Names
    /// that not every system can store are changed, and so are those that one system takes for one it has already.
    ///
    /// # Errors
    /// An error whose message is a word: `path` for one that is too deep or too long.
    pub fn push(&mut self, path: &str, size: u64, mtime: i64) -> Result<String, JsError> {
        self.add(path, size, mtime).map_err(JsError::new)
    }
}

impl Offer {
    fn of(purpose: Purpose) -> Self {
        Self { purpose, entries: Vec::new(), directories: BTreeMap::new(), taken: BTreeSet::new() }
    }

    pub(super) fn add(&mut self, path: &str, size: u64, mtime: i64) -> Result<String, &'static str> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = self.directory(directory);
        let sent = self.distinct(&above, name);
        let safe = SafePath::parse(&sent).map_err(|_| "path")?;
        self.entries.push(Entry { path: safe, kind: EntryKind::File { size }, mode: MODE, mtime });
        Ok(sent)
    }

    pub(super) fn manifest(&self) -> Result<Manifest, ManifestError> {
        Manifest::new(self.purpose, &self.entries)
    }

    /// What a directory here is called there. Empty names, as of a path that begins with `/`, do not count.
    fn directory(&mut self, here: &str) -> String {
        if let Some(known) = self.directories.get(here) {
            return known.clone();
        }
        let (above, name) = here.rsplit_once('/').unwrap_or(("", here));
        let there = if name.is_empty() {
            if above.is_empty() { String::new() } else { self.directory(above) }
        } else {
            let above_there = self.directory(above);
            self.distinct(&above_there, name)
        };
        self.directories.insert(here.to_owned(), there.clone());
        there
    }

    /// `name` below `above`, or its first number that no system takes for another.
    fn distinct(&mut self, above: &str, name: &str) -> String {
        let name = sanitize_name(name);
        let mut number = 0_u32;
        loop {
            let candidate = join(above, &numbered(&name, number));
            let key = SafePath::parse(&candidate)
                .map_or_else(|_| candidate.to_lowercase(), |path| path.collision_key());
            if self.taken.insert(key) {
                return candidate;
            }
            number += 1;
        }
    }
}

impl Default for Offer {
    fn default() -> Self {
        Self::new()
    }
}

/// Browsers do not tell permissions: read by everybody, written by the owner.
const MODE: u16 = 0o644;

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}

/// `name (number).extension`, and for 0 the name itself.
fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    let (stem, extension) = match name.rfind('.').and_then(|at| name.split_at_checked(at)) {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension),
        _ => (name, ""),
    };
    let suffix = format!(" ({number}){extension}");
    let mut stem = stem.to_owned();
    while stem.len() + suffix.len() > SafePath::MAX_NAME_LEN && stem.pop().is_some() {}
    sanitize_name(&(stem + &suffix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::MAX_TEXT_LEN;

    fn sent(paths: &[&str]) -> Vec<String> {
        let mut offer = Offer::new();
        let sent = paths.iter().map(|path| offer.add(path, 1, 0).unwrap()).collect();
        assert!(offer.manifest().is_ok(), "{paths:?}");
        sent
    }

    #[test]
    fn names_that_can_stay_do() {
        let paths = ["a.txt", "größe 日本語.txt", "trip/day 1/a.jpg", "trip/a.jpg"];
        assert_eq!(sent(&paths), paths);
    }

    #[test]
    fn names_that_no_receiver_could_store_are_changed() {
        assert_eq!(
            sent(&["CON", "a:b.txt", "/x", "d\\e", "..", "a\u{202e}gpj.exe"]),
            ["_CON", "a_b.txt", "x", "d_e", "._", "agpj.exe"]
        );
    }

    #[test]
    fn two_files_of_one_name_get_a_number_and_so_do_directories() {
        assert_eq!(sent(&["a.txt", "A.TXT", "a.txt"]), ["a.txt", "A (1).TXT", "a (2).txt"]);
        assert_eq!(sent(&["trip/a", "Trip/b", "trip/c"]), ["trip/a", "Trip (1)/b", "trip/c"]);
        assert_eq!(sent(&["x", "x/y"]), ["x", "x (1)/y"]);
        let long = "n".repeat(255);
        assert!(sent(&[&long, &long])[1].ends_with(" (1)"));
    }

    #[test]
    fn a_text_is_one_file_that_is_to_be_read() {
        let mut offer = Offer::text();
        offer.add("text.txt", 5, 0).unwrap();
        assert_eq!(offer.manifest().unwrap().purpose(), Purpose::Text);
        offer.add("more.txt", 5, 0).unwrap();
        assert!(offer.manifest().is_err(), "a text is alone");
        let mut long = Offer::text();
        long.add("text.txt", MAX_TEXT_LEN + 1, 0).unwrap();
        assert!(long.manifest().is_err(), "and not long");
    }

    #[test]
    fn a_path_that_is_too_deep_is_refused() {
        assert_eq!(Offer::new().add(&"d/".repeat(40), 1, 0), Err("path"));
    }
}
