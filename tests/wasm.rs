//! The module that the page loads is what the sources say.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use wire::unicode;

#[test]
fn the_committed_module_is_built_from_the_sources() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let built = tempfile::tempdir().unwrap();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output = cargo
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", target)
        .args(["run", "--quiet", "--locked", "--package", "xtask", "--", "wasm"])
        .arg(built.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["wire.js", "wire_bg.wasm", "sending.js", "sending_bg.wasm"] {
        let (fresh, committed) = (built.path().join(name), workspace.join("web-static/wire").join(name));
        let is_same = fs::read(fresh).unwrap() == fs::read(committed).unwrap();
        assert!(
            is_same,
            "web-static/wire/{name} is out of date: run `cargo xtask wasm` and commit what it makes"
        );
    }
}

/// For every code point: whether each pattern matches, and where case and composition lead. As JSON, for those alone
/// where that says something; and which code points are assigned.
const ASK_THE_BROWSER: &str = r"
    const patterns = JSON.parse(process.argv[1]).map((source) => new RegExp(source, 'u'));
    const found = [];
    for (let point = 0; point <= 0x10ffff; point += 1) {
        if (point >= 0xd800 && point <= 0xdfff) continue;
        const text = String.fromCodePoint(point);
        if (/^\p{Cn}$/u.test(text)) continue;
        const matches = patterns.map((pattern) => pattern.test(text));
        found.push([point, ...matches, text.normalize('NFC'), text.toLowerCase(), text.toUpperCase()]);
    }
    console.log(JSON.stringify(found));
";

/// In a browser `wire` asks the browser what a character is. What it asks is asked of the same engine here.
#[test]
fn a_browser_knows_the_same_about_every_character() {
    let patterns = json!([unicode::FORMAT_PATTERN, unicode::CONTROL_PATTERN, unicode::EMOJI_PATTERN]);
    let mut node = Command::new("node");
    let output = match node.args(["-e", ASK_THE_BROWSER]).arg(patterns.to_string()).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "node is missing: {error}");
            return;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Vec<(u32, bool, bool, bool, String, String, String)> =
        serde_json::from_slice(&output.stdout).unwrap();
    assert!(found.len() > 280_000, "nothing was compared");
    let mut different = Vec::new();
    for (point, is_format, is_control, is_emoji, nfc, lower, upper) in found {
        let character = char::from_u32(point).unwrap();
        let text = character.to_string();
        let same = unicode::is_format(character) == is_format
            && unicode::is_control(character) == is_control
            && unicode::is_emoji(character) == is_emoji
            && unicode::nfc(&text) == nfc
            && unicode::lower_case(&text) == lower
            && unicode::upper_case(&text) == upper;
        if !same {
            different.push(point);
        }
    }
    assert!(different.is_empty(), "{different:x?}: code points of which the two know different things");
}
