//! The programs under test, built once by the cargo that runs the tests.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, OnceLock};

use serde_json::Value;

/// Where the programs are.
pub(crate) struct Bins {
    /// The command line.
    pub(crate) send: PathBuf,
    /// The server.
    pub(crate) rendezvous: PathBuf,
}

/// The programs, built when they are first asked for.
pub(crate) fn bins() -> &'static Bins {
    static BINS: LazyLock<Bins> = LazyLock::new(build);
    &BINS
}

/// Where there are programs already, if [`use_in`] was told.
static BUILT: OnceLock<PathBuf> = OnceLock::new();

/// From now on, and if nobody has asked before, [`bins`] are those in `directory`.
pub(super) fn use_in(directory: PathBuf) {
    let _ = BUILT.set(directory);
}

/// Builds with the profile and into the directory of this test, so that what it was linked with is used again. Naming
/// this package and the one that makes the page's module as well gives dependencies the features that they have when the
/// tests of the whole workspace are built.
fn build() -> Bins {
    if let Some(directory) = BUILT.get() {
        return Bins { send: directory.join("send"), rendezvous: directory.join("rendezvous") };
    }
    let scratch = scratch();
    let target = scratch.parent().unwrap();
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo tells a test about its package would look like a change to build scripts that read the same variables.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix)) {
            cargo.env_remove(&*name);
        }
    }
    let output = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--bins", "--message-format=json", "--profile", profile, "--target-dir"])
        .arg(target)
        .args(["-p", "send", "-p", "rendezvous", "-p", "xtask", "-p", env!("CARGO_PKG_NAME")])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the programs cannot be built");
    let messages = String::from_utf8(output.stdout).unwrap();
    let messages: Vec<Value> = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let built = |name: &str| {
        let is_it = |message: &&Value| message["target"]["name"] == name && message["executable"].is_string();
        let message = messages.iter().find(is_it).unwrap();
        keep(Path::new(message["executable"].as_str().unwrap()))
    };
    Bins { send: built("send"), rendezvous: built("rendezvous") }
}

/// The directory that cargo gives tests for what they make; a program of this package uses the same.
fn scratch() -> PathBuf {
    let beside = || env::current_exe().unwrap().ancestors().nth(2).unwrap().join("tmp");
    option_env!("CARGO_TARGET_TMPDIR").map_or_else(beside, PathBuf::from)
}

/// Another name for `program` that a build which runs beside the tests does not replace.
fn keep(program: &Path) -> PathBuf {
    let name = env!("CARGO_MANIFEST_DIR").replace(std::path::MAIN_SEPARATOR, "-");
    let directory = scratch().join(name);
    fs::create_dir_all(&directory).unwrap();
    let draft = tempfile::tempdir_in(&directory).unwrap();
    let link = draft.path().join("program");
    fs::hard_link(program, &link).unwrap();
    let kept = directory.join(program.file_name().unwrap());
    // Renaming a name of a file to another name of the same file does nothing, and leaves both.
    fs::rename(link, &kept).unwrap();
    kept
}
