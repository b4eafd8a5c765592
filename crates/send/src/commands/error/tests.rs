use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use super::*;

fn every_error() -> Vec<Error> {
    let cause = || Box::<dyn StdError + Send + Sync>::from("the cause");
    let io = |kind| io::Error::new(kind, "the cause");
    let server = || "https://drop.example.org".to_owned();
    let path = || PathBuf::from("holiday.mp4");
    let kept = Kept::default;
    let direction = Direction::Receive;
    let reason = CloseReason::RateLimited;
    vec![
        Error::Config(ConfigError::Unreadable { path: path(), source: io(ErrorKind::NotFound) }),
        Error::NotACode(ParseCodeError::NotACode),
        Error::NotALink(cause()),
        Error::Ask(AskError::NoTerminal),
        Error::Source { path: path(), source: io(ErrorKind::NotFound) },
        Error::SourceName { path: path(), source: cause() },
        Error::SourceChanged { path: path() },
        Error::NothingToSend,
        Error::Unsendable(cause()),
        Error::ServerUnreachable { server: server(), source: cause() },
        Error::ServerLost { server: server() },
        Error::ServerRefused { server: server(), reason, retry_after: Some(Duration::from_secs(7)) },
        Error::NotFound { nameplate: Nameplate::new(48).unwrap() },
        Error::Listen { address: ([127, 0, 0, 1], 80).into(), source: io(ErrorKind::AddrInUse) },
        Error::NoPath,
        Error::NoRelay,
        Error::WrongCode,
        Error::NoSuchCode,
        Error::AlreadyTried,
        Error::Expired { ttl: Duration::from_mins(5) },
        Error::Exhausted { codes: 3 },
        Error::Declined,
        Error::DeclinedByPeer,
        Error::CancelledByPeer { direction, kept: kept() },
        Error::PeerLeft { direction },
        Error::PeerLost { direction, kept: kept() },
        Error::Unconfirmed,
        Error::PeerFailed { direction, problem: PeerProblem::DiskFull, kept: kept() },
        Error::Interrupted { kept: kept() },
        Error::NoRoom { destination: path(), needed: 2_000_000, free: 1_000_000 },
        Error::Output { path: path(), source: io(ErrorKind::PermissionDenied) },
        Error::Write { path: path(), source: io(ErrorKind::StorageFull), kept: kept() },
        Error::Integrity { name: "holiday.mp4".to_owned(), kept: kept() },
        Error::Tampered { kept: kept() },
        Error::UnsafeOffer(cause()),
        Error::Protocol { direction, kept: kept(), source: cause() },
        Error::Version { direction, age: Age::New },
        Error::Unfit { problems: 2, exit_code: 5 },
        Error::System { doing: "give a socket", source: cause() },
    ]
}

#[test]
fn every_error_reads_like_a_sentence_for_a_person() {
    for error in every_error() {
        let text = error.to_string();
        let hint = error.hint().unwrap_or_default();
        for told in [text.as_str(), &hint] {
            assert!(!told.ends_with('.') && !told.contains('\n'), "{told}");
            for jargon in ["channel", " closed", "Error", "None", "Some(", "failed to", "caused by", "{"] {
                assert!(!told.contains(jargon), "`{jargon}` in: {told}");
            }
        }
        assert!(!text.contains("the cause"), "the cause is told by source(): {text}");
        assert!(!text.starts_with(char::is_uppercase), "{text}");
    }
}

#[test]
fn every_failure_a_user_can_do_something_about_has_a_hint() {
    let silent: Vec<_> =
        every_error().iter().filter(|error| error.hint().is_none()).map(Error::name).collect();
    assert_eq!(silent, ["config", "declined", "cancelled_by_peer", "system"]);
}

#[test]
fn exit_codes_sort_failures_by_what_a_script_can_do() {
    let mut by_code = BTreeMap::<u8, Vec<&str>>::new();
    for error in every_error() {
        by_code.entry(error.exit_code()).or_default().push(error.name());
    }
    let of = |code| by_code.get(&code).map(|names| names.join(" ")).unwrap_or_default();
    assert_eq!(of(1), "listen declined peer_failed unsafe_offer protocol version system");
    assert_eq!(of(2), "config not_a_code not_a_link nobody_to_ask");
    assert_eq!(of(3), "declined_by_peer cancelled_by_peer peer_left");
    assert_eq!(of(4), "wrong_code no_such_code already_tried expired exhausted");
    assert_eq!(
        of(5),
        "server_unreachable server_lost server_refused not_found no_path no_relay peer_lost unconfirmed unfit"
    );
    assert_eq!(of(6), "source source_name source_changed nothing_to_send unsendable no_room output write");
    assert_eq!(of(7), "integrity tampered");
    assert_eq!(of(130), "interrupted");
    assert!(!by_code.contains_key(&0), "no failure looks like success");
}

#[test]
fn a_busy_server_says_when_to_come_back() {
    let server = "https://drop.example.org".to_owned();
    let refused = |seconds| Error::ServerRefused {
        server: server.clone(),
        reason: CloseReason::RateLimited,
        retry_after: Some(Duration::from_secs(seconds)),
    };
    let text = refused(90).to_string();
    assert_eq!(text, "the server https://drop.example.org refused: too many attempts from this network");
    assert_eq!(refused(90).hint().as_deref(), Some("try again in 1 min 30 s"));
    let absurd = refused(u32::MAX.into());
    assert_eq!(absurd.hint().as_deref(), Some("try again tomorrow, or use another server"));
}

#[test]
fn unknown_used_and_expired_codes_are_not_told_apart() {
    let text = Error::NoSuchCode.to_string();
    assert!(["wrong", "used", "expired"].iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn each_side_is_told_about_the_other() {
    let lost = |direction| Error::PeerLeft { direction }.to_string();
    assert_eq!(lost(Direction::Send), "the receiver left before the transfer began");
    assert_eq!(lost(Direction::Receive), "the sender left before the transfer began");
}
