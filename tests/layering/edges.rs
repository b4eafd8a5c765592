//! Paths between modules of one crate go only to modules declared above: `lib.rs` lists them in layer order.

use std::collections::BTreeMap;

use super::source::{Source, code, is_name, name, occurrences, read, sources};

/// The top-level modules of a crate and what its root re-exports from them.
struct Crate {
    /// In the order of their declarations.
    modules: Vec<String>,
    /// Name at the root → module it comes from.
    exported: BTreeMap<String, String>,
}

impl Crate {
    /// Reads the root of a crate, without comments.
    fn parse(root: &str) -> Self {
        let modules = root.lines().filter_map(|line| {
            let declared = line.trim().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            Some(declared.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
        });
        let mut exported = BTreeMap::new();
        for (at, words) in root.match_indices("pub use ") {
            let statement = root[at + words.len()..].split(';').next().unwrap_or_default();
            let module = name(statement);
            for item in statement.split(|character| !is_name(character)).skip(1) {
                exported.insert(item.to_owned(), module.to_owned());
            }
        }
        Self { modules: modules.collect(), exported }
    }

    /// The module that a path's first name after `crate::` leads to; `None` for what the root itself defines.
    fn target<'a>(&'a self, first: &'a str) -> Option<&'a str> {
        let known = self.modules.iter().any(|module| module == first);
        if known { Some(first) } else { self.exported.get(first).map(String::as_str) }
    }

    fn rank(&self, module: &str) -> Option<usize> {
        self.modules.iter().position(|known| known == module)
    }

    /// The edges of `source` that lead to a module below its own.
    fn upward(&self, source: &Source) -> Vec<String> {
        let inside = source.path.split_once("/src/").map_or(source.path.as_str(), |(_, inside)| inside);
        let (module, depth) = match inside.split_once('/') {
            Some((module, rest)) => (module, 1 + rest.matches('/').count()),
            None => (inside.trim_end_matches(".rs"), 0),
        };
        let Some(own) = self.rank(module) else { return Vec::new() };
        let mut wrong = Vec::new();
        for start in ["crate::".to_owned(), "super::".repeat(depth + 1)] {
            for at in occurrences_of_path(&source.code, &start) {
                for first in first_names(&source.code[at + start.len()..]) {
                    let Some(target) = self.target(first) else { continue };
                    if self.rank(target).is_some_and(|rank| rank > own) {
                        wrong.push(format!("{}: {module} → {target}", source.path));
                    }
                }
            }
        }
        wrong
    }
}

/// Where `path` (ending in `::`) begins a path.
fn occurrences_of_path<'a>(code: &'a str, path: &'a str) -> impl Iterator<Item = usize> + 'a {
    let first = name(path);
    occurrences(code, first).filter(move |at| {
        let before = code[..*at].trim_end();
        let goes_on = before.ends_with("::") || before.ends_with('$');
        !goes_on && code[*at..].starts_with(path) && !code[at + path.len()..].starts_with("super::")
    })
}

/// What stands after `crate::`: one name, or the first names in braces.
fn first_names(text: &str) -> Vec<&str> {
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let mut names = Vec::new();
    let (mut depth, mut fresh) = (0_u32, true);
    for (at, character) in group.char_indices() {
        match character {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            _ if fresh && is_name(character) => {
                names.push(name(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

fn upward_edges(krate: &str) -> Vec<String> {
    let tree = Crate::parse(&code(&read(&format!("crates/{krate}/src/lib.rs"))));
    assert!(tree.modules.len() > 5, "the modules of {krate} are declared in lib.rs");
    sources(krate).iter().flat_map(|source| tree.upward(source)).collect()
}

#[test]
fn modules_use_only_modules_declared_above_them() {
    for krate in ["wire", "rendezvous", "send"] {
        assert_eq!(upward_edges(krate), Vec::<String>::new());
    }
}

#[test]
fn an_edge_upward_is_found_in_every_spelling() {
    let tree = Crate::parse("mod low;\npub mod mid;\nmod high;\npub use high::{Peak, Top};\n");
    let upward = |path: &str, text: &str| {
        tree.upward(&Source { path: format!("crates/x/src/{path}"), code: code(text) }).len()
    };
    assert_eq!(upward("low.rs", "use crate::mid::A;"), 1);
    assert_eq!(upward("low.rs", "use super::high::B;"), 1);
    assert_eq!(upward("low/inner.rs", "use super::super::mid::A;"), 1);
    assert_eq!(upward("low.rs", "use crate::{low::A, high::{B, C}, mid};"), 2);
    assert_eq!(upward("mid.rs", "fn a() { crate::high::b() }"), 1);
    assert_eq!(upward("mid.rs", "use crate::Peak;"), 1, "a re-export hides no edge");

    assert_eq!(upward("high.rs", "use crate::{low::A, mid}; use super::mid::C;"), 0);
    assert_eq!(upward("low/inner.rs", "use super::mid::A;"), 0, "that is a module inside `low`");
    assert_eq!(upward("low.rs", "// crate::high\nuse crate::CONSTANT;"), 0);
    assert_eq!(upward("low.rs", "#[cfg(test)]\nmod tests { use crate::high::A; }"), 0);
}
