//! The texts of the page: every language says everything, and nothing that nobody asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

type Texts = BTreeMap<String, String>;

/// Keys that are put together, by their beginnings: what they are made of is checked on its own.
const FAMILIES: [&str; 5] = ["failed.", "mistake.", "path.", "inviting.", "awaiting."];
/// What a reason begins with that is said to the side that sends.
const SENDING: &str = "sending-";
/// Reasons that no engine gives: `failures.js` says them itself.
const OWN_REASONS: [&str; 2] = ["unknown", "offline"];
/// The forms of a number that languages have (Unicode CLDR); `other` is everybody's.
const FORMS: [&str; 6] = ["zero", "one", "two", "few", "many", "other"];

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap()
}

/// The tags of all languages that there is a file for.
pub(crate) fn languages() -> Vec<String> {
    let files = fs::read_dir(workspace().join("web-static/locales")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut tags: Vec<_> = names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
    tags.sort();
    tags
}

/// The texts of the page and of its part that sends.
fn texts(language: &str) -> Texts {
    let parts = ["", "send/"].map(|part| read(&format!("web-static/locales/{part}{language}.json")));
    parts.iter().flat_map(|part| serde_json::from_str::<Texts>(part).unwrap()).collect()
}

/// Every reason for a failure that there is a text for.
pub(crate) fn reasons() -> Vec<String> {
    let english = texts("en");
    let reason = |key: &String| Some(key.strip_prefix("failed.")?.strip_suffix(".title")?.to_owned());
    english.keys().filter_map(reason).collect()
}

/// A key without the form of its number.
fn base(key: &str) -> &str {
    key.rsplit_once('.').filter(|(_, form)| FORMS.contains(form)).map_or(key, |(base, _)| base)
}

/// The names in braces.
fn places(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

/// What the scripts and the page say, without the locales and what is built.
fn page() -> String {
    let directories = ["web-static", "web-static/receiving", "web-static/views"];
    let entries = directories.into_iter().flat_map(|path| fs::read_dir(workspace().join(path)).unwrap());
    let is_source =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "js" || extension == "html");
    let paths = entries.map(|entry| entry.unwrap().path()).filter(is_source);
    paths.map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn is_quoted(source: &str, name: &str) -> bool {
    ['\'', '"'].iter().any(|quote| source.contains(&format!("{quote}{name}{quote}")))
}

/// What is asked for by name: `text('NAME'`, `data-text="NAME"` and `data-label="NAME"`.
fn asked(source: &str) -> BTreeSet<&str> {
    let by = |before: &'static str, after: char| {
        source.split(before).skip(1).filter_map(move |rest| rest.split(after).next())
    };
    by("text('", '\'').chain(by("data-text=\"", '"')).chain(by("data-label=\"", '"')).collect()
}

#[test]
fn every_language_has_every_text_with_the_same_places() {
    let english = texts("en");
    let expected: BTreeMap<_, _> = english.iter().map(|(key, text)| (base(key), places(text))).collect();
    assert!(languages().len() >= 6 && expected.len() > 100);
    for language in languages() {
        let texts = texts(&language);
        let keys: BTreeSet<_> = texts.keys().map(|key| base(key)).collect();
        assert_eq!(keys, expected.keys().copied().collect(), "{language}");
        for (key, text) in &texts {
            assert!(!text.trim().is_empty(), "{language}: {key}");
            let (mut found, mut expected) = (places(text), expected[base(key)].clone());
            let is_counted = base(key) != key;
            if is_counted {
                // "Receive this file?" needs no number.
                found.insert("count");
                expected.insert("count");
            }
            assert_eq!(found, expected, "{language}: {key}");
            assert!(!is_counted || texts.contains_key(&format!("{}.other", base(key))), "{language}: {key}");
        }
    }
}

#[test]
fn every_text_is_asked_for_and_every_question_has_a_text() {
    let (page, english) = (page(), texts("en"));
    let asked = asked(&page);
    let known: BTreeSet<_> = english.keys().map(|key| base(key)).collect();
    let is_of_a_family = |key: &str| FAMILIES.iter().any(|family| key.starts_with(family));
    for key in &known {
        let is_used = asked.contains(key) || is_of_a_family(key) || is_quoted(&page, key);
        assert!(is_used, "nobody asks for {key}");
    }
    for key in asked {
        assert!(known.contains(key), "no text for {key}");
    }
}

#[test]
fn every_reason_has_a_text_and_every_text_a_reason() {
    let engine = page() + &sources_of_the_module();
    for reason in reasons().iter().filter(|reason| !OWN_REASONS.contains(&reason.as_str())) {
        let reason = reason.strip_prefix(SENDING).unwrap_or(reason);
        let is_known = is_quoted(&engine, reason) || engine.contains(&variant(reason));
        assert!(is_known, "nothing fails because of {reason}");
    }
    for key in texts("en").keys().filter_map(|key| key.strip_prefix("mistake.")) {
        assert!(is_quoted(&engine, key), "no mistake is {key}");
    }
    let known = reasons();
    for source in ["receiving.js", "receiving/consent.js", "receiving/patience.js"] {
        let given = reasons_given(&read(&format!("web-static/{source}")));
        assert!(!given.is_empty(), "{source} gives reasons");
        for reason in given {
            assert!(known.contains(&reason), "no text for {reason}, which {source} gives");
        }
    }
}

/// The name of an enum's variant, followed by what says that it is one, for a reason that serde spells.
fn variant(reason: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    format!("::{}", reason.split('-').map(capital).collect::<String>())
}

/// The part of `wire` that browsers run.
fn sources_of_the_module() -> String {
    let receiving = ["output.rs", "ticket.rs", "session.rs", "session/door.rs", "session/files.rs"];
    let also = ["connection.rs", "connection/talk.rs", "sending.rs", "sending/output.rs"];
    [receiving.as_slice(), &also]
        .concat()
        .into_iter()
        .map(|name| read(&format!("crates/wire/src/wasm/{name}")))
        .collect()
}

/// `fail('REASON'`, the last word of `stop(…, 'REASON')` and `allow(…, 'REASON')`, and `return 'REASON'`.
fn reasons_given(source: &str) -> BTreeSet<String> {
    let gives = ["#fail(", "#stop(", "allow(", "return '"];
    let lines = source.lines().filter(|line| gives.iter().any(|call| line.contains(call)));
    lines.flat_map(|line| line.split('\'').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn the_english_of_the_page_itself_is_that_of_its_texts() {
    let (page, english) = (read("web-static/index.html"), texts("en"));
    let mut count = 0;
    for part in page.split("data-text=\"").skip(1) {
        let (key, rest) = part.split_once('"').unwrap();
        let (_, rest) = rest.split_once('>').unwrap();
        let (text, _) = rest.split_once('<').unwrap();
        assert_eq!(text, english[key], "{key}");
        count += 1;
    }
    for part in page.split("data-label=\"").skip(1) {
        let (key, rest) = part.split_once('"').unwrap();
        assert!(rest.contains(&format!("aria-label=\"{}\"", english[key])), "{key}");
    }
    assert!(count > 30);
}

#[test]
fn a_text_that_is_missing_or_too_many_is_found() {
    assert_eq!(base("done.text.one"), "done.text");
    assert_eq!(base("done.more"), "done.more");
    assert_eq!(places("{done} of {total}"), BTreeSet::from(["done", "total"]));
    assert_eq!(asked("text('a.b') <p data-text=\"c.d\">"), BTreeSet::from(["a.b", "c.d"]));
    let reasons = reasons_given("return this.#stop(() => this.#session.cancel(), 'cancelled');");
    assert_eq!(reasons, BTreeSet::from(["cancelled".to_owned()]));
}
