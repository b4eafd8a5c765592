//! Chromium, and the scripts in `browser/` that drive it through playwright.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where Debian puts it.
const CHROMIUM: &str = "/usr/bin/chromium";

/// The browser and its driver, or a word about why there is none; continuous integration has to have them.
pub(crate) fn browser() -> Option<PathBuf> {
    let chromium = PathBuf::from(CHROMIUM);
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/node_modules/playwright-core");
    if chromium.exists() && driver.exists() {
        return Some(chromium);
    }
    let missing =
        format!("no browser tests: {CHROMIUM} or {} is missing; tests/run installs both", driver.display());
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    // Not through the test's own output, which nobody sees when it passes.
    let _ = writeln!(std::io::stderr(), "{missing}");
    None
}

/// Runs a script and gives what it told.
#[track_caller]
pub(crate) fn run(script: &str, argument: &Value) -> Value {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let mut node = Command::new("node");
    let output = node.current_dir(directory).arg(script).arg(argument.to_string()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let told: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("not JSON: {out}\n{err}"));
    assert_eq!(told["error"], Value::Null, "{told:#}");
    told
}
