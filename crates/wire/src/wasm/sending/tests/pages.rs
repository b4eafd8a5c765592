//! A page sends to a page, over a network that breaks.

use std::collections::BTreeMap;

use super::*;
use crate::signaling::Role;
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
    records: VecDeque<Vec<u8>>,
    told: Vec<String>,
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
        let (stored, file, complete, said, records, told, written) = Default::default();
        Self { session, stored, file, complete, said, records, told, written }
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

    fn receive(&mut self, mut record: Vec<u8>) {
        self.session.take_record(&mut record);
        self.perform(&record);
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
                "connect" => self.session.handle_answer(&description("BB")),
                "transmit" => self.records.push_back(self.session.record().unwrap()),
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
    /// Records of the sender that have arrived.
    arrived: usize,
}

impl Both {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let page = Page::new(files);
        let other = Other::new(&page.code());
        Self { page, other, claims: 0, meetings: 0, waiting: Vec::new(), is_connected: false, arrived: 0 }
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
        } else if let Some(record) = self.other.records.pop_front() {
            self.page.hear_record(&record);
        } else if let Some(record) = self.page.records.pop_front() {
            self.arrived += 1;
            self.other.receive(record);
        } else if !self.is_connected && self.waiting.is_empty() {
            self.is_connected = true;
            self.page.sending.handle_open();
            self.other.session.handle_open();
            self.page.perform();
            self.other.perform(&[]);
        } else {
            return false;
        }
        true
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
        let message = ServerMessage::Paired { door, attempt, ice_servers: Vec::new(), relay: None };
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
