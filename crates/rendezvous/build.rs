//! Takes the page in: every file of `web-static` as it is and compressed, and one hash over all of them.
//!
//! The page's address stays the same while what it loads lies below the hash, so that browsers keep it for good and
//! never mix two versions. On a host that serves `web-static` as it is there is no hash, and everything works alike.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let source = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../web-static").canonicalize()?;
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = BTreeMap::new();
    read(&source, "", &mut files)?;
    let version = version(&files);
    set_versions(&mut files, &version)?;

    let mut table = format!("const VERSION: &str = {version:?};\nstatic FILES: &[File] = &[\n");
    for (index, (path, content)) in files.iter().enumerate() {
        let tag = &HEXLOWER.encode(&Sha256::digest(content))[..32];
        let forms = [("plain", content.clone()), ("gzip", gzip(content)?), ("brotli", brotli(content)?)];
        write!(table, "    File {{ path: {path:?}, tag: {tag:?}, ")?;
        for (name, form) in forms {
            let place = out.join(format!("{index}.{name}"));
            fs::write(&place, form)?;
            write!(table, "{name}: include_bytes!({:?}), ", place.display().to_string())?;
        }
        table.push_str("},\n");
    }
    table.push_str("];\n");
    fs::write(out.join("files.rs"), table)?;
    Ok(())
}

/// All files below `directory`, under their paths with `/`.
fn read(directory: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name =
            entry.file_name().into_string().map_err(|name| format!("{} is no text", name.display()))?;
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            read(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// One hash over all paths and contents.
fn version(files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hash = Sha256::new();
    for (path, content) in files {
        for part in [path.as_bytes(), content] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
    }
    HEXLOWER.encode(&hash.finalize())[..16].to_owned()
}

/// Leads the page to what lies below its version, and tells the service worker which version it keeps.
fn set_versions(files: &mut BTreeMap<String, Vec<u8>>, version: &str) -> Result<()> {
    let paths: Vec<String> = files.keys().cloned().collect();
    if let Some(page) = files.get_mut("index.html") {
        let mut text = String::from_utf8(std::mem::take(page))?;
        // A manifest names addresses relative to itself, and a service worker serves what lies beside it: both stay.
        for path in paths.iter().filter(|path| !is_at_root(path)) {
            for attribute in ["href", "src"] {
                let versioned = format!("{attribute}=\"~{version}/{path}\"");
                text = text.replace(&format!("{attribute}=\"{path}\""), &versioned);
            }
        }
        *page = text.into_bytes();
    }
    if let Some(worker) = files.get_mut("sw.js") {
        *worker = String::from_utf8(std::mem::take(worker))?
            .replace("'unversioned'", &format!("'{version}'"))
            .into_bytes();
    }
    Ok(())
}

fn is_at_root(path: &str) -> bool {
    path == "index.html" || path == "sw.js" || path.ends_with(".webmanifest")
}

fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

/// The best there is for what is released; while one works on the page it only has to be quick.
fn brotli(content: &[u8]) -> Result<Vec<u8>> {
    let quality = if env::var("PROFILE")? == "release" { 11 } else { 5 };
    let mut out = Vec::new();
    let mut encoder = brotli::CompressorWriter::new(&mut out, 1 << 16, quality, 22);
    encoder.write_all(content)?;
    drop(encoder);
    Ok(out)
}
