//! The module that the page loads is what the sources say.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

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
