//! A page sends to a page, over a network that breaks.

use std::collections::BTreeMap;

use super::*;
use crate::signaling::{self, Role};
use crate::wasm::session::Session;
use crate::wasm::ticket::Ticket;

/// A receiving page and its storage.
struct Other {
    session: Session,
    stored: BTreeMap<u64, Vec<u8>>,
    /// The file that is being written.
    file: Option<u64>,
    /// Files that are complete, by number, in the order in which they were.
    complete: Vec<(u64, Vec<u8>)>,
    said: VecDeque<ClientMessage>,
    /// With the number of the path that each goes over.
    records: VecDeque<(u32, Vec<u8>)>,
    /// What was given back, and what of it has its turn now.
    held: VecDeque<(u32, Vec<u8>)>,
    turn: u32,
    told: Vec<String>,
    /// The path of WebRTC that was asked for last, and that of the relay.
    lane: u32,
    relay: u32,
    /// How many bytes were written.
    written: u64,
}

impl Other {
    fn new(code: &Code) -> Self {
        let ticket = Ticket::parse(code.expose().as_ref()).ok().unwrap();
        let session = Session::new(&ticket, &[3; 64]).ok().unwrap();
        let mut other = Self::with(session);
        other.perform(&[]);
        other
    }

    fn with(session: Session) -> Self {
        Self {
            session,
            stored: BTreeMap::new(),
            file: None,
            complete: Vec::new(),
            said: VecDeque::new(),
            records: VecDeque::new(),
            held: VecDeque::new(),
            turn: 0,
            told: Vec::new(),
            lane: 0,
            relay: 0,
            written: 0,
        }
    }

    /// The page is loaded anew: what it had stored is all that is left, and what it had written is counted.
    fn reload(&mut self) {
        let token = self.session.token().unwrap();
        let mut fresh = Self::with(Session::restore(&token).ok().unwrap());
        fresh.stored = std::mem::take(&mut self.stored);
        fresh.stored.extend(self.complete.drain(..));
        fresh.written = self.written;
        *self = fresh;
        self.perform(&[]);
    }

    /// Says what is stored, as far as it can be gone on with, and agrees.
    fn accept(&mut self) {
        for file in 0..self.session.entry_count() {
            let Some(stored) = self.stored.get_mut(&(file as u64)) else { continue };
            let described: Value = serde_json::from_str(&self.session.file(file).unwrap()).unwrap();
            if described["size"] != stored.len() {
                stored.truncate(stored.len() / 65_536 * 65_536);
            }
            for piece in stored.chunks(10_000) {
                self.session.take_held(piece);
            }
            self.session.hold(u32::try_from(file).unwrap());
        }
        self.session.accept();
    }

    /// The storage of `file`, which is begun anew unless it is at it.
    fn storage(&mut self, file: u64) -> &mut Vec<u8> {
        if self.file.replace(file) != Some(file) {
            self.stored.insert(file, Vec::new());
        }
        self.stored.entry(file).or_default()
    }

    fn hear(&mut self, message: &ServerMessage) {
        self.session.handle_frame(&message.to_frame());
        self.perform(&[]);
    }

    fn receive(&mut self, over: u32, arrived: Vec<u8>) {
        self.held.push_back((over, arrived));
        self.turn = over;
        // What is given back waits until it is said to have its turn.
        while let Some(index) = self.held.iter().position(|(lane, _)| *lane == self.turn) {
            let Some((lane, mut record)) = self.held.remove(index) else { return };
            if !self.session.take_record(lane, &mut record) {
                return self.held.insert(index, (lane, record));
            }
            self.perform(&record);
        }
    }

    /// Does what it is told, until there is nothing more. `staging` holds the record that was just received.
    fn perform(&mut self, staging: &[u8]) {
        while let Some(output) = self.session.poll() {
            let output: Value = serde_json::from_str(&output).unwrap();
            let number = |name: &str| output[name].as_u64().unwrap();
            let index = |name: &str| usize::try_from(number(name)).unwrap();
            match output["do"].as_str().unwrap() {
                "say" => {
                    self.said.push_back(ClientMessage::parse(output["frame"].as_str().unwrap()).unwrap());
                }
                "connect" => {
                    self.lane = u32::try_from(number("lane")).unwrap();
                    self.session.handle_answer(&description("BB"));
                }
                "transmit" => {
                    let lane = u32::try_from(number("lane")).unwrap();
                    self.records.push_back((lane, self.session.record().unwrap()));
                }
                "relay" => self.relay = u32::try_from(number("lane")).unwrap(),
                "leave" => {}
                "ask" => self.accept(),
                "rewind" => {
                    self.file = Some(number("file"));
                    self.stored.get_mut(&number("file")).unwrap().truncate(index("offset"));
                }
                "write" => {
                    let bytes = &staging[index("start")..index("start") + index("len")];
                    self.storage(number("file")).extend_from_slice(bytes);
                    self.written += number("len");
                }
                "commit" => {
                    if output["isHeld"] == false {
                        self.storage(number("file"));
                        self.file = None;
                    }
                    let content = self.stored.remove(&number("file")).unwrap();
                    assert_eq!(output["sha256"], format!("{:x}", Sha256::digest(&content)));
                    self.complete.push((number("file"), content));
                }
                "written" => self.session.handle_written(index("len")),
                "finish" => self.session.handle_finished(),
                "turn" => self.turn = u32::try_from(number("lane")).unwrap(),
                what => self.told.push(what.to_owned()),
            }
        }
    }
}

/// Two pages, the rendezvous and the network between them.
struct Both {
    page: Page,
    other: Other,
    claims: u32,
    meetings: u32,
    waiting: Vec<Role>,
    is_connected: bool,
    /// What the rendezvous gives for its relay.
    ticket: Option<signaling::Ticket>,
    /// Records of the sender that have arrived.
    arrived: usize,
}

impl Both {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let page = Page::new(files);
        let other = Other::new(&page.code());
        Self {
            page,
            other,
            claims: 0,
            meetings: 0,
            waiting: Vec::new(),
            is_connected: false,
            ticket: None,
            arrived: 0,
        }
    }

    /// Lets everything happen, until nothing more does or `until` records of the sender have arrived.
    fn run(&mut self, until: usize) {
        while self.arrived < until && self.step() {}
    }

    fn step(&mut self) -> bool {
        if let Some(message) = self.other.said.pop_front() {
            self.pass(message, Role::Receiver);
        } else if let Some(message) = self.page.said.pop_front() {
            self.pass(message, Role::Sender);
        } else if let Some((lane, record)) = self.other.records.pop_front() {
            self.page.hear_over(lane, record);
        } else if let Some((lane, record)) = self.page.records.pop_front() {
            self.arrived += 1;
            self.other.receive(lane, record);
        } else if std::mem::take(&mut self.page.is_waiting) {
            self.page.sending.handle_waited();
            self.page.perform();
        } else if !self.is_connected && self.waiting.is_empty() {
            self.is_connected = true;
            self.open(self.page.lane);
        } else {
            return false;
        }
        true
    }

    /// A path is open at both ends.
    fn open(&mut self, lane: u32) {
        self.page.sending.handle_open(lane);
        self.other.session.handle_open(lane, &[8; 32]).ok().unwrap();
        self.page.perform();
        self.other.perform(&[]);
    }

    /// Both have met, and begin over the relay.
    fn relayed(files: &[(&str, Vec<u8>)]) -> Self {
        let mut both = Self::new(files);
        both.ticket = signaling::Ticket::try_from("dGlja2V0".to_owned()).ok();
        both.is_connected = true;
        both.run(usize::MAX);
        assert_eq!((both.page.relay, both.other.relay), (2, 2));
        both.open(2);
        both
    }

    /// A path is gone at both ends, with everything on it.
    fn lose(&mut self, lane: u32) {
        self.page.records.retain(|record| record.0 != lane);
        self.other.records.retain(|record| record.0 != lane);
        self.page.sending.handle_lane_lost(lane);
        self.page.perform();
        self.other.session.handle_lane_lost(lane);
        self.other.perform(&[]);
        self.other.held.retain(|record| record.0 != lane);
        // One that has no way on hangs up, which the other notices.
        let is_apart = [
            self.page.told.last().is_some_and(|told| told["do"] == "apart"),
            self.other.told.last().is_some_and(|told| told == "apart"),
        ];
        match is_apart {
            [true, false] => self.other.session.handle_lost(),
            [false, true] => self.page.sending.handle_lost(self.page.now),
            [true, true] | [false, false] => {}
        }
        self.page.perform();
        self.other.perform(&[]);
        self.meet_again();
    }

    /// What the rendezvous makes of a message.
    fn pass(&mut self, message: ClientMessage, from: Role) {
        match message {
            ClientMessage::Claim { .. } => {
                self.claims += 1;
                self.pair(Door::Typed, self.claims);
            }
            ClientMessage::Meet { role, .. } => {
                self.waiting.push(role);
                if self.waiting.len() == 2 {
                    self.waiting.clear();
                    self.meetings += 1;
                    self.pair(Door::Meeting, self.meetings);
                }
            }
            ClientMessage::Relay { door, attempt, body } => {
                let passed = ServerMessage::Relay { door, attempt, body };
                match from {
                    Role::Sender => self.other.hear(&passed),
                    Role::Receiver => self.page.hear(&passed),
                }
            }
            ClientMessage::Create { .. }
            | ClientMessage::Reopen { .. }
            | ClientMessage::OpenDoor
            | ClientMessage::Result { .. }
            | ClientMessage::Stamp { .. }
            | ClientMessage::Report { .. } => {}
        }
    }

    fn pair(&mut self, door: Door, attempt: u32) {
        let message =
            ServerMessage::Paired { door, attempt, ice_servers: Vec::new(), relay: self.ticket.clone() };
        self.page.hear(&message);
        self.other.hear(&message);
    }

    /// Everything on the way is lost, and whoever needs the other looks for it.
    fn cut(&mut self) {
        self.cut_for(|other| other.session.handle_lost());
    }

    /// The same, because something happened to the receiving page.
    fn cut_for(&mut self, happened: impl FnOnce(&mut Other)) {
        self.page.records.clear();
        self.other.records.clear();
        self.is_connected = false;
        self.page.sending.handle_lost(self.page.now);
        self.page.perform();
        happened(&mut self.other);
        self.other.perform(&[]);
        self.meet_again();
    }

    /// Whoever looks for the other goes to where the two meet.
    fn meet_again(&mut self) {
        if self.page.told.last().is_some_and(|told| told["do"] == "apart") {
            self.page.sending.join(self.page.now);
            self.page.perform();
        }
        if self.other.told.last().is_some_and(|told| told == "apart") {
            let entropy = [u8::try_from(self.arrived % 251).unwrap(); 64];
            self.other.session.join(&entropy).ok().unwrap();
            self.other.perform(&[]);
        }
    }

    /// The server is gone, or to those of `gone` it is; the other one is told that they have left.
    fn lose_server(&mut self, gone: &[Role]) {
        let attempt = self.claims;
        let left = ServerMessage::Left { door: Door::Typed, attempt, reason: CloseReason::Gone };
        if gone.contains(&Role::Sender) {
            self.page.said.clear();
            self.page.sending.handle_server_gone(self.page.now);
            self.page.perform();
        } else {
            self.page.hear(&left);
        }
        if gone.contains(&Role::Receiver) {
            self.other.said.clear();
            self.other.session.handle_server_gone();
            self.other.perform(&[]);
        } else {
            self.other.hear(&left);
        }
        self.meet_again();
    }
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let sizes = [("a", 0), ("b", 1), ("c", 2 * 65_536), ("d", 3 * 65_536 + 5), ("e", 65_535), ("f", 65_537)];
    sizes.map(|(name, len)| (name, content(len, 7))).to_vec()
}

fn assert_arrived(both: &Both, files: &[(&str, Vec<u8>)]) {
    assert_eq!(both.other.told.iter().filter(|told| *told == "done").count(), 1, "{:?}", both.other.told);
    let mut complete = both.other.complete.clone();
    complete.sort();
    let expected: Vec<_> = (0..).zip(files.iter().map(|(_, content)| content.clone())).collect();
    assert!(complete == expected);
}

#[test]
fn wherever_the_connection_breaks_everything_arrives_once() {
    let files = files();
    let mut undisturbed = Both::new(&files);
    undisturbed.run(usize::MAX);
    assert_arrived(&undisturbed, &files);
    let size = undisturbed.other.written;
    // The first record is the sender's proof: before it there is no connection that could break.
    for until in 1..undisturbed.arrived {
        let mut both = Both::new(&files);
        both.run(until);
        both.cut();
        both.run(usize::MAX);
        assert_arrived(&both, &files);
        assert_eq!(both.other.written, size, "after {until} records: whole chunks are never sent again");
    }
}

#[test]
fn whoever_loses_the_server_before_there_is_a_channel_is_met_again_once_the_code_was_right() {
    let files = files();
    for gone in [&[Role::Sender][..], &[Role::Receiver], &[Role::Sender, Role::Receiver]] {
        let mut tried = 0;
        for steps in 0.. {
            let mut both = Both::new(&files);
            for _ in 0..steps {
                both.step();
            }
            if both.is_connected {
                break;
            }
            if both.page.results.is_empty() {
                continue;
            }
            // Where they met, the server may be lost as well.
            for again in [0, 1, 2] {
                if again > 0 {
                    for _ in 0..again {
                        both.step();
                    }
                    if both.is_connected {
                        break;
                    }
                    both.waiting.clear();
                }
                both.lose_server(if again == 0 { gone } else { &[Role::Sender, Role::Receiver] });
            }
            both.run(usize::MAX);
            assert_arrived(&both, &files);
            tried += 1;
        }
        assert!(tried > 3, "{tried} moments were tried: {gone:?}");
    }
}

#[test]
fn a_receiver_that_loses_the_server_before_its_proof_was_sent_claims_again() {
    let files = files();
    let mut tried = 0;
    for steps in 0.. {
        let mut both = Both::new(&files);
        for _ in 0..steps {
            both.step();
        }
        if both.other.told.iter().any(|told| told == "prove") {
            break;
        }
        // Twice is all that a door forgives.
        for _ in 0..2 {
            both.lose_server(&[Role::Receiver]);
            both.step();
        }
        both.run(usize::MAX);
        assert_arrived(&both, &files);
        tried += 1;
    }
    assert!(tried > 1, "{tried} moments were tried");
}

#[test]
fn an_instance_that_goes_away_is_left_for_another_and_a_server_that_refuses_is_not() {
    for (reason, last) in [(CloseReason::GoingAway, "apart"), (CloseReason::NoSuchCode, "fail")] {
        let mut both = Both::new(&files());
        both.other.hear(&ServerMessage::Refused { reason, retry_after: None });
        assert_eq!(both.other.told.last().map(String::as_str), Some(last), "{reason:?}");
    }
}

#[test]
fn whenever_the_page_is_loaded_anew_everything_arrives_once() {
    let files = files();
    let mut undisturbed = Both::new(&files);
    undisturbed.run(usize::MAX);
    let (size, records) = (undisturbed.other.written, undisturbed.arrived);
    let chunk = 65_536;
    for until in 1..records - 1 {
        let mut both = Both::new(&files);
        both.run(until);
        both.cut_for(Other::reload);
        both.run(usize::MAX);
        assert_arrived(&both, &files);
        let again = both.other.written - size;
        assert!(again < chunk, "after {until} records: {again} bytes were sent again, a chunk is {chunk}");
    }
}

#[test]
fn what_is_stored_of_another_file_is_never_kept() {
    let files = files();
    let mut both = Both::new(&files);
    both.run(4);
    both.cut_for(|other| {
        other.reload();
        other.stored = (0..).zip(files.iter().map(|(_, content)| vec![9; content.len()])).collect();
    });
    both.run(usize::MAX);
    assert_arrived(&both, &files);
}

#[test]
fn a_connection_that_breaks_again_and_again_gets_there_in_the_end() {
    let files = [("large", content(40 * 65_536 + 3, 5))];
    let mut both = Both::new(&files);
    both.run(3);
    for _ in 0..20 {
        let before = both.arrived;
        both.cut();
        both.run(before + 4);
    }
    both.run(usize::MAX);
    assert_arrived(&both, &files);
    assert!(both.meetings >= 20);
}

#[test]
fn a_receiver_that_gives_up_while_the_two_are_apart_tells_the_sender() {
    let entropy = [9; 64];
    let mut both = Both::new(&files());
    both.run(2);
    both.cut_for(|other| {
        other.session.handle_lost();
        other.session.cancel();
        assert!(other.session.is_leaving());
        other.session.join(&entropy).ok().unwrap();
    });
    both.run(usize::MAX);
    assert!(!both.other.session.is_leaving());
    assert_eq!(both.page.end(), Some("receiver-cancelled"));
}

#[test]
fn a_sender_that_gives_up_while_the_two_are_apart_tells_the_receiver() {
    let mut both = Both::new(&files());
    both.run(2);
    both.cut();
    both.page.sending.cancel();
    both.page.sending.join(both.page.now);
    both.page.perform();
    both.waiting.retain(|role| *role == Role::Receiver);
    both.run(usize::MAX);
    assert!(!both.page.sending.is_leaving());
    assert_eq!(both.other.told.last().map(String::as_str), Some("fail"));
}

#[test]
fn where_no_direct_path_comes_up_the_relay_carries_everything() {
    let files = files();
    let mut both = Both::relayed(&files);
    both.run(4);
    both.lose(1);
    assert!(both.page.sending.is_relayed() && both.other.session.is_relayed());
    both.run(usize::MAX);
    assert_arrived(&both, &files);
    let again = both.other.told.iter().filter(|told| *told == "back").count();
    assert_eq!((again, both.meetings), (0, 0));
}

#[test]
fn whenever_a_direct_path_comes_up_it_takes_over_and_nothing_is_said_twice() {
    let files = files();
    let mut undisturbed = Both::relayed(&files);
    undisturbed.run(usize::MAX);
    assert_arrived(&undisturbed, &files);
    let (size, records) = (undisturbed.other.written, undisturbed.arrived);
    for until in 2..records - 2 {
        let mut both = Both::relayed(&files);
        both.run(until);
        both.open(1);
        both.run(usize::MAX);
        assert_arrived(&both, &files);
        assert_eq!((both.other.written, both.meetings), (size, 0), "after {until} records");
        assert!(!both.page.sending.is_relayed() && !both.other.session.is_relayed(), "after {until}");
    }
}

#[test]
fn whenever_the_path_that_is_used_dies_everything_arrives_all_the_same() {
    let files = files();
    let records = {
        let mut undisturbed = Both::relayed(&files);
        undisturbed.run(usize::MAX);
        undisturbed.arrived
    };
    for until in 2..records - 2 {
        for after in 0..6 {
            // The relay, with the other in reach; and then the direct one, with nothing left but to meet again.
            for lane in [2, 1] {
                let mut both = Both::relayed(&files);
                both.run(until);
                both.open(1);
                for _ in 0..after {
                    both.step();
                }
                // A page that has everything ends when its path does.
                if both.other.session.is_complete() {
                    continue;
                }
                both.is_connected = false;
                both.lose(lane);
                both.run(usize::MAX);
                assert_arrived(&both, &files);
            }
        }
    }
}
