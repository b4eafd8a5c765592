//! `cargo xtask wasm [DIRECTORY]`: builds `wire` for browsers into `web-static/wire`, or into DIRECTORY.
//!
//! What it makes is committed, so that a fresh clone serves the page with cargo alone. A test builds it again and compares.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(task), directory, None) if task == "wasm" => wasm(directory.map(PathBuf::from)),
        _ => bail!("usage: cargo xtask wasm [DIRECTORY]"),
    }
}

/// Builds the module and its JavaScript into `directory`.
fn wasm(directory: Option<PathBuf>) -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is in the workspace")?;
    let directory = directory.unwrap_or_else(|| workspace.join("web-static/wire"));
    for (name, features) in MODULES {
        let module = build(workspace, features)?;
        Bindgen::new()
            .input_path(&module)
            .out_name(name)
            .web(true)?
            .typescript(false)
            .remove_name_section(true)
            .remove_producers_section(true)
            .generate(&directory)?;
        for file in [format!("{name}.js"), format!("{name}_bg.wasm")] {
            let made = fs::metadata(directory.join(&file)).with_context(|| format!("{file} was not made"))?;
            report(&file, made.len());
        }
    }
    Ok(())
}

/// Compiles `wire` with these features and gives the path of the module.
fn build(workspace: &Path, features: &str) -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(workspace)
        .args(["rustc", "--locked", "--quiet", "-p", "wire", "--lib", "--crate-type", "cdylib"])
        .args(["--features", features, "--target", TARGET, "--profile", PROFILE, "--target-dir"])
        .arg(&target)
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(workspace)?)
        .status()
        .context("cargo cannot be run")?;
    ensure!(status.success(), "wire cannot be built for {TARGET}");
    Ok(target.join(TARGET).join(PROFILE).join("wire.wasm"))
}

/// Flags that make the module fast and the same on every machine: no path of this one gets into a panic message.
fn rustflags(workspace: &Path) -> Result<OsString> {
    let mut flags = vec![OsString::from("-Ctarget-feature=+simd128")];
    let mut remap = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push(to);
        flags.push(flag);
    };
    let sources = cargo_home()?.join("registry/src");
    let registries =
        fs::read_dir(&sources).with_context(|| format!("{} cannot be read", sources.display()))?;
    for registry in registries {
        remap(&registry?.path(), "=/registry");
    }
    remap(workspace, "=/send");
    Ok(flags.join(std::ffi::OsStr::new("\u{1f}")))
}

fn cargo_home() -> Result<PathBuf> {
    let given = env::var_os("CARGO_HOME").map(PathBuf::from);
    given.or_else(|| Some(env::home_dir()?.join(".cargo"))).context("neither CARGO_HOME nor HOME is set")
}

#[expect(clippy::print_stdout, reason = "how large the module has become is what one runs this for")]
fn report(name: &str, len: u64) {
    println!("{name}: {len} bytes");
}

/// The modules, and the features that they are `wire` with: what receives is loaded by everybody, what sends by some.
const MODULES: [(&str, &str); 2] = [("wire", ""), ("sending", "sending")];
const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "release-wasm";
