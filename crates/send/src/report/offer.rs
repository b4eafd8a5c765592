//! What a receiver is asked to accept, summed up per top-level name.

use std::path::PathBuf;

/// What the sender offers, as the receiver is asked about it. Built entry by entry with [`Offer::add`], in memory that
/// does not grow with the number of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The directory everything goes into.
    pub destination: PathBuf,
    /// Free space at the destination, in bytes; `None` when it cannot be told.
    pub free_space: Option<u64>,
    /// How much of it is here already from an earlier attempt, in bytes.
    pub present: u64,
    /// The first [`Offer::MAX_LISTED`] top-level names, in the sender's order.
    pub top_level: Vec<TopLevel>,
    /// How many top-level names there are besides the listed ones.
    pub unlisted_count: u64,
    /// How many files.
    pub file_count: u64,
    /// How many directories, empty ones included.
    pub directory_count: u64,
    /// Their sizes added up, in bytes; saturates.
    pub total_size: u64,
    /// Path and size of the largest file.
    pub largest: Option<(String, u64)>,
    /// The first [`Offer::MAX_LISTED`] paths that deserve a second look, and why.
    pub cautions: Vec<(String, Caution)>,
    /// How many such paths there are besides the listed ones.
    pub unlisted_caution_count: u64,
    last_unlisted: Option<String>,
}

/// One name at the top of what is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopLevel {
    /// The name, unescaped.
    pub name: String,
    /// What stands under it.
    pub kind: EntryKind,
    /// How many files it is or holds.
    pub file_count: u64,
    /// Their sizes added up, in bytes; saturates.
    pub size: u64,
}

/// What an offered entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// Why a name deserves a second look before it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caution {
    /// It can be run, by its mode or by its ending.
    Executable,
    /// It begins with a dot: hidden, and where programs look for settings.
    Hidden,
    /// Some system runs or obeys a file of this name by itself.
    AutoRun,
}

impl Offer {
    /// How many top-level names and cautions are kept by name; the rest is counted.
    pub const MAX_LISTED: usize = 100;

    /// An offer without entries.
    pub fn new(destination: PathBuf, free_space: Option<u64>) -> Self {
        Self {
            destination,
            free_space,
            present: 0,
            top_level: Vec::new(),
            unlisted_count: 0,
            file_count: 0,
            directory_count: 0,
            total_size: 0,
            largest: None,
            cautions: Vec::new(),
            unlisted_caution_count: 0,
            last_unlisted: None,
        }
    }

    /// Adds one entry. `path` is relative with `/` between its parts; entries of one top-level name come together.
    /// `size` is in bytes, 0 for directories; `executable` is what the sender says of its mode.
    pub fn add(&mut self, path: &str, kind: EntryKind, size: u64, executable: bool) {
        let file_count = u64::from(kind == EntryKind::File);
        self.file_count += file_count;
        self.directory_count += 1 - file_count;
        self.total_size = self.total_size.saturating_add(size);
        if kind == EntryKind::File && self.largest.as_ref().is_none_or(|(_, largest)| size > *largest) {
            self.largest = Some((path.to_owned(), size));
        }
        self.add_top_level(path, kind, size);
        if let Some((path, caution)) = Caution::of(path, kind, executable) {
            self.add_caution(path, caution);
        }
    }

    /// Whether the destination has room for what is not here yet; true when its free space cannot be told.
    pub fn fits(&self) -> bool {
        self.free_space.is_none_or(|free| self.total_size.saturating_sub(self.present) <= free)
    }

    fn add_caution(&mut self, path: &str, caution: Caution) {
        if self.cautions.last().is_some_and(|(last, _)| last == path) {
            return;
        }
        if self.cautions.len() < Self::MAX_LISTED {
            self.cautions.push((path.to_owned(), caution));
        } else {
            self.unlisted_caution_count += 1;
        }
    }

    fn add_top_level(&mut self, path: &str, kind: EntryKind, size: u64) {
        let (name, below) = path.split_once('/').map_or((path, false), |(name, _)| (name, true));
        let file_count = u64::from(kind == EntryKind::File);
        if let Some(known) = self.top_level.iter_mut().rev().find(|known| known.name == name) {
            known.file_count += file_count;
            known.size = known.size.saturating_add(size);
        } else if self.top_level.len() < Self::MAX_LISTED {
            let kind = if below { EntryKind::Directory } else { kind };
            self.top_level.push(TopLevel { name: name.to_owned(), kind, file_count, size });
        } else if self.last_unlisted.as_deref() != Some(name) {
            self.unlisted_count += 1;
            self.last_unlisted = Some(name.to_owned());
        }
    }
}

impl Caution {
    /// The part of `path` that is worth a second look, and why; the gravest reason wins. Below a hidden directory that is
    /// the directory.
    fn of(path: &str, kind: EntryKind, executable: bool) -> Option<(&str, Self)> {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if kind == EntryKind::File && AUTO_RUN_NAMES.contains(&name.as_str()) {
            return Some((path, Self::AutoRun));
        }
        if kind == EntryKind::File && (executable || EXECUTABLE_ENDINGS.contains(&ending)) {
            return Some((path, Self::Executable));
        }
        let dot = if path.starts_with('.') { 0 } else { path.find("/.")? + 1 };
        let end = path.get(dot..)?.find('/').map_or(path.len(), |len| dot + len);
        Some((path.get(..end)?, Self::Hidden))
    }
}

/// Names that a shell, an editor or a desktop obeys without being asked.
const AUTO_RUN_NAMES: [&str; 12] = [
    "autorun.inf",
    "desktop.ini",
    ".bashrc",
    ".bash_profile",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".envrc",
    ".gitconfig",
    ".npmrc",
    "authorized_keys",
    ".vimrc",
];

/// Endings that Windows or a desktop runs on a double click, whatever the mode says.
const EXECUTABLE_ENDINGS: [&str; 22] = [
    "exe", "com", "bat", "cmd", "scr", "pif", "msi", "ps1", "vbs", "vbe", "js", "jse", "wsf", "hta", "lnk",
    "reg", "jar", "sh", "command", "desktop", "appimage", "apk",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Offer {
        Offer::new(PathBuf::from("/home/me"), Some(1_000))
    }

    #[test]
    fn entries_are_summed_up_under_their_top_level_name() {
        let mut offer = offer();
        offer.add("trip", EntryKind::Directory, 0, false);
        offer.add("trip/a.jpg", EntryKind::File, 10, false);
        offer.add("trip/sub/b.jpg", EntryKind::File, 30, false);
        offer.add("notes.txt", EntryKind::File, 2, false);
        let top: Vec<_> = offer
            .top_level
            .iter()
            .map(|top| (top.name.as_str(), top.kind, top.file_count, top.size))
            .collect();
        assert_eq!(top, [("trip", EntryKind::Directory, 2, 40), ("notes.txt", EntryKind::File, 1, 2)]);
        assert_eq!((offer.file_count, offer.directory_count, offer.total_size), (3, 1, 42));
        assert_eq!(offer.largest, Some(("trip/sub/b.jpg".to_owned(), 30)));
    }

    #[test]
    fn a_hundred_thousand_names_are_counted_and_a_hundred_kept() {
        let mut offer = offer();
        for index in 0..100_000 {
            offer.add(&format!(".{index}/x"), EntryKind::File, u64::MAX / 2, true);
        }
        assert_eq!((offer.top_level.len(), offer.unlisted_count), (100, 99_900));
        assert_eq!((offer.cautions.len(), offer.unlisted_caution_count), (100, 99_900));
        assert_eq!(offer.total_size, u64::MAX);
    }

    #[test]
    fn programs_hidden_files_and_names_that_run_by_themselves_are_flagged() {
        let cases = [
            ("holiday.mp4", false, None),
            ("tool", true, Some(("tool", Caution::Executable))),
            ("photo.jpg.EXE", false, Some(("photo.jpg.EXE", Caution::Executable))),
            ("home/.config/x.toml", false, Some(("home/.config", Caution::Hidden))),
            (".netrc", false, Some((".netrc", Caution::Hidden))),
            ("home/.bashrc", false, Some(("home/.bashrc", Caution::AutoRun))),
            ("AUTORUN.INF", false, Some(("AUTORUN.INF", Caution::AutoRun))),
            (".ssh/authorized_keys", false, Some((".ssh/authorized_keys", Caution::AutoRun))),
        ];
        for (path, executable, expected) in cases {
            assert_eq!(Caution::of(path, EntryKind::File, executable), expected, "{path}");
        }
        assert_eq!(Caution::of("bin", EntryKind::Directory, true), None, "directories are all executable");
    }

    #[test]
    fn a_hidden_directory_is_flagged_once() {
        let mut offer = offer();
        offer.add(".git", EntryKind::Directory, 0, false);
        offer.add(".git/HEAD", EntryKind::File, 20, false);
        offer.add(".git/config", EntryKind::File, 90, false);
        assert_eq!(offer.cautions, [(".git".to_owned(), Caution::Hidden)]);
    }

    #[test]
    fn what_is_here_already_needs_no_room() {
        let mut offer = offer();
        offer.add("big", EntryKind::File, 1_500, false);
        assert!(!offer.fits());
        offer.present = 500;
        assert!(offer.fits());
        offer.free_space = None;
        offer.present = 0;
        assert!(offer.fits(), "unknown space is no reason to refuse");
    }
}
