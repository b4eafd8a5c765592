//! Codes that this machine has already proved once, so that none is tried twice within ten minutes (PROTOCOL.md §5.6).
//!
//! A rendezvous that lets a receiver fail gets one guess at the password per try; this keeps it at one. What is stored is
//! a keyed hash, so the file tells nothing about a code to whoever reads it later without the key beside it being of use:
//! it is forgotten after ten minutes, and a code is worthless once proved.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wire::code::Code;

use crate::entropy;

/// How long a code is remembered: twice the life of one.
const MEMORY: Duration = Duration::from_mins(10);

/// Codes that are remembered at most; the oldest go first.
const MAX_CODES: usize = 1_000;

/// The memory of one user on this machine.
#[derive(Debug)]
pub struct Tried {
    path: PathBuf,
    state: State,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Keys the hashes; made once per user.
    key: [u8; 32],
    codes: Vec<Remembered>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    /// SHA-256(key || code).
    hash: [u8; 32],
    /// Seconds since 1970.
    at: u64,
}

impl Tried {
    /// Opens the memory in `directory`, which is created if need be, for its owner alone.
    ///
    /// # Errors
    /// What the disk says. A file that makes no sense is begun anew.
    pub fn open(directory: &Path) -> io::Result<Self> {
        create_private(directory)?;
        let path = directory.join("tried-codes.json");
        let state = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let state = match state {
            Some(state) => state,
            None => State { key: entropy::bytes().map_err(io::Error::other)?, codes: Vec::new() },
        };
        Ok(Self { path, state })
    }

    /// Whether it can be kept: what is remembered is written once more.
    ///
    /// # Errors
    /// What the disk says.
    pub fn check(&self) -> io::Result<()> {
        self.save()
    }

    /// Whether `code` was proved within the last ten minutes before `now`.
    pub fn contains(&self, code: &Code, now: SystemTime) -> bool {
        let hash = self.hash(code);
        self.state.codes.iter().any(|known| known.hash == hash && is_recent(known.at, now))
    }

    /// Remembers that `code` is being proved at `now`. On disk when this returns.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remember(&mut self, code: &Code, now: SystemTime) -> io::Result<()> {
        let hash = self.hash(code);
        self.state.codes.retain(|known| is_recent(known.at, now) && known.hash != hash);
        let excess = (self.state.codes.len() + 1).saturating_sub(MAX_CODES);
        self.state.codes.drain(..excess);
        self.state.codes.push(Remembered { hash, at: seconds(now) });
        self.save()
    }

    fn save(&self) -> io::Result<()> {
        let bytes = serde_json::to_vec(&self.state).map_err(io::Error::other)?;
        let name = format!("tried-codes.{}", std::process::id());
        let draft = self.path.with_file_name(name);
        let written = create_private_file(&draft).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &self.path)
        });
        written.inspect_err(|_| {
            let _ = fs::remove_file(&draft);
        })
    }

    fn hash(&self, code: &Code) -> [u8; 32] {
        let hasher = Sha256::new_with_prefix(self.state.key);
        hasher.chain_update(code.expose().as_bytes()).finalize().into()
    }
}

/// Where the state of this user is kept: `$XDG_STATE_HOME/send` and its like.
pub fn default_directory() -> Option<PathBuf> {
    let directories = directories::ProjectDirs::from("", "", "send")?;
    Some(directories.state_dir().unwrap_or_else(|| directories.data_local_dir()).to_owned())
}

/// A clock that was set back makes a code look younger than it is; better that than trying it twice.
fn is_recent(at: u64, now: SystemTime) -> bool {
    seconds(now).saturating_sub(at) < MEMORY.as_secs()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn create_private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        text.parse().unwrap()
    }

    #[test]
    fn a_code_is_remembered_for_ten_minutes_and_by_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        Tried::open(directory.path()).unwrap().remember(&code("48-2093"), now).unwrap();
        Tried::open(directory.path()).unwrap().check().unwrap();
        let later = Tried::open(directory.path()).unwrap();
        assert!(later.contains(&code("48-2093"), now));
        assert!(later.contains(&code("48-2093"), now + MEMORY - Duration::from_secs(1)));
        assert!(!later.contains(&code("48-2093"), now + MEMORY));
        assert!(!later.contains(&code("48-2094"), now));
        assert!(!later.contains(&code("49-2093"), now));
    }

    #[test]
    fn the_file_holds_no_digit_of_the_code_and_is_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut tried = Tried::open(&directory.path().join("state")).unwrap();
        tried.remember(&code("480000-209317620931"), SystemTime::now()).unwrap();
        let bytes = fs::read_to_string(&tried.path).unwrap();
        assert!(!bytes.contains("209317620931") && !bytes.contains("480000"), "{bytes}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&tried.path), mode(tried.path.parent().unwrap())), (0o600, 0o700));
        }
    }

    #[test]
    fn a_damaged_file_is_begun_anew_and_a_full_one_stays_bounded() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("tried-codes.json"), "{\"key\":[1,2").unwrap();
        let mut tried = Tried::open(directory.path()).unwrap();
        let now = SystemTime::now();
        let filler = (0..MAX_CODES).map(|_| Remembered { hash: [7; 32], at: seconds(now) });
        tried.state.codes.extend(filler);
        tried.remember(&code("48-2093"), now).unwrap();
        assert_eq!(tried.state.codes.len(), MAX_CODES);
        assert!(tried.contains(&code("48-2093"), now));
    }
}
