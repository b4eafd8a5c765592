//! Events as lines for a person to read.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::consent::display_path;
use super::finding;
use super::qr;
use super::sanitize::escape;
use super::style::Style;
use crate::report::{
    self, AttemptFailure, Detour, Direction, Event, Finished, Interruption, Invitation, Summary, Warning,
};
use crate::units::{count, duration, size};

/// How lines are made for one terminal, or for what stands in for one.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    /// Colours or none.
    pub(super) style: Style,
    /// Columns a QR code may take; `None` when none is to be drawn.
    pub(super) qr_columns: Option<usize>,
    /// The home directory, shown as `~`.
    pub(super) home: Option<std::path::PathBuf>,
}

impl Lines {
    /// The lines for one event, each ended by `\n`; empty for events that show in other ways.
    pub(super) fn of(&self, event: &Event) -> String {
        match event {
            Event::Offering(what) => format!("Sending {}\n", summary(what)),
            Event::Listening { address } => format!("Listening on http://{address}\n"),
            Event::CodeReady(invitation) => self.invitation(invitation),
            Event::AttemptFailed(failure) => self.warn_line(attempt_failure(*failure)),
            Event::Paired => "The code is right; connecting.\n".to_owned(),
            Event::Connected { path, detour, peer } => connected((*path, *detour), peer.as_deref()),
            Event::AwaitingConsent => "Waiting for the receiver to accept.\n".to_owned(),
            Event::Reconnecting(Interruption { kept, total }) => {
                format!(
                    "Connection lost. {} of {} kept. Reconnecting… (Ctrl-C stops)\n",
                    size(*kept),
                    size(*total)
                )
            }
            Event::Checking { done: 0, total } => {
                format!("Checking what is here already ({}).\n", size(*total))
            }
            Event::Resumed { name, offset, size: len } => {
                let (name, done) = (escape(name, NAME_LEN), percent(*offset, *len));
                format!("{name} goes on where it broke off, at {done} %.\n")
            }
            Event::Warning(warning) => self.warn_line(&warning_text(warning)),
            Event::Finished(finished) => self.finished(finished),
            Event::Found(found) => finding::lines(found, self.style),
            Event::Diagnosed { warnings } => finding::conclusion(*warnings, self.style),
            Event::PeerKnocked
            | Event::Offered(_)
            | Event::Checking { .. }
            | Event::Progress(_)
            | Event::Saved { .. } => String::new(),
        }
    }

    fn warn_line(&self, text: &str) -> String {
        format!("{} {text}\n", self.style.warn("warning:"))
    }

    fn invitation(&self, invitation: &Invitation) -> String {
        let mut text = String::from("\n");
        let terms = match (invitation.reissued, invitation.codes_left) {
            (None, _) => format!("valid for {}, one use", duration(invitation.ttl)),
            (Some(_), 0) => {
                format!("a new code, and the last; valid for {}, one use", duration(invitation.ttl))
            }
            (Some(_), _) => format!("a new code, valid for {}, one use", duration(invitation.ttl)),
        };
        let server = invitation.server.as_ref();
        let server =
            server.map(|server| format!(" --server {}", escape(server, LINK_LEN))).unwrap_or_default();
        if let Some(code) = &invitation.code {
            let code = code.expose();
            let (shown, terms) = (self.style.strong(&code), self.style.dim(&terms));
            let _ = writeln!(text, "  Code:  {shown}          {terms}\n");
            let _ = writeln!(text, "On the other computer:    send receive {}{server}", code.as_str());
        } else {
            let _ = writeln!(text, "  {}\n", self.style.dim(&terms));
            let _ =
                writeln!(text, "On the other computer:    send receive{server}, and paste the link there");
        }
        if let Some(link) = &invitation.link {
            let _ = writeln!(text, "On a phone, scan or open: {}", escape(link.expose(), LINK_LEN));
            let picture = self.qr_columns.and_then(|columns| qr::draw(link.expose(), columns));
            if let Some(picture) = picture {
                text.push('\n');
                text.push_str(&picture);
            }
        }
        text.push('\n');
        text
    }

    fn finished(&self, finished: &Finished) -> String {
        let what = match &finished.what.name {
            Some(name) => escape(name, NAME_LEN),
            None => count(finished.what.file_count, "file"),
        };
        let numbers = numbers(finished.what.total_size, finished.moved, finished.elapsed);
        let done = match finished.direction {
            Direction::Send => "Sent and verified by the receiver:",
            Direction::Receive => "Received and verified:",
        };
        let place = finished.place.as_deref().map(|place| self.place(place)).unwrap_or_default();
        format!("{} {what} ({numbers}){place}.\n", self.style.good(done))
    }

    fn place(&self, place: &Path) -> String {
        format!(", saved as {}", escape(&display_path(place, self.home.as_deref()), PATH_LEN))
    }
}

/// `holiday.mp4 (1.2 GB)`, `photos (12 files, 30 MB)` or `3 files (1.2 GB)`.
pub(super) fn summary(what: &Summary) -> String {
    let total = size(what.total_size);
    match &what.name {
        Some(name) if what.file_count == 1 => format!("{} ({total})", escape(name, NAME_LEN)),
        Some(name) => format!("{} ({}, {total})", escape(name, NAME_LEN), count(what.file_count, "file")),
        None => format!("{} ({total})", count(what.file_count, "file")),
    }
}

/// Whole per cent, rounded down, so that 100 means all of it.
pub(super) fn percent(done: u64, total: u64) -> u64 {
    if total == 0 {
        return 100;
    }
    u64::try_from(u128::from(done) * 100 / u128::from(total)).unwrap_or(100).min(100)
}

/// `1.2 GB in 13 s, 92 MB/s`; without a speed when the time was too short for one to mean anything.
fn numbers(total: u64, moved: u64, elapsed: Duration) -> String {
    let spent = format!("{} in {}", size(total), duration(elapsed));
    let millis = elapsed.as_millis();
    if millis < 100 || moved == 0 {
        return spent;
    }
    let speed = u64::try_from(u128::from(moved) * 1_000 / millis).unwrap_or(u64::MAX);
    format!("{spent}, {}/s", size(speed))
}

fn connected((path, detour): (report::Path, Option<Detour>), peer: Option<&str>) -> String {
    let why = match detour {
        Some(Detour::NoneFound) => "; no direct path so far",
        Some(Detour::Chosen) | None => "",
    };
    let how = match path {
        report::Path::SameMachine => "on this machine",
        report::Path::LocalNetwork => "direct on this network",
        report::Path::Direct => "direct through the routers between",
        report::Path::Turn => "through a TURN server, which sees only sealed data",
        report::Path::Relay => "through the rendezvous server, which sees only sealed data",
    };
    match peer {
        Some(peer) => format!("Connected to {}, {how}{why}.\n", escape(peer, PEER_LEN)),
        None => format!("Connected, {how}{why}.\n"),
    }
}

fn attempt_failure(failure: AttemptFailure) -> &'static str {
    match failure {
        AttemptFailure::WrongCode => {
            "somebody used a wrong code: a typing mistake, or a guess. Nothing was disclosed; that code is spent."
        }
        AttemptFailure::LeftEarly => "somebody came and left without proving the code. The code still holds.",
        AttemptFailure::TooManyLeft => {
            "several came and left without proving the code, so it is closed. Nothing was disclosed."
        }
    }
}

fn warning_text(warning: &Warning) -> String {
    let path = |path: &Path| escape(&path.display().to_string(), PATH_LEN);
    match warning {
        Warning::SecretOnCommandLine => {
            "other users of this machine can read a link on the command line; `send receive` asks for it instead."
                .to_owned()
        }
        Warning::SymlinksSkipped { count: links } => {
            format!("Symbolic links stay here ({}); see --symlinks.", count(*links as u64, "link"))
        }
        Warning::SpecialFileSkipped(file) => format!("{} is not a regular file and stays here.", path(file)),
        Warning::Renamed { from, to } => {
            format!("{} exists here, so it is saved as {}.", escape(from, NAME_LEN), escape(to, NAME_LEN))
        }
        Warning::SentAs { from, to } => {
            let (from, to) = (escape(from, PATH_LEN), escape(to, PATH_LEN));
            format!("{from} is a name that not every system knows or that another file has; it is sent as {to}.")
        }
        Warning::StartsOver { name } => {
            format!("what was here of {} is not the sender's; it starts over", escape(name, NAME_LEN))
        }
        Warning::ServerBusy { retry_after } => format!("the server asks to wait {}; waiting.", duration(*retry_after)),
        Warning::ServerGuarded => {
            "somebody is guessing codes at the server, so it has everybody work for a moment; working.".to_owned()
        }
        Warning::ServerAway => {
            "the connection to the server broke; reconnecting. The code still holds, so leave this running.".to_owned()
        }
        Warning::ServerBack => "the server is back, and the code holds.".to_owned(),
        Warning::NoNetwork => "this machine is on no network: only it can receive.".to_owned(),
        Warning::DiscoveryUnavailable => {
            "this network does not let machines find each other; the other side needs the link.".to_owned()
        }
        Warning::PortTaken { wanted, used } => format!("port {wanted} is in use, so {used} is used."),
        Warning::PlainHttp { server } => {
            let server = escape(server, LINK_LEN);
            format!("{server} is not encrypted: whoever can change its traffic can change the page it shows.")
        }
        Warning::CodesNotRemembered => {
            "used codes cannot be remembered on this machine; type each code once only.".to_owned()
        }
        Warning::SenderUnaware => {
            "the connection broke before the sender heard of that; waiting for it. (Ctrl-C stops; all is saved)"
                .to_owned()
        }
        Warning::AttributesNotKept(file) => format!("permissions or times of {} could not be set.", path(file)),
    }
}

/// Characters of a name on a line of its own.
const NAME_LEN: usize = 100;
/// Characters of what the peer calls itself.
const PEER_LEN: usize = 40;
/// Characters of a path.
const PATH_LEN: usize = 300;
/// Characters of an address; a link cut short would be useless, so this is beyond what any has.
const LINK_LEN: usize = 2_000;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::report::Secret;

    fn lines() -> Lines {
        Lines { style: Style::plain(), qr_columns: None, home: Some(PathBuf::from("/home/me")) }
    }

    fn invitation() -> Invitation {
        Invitation {
            code: "48-2093".parse().ok(),
            link: Some(Secret::new("https://drop.example.org/#k2v")),
            server: None,
            ttl: Duration::from_mins(5),
            codes_left: 2,
            reissued: None,
        }
    }

    fn what() -> Summary {
        Summary { name: Some("holiday.mp4".into()), file_count: 1, total_size: 1_200_000_000 }
    }

    #[test]
    fn the_code_comes_with_its_terms_and_what_to_type_and_open() {
        let expected = "\n  Code:  48-2093          valid for 5 min, one use\n\n\
                        On the other computer:    send receive 48-2093\n\
                        On a phone, scan or open: https://drop.example.org/#k2v\n\n";
        assert_eq!(lines().of(&Event::CodeReady(invitation())), expected);
    }

    #[test]
    fn a_new_code_says_that_it_is_new_and_the_last_that_it_is_the_last() {
        let reissued = |codes_left| {
            let reissued = Some(AttemptFailure::WrongCode);
            lines().of(&Event::CodeReady(Invitation { codes_left, reissued, ..invitation() }))
        };
        assert!(reissued(1).contains("a new code, valid for 5 min"), "{}", reissued(1));
        assert!(reissued(0).contains("and the last"), "{}", reissued(0));
    }

    #[test]
    fn without_a_typed_code_only_the_link_is_shown() {
        let text = lines().of(&Event::CodeReady(Invitation { code: None, ..invitation() }));
        assert!(!text.contains("Code:") && text.contains("paste the link"), "{text}");
    }

    #[test]
    fn a_server_the_receiver_must_name_stands_in_the_command_to_type() {
        let server = Some("https://drop.example.org".to_owned());
        let text = lines().of(&Event::CodeReady(Invitation { server, ..invitation() }));
        assert!(text.contains("send receive 48-2093 --server https://drop.example.org\n"), "{text}");
    }

    #[test]
    fn the_qr_code_is_drawn_only_where_it_fits() {
        let with = |qr_columns| Lines { qr_columns, ..lines() }.of(&Event::CodeReady(invitation()));
        assert!(with(Some(80)).contains('▀'));
        assert!(!with(Some(20)).contains('▀'));
        assert!(!with(None).contains('▀'));
    }

    #[test]
    fn a_wrong_code_says_what_happened_what_was_kept_and_what_holds() {
        let text = lines().of(&Event::AttemptFailed(AttemptFailure::WrongCode));
        for part in ["warning:", "wrong code", "Nothing was disclosed", "spent"] {
            assert!(text.contains(part), "{text}");
        }
        let soft = lines().of(&Event::AttemptFailed(AttemptFailure::LeftEarly));
        assert!(soft.contains("still holds"), "{soft}");
    }

    #[test]
    fn the_end_names_what_how_much_how_fast_and_where() {
        let mut finished = Finished {
            direction: Direction::Send,
            what: what(),
            moved: 1_200_000_000,
            elapsed: Duration::from_secs(13),
            place: None,
        };
        assert_eq!(
            lines().of(&Event::Finished(finished.clone())),
            "Sent and verified by the receiver: holiday.mp4 (1.2 GB in 13 s, 92 MB/s).\n"
        );
        finished.direction = Direction::Receive;
        finished.place = Some(PathBuf::from("/home/me/Downloads/holiday.mp4"));
        assert_eq!(
            lines().of(&Event::Finished(finished)),
            "Received and verified: holiday.mp4 (1.2 GB in 13 s, 92 MB/s), saved as ~/Downloads/holiday.mp4.\n"
        );
    }

    #[test]
    fn an_empty_file_has_no_speed() {
        assert_eq!(numbers(0, 0, Duration::from_secs(1)), "0 B in 1 s");
        assert_eq!(numbers(10, 10, Duration::ZERO), "10 B in 0 s");
    }

    #[test]
    fn the_path_is_named_and_a_relay_said_to_be_blind() {
        let connected = |path, detour, peer: Option<&str>| {
            lines().of(&Event::Connected { path, detour, peer: peer.map(Into::into) })
        };
        let direct = connected(report::Path::LocalNetwork, None, Some("pixel-7"));
        assert_eq!(direct, "Connected to pixel-7, direct on this network.\n");
        let relayed = connected(report::Path::Relay, Some(Detour::NoneFound), None);
        assert!(relayed.contains("only sealed data; no direct path so far"), "{relayed}");
    }

    #[test]
    fn all_is_100_per_cent_and_nothing_less_is() {
        assert_eq!((percent(0, 0), percent(0, 7), percent(999, 1_000), percent(7, 7)), (100, 0, 99, 100));
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
    }

    #[test]
    fn no_event_lets_text_of_the_other_side_reach_the_terminal_raw() {
        let evil = "\u{1b}]52;c;eA==\u{7}\r\u{202e}x";
        let path = || PathBuf::from(evil);
        let text = || evil.to_owned();
        let summary = Summary { name: Some(evil.into()), file_count: 1, total_size: 1 };
        let events = [
            Event::Offering(summary.clone()),
            Event::CodeReady(Invitation {
                link: Some(Secret::new(evil)),
                server: Some(text()),
                ..invitation()
            }),
            Event::Connected { path: report::Path::Direct, detour: None, peer: Some(evil.into()) },
            Event::Resumed { name: evil.into(), offset: 1, size: 2 },
            Event::Warning(Warning::SentAs { from: text(), to: text() }),
            Event::Warning(Warning::SpecialFileSkipped(path())),
            Event::Warning(Warning::Renamed { from: text(), to: text() }),
            Event::Warning(Warning::PlainHttp { server: text() }),
            Event::Warning(Warning::StartsOver { name: text() }),
            Event::Warning(Warning::AttributesNotKept(path())),
            Event::Finished(Finished {
                direction: Direction::Receive,
                what: summary,
                moved: 1,
                elapsed: Duration::from_secs(1),
                place: Some(path()),
            }),
        ];
        for event in events {
            let shown = lines().of(&event);
            assert!(shown.contains(r"\u{1b}"), "the text is shown, escaped: {shown:?}");
            assert!(!shown.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}']), "{shown:?}");
        }
    }
}
