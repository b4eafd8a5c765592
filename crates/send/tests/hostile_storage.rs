//! Hostile senders and hostile neighbours against the real disk ends.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests count as tests"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use send::storage::{
    Checked, Hasher, Leftovers, OutputDir, Overwrite, Sink, SinkError, SinkOptions, Source, SourceError,
    SourceOptions, Symlinks,
};
use wire::manifest::{Entry, EntryKind, Manifest, ManifestError, Purpose};
use wire::safe_path::SafePath;

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry { path: SafePath::parse(path).unwrap(), kind, mode: 0o644, mtime: 1_000_000_000 }
}

fn file(path: &str, size: u64) -> Entry {
    entry(path, EntryKind::File { size })
}

fn directory(path: &str) -> Entry {
    Entry { mode: 0o755, ..entry(path, EntryKind::Directory) }
}

fn link(path: &str, target: &str) -> Entry {
    entry(path, EntryKind::Symlink { target: target.to_owned() })
}

fn manifest(entries: &[Entry]) -> Arc<Manifest> {
    Arc::new(Manifest::new(Purpose::Files, entries).unwrap())
}

fn sink_with(output: &Path, entries: &[Entry], options: SinkOptions) -> Sink {
    OutputDir::open(output).unwrap().prepare(manifest(entries), options, Checked::default()).unwrap()
}

fn sink(output: &Path, entries: &[Entry]) -> Sink {
    sink_with(output, entries, SinkOptions::default())
}

fn overwriting() -> SinkOptions {
    SinkOptions { overwrite: Overwrite::Files, ..SinkOptions::default() }
}

fn put(sink: &mut Sink, entry: usize, data: &[u8]) {
    sink.write(entry, 0, data).unwrap();
    sink.commit(entry, data.len() as u64, Hasher::of(data)).unwrap();
}

fn saved(sink: Sink) -> Vec<PathBuf> {
    sink.finish().unwrap().saved.into_iter().map(|saved| saved.path).collect()
}

/// Every name below `dir`, sorted, directories with a slash at the end.
fn names(dir: &Path) -> Vec<String> {
    fn collect(dir: &Path, above: &str, found: &mut Vec<String>) {
        for item in fs::read_dir(dir).unwrap() {
            let item = item.unwrap();
            let name = format!("{above}{}", item.file_name().to_string_lossy());
            if item.file_type().unwrap().is_dir() {
                collect(&item.path(), &format!("{name}/"), found);
                found.push(format!("{name}/"));
            } else {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    collect(dir, "", &mut found);
    found.sort();
    found
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

// Names: what cannot be said to a sink at all.

#[test]
fn no_manifest_can_name_anything_outside_the_output_directory() {
    for path in [
        "../../.ssh/authorized_keys",
        "/etc/cron.d/x",
        "//x/y",
        "sub/../../escaped.txt",
        "a/..",
        "../parent2/f",
        "..\\..\\evil.txt",
        "C:\\absolute",
        "C:rel",
        "\\\\server\\share",
        "\\\\?\\C:\\x",
        "CON",
        "nul.txt",
        "COM\u{b9}",
        "file.txt:stream",
        "trailing.",
        "trailing ",
        "",
        ".",
        "a//b",
        "./",
        "a\0b",
        "\u{1b}[1Aharmless",
        "\u{202e}fdp.exe",
    ] {
        assert!(SafePath::parse(path).is_err(), "{path:?}");
    }
}

#[test]
fn no_manifest_can_make_two_entries_one_file() {
    for (one, other) in
        [("README", "readme"), ("\u{e9}.txt", "e\u{301}.txt"), ("same", "same"), ("parent", "parent/child")]
    {
        assert!(Manifest::new(Purpose::Files, &[file(one, 1), file(other, 1)]).is_err(), "{one} {other}");
    }
}

#[test]
fn sizes_that_overflow_are_refused_before_anything_is_created() {
    let huge = i64::MAX.unsigned_abs();
    let sum = vec![file("a", huge), file("b", huge), file("c", huge)];
    assert!(matches!(Manifest::new(Purpose::Files, &sum), Err(ManifestError::TotalSize { .. })));
    assert!(matches!(Manifest::new(Purpose::Files, &[file("a", 1 << 63)]), Err(ManifestError::Size { .. })));
}

#[test]
fn a_declared_size_costs_no_disk_space() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("huge", i64::MAX.unsigned_abs())]);
    sink.write(0, 0, b"only this").unwrap();
    let part = output.path().join(".huge.part");
    assert!(part.metadata().unwrap().blocks() * 512 <= 65_536);
}

#[test]
fn no_manifest_can_carry_set_user_id_bits_or_unknown_kinds() {
    let set_user_id = Entry { mode: 0o4755, ..file("tool", 1) };
    assert!(matches!(Manifest::new(Purpose::Files, &[set_user_id]), Err(ManifestError::Mode { .. })));
}

#[test]
fn archives_arrive_as_they_are() {
    let output = scratch();
    let zip = b"PK\x03\x04 ../../evil";
    let mut sink = sink(output.path(), &[file("ordinary.zip", zip.len() as u64)]);
    put(&mut sink, 0, zip);
    assert_eq!(saved(sink), [Path::new("ordinary.zip")]);
    assert_eq!(names(output.path()), ["ordinary.zip"]);
}

// Links: never followed, never created unasked.

#[test]
fn links_in_a_manifest_are_refused_unless_asked_for() {
    let output = scratch();
    let entries = vec![directory("a"), link("a/link", "file")];
    let refused = OutputDir::open(output.path()).unwrap().prepare(
        manifest(&entries),
        SinkOptions::default(),
        Checked::default(),
    );
    assert!(matches!(refused, Err(SinkError::Symlink { .. })));
    assert_eq!(names(output.path()), [""; 0]);
}

#[test]
fn no_manifest_can_carry_a_link_that_leads_out_of_its_tree() {
    for (path, target) in [
        ("link", "file"),
        ("a/link", "/etc/passwd"),
        ("a/link", "../other"),
        ("a/b/link", "../../other"),
        ("a/b/link", "c/../../../other"),
    ] {
        let refused = Manifest::new(Purpose::Files, &[link(path, target)]);
        assert!(matches!(refused, Err(ManifestError::Target { .. })), "{path} -> {target}");
    }
}

#[test]
fn links_that_were_asked_for_come_last_and_stay_inside() {
    let output = scratch();
    let options = SinkOptions { symlinks: Symlinks::Keep, ..SinkOptions::default() };
    let entries = vec![link("a/b/link", "../file"), file("a/file", 2)];
    let mut sink = sink_with(output.path(), &entries, options);
    put(&mut sink, 1, b"ok");
    assert!(!output.path().join("a/b/link").exists());
    sink.finish().unwrap();
    assert_eq!(fs::read_link(output.path().join("a/b/link")).unwrap(), Path::new("../file"));
    assert_eq!(fs::read(output.path().join("a/b/link")).unwrap(), b"ok");
}

#[test]
fn a_link_at_the_destination_is_neither_followed_nor_replaced() {
    let (output, elsewhere) = (scratch(), scratch());
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, output.path().join("file.txt")).unwrap();

    let mut sink = sink(output.path(), &[file("file.txt", 3)]);
    put(&mut sink, 0, b"new");

    assert_eq!(saved(sink), [Path::new("file (1).txt")]);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(output.path().join("file.txt").is_symlink());
}

#[test]
fn overwriting_replaces_a_link_and_not_what_it_points_to() {
    let (output, elsewhere) = (scratch(), scratch());
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, output.path().join("file.txt")).unwrap();

    let mut sink = sink_with(output.path(), &[file("file.txt", 3)], overwriting());
    put(&mut sink, 0, b"new");

    assert_eq!(saved(sink), [Path::new("file.txt")]);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!output.path().join("file.txt").is_symlink());
}

#[test]
fn a_link_in_place_of_a_directory_is_never_entered() {
    for options in [SinkOptions::default(), overwriting()] {
        let (output, elsewhere) = (scratch(), scratch());
        symlink(elsewhere.path(), output.path().join("photos")).unwrap();

        let mut sink = sink_with(output.path(), &[file("photos/a.jpg", 1)], options);
        put(&mut sink, 0, b"x");

        assert_eq!(saved(sink), [Path::new("photos (1)/a.jpg")]);
        assert_eq!(names(elsewhere.path()), [""; 0]);
    }
}

#[test]
fn a_link_inside_a_merged_directory_is_never_entered() {
    let (output, elsewhere) = (scratch(), scratch());
    fs::create_dir(output.path().join("photos")).unwrap();
    symlink(elsewhere.path(), output.path().join("photos/2024")).unwrap();

    let mut sink = sink_with(output.path(), &[file("photos/2024/a.jpg", 1)], overwriting());

    assert!(matches!(sink.write(0, 0, b"x"), Err(SinkError::NotADirectory { .. })));
    drop(sink);
    assert_eq!(names(elsewhere.path()), [""; 0]);
}

#[test]
fn a_directory_exchanged_for_a_link_before_the_first_write_is_not_entered() {
    let (output, elsewhere) = (scratch(), scratch());
    let mut sink = sink(output.path(), &[file("photos/a.jpg", 1)]);
    symlink(elsewhere.path(), output.path().join("photos")).unwrap();

    put(&mut sink, 0, b"x");

    assert_eq!(saved(sink), [Path::new("photos (1)/a.jpg")]);
    assert_eq!(names(elsewhere.path()), [""; 0]);
}

#[test]
fn a_directory_exchanged_for_a_link_between_writes_leads_nowhere() {
    let (output, elsewhere) = (scratch(), scratch());
    let mut sink = sink(output.path(), &[file("photos/a/1", 1), file("other/2", 1), file("photos/a/3", 1)]);
    put(&mut sink, 0, b"1");
    put(&mut sink, 1, b"2");
    fs::rename(output.path().join("photos/a"), output.path().join("photos/moved")).unwrap();
    symlink(elsewhere.path(), output.path().join("photos/a")).unwrap();

    assert!(matches!(sink.write(2, 0, b"3"), Err(SinkError::NotADirectory { .. })));
    drop(sink);
    assert_eq!(names(elsewhere.path()), [""; 0]);
}

#[test]
fn a_directory_exchanged_for_a_link_before_the_end_is_an_error_and_untouched() {
    let (output, elsewhere) = (scratch(), scratch());
    let before = elsewhere.path().metadata().unwrap();
    let mut sink = sink(output.path(), &[directory("photos"), file("photos/1", 1)]);
    put(&mut sink, 1, b"1");
    sink.flush().unwrap();
    fs::rename(output.path().join("photos"), output.path().join("moved")).unwrap();
    symlink(elsewhere.path(), output.path().join("photos")).unwrap();

    assert!(matches!(sink.finish(), Err(SinkError::NotADirectory { .. })));
    let after = elsewhere.path().metadata().unwrap();
    assert_eq!((before.mode(), before.mtime()), (after.mode(), after.mtime()));
}

// Partials.

#[test]
fn a_planted_partial_name_is_neither_followed_nor_reused() {
    let (output, elsewhere) = (scratch(), scratch());
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, output.path().join(".file.txt.part")).unwrap();
    symlink(&victim, output.path().join(".file.txt.part.json")).unwrap();

    let mut sink = sink(output.path(), &[file("file.txt", 3)]);
    put(&mut sink, 0, b"new");

    assert_eq!(saved(sink), [Path::new("file.txt")]);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(names(output.path()), [".file.txt.part", ".file.txt.part.json", "file.txt"]);
}

#[test]
fn a_partial_exchanged_for_another_file_never_becomes_the_file() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("file.txt", 3)]);
    sink.write(0, 0, b"new").unwrap();
    let part = output.path().join(".file.txt.part");
    fs::remove_file(&part).unwrap();
    fs::write(&part, "bad").unwrap();
    sink.commit(0, 3, Hasher::of(b"new")).unwrap();

    assert!(matches!(sink.flush(), Err(SinkError::Replaced { .. })));
    drop(sink);
    assert_eq!(names(output.path()), [".file.txt.part"]);
}

#[test]
fn a_partial_is_private_while_it_grows_and_when_it_stays() {
    let output = scratch();
    let mut sink = sink(output.path(), &[Entry { mode: 0o777, ..file("a/b.bin", 200_000) }]);
    sink.write(0, 0, &vec![7; 100_000]).unwrap();
    let part = output.path().join("a/.b.bin.part");
    assert_eq!(mode(&part), 0o600);

    let kept = sink.abort(Leftovers::Keep).unwrap();

    assert_eq!((kept.entry, kept.len), (0, 100_000));
    assert_eq!(mode(&part), 0o600);
    assert_eq!(mode(&output.path().join("a/.b.bin.part.json")), 0o600);
    let record = fs::read_to_string(output.path().join("a/.b.bin.part.json")).unwrap();
    assert_eq!(record, "{\"version\":1,\"path\":\"a/b.bin\",\"size\":200000,\"synced_len\":100000}\n");
}

#[test]
fn a_dropped_sink_keeps_its_partial_and_leaves_no_file_under_the_final_name() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("b.bin", 200_000)]);
    sink.write(0, 0, &vec![7; 100_000]).unwrap();
    drop(sink);
    assert_eq!(names(output.path()), [".b.bin.part", ".b.bin.part.json"]);
}

#[test]
fn a_partial_of_less_than_a_chunk_is_not_kept() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("b.bin", 200_000)]);
    sink.write(0, 0, &vec![7; 65_535]).unwrap();
    assert_eq!(sink.abort(Leftovers::Keep), None);
    assert_eq!(names(output.path()), [""; 0]);
}

#[test]
fn directories_that_came_to_nothing_do_not_stay_in_the_way_of_the_next_transfer() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("a/b/half", 200_000), file("a/c", 1)]);
    sink.write(0, 0, b"hardly begun").unwrap();
    assert_eq!(sink.abort(Leftovers::Keep), None);
    assert_eq!(names(output.path()), [""; 0]);
}

#[test]
fn a_discarded_transfer_leaves_nothing_but_what_was_complete() {
    let output = scratch();
    let entries = vec![file("a/done", 1), file("a/b/half", 200_000)];
    let mut sink = sink(output.path(), &entries);
    put(&mut sink, 0, b"x");
    sink.write(1, 0, &vec![7; 100_000]).unwrap();
    assert_eq!(sink.abort(Leftovers::Discard), None);
    assert_eq!(names(output.path()), ["a/", "a/done"]);
}

#[test]
fn two_transfers_of_the_same_file_at_once_both_arrive() {
    let output = scratch();
    let mut one = sink(output.path(), &[file("b.bin", 131_072)]);
    let mut two = sink(output.path(), &[file("b.bin", 131_072)]);
    one.write(0, 0, &vec![1; 65_536]).unwrap();
    two.write(0, 0, &vec![2; 65_536]).unwrap();
    one.write(0, 65_536, &vec![1; 65_536]).unwrap();
    two.write(0, 65_536, &vec![2; 65_536]).unwrap();
    one.commit(0, 131_072, Hasher::of(&vec![1; 131_072])).unwrap();
    two.commit(0, 131_072, Hasher::of(&vec![2; 131_072])).unwrap();

    assert_eq!(saved(one), [Path::new("b.bin")]);
    assert_eq!(saved(two), [Path::new("b (1).bin")]);
    assert_eq!(fs::read(output.path().join("b.bin")).unwrap(), vec![1; 131_072]);
    assert_eq!(fs::read(output.path().join("b (1).bin")).unwrap(), vec![2; 131_072]);
    assert_eq!(names(output.path()), ["b (1).bin", "b.bin"]);
}

#[test]
fn set_user_id_bits_never_arrive_and_the_umask_counts() {
    let output = scratch();
    let options = SinkOptions { umask: 0o027, ..SinkOptions::default() };
    let entries = vec![
        Entry { mode: 0o777, ..directory("tree") },
        Entry { mode: 0o777, ..file("tree/tool", 1) },
        Entry { mode: 0o444, ..file("tree/read only", 1) },
    ];
    let mut sink = sink_with(output.path(), &entries, options);
    put(&mut sink, 1, b"x");
    put(&mut sink, 2, b"x");
    sink.finish().unwrap();
    assert_eq!(mode(&output.path().join("tree/tool")), 0o750);
    assert_eq!(mode(&output.path().join("tree/read only")), 0o440);
    assert_eq!(mode(&output.path().join("tree")), 0o750);
}

// Existing files.

#[test]
fn existing_files_and_directories_are_kept_beside_what_comes() {
    let output = scratch();
    fs::write(output.path().join("report.pdf"), "old").unwrap();
    fs::write(output.path().join("report (1).pdf"), "older").unwrap();
    fs::create_dir(output.path().join("photos")).unwrap();
    let mut sink = sink(output.path(), &[file("report.pdf", 3), directory("photos"), file("photos/a", 1)]);
    let placed: Vec<String> = sink.placements().map(|placement| placement.saved.clone()).collect();
    assert_eq!(placed, ["report (2).pdf", "photos (1)"]);
    put(&mut sink, 0, b"new");
    put(&mut sink, 2, b"x");
    sink.finish().unwrap();
    assert_eq!(fs::read_to_string(output.path().join("report.pdf")).unwrap(), "old");
    assert_eq!(
        names(output.path()),
        ["photos (1)/", "photos (1)/a", "photos/", "report (1).pdf", "report (2).pdf", "report.pdf"]
    );
}

#[test]
fn a_numbered_name_does_not_take_that_of_another_entry() {
    let output = scratch();
    fs::write(output.path().join("a"), "old").unwrap();
    let mut sink = sink(output.path(), &[file("a", 1), file("a (1)", 1)]);
    put(&mut sink, 0, b"1");
    put(&mut sink, 1, b"2");
    assert_eq!(saved(sink), [Path::new("a (2)"), Path::new("a (1)")]);
}

#[test]
fn a_destination_that_appears_during_the_transfer_is_left_alone() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("file.txt", 3), file("tree/file.txt", 3)]);
    sink.write(0, 0, b"new").unwrap();
    fs::write(output.path().join("file.txt"), "mine").unwrap();
    sink.commit(0, 3, Hasher::of(b"new")).unwrap();
    sink.write(1, 0, b"new").unwrap();
    fs::write(output.path().join("tree/file.txt"), "mine").unwrap();
    sink.commit(1, 3, Hasher::of(b"new")).unwrap();

    assert_eq!(saved(sink), [Path::new("file (1).txt"), Path::new("tree/file (1).txt")]);
    assert_eq!(fs::read_to_string(output.path().join("file.txt")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(output.path().join("tree/file.txt")).unwrap(), "mine");
}

#[test]
fn a_directory_that_appears_during_the_transfer_is_not_entered() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("photos/a", 1)]);
    fs::create_dir(output.path().join("photos")).unwrap();
    put(&mut sink, 0, b"x");
    assert_eq!(saved(sink), [Path::new("photos (1)/a")]);
}

#[test]
fn overwriting_goes_file_by_file_and_spares_everything_else() {
    let output = scratch();
    let photos = output.path().join("photos");
    fs::create_dir(&photos).unwrap();
    fs::set_permissions(&photos, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(photos.join("a"), "old").unwrap();
    fs::write(photos.join("b"), "other").unwrap();
    fs::create_dir(photos.join("c")).unwrap();

    let entries = vec![directory("photos"), file("photos/a", 3), file("photos/c", 3)];
    let mut sink = sink_with(output.path(), &entries, overwriting());
    put(&mut sink, 1, b"new");
    put(&mut sink, 2, b"new");
    sink.finish().unwrap();

    assert_eq!(fs::read_to_string(photos.join("a")).unwrap(), "new");
    assert_eq!(names(&photos), ["a", "b", "c (1)", "c/"]);
    assert_eq!(mode(&photos), 0o700, "a directory that was there keeps its mode");
}

// Contents.

#[test]
fn the_eleventh_of_ten_declared_bytes_is_refused() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("ten", 10), file("whole", 10)]);
    sink.write(0, 0, &[0; 10]).unwrap();
    assert!(matches!(sink.write(0, 10, &[0]), Err(SinkError::TooLong { declared: 10, .. })));
    assert_eq!(output.path().join(".ten.part").metadata().unwrap().len(), 10);
    let eleven = [0; 11];
    assert!(matches!(sink.write_whole(1, &eleven, Hasher::of(&eleven)), Err(SinkError::TooLong { .. })));
}

#[test]
fn chunks_out_of_order_are_refused_before_they_are_written() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("a", 10)]);
    sink.write(0, 0, &[0; 4]).unwrap();
    for offset in [0, 3, 5, u64::MAX] {
        assert!(matches!(sink.write(0, offset, &[0; 2]), Err(SinkError::OutOfOrder { expected: 4, .. })));
    }
    assert_eq!(sink.written_len(0), 4);
}

#[test]
fn entries_that_take_no_data_are_refused() {
    let output = scratch();
    let mut sink = sink(output.path(), &[directory("d"), file("d/a", 1), file("d/b", 1)]);
    for entry in [0, 3, usize::MAX] {
        assert!(matches!(sink.write(entry, 0, b"x"), Err(SinkError::UnexpectedEntry { .. })));
        assert!(matches!(sink.commit(entry, 0, [0; 32]), Err(SinkError::UnexpectedEntry { .. })));
        assert!(matches!(sink.write_whole(entry, b"", [0; 32]), Err(SinkError::UnexpectedEntry { .. })));
    }
    sink.write(1, 0, b"x").unwrap();
    assert!(matches!(sink.write(2, 0, b"x"), Err(SinkError::UnexpectedEntry { entry: 2 })));
    sink.commit(1, 1, Hasher::of(b"x")).unwrap();
    assert!(matches!(sink.write(1, 0, b"x"), Err(SinkError::UnexpectedEntry { entry: 1 })));
}

#[test]
fn bytes_that_do_not_match_their_digest_never_become_a_file() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("a", 100_000), file("b", 1)]);
    sink.write(0, 0, &vec![1; 100_000]).unwrap();
    assert!(matches!(sink.commit(0, 100_000, [0; 32]), Err(SinkError::DigestMismatch { .. })));
    assert!(matches!(sink.write_whole(1, b"x", [0; 32]), Err(SinkError::DigestMismatch { .. })));
    assert_eq!(names(output.path()), [".a.parts.json"], "while it is under way");
    assert!(matches!(sink.finish(), Err(SinkError::Incomplete { missing_count: 2 })));
    assert_eq!(names(output.path()), [""; 0]);
}

#[test]
fn a_file_that_ends_early_is_not_committed() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("a", 10), file("b", 10)]);
    sink.write(0, 0, &[0; 9]).unwrap();
    for len in [9, 10] {
        let refused = sink.commit(0, len, Hasher::of(&[0; 9]));
        assert!(matches!(refused, Err(SinkError::TooShort { len: 9, expected: 10, .. })));
    }
    sink.write(0, 9, &[0]).unwrap();
    sink.commit(0, 10, Hasher::of(&[0; 10])).unwrap();
    assert!(matches!(sink.write_whole(1, b"x", Hasher::of(b"x")), Err(SinkError::TooShort { .. })));
}

#[test]
fn a_stream_is_as_long_as_its_end_says() {
    let output = scratch();
    let mut sink = sink(output.path(), &[entry("stdin", EntryKind::Stream)]);
    sink.write(0, 0, b"abc").unwrap();
    assert!(matches!(sink.commit(0, 4, Hasher::of(b"abc")), Err(SinkError::TooShort { .. })));
    sink.commit(0, 3, Hasher::of(b"abc")).unwrap();
    assert_eq!(saved(sink), [Path::new("stdin")]);
}

#[test]
fn a_file_can_be_sent_again_from_its_beginning() {
    let output = scratch();
    let mut sink = sink(output.path(), &[file("a", 4)]);
    sink.write(0, 0, b"old").unwrap();
    sink.restart(0).unwrap();
    put(&mut sink, 0, b"new!");
    sink.finish().unwrap();
    assert_eq!(fs::read(output.path().join("a")).unwrap(), b"new!");
}

// Disks that fail.

#[test]
fn a_full_disk_is_told_as_such_and_keeps_the_partial() {
    let Some(disk) = Mount::tmpfs("size=1m") else { return };
    let mut sink = sink(disk.path(), &[file("big", 4 << 20)]);
    let chunk = vec![7; 65_536];
    let mut offset = 0;
    let error = loop {
        match sink.write(0, offset, &chunk) {
            Ok(()) => offset += 65_536,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SinkError::NoSpace { kept_len, .. } if kept_len == offset), "{error}");
    let kept = sink.abort(Leftovers::Keep).unwrap();
    assert_eq!(kept.len, offset);
    assert_eq!(disk.path().join(".big.part").metadata().unwrap().len(), offset);
}

#[test]
fn a_read_only_directory_is_refused_before_anything_else() {
    let Some(disk) = Mount::tmpfs("ro") else { return };
    assert!(matches!(OutputDir::open(disk.path()), Err(SinkError::ReadOnly { .. })));
}

#[test]
fn an_output_directory_that_is_none_is_refused() {
    let output = scratch();
    fs::write(output.path().join("file"), "").unwrap();
    assert!(matches!(OutputDir::open(&output.path().join("none")), Err(SinkError::Missing { .. })));
    assert!(matches!(OutputDir::open(&output.path().join("file")), Err(SinkError::NotADirectory { .. })));
}

#[test]
fn without_permission_nothing_is_read_or_written() {
    if !as_nobody("without_permission_nothing_is_read_or_written") {
        return;
    }
    let place = scratch();
    let secret = place.path().join("tree/secret");
    fs::create_dir(place.path().join("tree")).unwrap();
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let refused = Source::open(&[place.path().join("tree")], SourceOptions::default());
    assert!(matches!(refused, Err(SourceError::Unreadable { path }) if path == secret));

    let output = place.path().join("output");
    fs::create_dir(&output).unwrap();
    fs::set_permissions(&output, fs::Permissions::from_mode(0o555)).unwrap();
    assert!(matches!(OutputDir::open(&output), Err(SinkError::Denied { .. })));
}

// The sender's side.

#[test]
fn links_in_a_tree_are_left_behind_and_counted() {
    let (home, tree) = (scratch(), scratch());
    fs::write(home.path().join("id_rsa"), "secret").unwrap();
    symlink(home.path().join("id_rsa"), tree.path().join("innocent.txt")).unwrap();
    symlink(home.path(), tree.path().join("directory")).unwrap();
    fs::write(tree.path().join("file"), "x").unwrap();

    let source = Source::open(&[tree.path().to_path_buf()], SourceOptions::default()).unwrap();

    let entries = source.manifest().entries().iter();
    let sent: Vec<String> = entries.map(|entry| entry.path.file_name().to_owned()).collect();
    assert_eq!(sent, [tree.path().file_name().unwrap().to_str().unwrap(), "file"]);
    assert_eq!(source.notices().skipped_link_count, 2);
}

#[test]
fn a_file_exchanged_for_a_link_or_fifo_after_the_walk_is_not_read() {
    let (home, tree) = (scratch(), scratch());
    let secret = home.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    for exchange in [
        &(|path: &Path| symlink(&secret, path).unwrap()) as &dyn Fn(&Path),
        &|path: &Path| fs::create_dir(path).unwrap(),
        &|path: &Path| fs::copy(&secret, path).map(drop).unwrap(),
        &|path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        &|_: &Path| {},
    ] {
        let directory = tree.path().join("tree");
        fs::create_dir(&directory).unwrap();
        let path = directory.join("file");
        fs::write(&path, "public").unwrap();
        let source = Source::open(std::slice::from_ref(&directory), SourceOptions::default()).unwrap();
        fs::rename(&path, tree.path().join("moved")).unwrap();
        exchange(&path);

        let mut buf = [0; 16];
        let refused = source.reader().read_chunk(1, 0, &mut buf);
        assert!(matches!(refused, Err(SourceError::Changed { path: told }) if told == path));
        assert_eq!(buf, [0; 16]);
        fs::remove_dir_all(&directory).unwrap();
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_never_sent_as_a_mixture() {
    let tree = scratch();
    let path = tree.path().join("file");
    for change in [
        &(|file: &Path| fs::OpenOptions::new().append(true).open(file).unwrap().write_all(b"more").unwrap())
            as &dyn Fn(&Path),
        &|file: &Path| fs::File::options().write(true).open(file).unwrap().set_len(70_000).unwrap(),
        &|file: &Path| {
            let opened = fs::File::options().write(true).open(file).unwrap();
            opened.set_modified(std::time::UNIX_EPOCH).unwrap();
        },
    ] {
        fs::write(&path, vec![7; 100_000]).unwrap();
        let source = Source::open(std::slice::from_ref(&path), SourceOptions::default()).unwrap();
        let mut reader = source.reader();
        let mut buf = vec![0; 65_536];
        assert_eq!(reader.read_chunk(0, 0, &mut buf).unwrap(), 65_536);
        change(&path);
        assert!(matches!(reader.read_chunk(0, 65_536, &mut buf), Err(SourceError::Changed { .. })));
    }
}

// Whole trees.

#[test]
fn a_tree_of_awkward_names_arrives_identical() {
    let (place, output) = (scratch(), scratch());
    let tree = place.path().join("tree");
    fs::create_dir_all(tree.join("empty directory")).unwrap();
    fs::create_dir_all(tree.join("a/b/c")).unwrap();
    for (name, len) in [
        ("empty", 0),
        ("one", 1),
        ("a/chunk-1", 65_535),
        ("a/chunk", 65_536),
        ("a/b/chunk+1", 65_537),
        ("a/b/c/some", 300_000),
        ("👩\u{200d}👩\u{200d}👧 \u{1f44d}.txt", 5),
        ("caf\u{e9}", 3),
        ("quotes ' and % and #", 2),
        (".hidden", 2),
    ] {
        fs::write(tree.join(name), vec![b'x'; len]).unwrap();
    }
    fs::write(tree.join("n".repeat(250)), "long").unwrap();
    let source = Source::open(std::slice::from_ref(&tree), SourceOptions::default()).unwrap();
    assert_eq!(source.notices().renamed_count, 0);

    transfer(&source, output.path());

    assert_eq!(names(&output.path().join("tree")), names(&tree));
    for name in names(&tree) {
        let (sent, saved) = (tree.join(&name), output.path().join("tree").join(&name));
        assert_eq!(mode(&sent), mode(&saved), "{name}");
        assert_eq!(sent.metadata().unwrap().mtime(), saved.metadata().unwrap().mtime(), "{name}");
        if sent.is_file() {
            assert_eq!(fs::read(&sent).unwrap(), fs::read(&saved).unwrap(), "{name}");
        }
    }
}

#[test]
fn composed_and_decomposed_names_each_arrive_as_they_are() {
    for name in ["\u{e9}.txt", "e\u{301}.txt"] {
        let (place, output) = (scratch(), scratch());
        fs::write(place.path().join(name), "x").unwrap();
        let source = Source::open(&[place.path().join(name)], SourceOptions::default()).unwrap();
        transfer(&source, output.path());
        assert_eq!(fs::read_dir(output.path()).unwrap().next().unwrap().unwrap().file_name(), name);
    }
}

#[test]
fn ten_thousand_small_files_arrive() {
    let (place, output) = (scratch(), scratch());
    let tree = place.path().join("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..10_000 {
        fs::write(tree.join(format!("{number:05}")), format!("{number:01024}")).unwrap();
    }
    let source = Source::open(&[tree], SourceOptions::default()).unwrap();
    transfer(&source, output.path());
    assert_eq!(fs::read_dir(output.path().join("tree")).unwrap().count(), 10_000);
    assert_eq!(fs::read_to_string(output.path().join("tree/09999")).unwrap(), format!("{:01024}", 9_999));
}

/// Moves everything from `source` to `output` as a session does: small files whole, others by chunks.
fn transfer(source: &Source, output: &Path) {
    let options = SinkOptions { umask: 0, ..SinkOptions::default() };
    let mut sink = OutputDir::open(output)
        .unwrap()
        .prepare(Arc::clone(source.manifest()), options, Checked::default())
        .unwrap();
    let mut reader = source.reader();
    let mut buf = vec![0; 65_536];
    for (index, entry) in source.manifest().entries().iter().enumerate() {
        let EntryKind::File { size } = entry.kind else { continue };
        if size < 10_000 {
            let len = reader.read_chunk(index, 0, &mut buf).unwrap();
            sink.write_whole(index, &buf[..len], Hasher::of(&buf[..len])).unwrap();
            continue;
        }
        let (mut hasher, mut offset) = (Hasher::default(), 0);
        while offset < size {
            let len = reader.read_chunk(index, offset, &mut buf).unwrap();
            hasher.update(&buf[..len]);
            sink.write(index, offset, &buf[..len]).unwrap();
            offset += len as u64;
        }
        sink.commit(index, size, hasher.finish()).unwrap();
        sink.poll_saved().unwrap();
    }
    sink.finish().unwrap();
}

/// A file system mounted for one test.
struct Mount(tempfile::TempDir);

impl Mount {
    /// Mounts a tmpfs. Where that is not allowed the test has nothing to show, which counts as a failure under `CI`.
    fn tmpfs(options: &str) -> Option<Self> {
        let place = scratch();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(place.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if mounted { Some(Self(place)) } else { not_shown("mounting a tmpfs needs root") }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Says why a test shows nothing here, and fails under `CI`.
fn not_shown<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "not shown: {why}");
    println!("not shown: {why}");
    None
}

/// Whether this process is someone whom permissions bind. As root it runs the test `name` again as nobody, in a process
/// of its own that must succeed, and says no.
fn as_nobody(name: &str) -> bool {
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    let place = scratch();
    if place.path().metadata().unwrap().uid() != 0 {
        return true;
    }
    let program = place.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [place.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new(&program)
        .args(["--exact", name])
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "as nobody: {text}");
    false
}
