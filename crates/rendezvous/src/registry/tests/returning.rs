//! Senders that come back to their doors.

#![allow(clippy::shadow_unrelated, reason = "the sender is whoever speaks for it, on whatever socket")]

use super::*;

fn return_slot() -> Slot {
    Slot::new([3; 16])
}

fn reopen() -> ClientMessage {
    ClientMessage::Reopen { v: 1, return_slot: return_slot(), link_slot: Some(link_slot()) }
}

impl Bench {
    /// A sender with both doors that may come back.
    fn returnable(&mut self) -> (ConnectionId, Nameplate) {
        let sender = self.connect();
        let (link_slot, return_slot) = (Some(link_slot()), Some(return_slot()));
        self.say(sender, ClientMessage::Create { v: 1, typed: true, link_slot, token: None, return_slot });
        let heard = self.heard(sender);
        let [ServerMessage::Created { nameplate: Some(nameplate), ttl: 300 }] = heard.as_slice() else {
            panic!("{heard:?}")
        };
        (sender, *nameplate)
    }

    fn cut(&mut self, connection: ConnectionId) {
        self.registry.handle_break(connection, self.now);
        self.perform();
    }

    fn come_back(&mut self) -> ConnectionId {
        let sender = self.connect();
        self.say(sender, reopen());
        sender
    }
}

fn created(nameplate: Nameplate, ttl: u32) -> ServerMessage {
    ServerMessage::Created { nameplate: Some(nameplate), ttl }
}

#[test]
fn a_sender_whose_socket_broke_has_its_doors_back_and_no_more_time() {
    let mut bench = Bench::new();
    let (sender, nameplate) = bench.returnable();
    bench.cut(sender);
    bench.pass(100 * SECOND);
    let sender = bench.come_back();
    assert_eq!(bench.heard(sender), [created(nameplate, 200)]);
    let receiver = bench.claim(Claim::Nameplate(nameplate));
    assert_eq!(bench.heard(receiver), [paired(Door::Typed, 1)]);
    assert_eq!(bench.heard(sender), [paired(Door::Typed, 1)]);
}

#[test]
fn a_sender_that_says_goodbye_or_named_no_slot_does_not_come_back() {
    let mut bench = Bench::new();
    let (sender, nameplate) = bench.returnable();
    bench.drop(sender);
    let sender = bench.come_back();
    assert_eq!(bench.heard(sender), [refused(CloseReason::NoSuchCode)]);
    let (sender, other) = bench.sender(true, true);
    bench.cut(sender);
    for gone in [nameplate, other.unwrap()] {
        let receiver = bench.claim(Claim::Nameplate(gone));
        bench.pass(SECOND);
        assert_eq!(bench.heard(receiver), [refused(CloseReason::NoSuchCode)]);
    }
}

#[test]
fn a_receiver_waits_for_a_sender_that_is_on_its_way_back() {
    let mut bench = Bench::new();
    let (sender, nameplate) = bench.returnable();
    bench.cut(sender);
    let receiver = bench.claim(Claim::Nameplate(nameplate));
    bench.pass(9 * SECOND);
    assert_eq!(bench.heard(receiver), []);
    let sender = bench.come_back();
    assert_eq!(bench.heard(receiver), [paired(Door::Typed, 1)]);
    assert_eq!(bench.heard(sender), [created(nameplate, 291), paired(Door::Typed, 1)]);
}

#[test]
fn a_receiver_whose_sender_stays_away_hears_what_everybody_hears() {
    let mut bench = Bench::new();
    let (sender, nameplate) = bench.returnable();
    bench.cut(sender);
    let receiver = bench.claim(Claim::Nameplate(nameplate));
    bench.pass(11 * SECOND);
    assert_eq!(bench.heard(receiver), [refused(CloseReason::NoSuchCode)]);
    assert_eq!(bench.closed.get(&receiver), Some(&CloseReason::NoSuchCode));
    assert_eq!(bench.faults, [Fault::FailedClaim]);
    let sender = bench.come_back();
    assert_eq!(bench.heard(sender), [created(nameplate, 289)], "the door itself is not spent");
}

#[test]
fn breaking_off_in_the_middle_of_attempts_does_not_give_more_of_them() {
    let mut bench = Bench::new();
    let (mut sender, nameplate) = bench.returnable();
    for number in 1..=3 {
        let receiver = bench.claim(Claim::Nameplate(nameplate));
        assert_eq!(bench.heard(receiver), [paired(Door::Typed, number)]);
        bench.cut(sender);
        assert_eq!(bench.heard(receiver), [left(Door::Typed, number, CloseReason::Gone)]);
        sender = bench.come_back();
    }
    let heard = bench.heard(sender);
    assert!(matches!(heard.as_slice(), [ServerMessage::Created { nameplate: None, .. }]), "{heard:?}");
    bench.say(sender, ClientMessage::OpenDoor);
    let heard = bench.heard(sender);
    assert!(matches!(heard.as_slice(), [ServerMessage::Created { nameplate: Some(_), .. }]), "{heard:?}");
}

#[test]
fn a_burnt_door_stays_burnt() {
    let mut bench = Bench::new();
    let (sender, nameplate) = bench.returnable();
    bench.claim(Claim::Nameplate(nameplate));
    bench.say(sender, result(Door::Typed, 1, Outcome::WrongCode));
    bench.cut(sender);
    let sender = bench.come_back();
    let heard = bench.heard(sender);
    assert!(matches!(heard.as_slice(), [ServerMessage::Created { nameplate: None, .. }]), "{heard:?}");
    let receiver = bench.claim(Claim::Nameplate(nameplate));
    bench.pass(SECOND);
    assert_eq!(bench.heard(receiver), [refused(CloseReason::NoSuchCode)]);
}

#[test]
fn doors_of_a_sender_that_stays_away_end_with_their_time() {
    let mut bench = Bench::new();
    let (sender, _) = bench.returnable();
    bench.cut(sender);
    bench.pass(TTL);
    let sender = bench.come_back();
    assert_eq!(bench.heard(sender), [refused(CloseReason::NoSuchCode)]);
    assert!(bench.registry.mailboxes.is_empty());
    assert!(bench.registry.mailboxes_by_client.is_empty());
    assert!(bench.registry.return_slots.is_empty() && bench.registry.link_slots.is_empty());
}

#[test]
fn the_newer_socket_of_a_sender_replaces_the_older() {
    let mut bench = Bench::new();
    let (older, nameplate) = bench.returnable();
    let newer = bench.come_back();
    assert_eq!(bench.heard(older), [refused(CloseReason::Replaced)]);
    assert_eq!(bench.heard(newer), [created(nameplate, 300)]);
    bench.drop(older);
    let receiver = bench.claim(Claim::Nameplate(nameplate));
    assert_eq!(bench.heard(receiver), [paired(Door::Typed, 1)]);
}

#[test]
fn a_session_goes_on_at_another_registry_as_it_was() {
    let (mut here, mut there) = (Bench::new(), Bench::new());
    let (_, nameplate) = here.returnable();
    let receiver = here.claim(Claim::Nameplate(nameplate));
    here.drop(receiver);
    here.pass(60 * SECOND);
    let (sessions, _) = here.registry.shared(here.now);
    let [(slot, session)] = sessions.as_slice() else { panic!("{sessions:?}") };
    let (sender, client) = (there.connect(), ClientKey::new("192.0.2.1".parse().unwrap()));
    there.registry.adopt((sender, client), *slot, *session, there.now);
    there.perform();
    assert_eq!(there.heard(sender), [created(nameplate, 240)]);
    here.registry.handle_moved(*slot, here.now);
    here.perform();
    let late = here.claim(Claim::Nameplate(nameplate));
    here.pass(SECOND);
    assert_eq!(here.heard(late), [refused(CloseReason::NoSuchCode)]);
    assert!(here.registry.mailboxes.is_empty() && here.registry.link_slots.is_empty());
    // Two more of the three that may come and leave.
    for number in [2, 3] {
        let receiver = there.claim(Claim::Nameplate(nameplate));
        assert_eq!(there.heard(receiver), [paired(Door::Typed, number)]);
        there.drop(receiver);
    }
    let heard = there.heard(sender);
    assert_eq!(heard.last(), Some(&door_closed(Door::Typed, CloseReason::Exhausted)));
}

#[test]
fn a_server_that_stops_keeps_nothing_of_a_session_that_goes_on_elsewhere() {
    let mut bench = Bench::new();
    let (sender, nameplate) = bench.returnable();
    bench.shared.clear();
    bench.registry.handle_shutdown(bench.now);
    bench.perform();
    assert_eq!(bench.heard(sender), [refused(CloseReason::GoingAway)]);
    let released = Shared::Released(DoorName::Nameplate(nameplate));
    assert!(!bench.shared.contains(&released), "its doors are for the instance that it comes back to");
}
