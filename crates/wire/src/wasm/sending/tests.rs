//! The sending page against the receiver's machines, through a rendezvous that does what it is told.

mod pages;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::code::{Code, Nameplate, Password};
use crate::generation::Generation;
use crate::handshake::{Confirmed, Receiver};
use crate::keys::{Binding, link_slot};
use crate::message::DeclineReason;
use crate::record::{Opener, Sealer};
use crate::signal::{CheckedDescription, DescriptionKind, Signal, halves};
use crate::signaling::{Body, Challenge, Claim, ClientMessage, CloseReason, Outcome};
use crate::transfer::receiver::{self, Held};
use crate::wasm::connection::draft;

const FIRST_NAMEPLATE: u32 = 48;
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
                     c=IN IP4 0.0.0.0\r\na=fingerprint:sha-256 FP\r\na=max-message-size:262144\r\n";

/// A description of this side, told from the other by its fingerprint.
fn description(byte: &str) -> String {
    OFFER.replace("FP", &[byte; 32].join(":"))
}

/// A sending page with its files, and everything it has said and shown.
struct Page {
    sending: Sending,
    files: Vec<Vec<u8>>,
    now: f64,
    codes: u32,
    shown: Vec<Value>,
    results: Vec<Outcome>,
    said: VecDeque<ClientMessage>,
    told: Vec<Value>,
    /// With the number of the path that each goes over.
    records: VecDeque<(u32, Vec<u8>)>,
    /// What was given back.
    held: VecDeque<(u32, Vec<u8>)>,
    /// How far each `read` says that the transfer is.
    progress: Vec<u64>,
    unreadable: Option<u32>,
    /// The path of WebRTC that was asked for last, and that of the relay.
    lane: u32,
    relay: u32,
    is_waiting: bool,
}

impl Page {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let mut offer = Offer::new();
        for (path, bytes) in files {
            offer.add(path, bytes.len() as u64, 1_700_000_000).unwrap();
        }
        let sending = Sending::open("http://localhost:8080/", &offer, None, [7; 32], Duration::ZERO).unwrap();
        let files = files.iter().map(|(_, bytes)| bytes.clone()).collect();
        let mut page = Self {
            sending,
            files,
            now: 0.0,
            codes: 0,
            shown: Vec::new(),
            results: Vec::new(),
            said: VecDeque::new(),
            told: Vec::new(),
            records: VecDeque::new(),
            held: VecDeque::new(),
            progress: Vec::new(),
            unreadable: None,
            lane: 0,
            relay: 0,
            is_waiting: false,
        };
        page.perform();
        page
    }

    /// Does what it is told, until there is nothing more.
    fn perform(&mut self) {
        while let Some(output) = self.sending.poll() {
            let output: Value = serde_json::from_str(&output).unwrap();
            match output["do"].as_str().unwrap() {
                "say" => self.say(output["frame"].as_str().unwrap()),
                "show" => self.shown.push(output),
                "connect" => {
                    self.lane = u32::try_from(output["lane"].as_u64().unwrap()).unwrap();
                    self.sending.handle_offer(&description("AA"));
                }
                "turn" => {
                    let turn = output["lane"].as_u64().unwrap();
                    let (turned, held) = self.held.drain(..).partition(|(lane, _)| u64::from(*lane) == turn);
                    self.held = held;
                    let turned: VecDeque<_> = turned;
                    for (lane, record) in turned {
                        self.give(lane, record);
                    }
                }
                "transmit" => {
                    let lane = u32::try_from(output["lane"].as_u64().unwrap()).unwrap();
                    self.records.push_back((lane, self.sending.record().unwrap()));
                }
                "relay" => self.relay = u32::try_from(output["lane"].as_u64().unwrap()).unwrap(),
                "wait" => self.is_waiting = true,
                "leave" => {}
                "read" => self.read(&output),
                "search" => self.sending.search(self.now),
                _ => self.told.push(output),
            }
        }
    }

    fn say(&mut self, frame: &str) {
        match ClientMessage::parse(frame).unwrap() {
            ClientMessage::Reopen { .. } => {
                let nameplate = Nameplate::new(FIRST_NAMEPLATE + self.codes - 1);
                self.hear(&ServerMessage::Created { nameplate, ttl: 200 });
            }
            ClientMessage::Create { .. } | ClientMessage::OpenDoor => {
                let nameplate = Nameplate::new(FIRST_NAMEPLATE + self.codes);
                self.codes += 1;
                self.hear(&ServerMessage::Created { nameplate, ttl: 300 });
            }
            ClientMessage::Result { outcome, .. } => self.results.push(outcome),
            message @ (ClientMessage::Stamp { .. }
            | ClientMessage::Report { .. }
            | ClientMessage::Relay { .. }
            | ClientMessage::Claim { .. }
            | ClientMessage::Meet { .. }) => {
                self.said.push_back(message);
            }
        }
    }

    fn hear(&mut self, message: &ServerMessage) {
        self.sending.handle_frame(&message.to_frame(), self.now);
        self.perform();
    }

    fn read(&mut self, output: &Value) {
        let mut bytes = Vec::new();
        for part in output["parts"].as_array().unwrap() {
            let [file, offset, len] =
                ["file", "offset", "len"].map(|name| usize::try_from(part[name].as_u64().unwrap()).unwrap());
            if self.unreadable == u32::try_from(file).ok() {
                return self.sending.handle_unreadable(u32::try_from(file).unwrap());
            }
            bytes.extend_from_slice(&self.files[file][offset..offset + len]);
        }
        self.sending.reading.room().copy_from_slice(&bytes);
        self.progress.extend(output["done"].as_u64());
        self.sending.handle_read();
    }

    fn wait(&mut self, milliseconds: f64) {
        self.now += milliseconds;
        self.sending.handle_time(self.now);
        self.perform();
    }

    fn code(&self) -> Code {
        self.shown.last().unwrap()["code"].as_str().unwrap().parse().unwrap()
    }

    /// Why it is over, if it is.
    fn end(&self) -> Option<&str> {
        let end = self.told.iter().find(|output| output["do"] == "fail");
        end.map(|output| output["why"].as_str().unwrap())
    }

    fn was_told(&self, what: &str) -> bool {
        self.told.iter().any(|output| output["do"] == what)
    }

    /// The next body for the visitor of a door.
    fn body(&mut self) -> Option<Vec<u8>> {
        let ClientMessage::Relay { body, .. } = self.said.pop_front()? else { panic!("relayed") };
        Some(body.to_bytes().unwrap())
    }

    /// Somebody comes to a door and says hello.
    fn visit(&mut self, door: Door, attempt: u32, password: &Password, at: &Claim) -> Option<Confirmed> {
        self.hear(&ServerMessage::Paired { door, attempt, ice_servers: Vec::new(), relay: None });
        let (receiver, hello) = Receiver::new(password, at, Seed::new([9; 32]));
        self.relay(door, attempt, &hello);
        let answer = self.body()?;
        let (confirmed, proof) = receiver.receive_hello(&answer).unwrap();
        self.relay(door, attempt, &proof);
        Some(confirmed)
    }

    fn relay(&mut self, door: Door, attempt: u32, body: &[u8]) {
        self.hear(&ServerMessage::Relay { door, attempt, body: Body::from_bytes(body) });
    }

    fn typed(&self) -> (Password, Claim) {
        let code = self.code();
        (code.password().clone(), Claim::Nameplate(code.nameplate()))
    }

    fn guess_wrong(&mut self, attempt: u32) {
        let (right, at) = self.typed();
        let wrong = (1..=2).map(|salt| Password::from_digits(4, [salt; 16])).find(|wrong| *wrong != right);
        self.visit(Door::Typed, attempt, &wrong.unwrap(), &at);
    }
}

/// Somebody who receives from a page.
struct Guest {
    machine: transfer::Receiver,
    sealer: Sealer,
    opener: Opener,
    files: BTreeMap<u32, Vec<u8>>,
    answers: Vec<Message<'static>>,
    held: Vec<Held>,
}

impl Guest {
    /// Meets a page at its typed door and opens the channel.
    fn meet(page: &mut Page) -> Self {
        let (password, at) = page.typed();
        Self::meet_at(page, Door::Typed, &password, &at)
    }

    fn meet_at(page: &mut Page, door: Door, password: &Password, at: &Claim) -> Self {
        let confirmed = page.visit(door, 1, password, at).unwrap();
        let session = confirmed.receive_confirm(&page.body().unwrap()).unwrap();
        assert_eq!(page.results, [Outcome::Confirmed]);
        let (mut signal_sealer, mut signal_opener) = halves(session.signal_keys);
        let Ok(Signal::Description { sdp, .. }) = signal_opener.open(&page.body().unwrap()) else {
            panic!("an offer")
        };
        let own = CheckedDescription::parse(&description("BB")).unwrap();
        let (generation, restart, kind) = (1, 0, DescriptionKind::Answer);
        let answer = Signal::Description { generation, restart, kind, sdp: own.sdp().to_owned() };
        page.relay(door, 1, &signal_sealer.seal(&answer));
        assert!(page.was_told("answer"));
        page.sending.handle_open(page.lane);
        let theirs = CheckedDescription::parse(&sdp).unwrap().fingerprint();
        let binding = Binding::webrtc(&theirs.0, &own.fingerprint().0);
        let first = Generation::new(session.secret, 1, binding).unwrap();
        let (waiting, opening) = first.receiver(Seed::new([3; 32]));
        page.hear_record(&opening);
        let (sealer, opener) = waiting.receive(&page.records.pop_front().unwrap().1).unwrap();
        let mut machine = transfer::Receiver::new();
        machine.handle_generation();
        Self { machine, sealer, opener, files: BTreeMap::new(), answers: Vec::new(), held: Vec::new() }
    }

    /// Receives until neither side has anything to say.
    fn receive(&mut self, page: &mut Page) -> Result<(), transfer::TransferError> {
        loop {
            self.work(page, &[]);
            let Some((_, mut record)) = page.records.pop_front() else { return Ok(()) };
            let len = record.len();
            let plaintext = self.opener.open(&mut record).unwrap();
            self.machine.handle_record(plaintext, len)?;
            let plaintext = plaintext.to_vec();
            self.work(page, &plaintext);
            self.machine.handle_written(len);
        }
    }

    fn work(&mut self, page: &mut Page, plaintext: &[u8]) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                receiver::Output::Send(message) => {
                    self.say(page, &message);
                    self.answers.push(message);
                }
                receiver::Output::Ask(_) => self.machine.handle_accept(std::mem::take(&mut self.held)),
                receiver::Output::Write { file, offset, bytes } => {
                    let content = self.files.entry(file).or_default();
                    assert_eq!(content.len() as u64, offset);
                    content.extend_from_slice(&plaintext[bytes]);
                }
                receiver::Output::WriteWhole { file, bytes, digest } => {
                    self.files.insert(file, plaintext[bytes].to_vec());
                    self.check(file, digest);
                }
                receiver::Output::Commit { file, digest, .. } => self.check(file, digest),
                receiver::Output::Finish => self.machine.handle_finished(),
                receiver::Output::GoOn { .. }
                | receiver::Output::StartOver { .. }
                | receiver::Output::Done => {}
            }
        }
    }

    fn check(&mut self, file: u32, digest: [u8; 32]) {
        let content = self.files.entry(file).or_default();
        assert_eq!(<[u8; 32]>::from(Sha256::digest(content)), digest, "file {file}");
    }

    fn say(&mut self, page: &mut Page, message: &Message<'_>) {
        let mut record = draft(message);
        self.sealer.seal(&mut record).unwrap();
        page.hear_record(&record);
    }
}

impl Page {
    fn hear_record(&mut self, record: &[u8]) {
        self.hear_over(self.lane, record.to_vec());
    }

    fn hear_over(&mut self, lane: u32, record: Vec<u8>) {
        self.give(lane, record);
        self.perform();
    }

    fn give(&mut self, lane: u32, record: Vec<u8>) {
        self.sending.staging[..record.len()].copy_from_slice(&record);
        let is_first = self.held.iter().all(|held| held.0 != lane);
        if !is_first || !self.sending.handle_record(lane, record.len(), self.now) {
            self.held.push_back((lane, record));
        }
    }
}

fn content(len: usize, salt: u8) -> Vec<u8> {
    (0..=250).cycle().map(|byte: u8| byte ^ salt).take(len).collect()
}

#[test]
fn files_of_every_awkward_size_arrive_equal() {
    let lens = [0, 1, 16_384, 16_385, 65_535, 65_536, 65_537, 1 << 20, 9 << 20];
    let names: Vec<_> = lens.iter().map(|len| format!("d/{len}.bin")).collect();
    let files: Vec<_> = names.iter().zip(lens).map(|(name, len)| (name.as_str(), content(len, 1))).collect();
    let mut page = Page::new(&files);
    let mut guest = Guest::meet(&mut page);
    guest.receive(&mut page).unwrap();
    assert!(guest.machine.is_done() && page.sending.is_done());
    assert!(page.was_told("offered") && page.was_told("accepted") && page.was_told("done"));
    let received: Vec<_> = guest.files.into_values().collect();
    assert!(received == page.files);
    assert_eq!(page.progress.last(), Some(&lens.iter().map(|len| *len as u64).sum()));
    assert!(page.progress.is_sorted());
}

#[test]
fn a_link_leads_to_the_same_files() {
    let mut page = Page::new(&[("a", content(9, 1))]);
    let link: ShareLink = page.shown[0]["link"].as_str().unwrap().parse().unwrap();
    assert_eq!(link.origin(), "http://localhost:8080");
    let at = Claim::Slot(link_slot(link.password()).unwrap());
    let mut guest = Guest::meet_at(&mut page, Door::Link, link.password(), &at);
    guest.receive(&mut page).unwrap();
    assert!(page.sending.is_done());
}

#[test]
fn a_receiver_goes_on_behind_what_it_has() {
    for held in [65_536, 131_072] {
        let bytes = content(200_000, 1);
        let mut page = Page::new(&[("a", bytes.clone())]);
        let mut guest = Guest::meet(&mut page);
        guest.files.insert(0, bytes[..held].to_vec());
        let digest = Some(Sha256::digest(&bytes[..held]).into());
        guest.held = vec![Held { file: 0, offset: held as u64, digest }];
        guest.receive(&mut page).unwrap();
        assert!(page.sending.is_done());
        assert!(guest.files[&0] == bytes);
        assert!(page.progress[0] > held as u64, "what it has is not sent again");
    }
}

#[test]
fn a_wrong_code_shows_another_and_three_are_all_there_are() {
    let mut page = Page::new(&[("a", content(9, 1))]);
    let first = page.code();
    assert_eq!((&page.shown[0]["codesLeft"], &page.shown[0]["closed"]), (&2.into(), &Value::Null));
    page.guess_wrong(1);
    assert_eq!(page.results, [Outcome::WrongCode]);
    assert_ne!(page.code(), first);
    assert_eq!((&page.shown[1]["codesLeft"], &page.shown[1]["closed"]), (&1.into(), &"wrong-code".into()));
    let (_, at) = (page.typed(), Claim::Nameplate(first.nameplate()));
    assert!(page.visit(Door::Typed, 1, first.password(), &at).is_some(), "somebody is answered once");
    assert_eq!(page.results, [Outcome::WrongCode; 2], "the old code leads nowhere");
    page.guess_wrong(1);
    assert_eq!((page.shown.len(), page.end()), (4, None));
    assert_eq!((&page.shown[3]["code"], page.shown[3]["link"].is_string()), (&Value::Null, true));
    assert_eq!(page.shown[3]["closed"], "wrong-code", "no fourth code, but the link is left");
    page.hear(&ServerMessage::DoorClosed { door: Door::Link, reason: CloseReason::Expired });
    assert_eq!(page.end(), Some("exhausted"));
}

#[test]
fn the_third_who_leaves_early_closes_the_code_and_nobody_closes_the_link() {
    let mut page = Page::new(&[("a", content(9, 1))]);
    for attempt in 1..=3 {
        page.hear(&ServerMessage::Paired {
            door: Door::Typed,
            attempt,
            ice_servers: Vec::new(),
            relay: None,
        });
        page.hear(&ServerMessage::Left { door: Door::Typed, attempt, reason: CloseReason::Gone });
    }
    assert_eq!(page.shown.len(), 2);
    assert_eq!(page.shown[1]["closed"], "too-many-left");
    for attempt in 1..=10 {
        page.wait(2_000.0);
        page.hear(&ServerMessage::Paired { door: Door::Link, attempt, ice_servers: Vec::new(), relay: None });
        page.hear(&ServerMessage::Left { door: Door::Link, attempt, reason: CloseReason::Gone });
    }
    assert_eq!((page.shown.len(), page.end()), (2, None));
}

#[test]
fn the_link_answers_once_in_two_seconds() {
    let mut page = Page::new(&[("a", content(9, 1))]);
    let link: ShareLink = page.shown[0]["link"].as_str().unwrap().parse().unwrap();
    let at = Claim::Slot(link_slot(link.password()).unwrap());
    let mut is_answered = |attempt, wait| {
        page.wait(wait);
        page.hear(&ServerMessage::Paired { door: Door::Link, attempt, ice_servers: Vec::new(), relay: None });
        let (_, hello) = Receiver::new(link.password(), &at, Seed::new([9; 32]));
        page.relay(Door::Link, attempt, &hello);
        page.body().is_some()
    };
    assert!(is_answered(1, 0.0));
    assert!(!is_answered(2, 1_999.0));
    assert!(is_answered(3, 1.0));
}

#[test]
fn a_visitor_that_proves_nothing_is_forgotten_in_time() {
    let mut page = Page::new(&[("a", content(9, 1))]);
    page.hear(&ServerMessage::Paired { door: Door::Typed, attempt: 1, ice_servers: Vec::new(), relay: None });
    page.wait(11_999.0);
    assert!(!page.was_told("visited"));
    page.wait(1.0);
    assert!(page.was_told("visited"));
}

#[test]
fn how_it_ended_is_reported_once_and_only_by_whom_the_rendezvous_brought_together() {
    let reports =
        |page: &Page| -> Vec<_> {
            let said = page.said.iter();
            said.filter_map(|said| {
                if let ClientMessage::Report { path, ok } = said { Some((*path, *ok)) } else { None }
            })
            .collect()
        };
    for (told, path) in [
        ("network", ReportedPath::LocalNetwork),
        ("direct", ReportedPath::Direct),
        ("relayed", ReportedPath::Turn),
        ("", ReportedPath::Direct),
    ] {
        let mut page = Page::new(&[("a", content(9, 1))]);
        let mut guest = Guest::meet(&mut page);
        page.sending.handle_path(told);
        guest.receive(&mut page).unwrap();
        assert_eq!(reports(&page), [(path, true)]);
    }
    let mut vain = Page::new(&[("a", content(9, 1))]);
    vain.sending.cancel();
    vain.perform();
    assert_eq!(reports(&vain), []);
}

#[test]
fn a_code_outlives_the_way_to_the_rendezvous() {
    let mut page = Page::new(&[("a", content(9, 1))]);
    let code = page.code();
    page.sending.handle_server_gone(page.now);
    page.perform();
    assert!(page.was_told("away"));
    // The first attempt to come back fails, too, as does one that nobody answers.
    page.sending.handle_lost(page.now);
    page.perform();
    page.sending.join(page.now);
    page.perform();
    assert!(page.was_told("here"));
    assert_eq!((page.shown.len(), page.end()), (1, None));
    let at = Claim::Nameplate(code.nameplate());
    let mut guest = Guest::meet_at(&mut page, Door::Typed, code.password(), &at);
    guest.receive(&mut page).unwrap();
    assert!(page.sending.is_done());
}

#[test]
fn a_rendezvous_that_stops_keeps_the_code_and_one_that_refuses_for_good_does_not() {
    for (reason, is_kept) in [(CloseReason::GoingAway, true), (CloseReason::Replaced, false)] {
        let mut page = Page::new(&[("a", content(9, 1))]);
        page.hear(&ServerMessage::Refused { reason, retry_after: Some(2) });
        let expected = json!({ "do": "away", "retryAfter": 2 });
        assert_eq!(page.told.contains(&expected), is_kept, "{:?}", page.told);
        assert_eq!(page.end().is_none(), is_kept);
    }
}

#[test]
fn a_code_that_is_over_is_not_looked_for() {
    let mut page = Page::new(&[("a", content(9, 1))]);
    page.now = 300_000.0;
    page.sending.handle_server_gone(page.now);
    page.perform();
    assert_eq!(page.end(), Some("server-gone"));
    let mut forgotten = Page::new(&[("a", content(9, 1))]);
    forgotten.sending.handle_server_gone(forgotten.now);
    while forgotten.sending.poll().is_some() {}
    forgotten.sending.join(forgotten.now);
    forgotten.hear(&ServerMessage::Refused { reason: CloseReason::NoSuchCode, retry_after: None });
    assert_eq!(forgotten.end(), Some("server-gone"));
}

#[test]
fn codes_that_nobody_used_expire() {
    let mut page = Page::new(&[("a", content(9, 1))]);
    for door in [Door::Link, Door::Typed] {
        assert_eq!(page.end(), None);
        assert_eq!(page.shown.last().unwrap()["link"].is_string(), door == Door::Link);
        page.hear(&ServerMessage::DoorClosed { door, reason: CloseReason::Expired });
    }
    assert_eq!(page.end(), Some("expired"));
}

#[test]
fn both_sides_hear_why_the_other_stopped() {
    let mut page = Page::new(&[("a", content(1 << 20, 1))]);
    let mut guest = Guest::meet(&mut page);
    page.sending.cancel();
    page.perform();
    assert_eq!(page.end(), Some("cancelled"));
    let told = guest.receive(&mut page);
    assert_eq!(told, Err(transfer::TransferError::Aborted { reason: AbortReason::Cancelled, file: None }));

    let stops = [
        (Message::Decline { reason: DeclineReason::User }, "receiver-declined"),
        (Message::Decline { reason: DeclineReason::NoSpace }, "receiver-full"),
        (Message::Abort { reason: AbortReason::Cancelled, file: None }, "receiver-cancelled"),
        (Message::Bye, "receiver-left"),
        (Message::DoneAck, "receiver-failed"),
    ];
    for (message, why) in stops {
        let mut other = Page::new(&[("a", content(1 << 20, 1))]);
        Guest::meet(&mut other).say(&mut other, &message);
        assert_eq!(other.end(), Some(why));
    }
}

#[test]
fn a_file_that_cannot_be_read_ends_it_on_both_sides() {
    let mut page = Page::new(&[("a", content(9, 1)), ("b", content(1 << 20, 1))]);
    page.unreadable = Some(1);
    let mut guest = Guest::meet(&mut page);
    let told = guest.receive(&mut page);
    let (reason, file) = (AbortReason::SourceChanged, Some(1));
    assert_eq!(told, Err(transfer::TransferError::Aborted { reason, file }));
    assert_eq!(page.end(), Some("unreadable"));
}

#[test]
fn silence_is_noticed_and_avoided() {
    let mut page = Page::new(&[("a", content(9, 1))]);
    let _guest = Guest::meet(&mut page);
    page.records.clear();
    for _ in 0..5 {
        page.wait(500.0);
    }
    assert_eq!(page.records.len(), 1, "a ping");
    for _ in 0..6 {
        page.wait(500.0);
    }
    assert_eq!(page.end(), None);
    page.wait(500.0);
    assert_eq!(page.told.last().unwrap()["do"], "apart");
}

#[test]
fn a_device_that_slept_does_not_mistake_that_for_silence() {
    let mut page = Page::new(&[("a", content(9, 1))]);
    let _guest = Guest::meet(&mut page);
    page.wait(60_000.0);
    assert_eq!(page.end(), None);
}

#[test]
fn a_device_that_woke_up_knows_within_seconds_whether_the_other_side_is_there() {
    for answers in [true, false] {
        let mut page = Page::new(&[("a", content(9, 1))]);
        let mut guest = Guest::meet(&mut page);
        let before = page.records.len();
        page.now += 60_000.0;
        page.sending.handle_awake(page.now);
        page.perform();
        assert_eq!(page.records.len(), before + 1, "a ping");
        page.wait(2_500.0);
        if answers {
            guest.receive(&mut page).unwrap();
        }
        page.wait(1_000.0);
        let is_apart = page.told.last().is_some_and(|told| told["do"] == "apart");
        assert_eq!(is_apart, !answers);
    }
}

#[test]
fn no_path_in_half_a_minute_is_the_end() {
    let mut page = Page::new(&[("a", content(9, 1))]);
    let (password, at) = page.typed();
    page.visit(Door::Typed, 1, &password, &at);
    page.wait(29_999.0);
    assert_eq!(page.end(), None);
    page.wait(1.0);
    assert_eq!(page.end(), Some("no-path"));
}

#[test]
fn nonsense_in_every_place_harms_nobody() {
    for junk in ["", "{", "\u{0}", r#"{"type":"weather"}"#] {
        let mut page = Page::new(&[("a", content(9, 1))]);
        page.sending.handle_frame(junk, 0.0);
        page.perform();
    }
    let mut page = Page::new(&[("a", content(9, 1))]);
    page.hear(&ServerMessage::Paired { door: Door::Typed, attempt: 1, ice_servers: Vec::new(), relay: None });
    page.relay(Door::Typed, 1, b"hello?");
    page.relay(Door::Typed, 1, b"");
    page.sending.handle_open(page.lane);
    page.sending.handle_read();
    page.sending.handle_record(1, 0, 0.0);
    page.sending.handle_record(1, usize::MAX, 0.0);
    page.perform();
    assert!(page.records.is_empty() && page.results.is_empty());
    let mut late = Page::new(&[("a", content(9, 1))]);
    let _guest = Guest::meet(&mut late);
    late.hear_record(&[2, 0, 1, 2, 3]);
    assert_eq!(late.end(), Some("receiver-failed"));
}

#[test]
fn work_for_a_door_is_done_in_slices_and_answered() {
    let mut offer = Offer::new();
    offer.add("a.txt", 1, 0).unwrap();
    let mut sending = Sending::open("http://localhost/", &offer, None, [7; 32], Duration::ZERO).unwrap();
    sending.outbox.clear();
    // The first counter of this seed with 16 zero bits is 178,315: nine slices.
    let challenge = Challenge { bits: 16, seed: "q6urq6urq6urq6urq6urqw".to_owned() };
    sending.handle_frame(&ServerMessage::Challenge(challenge).to_frame(), 0.0);
    let mut slices = 0;
    let said = loop {
        let output: Value = serde_json::from_str(&sending.poll().unwrap()).unwrap();
        if output["do"] == "say" {
            break output["frame"].as_str().unwrap().to_owned();
        }
        assert_eq!(output["do"], "search");
        slices += 1;
        sending.search(0.0);
    };
    assert_eq!(ClientMessage::parse(&said), Ok(ClientMessage::Stamp { counter: 178_315 }));
    assert_eq!(slices, 9);
}
