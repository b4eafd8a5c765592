//! `wire` is a function of its inputs: nothing in it or below it asks a system for anything.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

use super::source::{read, workspace};

/// Runs cargo on the workspace, as the tests are run: offline if need be, with the locked versions.
fn cargo(arguments: &[&str]) -> String {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let (subcommand, rest) = arguments.split_first().unwrap();
    let run =
        Command::new(program).arg(subcommand).arg("--locked").args(rest).current_dir(workspace()).output();
    let Output { status, stdout, stderr } = run.unwrap();
    assert!(status.success(), "cargo {arguments:?}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// What of `tree`, one package per line, brings a runtime, a clock or entropy.
fn impure(tree: &str) -> Vec<&str> {
    let name = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    tree.lines().filter(|line| IMPURE.contains(&name(line).as_str())).collect()
}

const IMPURE: [&str; 9] =
    ["tokio", "getrandom", "mio", "socket2", "js-sys", "wasi", "libc", "futures-core", "web-time"];

#[test]
fn wire_depends_on_no_runtime_and_no_source_of_entropy() {
    let browser = ["--target", "wasm32-unknown-unknown"];
    let tree = cargo(&[&["tree", "-p", "wire", "-e", "normal", "--prefix", "none"], &browser[..]].concat());
    assert!(tree.contains("spake2"), "{tree}");
    assert_eq!(impure(&tree), Vec::<&str>::new());
    let manifest: Vec<String> =
        read("crates/wire/Cargo.toml").lines().map(|line| line.replace('.', " ")).collect();
    assert_eq!(impure(&manifest.join("\n")), Vec::<&str>::new());
}

#[test]
fn an_impure_dependency_is_found() {
    assert_eq!(impure("wire v0.1.0 (/x)\ngetrandom v0.2.17\ntokio-util v0.7.0\n"), ["getrandom v0.2.17"]);
}

/// The sections of a WebAssembly module as (id, content); WebAssembly Core §5.5.2.
fn sections(mut module: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    module = module.strip_prefix(b"\0asm\x01\0\0\0").expect("a WebAssembly module, version 1");
    while let Some((id, rest)) = module.split_first() {
        let (len, rest) = leb128(rest);
        let (content, after) = rest.split_at(len);
        found.push((*id, content));
        module = after;
    }
    found
}

/// An unsigned number in LEB128, and what follows it.
fn leb128(bytes: &[u8]) -> (usize, &[u8]) {
    let len = bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    let (digits, rest) = bytes.split_at(len);
    (digits.iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f)), rest)
}

/// The section's number in WebAssembly Core §5.5.2.
const IMPORT: u8 = 2;
const CODE: u8 = 10;

/// The kind of an import, WebAssembly Core §5.5.5.
const FUNCTION: u8 = 0;

/// How the modules are called that stand for the JavaScript of wasm-bindgen, which passes strings and exceptions.
const GLUE: &str = "__wbindgen";

/// From which modules of its host a module wants functions.
fn imported_modules(module: &[u8]) -> BTreeSet<String> {
    let Some((_, imports)) = sections(module).into_iter().find(|(id, _)| *id == IMPORT) else {
        return BTreeSet::new();
    };
    let (count, mut rest) = leb128(imports);
    let mut found = BTreeSet::new();
    for _ in 0..count {
        let name;
        (name, rest) = text(rest);
        (_, rest) = text(rest);
        found.insert(name);
        let [FUNCTION, after @ ..] = rest else { panic!("only functions are imported") };
        (_, rest) = leb128(after);
    }
    found
}

/// A name, and what follows it.
fn text(bytes: &[u8]) -> (String, &[u8]) {
    let (len, rest) = leb128(bytes);
    let (text, rest) = rest.split_at(len);
    (String::from_utf8(text.to_vec()).unwrap(), rest)
}

/// Builds all of `wire` into a module, what nobody calls included: without that, nothing would be left to look at.
fn build_module() -> Vec<u8> {
    let crate_type = ["--lib", "--crate-type", "cdylib", "--target", "wasm32-unknown-unknown"];
    let keep = ["--", "-Clink-dead-code", "-Clink-arg=--no-gc-sections"];
    cargo(&[&["rustc", "-p", "wire"], &crate_type[..], &keep].concat());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    fs::read(target.join("wasm32-unknown-unknown/debug/wire.wasm")).unwrap()
}

#[test]
fn wire_in_a_browser_asks_its_host_for_nothing() {
    let module = build_module();
    let code = sections(&module).into_iter().find(|(id, _)| *id == CODE).map(|(_, content)| content.len());
    assert!(code.is_some_and(|len| len > 100_000), "the module holds code: {code:?} bytes");
    let foreign = imported_modules(&module).into_iter().filter(|module| !module.starts_with(GLUE));
    assert_eq!(foreign.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn an_import_is_found() {
    let import = b"\x01\x03env\x01f\x00\x00";
    let module = [&b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09"[..], &import[..]].concat();
    assert_eq!(imported_modules(&module), ["env".to_owned()].into());
}
