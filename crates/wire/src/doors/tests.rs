use super::*;
use crate::handshake::Receiver;

/// A sender's doors, a rendezvous that does what it should, and visitors that do what they like.
struct Bench {
    doors: Doors,
    now: Duration,
    entropy: u8,
    attempt: u32,
    nameplate: u32,
    link: Password,
    said: Vec<ClientMessage>,
    told: Vec<String>,
    shown: Vec<Code>,
    met: Option<(Session, Place)>,
    search: Option<Search>,
}

impl Bench {
    fn new(typed: Typed) -> Self {
        let link = Password::from_link([9; 16]);
        let doors = Doors::new(typed, Some(link.clone()), None, Some(Slot::new([5; 16])), Duration::ZERO);
        let mut bench = Self {
            doors,
            now: Duration::ZERO,
            entropy: 0,
            attempt: 0,
            nameplate: 47,
            link,
            said: Vec::new(),
            told: Vec::new(),
            shown: Vec::new(),
            met: None,
            search: None,
        };
        bench.poll();
        bench
    }

    /// Doors that are open.
    fn open() -> Self {
        let mut bench = Self::new(Typed::Digits(4));
        bench.create();
        bench.told.clear();
        bench
    }

    fn seed(&mut self) -> Seed {
        self.entropy += 1;
        Seed::new([self.entropy; 32])
    }

    fn create(&mut self) {
        self.nameplate += 1;
        let nameplate = Nameplate::new(self.nameplate);
        self.hear(ServerMessage::Created { nameplate, ttl: 300 });
    }

    fn hear(&mut self, message: ServerMessage) {
        let seed = self.seed();
        self.doors.handle_message(message, self.now, seed);
        self.poll();
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.doors.handle_time(self.now);
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(output) = self.doors.poll_output() {
            match output {
                Output::Say(message) => self.said.push(message),
                Output::Open { code, reissued, ttl, codes_left } => {
                    self.told.push(format!("open {reissued:?} {ttl} {codes_left}"));
                    self.shown.extend(code);
                }
                Output::Met(met) => self.met = Some(*met),
                Output::Search(search) => self.search = Some(*search),
                other @ (Output::Knocked | Output::Failed(_) | Output::Shut { .. } | Output::Closed(_)) => {
                    self.told.push(format!("{other:?}"));
                }
            }
        }
    }

    fn pair(&mut self, door: Door) {
        self.attempt += 1;
        self.hear(ServerMessage::Paired {
            door,
            attempt: self.attempt,
            ice_servers: Vec::new(),
            relay: None,
        });
    }

    fn leave(&mut self, door: Door) {
        self.hear(ServerMessage::Left { door, attempt: self.attempt, reason: CloseReason::Gone });
    }

    fn say(&mut self, door: Door, bytes: &[u8]) {
        self.hear(ServerMessage::Relay { door, attempt: self.attempt, body: Body::from_bytes(bytes) });
    }

    fn answer(&mut self) -> Vec<u8> {
        match self.said.pop() {
            Some(ClientMessage::Relay { body, .. }) => body.to_bytes().unwrap(),
            other => panic!("an answer: {other:?}"),
        }
    }

    /// Somebody comes with this password and goes through with it.
    fn visit(&mut self, door: Door, password: &Password) {
        let at = match door {
            Door::Link => Claim::Slot(link_slot(&self.link).unwrap()),
            Door::Typed | Door::Meeting => Claim::Nameplate(Nameplate::new(self.nameplate).unwrap()),
        };
        let seed = Seed::new([0xee; 32]);
        self.pair(door);
        let (receiver, hello) = Receiver::new(password, &at, seed);
        self.say(door, &hello);
        let (_, proof) = receiver.receive_hello(&self.answer()).unwrap();
        self.say(door, &proof);
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

fn wrong() -> Password {
    "48-999999999999".parse::<Code>().unwrap().password().clone()
}

const KNOCKED: &str = "Knocked";
const EXHAUSTED: &str = "Closed(Exhausted { codes: 3 })";

#[test]
fn doors_are_asked_for_and_the_code_is_made_here() {
    let mut bench = Bench::new(Typed::Digits(6));
    let [ClientMessage::Create { typed: true, link_slot: Some(_), token: None, .. }] = bench.said.as_slice()
    else {
        panic!("{:?}", bench.said);
    };
    bench.create();
    assert_eq!(bench.told(), ["open None 300 2"]);
    assert_eq!(bench.shown[0].nameplate().number(), 48);
    assert_eq!(bench.shown[0].password().as_bytes().len(), 6);
}

#[test]
fn whoever_knows_the_password_is_answered_and_the_rendezvous_is_told_first() {
    for door in [Door::Typed, Door::Link] {
        let mut bench = Bench::open();
        let password =
            if door == Door::Link { bench.link.clone() } else { bench.shown[0].password().clone() };
        bench.visit(door, &password);
        assert_eq!(bench.met.as_ref().map(|(_, place)| place.door), Some(door));
        let [.., ClientMessage::Relay { .. }, ClientMessage::Result { outcome, .. }] = bench.said.as_slice()
        else {
            panic!("{:?}", bench.said);
        };
        assert_eq!(*outcome, Outcome::Confirmed);
    }
}

#[test]
fn a_wrong_code_is_answered_with_nothing_keyed_and_there_is_a_new_one_twice() {
    let mut bench = Bench::open();
    for codes_left in [1, 0] {
        bench.visit(Door::Typed, &wrong());
        let [.., ClientMessage::Result { outcome, .. }, ClientMessage::OpenDoor] = bench.said.as_slice()
        else {
            panic!("{:?}", bench.said);
        };
        assert_eq!(*outcome, Outcome::WrongCode);
        assert_eq!(bench.told(), [KNOCKED, "Failed(WrongCode)"]);
        bench.create();
        assert_eq!(bench.told(), [format!("open Some(WrongCode) 300 {codes_left}")]);
    }
    bench.visit(Door::Typed, &wrong());
    let shut = "Shut { door: Typed, failure: Some(WrongCode) }";
    assert_eq!(bench.told(), [KNOCKED, "Failed(WrongCode)", shut], "the link is still open");
    bench.hear(ServerMessage::DoorClosed { door: Door::Link, reason: CloseReason::Expired });
    assert_eq!(bench.told(), [EXHAUSTED]);
    assert_eq!(bench.shown.len(), 3);
    assert!(bench.met.is_none());
}

#[test]
fn the_burnt_code_opens_nothing() {
    let mut bench = Bench::open();
    let burnt = bench.shown[0].password().clone();
    bench.visit(Door::Typed, &wrong());
    bench.told();
    bench.pair(Door::Typed);
    assert_eq!(bench.told(), Vec::<String>::new(), "nobody is let in while there is no code");
    bench.create();
    bench.visit(Door::Typed, &burnt);
    assert!(bench.met.is_none());
}

#[test]
fn three_that_leave_early_cost_a_code_and_no_guess() {
    let mut bench = Bench::open();
    for _ in 0..2 {
        bench.pair(Door::Typed);
        bench.leave(Door::Typed);
        assert_eq!(bench.told(), [KNOCKED, "Failed(LeftEarly)"]);
    }
    bench.pair(Door::Typed);
    bench.leave(Door::Typed);
    assert_eq!(bench.told(), [KNOCKED, "Failed(TooManyLeft)"]);
    assert_eq!(bench.said.last(), Some(&ClientMessage::OpenDoor));
    assert!(!bench.said.iter().any(|said| matches!(said, ClientMessage::Result { .. })));
}

#[test]
fn a_visitor_that_proves_nothing_is_given_its_time() {
    let mut bench = Bench::open();
    bench.pair(Door::Typed);
    assert_eq!(bench.doors.deadline(), Some(PROOF_LIMIT));
    bench.pass(11);
    assert_eq!(bench.told(), [KNOCKED]);
    bench.pass(1);
    assert_eq!(bench.told(), ["Failed(LeftEarly)"]);
    assert_eq!(bench.doors.deadline(), None);
}

#[test]
fn a_hello_that_makes_no_sense_is_not_answered_and_counts_when_its_visitor_leaves() {
    let mut bench = Bench::open();
    bench.pair(Door::Typed);
    let said = bench.said.len();
    bench.say(Door::Typed, b"\x01nonsense");
    bench.say(Door::Typed, b"\x03more");
    assert_eq!((bench.said.len(), bench.told()), (said, vec![KNOCKED.to_owned()]));
    bench.leave(Door::Typed);
    assert_eq!(bench.told(), ["Failed(LeftEarly)"]);
}

#[test]
fn the_link_door_takes_one_attempt_in_two_seconds_and_is_never_exhausted() {
    let mut bench = Bench::open();
    for _ in 0..10 {
        bench.pair(Door::Link);
        bench.leave(Door::Link);
        assert_eq!(bench.told(), [KNOCKED, "Failed(LeftEarly)"]);
        bench.pair(Door::Link);
        assert_eq!(bench.told(), Vec::<String>::new(), "too soon");
        bench.pass(2);
    }
}

#[test]
fn frames_of_an_attempt_that_is_over_are_not_for_the_next() {
    let mut bench = Bench::open();
    let password = bench.shown[0].password().clone();
    let at = Claim::Nameplate(Nameplate::new(bench.nameplate).unwrap());
    bench.pair(Door::Typed);
    let (_, hello) = Receiver::new(&password, &at, Seed::new([1; 32]));
    bench.attempt = 0;
    bench.say(Door::Typed, &hello);
    assert!(!bench.said.iter().any(|said| matches!(said, ClientMessage::Relay { .. })));
}

#[test]
fn when_every_door_is_closed_it_is_over() {
    let mut bench = Bench::open();
    for door in [Door::Typed, Door::Link, Door::Link] {
        bench.hear(ServerMessage::DoorClosed { door, reason: CloseReason::Expired });
    }
    assert_eq!(bench.told(), ["Shut { door: Typed, failure: None }", "Closed(Expired)"]);
}

#[test]
fn a_rendezvous_that_does_not_open_a_door_is_given_up() {
    let after = |typed, happen: fn(&mut Bench)| {
        let mut bench = Bench::new(typed);
        happen(&mut bench);
        bench.told()
    };
    let nameless = |bench: &mut Bench| bench.hear(ServerMessage::Created { nameplate: None, ttl: 300 });
    assert_eq!(after(Typed::Digits(4), |bench| bench.pass(15)), ["Closed(Silent)"]);
    assert_eq!(after(Typed::Digits(4), nameless), ["Closed(NoNameplate)"]);
    assert_eq!(after(Typed::LinkOnly, nameless), ["open None 300 2"]);
    let refuse = |bench: &mut Bench| {
        bench.hear(ServerMessage::Refused { reason: CloseReason::Busy, retry_after: Some(3) });
    };
    let refused = "Closed(Refused { reason: Busy, retry_after: Some(3) })";
    assert_eq!(after(Typed::Words(2), refuse), [refused]);
}

fn challenge(bits: u8) -> ServerMessage {
    ServerMessage::Challenge(Challenge { bits, seed: "q6urq6urq6urq6urq6urqw".to_owned() })
}

#[test]
fn a_rendezvous_that_wants_work_gets_it_and_has_time_until_it_is_done() {
    let mut bench = Bench::new(Typed::Digits(4));
    bench.said.clear();
    bench.hear(challenge(4));
    bench.pass(59);
    assert_eq!(bench.told, Vec::<String>::new(), "the search may take that long");
    let counter = bench.search.take().unwrap().step(10_000).unwrap();
    bench.doors.handle_stamp(counter, bench.now);
    bench.poll();
    assert_eq!(bench.said, [ClientMessage::Stamp { counter }]);
    bench.create();
    assert_eq!(bench.shown.len(), 1);
}

#[test]
fn more_work_than_is_honest_or_a_second_time_is_a_refusal() {
    let refused = "Closed(Refused { reason: Busy, retry_after: None })";
    let mut greedy = Bench::new(Typed::Digits(4));
    greedy.hear(challenge(pow::MAX_BITS + 1));
    assert_eq!(greedy.told, [refused]);
    let mut insatiable = Bench::new(Typed::Digits(4));
    insatiable.hear(challenge(4));
    insatiable.hear(challenge(4));
    assert_eq!(insatiable.told, [refused]);
}

#[test]
fn work_that_was_not_asked_for_changes_nothing() {
    let mut bench = Bench::open();
    bench.said.clear();
    bench.hear(challenge(4));
    bench.doors.handle_stamp(1, bench.now);
    bench.poll();
    assert!(bench.search.is_none() && bench.said.is_empty() && bench.told.is_empty());
}

#[test]
fn a_sender_that_comes_back_has_its_code_and_its_visitor_is_gone() {
    let mut bench = Bench::open();
    bench.pair(Door::Typed);
    assert!(bench.doors.may_return());
    bench.doors.handle_return(bench.now);
    bench.poll();
    let Some(ClientMessage::Reopen { return_slot, link_slot: Some(_), .. }) = bench.said.last() else {
        panic!("{:?}", bench.said);
    };
    assert_eq!(*return_slot, Slot::new([5; 16]));
    assert_eq!(bench.told(), [KNOCKED, "Failed(LeftEarly)"]);
    bench.hear(ServerMessage::Created { nameplate: Nameplate::new(48), ttl: 200 });
    assert_eq!(bench.told(), [] as [&str; 0], "nothing is new");
    let password = bench.shown[0].password().clone();
    bench.visit(Door::Typed, &password);
    assert!(bench.met.is_some());
}

#[test]
fn coming_back_does_not_give_more_attempts() {
    let mut bench = Bench::open();
    for _ in 0..3 {
        bench.pair(Door::Typed);
        bench.doors.handle_return(bench.now);
        bench.hear(ServerMessage::Created { nameplate: Nameplate::new(48), ttl: 200 });
    }
    assert_eq!(bench.told().last().map(String::as_str), Some("open Some(TooManyLeft) 200 1"));
    assert_eq!(bench.shown.len(), 2);
    assert_ne!(bench.shown[0].password(), bench.shown[1].password(), "the password is a new one");
}

#[test]
fn a_door_that_was_asked_for_when_the_socket_broke_is_asked_for_again() {
    let mut bench = Bench::open();
    bench.visit(Door::Typed, &wrong());
    bench.doors.handle_return(bench.now);
    bench.poll();
    bench.hear(ServerMessage::Created { nameplate: None, ttl: 200 });
    assert_eq!(bench.said.last(), Some(&ClientMessage::OpenDoor));
    bench.create();
    assert_eq!(bench.told().last().map(String::as_str), Some("open Some(WrongCode) 300 1"));
}

#[test]
fn a_rendezvous_that_has_forgotten_the_doors_ends_them() {
    let mut bench = Bench::open();
    bench.doors.handle_return(bench.now);
    bench.hear(ServerMessage::Refused { reason: CloseReason::NoSuchCode, retry_after: None });
    assert_eq!(bench.told(), ["Closed(Forgotten)"]);
}

#[test]
fn a_rendezvous_that_does_not_answer_one_that_came_back_is_given_up() {
    let mut bench = Bench::open();
    bench.doors.handle_return(bench.now);
    bench.poll();
    bench.pass(15);
    assert_eq!(bench.told(), ["Closed(Silent)"]);
}

#[test]
fn doors_that_were_never_opened_are_not_come_back_to() {
    assert!(!Bench::new(Typed::Digits(4)).doors.may_return());
    assert!(!Bench::new(Typed::LinkOnly).doors.may_return());
}
