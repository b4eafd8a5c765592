//! Hostile names: the whole manifest is refused before anyone is asked, and the disk is as it was.

use wire::message::{DeclineReason, Message};

use super::entry::{Raw, offer};
use super::host::Host;
use super::peer::{LastWord, OpenDoor};
use super::program::{Ending, Program};
use super::room::Room;

/// A real receiver, called with `args` in `room`, is offered `entries`: how it ends, and what it says to the sender.
async fn receive(host: &Host, room: &Room, args: &[&str], entries: &[Raw]) -> (Ending, LastWord) {
    let door = OpenDoor::open(host).await;
    let program = Program::receive(room, &door.link, args);
    let mut sender = door.peer().await;
    // Bytes that were never asked for come right behind, so that a receiver that writes first and checks later is seen.
    let data = Message::Data { file: 0, offset: 0, bytes: b"evil".as_slice().into() };
    sender.say(&offer(entries).messages).await;
    sender.say(&[data]).await;
    let last_word = sender.last_word().await;
    (program.end().await, last_word)
}

/// The receiver refuses these entries: exit status 1, a sentence, no change anywhere, and the sender is told why.
async fn assert_refused(host: &Host, args: &[&str], entries: &[Raw]) {
    let room = Room::new();
    let before = room.listing();
    let (ending, last_word) = receive(host, &room, args, entries).await;
    let what = format!("{args:?} {entries:?}");
    assert_eq!(last_word, LastWord::Declined(DeclineReason::InvalidManifest), "{what}: {ending:#?}");
    ending.assert_failed(1);
    let said = [ending.stderr.as_str(), &ending.stdout].concat();
    assert!(said.contains("not safe to receive"), "{what}: {said}");
    assert_eq!(room.listing(), before, "{what}");
}

async fn assert_all_refused(names: &[&str]) {
    let host = Host::start().await;
    for (index, name) in names.iter().enumerate() {
        let args: &[&str] = if index % 2 == 0 { &[] } else { &["--json"] };
        assert_refused(&host, args, &[Raw::file(name, 4)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_climb_out_or_begin_at_the_root_are_refused() {
    assert_all_refused(&[
        "../../.ssh/authorized_keys",
        "/etc/cron.d/x",
        "//x/y",
        "sub/../../escaped.txt",
        "a/..",
        "../x",
        "../in2/f",
        "..\\..\\evil.txt",
        "C:\\absolute",
        "C:rel",
        "\\\\server\\share",
        "\\\\?\\C:\\x",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traversal_is_refused_whatever_the_options_for_output_say() {
    let host = Host::start().await;
    let elsewhere = tempfile::TempDir::new().unwrap();
    let existing = elsewhere.path().to_str().unwrap();
    let options: [&[&str]; 5] = [
        &["--output", "."],
        &["--output", existing],
        &["--output", "../in2"],
        &["--overwrite"],
        &["--overwrite", "--symlinks", "--output", "../in2", "--json"],
    ];
    for args in options {
        for name in ["../precious", "/tmp/x", "sub/../../precious", "..\\precious", "../in2/../precious"] {
            assert_refused(&host, args, &[Raw::file(name, 4)]).await;
        }
    }
    assert_eq!(elsewhere.path().read_dir().unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_mean_something_else_on_another_system_are_refused() {
    assert_all_refused(&[
        "CON",
        "nul.txt",
        "COM1.log",
        "LPT9",
        "CONIN$",
        "AUX ",
        "COM\u{b9}",
        "LPT\u{b2}",
        "file.txt:stream",
        "x:Zone.Identifier",
        "trailing.",
        "trailing ",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_names_are_refused() {
    let long = "x".repeat(300);
    let deep = vec!["d"; 40].join("/");
    assert_all_refused(&["", ".", "..", "a//b", "./", "a/", "a\0b", &long, &deep]).await;
    let host = Host::start().await;
    for bytes in [b"\xff\xfe".as_slice(), b"a\xed\xa0\x80b", b"\xc0\xaf"] {
        assert_refused(&host, &[], &[Raw::file(bytes, 4)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_a_terminal_obeys_or_that_read_as_something_else_are_refused_and_not_printed() {
    assert_all_refused(&[
        "\u{1b}[1A\rharmless",
        "\u{1b}]52;c;ZXZpbA==\u{7}",
        "\u{1b}]8;;http://evil.example\u{7}x",
        "\u{1b}[21t",
        "\u{9b}2J",
        "a\r\nb",
        "\u{202e}exe.fdp.txt",
        "\u{2066}a",
        "a\u{200b}b",
        "a\u{2028}b",
        "\u{feff}a",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_one_file_somewhere_are_refused_together() {
    let host = Host::start().await;
    for (first, second) in [
        ("README", "readme"),
        ("\u{e9}.txt", "e\u{301}.txt"),
        ("same", "same"),
        ("parent", "parent/child"),
        ("parent/child", "parent"),
        ("Dir/a", "dir/b"),
    ] {
        assert_refused(&host, &[], &[Raw::file(first, 4), Raw::file(second, 4)]).await;
        // A good entry in front does not get the rest in.
        let entries = [Raw::file("good", 4), Raw::file(first, 4), Raw::file(second, 4)];
        assert_refused(&host, &["--overwrite"], &entries).await;
    }
    assert_refused(&host, &[], &[Raw::other(2, "one"), Raw::file("one", 4)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_neither_file_nor_directory_are_refused() {
    let host = Host::start().await;
    for kind in [0, 5, 6, 127, 255] {
        assert_refused(&host, &[], &[Raw::other(kind, "x")]).await;
    }
    for target in ["/etc/passwd", "../../precious", "..", "a/../../b", "", "a\0b"] {
        assert_refused(&host, &["--symlinks"], &[Raw::link("dir/x", target)]).await;
    }
    // Through a link that the same manifest brings along.
    let through = [Raw::link("dir/x", "y"), Raw::file("dir/x/evil", 4)];
    assert_refused(&host, &["--symlinks"], &through).await;
    for mode in [0o4755, 0o2755, 0o1777, 0xffff] {
        assert_refused(&host, &[], &[Raw { mode, ..Raw::file("x", 4) }]).await;
    }
}
