//! From the paths a user names to the entries of a manifest.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::hash::BuildHasher as _;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata};
use wire::manifest::{Entry, EntryKind, MAX_ENTRIES, Manifest, ManifestBuilder, Purpose};
use wire::safe_path::{SafePath, sanitize_name};

use super::Symlinks;
use super::descent::open_nofollow;
use super::naming::{Named, numbered};
use super::permission::check_readable;
use super::source::{SourceError, open_argument};

/// What a walk left behind or renamed, for the user to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Symbolic links left behind.
    pub skipped_link_count: usize,
    /// Devices, fifos and sockets left behind.
    pub skipped_special_count: usize,
    /// The first of them.
    pub skipped_special: Vec<PathBuf>,
    /// Files and directories that go under another name.
    pub renamed_count: usize,
    /// The first of them.
    pub renamed: Vec<Renamed>,
}

/// A file or directory that goes under another name than it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Where it is.
    pub path: PathBuf,
    /// The path it is sent under.
    pub sent: SafePath,
}

/// How many examples a notice keeps.
const EXAMPLES: usize = 100;

/// What tells a file from another, and from itself after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) size: u64,
    mtime: i64,
    mark: u64,
}

impl Fingerprint {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().map_or(UNIX_EPOCH, cap_std::time::SystemTime::into_std);
        let (mtime, mtime_nanos) = since_epoch(modified);
        // Both whole where numbers of files are small, and mixed where they are not.
        let mark = inode(metadata).rotate_left(32) ^ u64::from(mtime_nanos);
        Self { size: metadata.len(), mtime, mark }
    }
}

/// Where the entries of a manifest come from: what is needed beside the manifest to find a file again and to know that
/// it is the same. 8 bytes an entry, as there may be a million.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// The arguments, each with the first entry that it gave.
    roots: Vec<(usize, PathBuf)>,
    /// What size and time do not tell of a file.
    marks: Vec<u64>,
    /// The local names below their root of entries that are sent under others.
    renamed: HashMap<usize, Vec<OsString>>,
}

impl Origins {
    /// What the file of `entry` was when it was walked; size and time are in the manifest.
    pub(super) fn fingerprint(&self, entry: usize, size: u64, mtime: i64) -> Option<Fingerprint> {
        Some(Fingerprint { size, mtime, mark: *self.marks.get(entry)? })
    }

    /// The number of the argument that `entry` belongs to.
    pub(super) fn root_of(&self, entry: usize) -> Option<usize> {
        self.roots.partition_point(|(first, _)| *first <= entry).checked_sub(1)
    }

    /// An argument, by its number.
    pub(super) fn root_path(&self, root: usize) -> &Path {
        self.roots.get(root).map_or_else(|| Path::new(""), |(_, path)| path.as_path())
    }

    /// The local names of `entry` below its argument; none for the argument itself.
    pub(super) fn names_of(&self, manifest: &Manifest, entry: usize) -> Option<Vec<OsString>> {
        match self.renamed.get(&entry) {
            Some(names) => Some(names.clone()),
            None => {
                Some(manifest.entries().get(entry)?.path.components().skip(1).map(OsString::from).collect())
            }
        }
    }

    /// The local path of `entry`, for messages.
    pub(super) fn path_of(&self, manifest: &Manifest, entry: usize) -> PathBuf {
        let root = self.root_of(entry).map_or_else(|| Path::new(""), |root| self.root_path(root));
        let names = self.names_of(manifest, entry).unwrap_or_default();
        if names.is_empty() { root.to_path_buf() } else { root.join(names.iter().collect::<PathBuf>()) }
    }
}

/// A walk over the user's paths.
#[derive(Debug)]
pub(super) struct Walk {
    symlinks: Symlinks,
    builder: ManifestBuilder,
    origins: Origins,
    notices: Notices,
    tops: Taken,
    /// Local names from the argument to where the walk is.
    below: Vec<OsString>,
}

/// One name found in a directory: little, as there may be a million.
struct Found {
    name: Box<OsStr>,
    kind: Named,
    /// The name it is sent under, if that is another.
    sent: Option<Box<str>>,
}

impl Walk {
    pub(super) fn new(symlinks: Symlinks) -> Self {
        Self {
            symlinks,
            builder: ManifestBuilder::new(Purpose::Files),
            origins: Origins::default(),
            notices: Notices::default(),
            tops: Taken::default(),
            below: Vec::new(),
        }
    }

    /// Walks one path that the user named.
    pub(super) fn add(&mut self, path: &Path) -> Result<(), SourceError> {
        let metadata = std::fs::metadata(path).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                SourceError::Missing { path: path.to_path_buf() }
            } else {
                SourceError::new("look at", path, error)
            }
        })?;
        let metadata = Metadata::from_just_metadata(metadata);
        let name = own_name(path)?;
        self.origins.roots.push((self.builder.entry_count(), path.to_path_buf()));
        let kind = if metadata.is_dir() { Named::Directory } else { Named::File };
        let portable = sanitize_name(&name.to_string_lossy());
        let sent = self.tops.distinct(&portable, kind);
        let sent = self.parse(&sent)?;
        if sent.as_str() != name {
            self.note_renamed(&sent);
        }
        if metadata.is_file() {
            open_argument(path).map_err(|error| SourceError::new("open", path, error))?;
            self.push(sent, EntryKind::File { size: metadata.len() }, &metadata)
        } else if metadata.is_dir() {
            let dir = Dir::open_ambient_dir(path, ambient_authority())
                .map_err(|error| SourceError::new("open", path, error))?;
            self.push(sent.clone(), EntryKind::Directory, &metadata)?;
            self.walk(&dir, &sent, Spelling::AsSent)
        } else {
            Err(SourceError::Special { path: path.to_path_buf() })
        }
    }

    /// What was found.
    pub(super) fn finish(self) -> Result<(Manifest, Origins, Notices), SourceError> {
        if self.builder.entry_count() == 0 {
            return Err(SourceError::Nothing);
        }
        Ok((self.builder.seal()?, self.origins, self.notices))
    }

    /// Walks what is in `dir`, which goes as `above`.
    fn walk(&mut self, dir: &Dir, above: &SafePath, spelling: Spelling) -> Result<(), SourceError> {
        for found in self.list(dir)? {
            self.below.push(found.name.to_os_string());
            self.visit(dir, above, found, spelling)?;
            self.below.pop();
        }
        Ok(())
    }

    fn visit(
        &mut self,
        dir: &Dir,
        above: &SafePath,
        found: Found,
        above_is: Spelling,
    ) -> Result<(), SourceError> {
        let Found { name, sent, .. } = found;
        let metadata = match dir.symlink_metadata(&*name) {
            Ok(metadata) => metadata,
            // Removed since it was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(SourceError::new("look at", &self.here(), error)),
        };
        let is_renamed = sent.is_some();
        let spelling = if is_renamed { Spelling::Changed } else { above_is };
        let sent = sent.map_or_else(|| name.to_string_lossy(), |sent| String::from(sent).into());
        let path = above.join(&sent).map_err(|source| SourceError::Path { path: self.here(), source })?;
        if metadata.is_symlink() {
            return self.visit_link(dir, path, &metadata);
        }
        if !metadata.is_dir() && !metadata.is_file() {
            self.notices.skipped_special_count += 1;
            if self.notices.skipped_special.len() < EXAMPLES {
                self.notices.skipped_special.push(self.here());
            }
            return Ok(());
        }
        if is_renamed {
            self.note_renamed(&path);
        }
        if spelling == Spelling::Changed {
            self.origins.renamed.insert(self.builder.entry_count(), self.below.clone());
        }
        let failed = |walk: &Self, error| SourceError::new("open", &walk.here(), error);
        if metadata.is_file() {
            check_readable(dir, &name).map_err(|error| failed(self, error))?;
            return self.push(path, EntryKind::File { size: metadata.len() }, &metadata);
        }
        let below = open_nofollow(dir, &name).map_err(|error| failed(self, error))?;
        self.push(path.clone(), EntryKind::Directory, &metadata)?;
        self.walk(&below, &path, spelling)
    }

    /// A link travels as what it says, if that stays inside its tree.
    fn visit_link(&mut self, dir: &Dir, path: SafePath, metadata: &Metadata) -> Result<(), SourceError> {
        let target = match (self.symlinks, self.below.last()) {
            (Symlinks::Keep, Some(name)) => dir.read_link_contents(name).ok(),
            (Symlinks::Keep | Symlinks::Refuse, _) => None,
        };
        if let Some(target) = target.and_then(|target| target.into_os_string().into_string().ok()) {
            let kind = EntryKind::Symlink { target };
            let entry = Entry { path: path.clone(), kind: kind.clone(), mode: 0o777, mtime: 0 };
            // The rule for targets is the manifest's.
            if Manifest::new(Purpose::Files, &[entry]).is_ok() {
                return self.push(path, kind, metadata);
            }
        }
        self.notices.skipped_link_count += 1;
        Ok(())
    }

    /// Everything in `dir` in the order of names, each with the name it is sent under.
    fn list(&self, dir: &Dir) -> Result<Vec<Found>, SourceError> {
        let failed = |error| SourceError::new("list", &self.here(), error);
        let mut all = Vec::new();
        for item in dir.entries().map_err(failed)? {
            let item = item.map_err(failed)?;
            let is_directory = item.file_type().is_ok_and(|kind| kind.is_dir());
            let kind = if is_directory { Named::Directory } else { Named::File };
            all.push(Found { name: item.file_name().into(), kind, sent: None });
            if all.len() > MAX_ENTRIES {
                return Err(SourceError::TooMany { limit: MAX_ENTRIES });
            }
        }
        all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let mut taken = Taken::default();
        // Names that can stay come first, so that a changed one does not take the place of another.
        for is_portable in [true, false] {
            for found in &mut all {
                let repaired = sanitize_name(&found.name.to_string_lossy());
                if (*found.name == *repaired) == is_portable {
                    let sent = taken.distinct(&repaired, found.kind);
                    found.sent = (*found.name != *sent).then(|| sent.into());
                }
            }
        }
        Ok(all)
    }

    fn push(&mut self, path: SafePath, kind: EntryKind, metadata: &Metadata) -> Result<(), SourceError> {
        if self.builder.entry_count() >= MAX_ENTRIES {
            return Err(SourceError::TooMany { limit: MAX_ENTRIES });
        }
        let Fingerprint { mtime, mark, .. } = Fingerprint::of(metadata);
        self.builder.push(&Entry { path, kind, mode: mode(metadata), mtime })?;
        self.origins.marks.push(mark);
        Ok(())
    }

    fn parse(&self, name: &str) -> Result<SafePath, SourceError> {
        SafePath::parse(name).map_err(|source| SourceError::Path { path: self.here(), source })
    }

    fn note_renamed(&mut self, sent: &SafePath) {
        self.notices.renamed_count += 1;
        if self.notices.renamed.len() < EXAMPLES {
            self.notices.renamed.push(Renamed { path: self.here(), sent: sent.clone() });
        }
    }

    /// Where the walk is.
    fn here(&self) -> PathBuf {
        let root = self.origins.root_path(self.origins.roots.len().saturating_sub(1));
        self.below.iter().fold(root.to_path_buf(), |path, name| path.join(name))
    }
}

/// Whether the names on the way from the argument are those sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    AsSent,
    Changed,
}

/// The name a path has of its own, which for `.`, `..` and what ends in them is that of the directory they lead to.
fn own_name(path: &Path) -> Result<OsString, SourceError> {
    if let Some(Component::Normal(name)) = path.components().next_back() {
        return Ok(name.to_os_string());
    }
    let real = path.canonicalize().map_err(|error| SourceError::new("look at", path, error))?;
    real.file_name()
        .map(OsStr::to_os_string)
        .ok_or_else(|| SourceError::Unnameable { path: path.to_path_buf() })
}

/// Names that were given out in one directory, as hashes of their collision keys: two that are one by chance get a number that
/// they do not need.
#[derive(Debug, Default)]
struct Taken {
    keys: HashSet<u64>,
    state: RandomState,
}

impl Taken {
    /// `name`, or its first number that no system takes for a name that was given out; now it is.
    fn distinct(&mut self, name: &str, kind: Named) -> String {
        let mut number = 0;
        loop {
            let candidate = numbered(name, kind, number);
            let key = SafePath::parse(&candidate)
                .map_or_else(|_| candidate.to_lowercase(), |path| path.collision_key());
            if self.keys.insert(self.state.hash_one(key)) {
                return candidate;
            }
            number += 1;
        }
    }
}

/// Whole seconds and the nanoseconds after them.
fn since_epoch(time: SystemTime) -> (i64, u32) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let seconds = i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds);
            match before.subsec_nanos() {
                0 => (seconds, 0),
                nanos => (seconds.saturating_sub(1), 1_000_000_000 - nanos),
            }
        }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    use cap_std::fs::MetadataExt as _;
    metadata.ino()
}

#[cfg(not(unix))]
fn inode(_metadata: &Metadata) -> u64 {
    0
}

/// The permission bits that travel: never set-user-ID, set-group-ID or sticky.
#[cfg(unix)]
fn mode(metadata: &Metadata) -> u16 {
    use cap_std::fs::MetadataExt as _;
    u16::try_from(metadata.mode() & 0o777).unwrap_or(0o600)
}

#[cfg(not(unix))]
fn mode(metadata: &Metadata) -> u16 {
    if metadata.is_dir() { 0o755 } else { 0o644 }
}
