//! Events as JSON, one object per line: `{"v":1,"event":"code",…}`. Sizes are bytes, times are seconds.

use std::error::Error as _;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::sanitize;
use crate::commands::Error;
use crate::report::{
    self, AttemptFailure, Caution, Check, Detour, Direction, EntryKind, Event, Fact, Finding, Finished,
    Invitation, Offer, Progress, Summary, Verdict, Warning,
};

/// The version of these objects. Fields and events may be added to a version; programs ignore what they do not know.
const VERSION: u8 = 1;

/// One event as a line, without its `\n`.
pub(super) fn line(event: &Event) -> String {
    let (name, fields) = match event {
        Event::Offering(what) => ("sending", summary(what)),
        Event::Listening { address } => ("listening", json!({ "address": address.to_string() })),
        Event::CodeReady(invitation) => ("code", code(invitation)),
        Event::PeerKnocked => ("knock", json!({})),
        Event::AttemptFailed(failure) => ("attempt_failed", json!({ "reason": attempt_failure(*failure) })),
        Event::Paired => ("paired", json!({})),
        Event::Connected { path, detour, peer } => ("path", connected(*path, *detour, peer.as_deref())),
        Event::AwaitingConsent => ("awaiting_consent", json!({})),
        Event::Offered(offered) => ("offer", offer(offered)),
        Event::Progress(state) => ("progress", progress(state)),
        Event::Reconnecting(state) => ("reconnecting", json!({ "kept": state.kept, "size": state.total })),
        Event::Checking { done, total } => ("checking", json!({ "done": done, "size": total })),
        Event::Resumed { name, offset, size } => {
            ("resumed", json!({ "name": name.as_ref(), "offset": offset, "size": size }))
        }
        Event::Saved { path, size } => ("saved", json!({ "path": text(path), "size": size })),
        Event::Warning(reason) => ("warning", warning(reason)),
        Event::Finished(state) => ("finished", finished(state)),
        Event::Found(found) => ("finding", finding(found)),
        Event::Diagnosed { warnings } => ("diagnosed", json!({ "warnings": warnings })),
    };
    object(name, fields)
}

/// A failure as a line, without its `\n`.
pub(super) fn error_line(error: &Error) -> String {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(next) = cause {
        causes.push(next.to_string());
        cause = next.source();
    }
    let fields = json!({
        "error": error.name(),
        "message": error.to_string(),
        "causes": causes,
        "hint": error.hint(),
        "exit_code": error.exit_code(),
    });
    object("error", fields)
}

/// Adds version and name, and escapes what a terminal would obey: such characters occur inside strings only, where JSON
/// lets every character be written as `\uXXXX`.
fn object(name: &str, mut fields: Value) -> String {
    if let Some(map) = fields.as_object_mut() {
        map.insert("v".to_owned(), VERSION.into());
        map.insert("event".to_owned(), name.into());
    }
    let mut line = String::new();
    for character in fields.to_string().chars() {
        if sanitize::is_hostile(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line
}

fn summary(what: &Summary) -> Value {
    json!({ "name": what.name.as_deref(), "files": what.file_count, "size": what.total_size })
}

fn code(invitation: &Invitation) -> Value {
    json!({
        "code": invitation.code.as_ref().map(|code| code.expose().to_string()),
        "link": invitation.link.as_ref().map(report::Secret::expose),
        "server": invitation.server,
        "ttl": seconds(invitation.ttl),
        "codes_left": invitation.codes_left,
        "reissued": invitation.reissued.map(attempt_failure),
    })
}

fn offer(offer: &Offer) -> Value {
    let top_level: Vec<Value> = offer
        .top_level
        .iter()
        .map(|top| {
            let directory = top.kind == EntryKind::Directory;
            json!({ "name": top.name, "directory": directory, "files": top.file_count, "size": top.size })
        })
        .collect();
    let cautions: Vec<Value> = offer
        .cautions
        .iter()
        .map(|(path, caution)| json!({ "path": path, "caution": caution_name(*caution) }))
        .collect();
    json!({
        "top_level": top_level,
        "unlisted": offer.unlisted_count,
        "files": offer.file_count,
        "directories": offer.directory_count,
        "size": offer.total_size,
        "present": offer.present,
        "largest": offer.largest.as_ref().map(|(path, size)| json!({ "path": path, "size": size })),
        "cautions": cautions,
        "unlisted_cautions": offer.unlisted_caution_count,
        "destination": text(&offer.destination),
        "free": offer.free_space,
    })
}

fn progress(progress: &Progress) -> Value {
    json!({
        "name": progress.name.as_ref(),
        "index": progress.index,
        "files": progress.file_count,
        "done": progress.done,
        "size": progress.total,
    })
}

fn finished(finished: &Finished) -> Value {
    let direction = match finished.direction {
        Direction::Send => "send",
        Direction::Receive => "receive",
    };
    json!({
        "direction": direction,
        "name": finished.what.name.as_deref(),
        "files": finished.what.file_count,
        "size": finished.what.total_size,
        "moved": finished.moved,
        "elapsed": seconds(finished.elapsed),
        "path": finished.place.as_deref().map(text),
    })
}

fn finding(finding: &Finding) -> Value {
    let verdict = match finding.verdict {
        Verdict::Good => "good",
        Verdict::Note => "note",
        Verdict::Warning => "warning",
        Verdict::Problem { .. } => "problem",
    };
    let facts = finding.facts.iter().map(|(name, fact)| ((*name).to_owned(), value(fact)));
    json!({
        "check": check_name(finding.check),
        "verdict": verdict,
        "outcome": finding.outcome,
        "message": finding.message,
        "hint": finding.advice,
        "facts": facts.collect::<serde_json::Map<_, _>>(),
    })
}

fn value(fact: &Fact) -> Value {
    match fact {
        Fact::Text(text) => json!(text),
        Fact::Texts(texts) => json!(texts),
        Fact::Number(number) => json!(number),
        Fact::Time(time) => json!(seconds(*time)),
    }
}

fn check_name(check: Check) -> &'static str {
    match check {
        Check::Disk => "disk",
        Check::State => "state",
        Check::Multicast => "mdns",
        Check::Server => "server",
        Check::Clock => "clock",
        Check::Code => "code",
        Check::Addresses => "addresses",
        Check::Udp => "udp",
        Check::Router => "router",
        Check::Turn => "turn",
        Check::Relay => "relay",
        Check::Transfer => "transfer",
    }
}

fn warning(warning: &Warning) -> Value {
    match warning {
        Warning::SecretOnCommandLine => json!({ "warning": "secret_on_command_line" }),
        Warning::SymlinksSkipped { count } => json!({ "warning": "symlinks_skipped", "count": count }),
        Warning::SpecialFileSkipped(path) => json!({ "warning": "special_file_skipped", "path": text(path) }),
        Warning::Renamed { from, to } => json!({ "warning": "renamed", "from": from, "to": to }),
        Warning::SentAs { from, to } => json!({ "warning": "sent_as", "from": from, "to": to }),
        Warning::StartsOver { name } => json!({ "warning": "starts_over", "name": name }),
        Warning::ServerBusy { retry_after } => {
            json!({ "warning": "server_busy", "retry_after": seconds(*retry_after) })
        }
        Warning::ServerGuarded => json!({ "warning": "server_guarded" }),
        Warning::ServerAway => json!({ "warning": "server_away" }),
        Warning::ServerBack => json!({ "warning": "server_back" }),
        Warning::NoNetwork => json!({ "warning": "no_network" }),
        Warning::DiscoveryUnavailable => json!({ "warning": "discovery_unavailable" }),
        Warning::PortTaken { wanted, used } => {
            json!({ "warning": "port_taken", "wanted": wanted, "used": used })
        }
        Warning::PlainHttp { server } => json!({ "warning": "plain_http", "server": server }),
        Warning::CodesNotRemembered => json!({ "warning": "codes_not_remembered" }),
        Warning::SenderUnaware => json!({ "warning": "sender_unaware" }),
        Warning::AttributesNotKept(path) => json!({ "warning": "attributes_not_kept", "path": text(path) }),
    }
}

fn attempt_failure(failure: AttemptFailure) -> &'static str {
    match failure {
        AttemptFailure::WrongCode => "wrong_code",
        AttemptFailure::LeftEarly => "left_early",
        AttemptFailure::TooManyLeft => "too_many_left",
    }
}

fn path_name(path: report::Path) -> &'static str {
    match path {
        report::Path::SameMachine => "same_machine",
        report::Path::LocalNetwork => "local_network",
        report::Path::Direct => "direct",
        report::Path::Turn => "turn",
        report::Path::Relay => "relay",
    }
}

fn connected(path: report::Path, detour: Option<Detour>, peer: Option<&str>) -> Value {
    json!({ "path": path_name(path), "why": detour.map(detour_name), "peer": peer })
}

fn detour_name(detour: Detour) -> &'static str {
    match detour {
        Detour::Chosen => "relay_only",
        Detour::NoneFound => "no_direct_path",
    }
}

fn caution_name(caution: Caution) -> &'static str {
    match caution {
        Caution::Executable => "executable",
        Caution::Hidden => "hidden",
        Caution::AutoRun => "auto_run",
    }
}

/// Milliseconds are as exact as any of these times are.
fn seconds(duration: Duration) -> f64 {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::report::{Interruption, Secret};

    fn what() -> Summary {
        Summary { name: Some("a.txt".into()), file_count: 1, total_size: 10 }
    }

    fn invitation() -> Invitation {
        Invitation {
            code: "48-2093".parse().ok(),
            link: Some(Secret::new("https://h/#k")),
            server: None,
            ttl: Duration::from_mins(5),
            codes_left: 2,
            reissued: None,
        }
    }

    fn received() -> Finished {
        Finished {
            direction: Direction::Receive,
            what: what(),
            moved: 10,
            elapsed: Duration::from_millis(1_500),
            place: Some(PathBuf::from("/in/a.txt")),
        }
    }

    #[test]
    fn events_of_meeting_are_these_lines() {
        let table = [
            (Event::Offering(what()), r#"{"event":"sending","files":1,"name":"a.txt","size":10,"v":1}"#),
            (
                Event::Listening { address: ([127, 0, 0, 1], 80).into() },
                r#"{"address":"127.0.0.1:80","event":"listening","v":1}"#,
            ),
            (
                Event::CodeReady(invitation()),
                r#"{"code":"48-2093","codes_left":2,"event":"code","link":"https://h/#k","reissued":null,"server":null,"ttl":300.0,"v":1}"#,
            ),
            (Event::PeerKnocked, r#"{"event":"knock","v":1}"#),
            (
                Event::AttemptFailed(AttemptFailure::WrongCode),
                r#"{"event":"attempt_failed","reason":"wrong_code","v":1}"#,
            ),
            (Event::Paired, r#"{"event":"paired","v":1}"#),
            (
                Event::Connected { path: report::Path::Direct, detour: None, peer: None },
                r#"{"event":"path","path":"direct","peer":null,"v":1,"why":null}"#,
            ),
            (
                Event::Connected { path: report::Path::Relay, detour: Some(Detour::NoneFound), peer: None },
                r#"{"event":"path","path":"relay","peer":null,"v":1,"why":"no_direct_path"}"#,
            ),
            (Event::Warning(Warning::NoNetwork), r#"{"event":"warning","v":1,"warning":"no_network"}"#),
        ];
        for (event, expected) in table {
            assert_eq!(line(&event), expected);
        }
    }

    #[test]
    fn events_of_the_transfer_are_these_lines() {
        let mut offered = Offer::new(PathBuf::from("/in"), Some(99));
        offered.add("a.sh", EntryKind::File, 10, false);
        let progress = Progress { name: "a.txt".into(), index: 0, file_count: 1, done: 5, total: 10 };
        let table = [
            (Event::AwaitingConsent, r#"{"event":"awaiting_consent","v":1}"#),
            (
                Event::Offered(offered),
                r#"{"cautions":[{"caution":"executable","path":"a.sh"}],"destination":"/in","directories":0,"event":"offer","files":1,"free":99,"largest":{"path":"a.sh","size":10},"present":0,"size":10,"top_level":[{"directory":false,"files":1,"name":"a.sh","size":10}],"unlisted":0,"unlisted_cautions":0,"v":1}"#,
            ),
            (
                Event::Progress(progress),
                r#"{"done":5,"event":"progress","files":1,"index":0,"name":"a.txt","size":10,"v":1}"#,
            ),
            (
                Event::Reconnecting(Interruption { kept: 5, total: 10 }),
                r#"{"event":"reconnecting","kept":5,"size":10,"v":1}"#,
            ),
            (Event::Checking { done: 5, total: 10 }, r#"{"done":5,"event":"checking","size":10,"v":1}"#),
            (
                Event::Resumed { name: "a.txt".into(), offset: 5, size: 10 },
                r#"{"event":"resumed","name":"a.txt","offset":5,"size":10,"v":1}"#,
            ),
            (
                Event::Saved { path: PathBuf::from("/in/a.txt"), size: 10 },
                r#"{"event":"saved","path":"/in/a.txt","size":10,"v":1}"#,
            ),
            (
                Event::Found(
                    Finding::warning(Check::Udp, "blocked", "No answer.")
                        .advise("ask")
                        .with("elapsed", Fact::Time(Duration::from_millis(20)))
                        .with("asked", Fact::Texts(vec!["192.0.2.1:3478".to_owned()])),
                ),
                r#"{"check":"udp","event":"finding","facts":{"asked":["192.0.2.1:3478"],"elapsed":0.02},"hint":"ask","message":"No answer.","outcome":"blocked","v":1,"verdict":"warning"}"#,
            ),
            (Event::Diagnosed { warnings: 2 }, r#"{"event":"diagnosed","v":1,"warnings":2}"#),
            (
                Event::Finished(received()),
                r#"{"direction":"receive","elapsed":1.5,"event":"finished","files":1,"moved":10,"name":"a.txt","path":"/in/a.txt","size":10,"v":1}"#,
            ),
        ];
        for (event, expected) in table {
            assert_eq!(line(&event), expected);
        }
    }

    #[test]
    fn an_error_carries_its_name_its_advice_and_the_exit_code() {
        let line: Value = serde_json::from_str(&error_line(&Error::NoSuchCode)).unwrap();
        assert_eq!((&line["v"], &line["event"]), (&json!(1), &json!("error")));
        assert_eq!((&line["error"], &line["exit_code"]), (&json!("no_such_code"), &json!(4)));
        assert!(line["hint"].is_string() && line["message"].is_string(), "{line}");
    }

    #[test]
    fn a_hostile_name_is_one_line_that_no_terminal_obeys_and_survives_parsing() {
        let name = "\u{9b}2J\u{202e}\n\u{7f}\u{e0041}\"x";
        let line = line(&Event::Resumed { name: name.into(), offset: 0, size: 1 });
        assert!(!line.chars().any(sanitize::is_hostile), "{line}");
        let parsed: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["name"], name);
    }
}
