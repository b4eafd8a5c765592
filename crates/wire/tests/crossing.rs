//! A transfer that moves from one generation to another while it runs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod common;

use common::lanes::Lanes;
use common::pair::{Pair, content, file};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::message::CHUNK_LEN;
use wire::signaling::Role;
use wire::transfer::CREDIT_WINDOW;

/// A few small files around a large one of so many chunks.
fn lanes(chunks: usize) -> Lanes {
    let mut entries = vec![file("a", content(700, 1)), file("b", content(9, 2))];
    entries.push(file("large", content(chunks * CHUNK_LEN + 4711, 3)));
    entries.push(file("z", content(20_000, 4)));
    Lanes::new(Pair::new(entries))
}

/// What has to be sent at least.
fn size(chunks: usize) -> u64 {
    (chunks * CHUNK_LEN + 4711 + 20_000 + 709) as u64
}

/// Delivers in turn until nothing moves; at most so many records to each side.
fn run(lanes: &mut Lanes, most: usize) {
    for _ in 0..most {
        let receiver_moved = lanes.deliver(Role::Receiver);
        if !lanes.deliver(Role::Sender) && !receiver_moved {
            return;
        }
    }
}

#[test]
fn it_moves_at_any_record_and_nothing_is_sent_twice() {
    for record in 0..40 {
        let mut lanes = lanes(12);
        run(&mut lanes, record);
        let next = lanes.prepare();
        lanes.open(Role::Receiver, next);
        lanes.open(Role::Sender, next);
        run(&mut lanes, 1000);
        lanes.pair.assert_success();
        assert_eq!((lanes.current(Role::Sender), lanes.current(Role::Receiver)), (next, next), "{record}");
        assert_eq!((lanes.restarts, lanes.meetings), (0, 1));
        assert!(lanes.sent < size(12) + 4096, "{record}: {} bytes sent", lanes.sent);
    }
}

#[test]
fn a_receiver_that_is_called_before_it_knows_the_other_path_waits_for_it() {
    let mut lanes = lanes(12);
    run(&mut lanes, 5);
    let next = lanes.prepare();
    lanes.open(Role::Sender, next);
    run(&mut lanes, 1000);
    assert!(!lanes.pair.receiver.machine.is_complete(), "it does not go on by itself");
    lanes.open(Role::Receiver, next);
    run(&mut lanes, 1000);
    lanes.pair.assert_success();
    assert_eq!(lanes.restarts, 0);
}

#[test]
fn when_the_old_path_dies_half_way_both_say_where_to_go_on() {
    for (record, delivered) in (0..30).flat_map(|record| (0..4).map(move |delivered| (record, delivered))) {
        for first in [Role::Sender, Role::Receiver] {
            let mut lanes = lanes(12);
            run(&mut lanes, record);
            let (old, next) = (lanes.current(Role::Sender), lanes.prepare());
            lanes.open(Role::Receiver, next);
            lanes.open(Role::Sender, next);
            run(&mut lanes, delivered);
            lanes.cut(old);
            let second = if first == Role::Sender { Role::Receiver } else { Role::Sender };
            for role in [first, second] {
                if lanes.current(role) == old {
                    lanes.notice(role, old);
                }
                run(&mut lanes, 3);
            }
            run(&mut lanes, 1000);
            assert!(!lanes.is_lost());
            lanes.pair.assert_success();
            assert_eq!(lanes.meetings, 1, "the new path is enough");
            assert!(lanes.sent < size(12) + CREDIT_WINDOW + 100_000, "{} bytes sent", lanes.sent);
        }
    }
}

#[test]
fn when_both_paths_die_both_sides_meet_again() {
    let mut lanes = lanes(12);
    run(&mut lanes, 9);
    let (old, next) = (lanes.current(Role::Sender), lanes.prepare());
    lanes.open(Role::Receiver, next);
    lanes.open(Role::Sender, next);
    lanes.cut(old);
    lanes.cut(next);
    for role in [Role::Sender, Role::Receiver] {
        lanes.notice(role, old);
        lanes.notice(role, next);
    }
    assert!(lanes.is_lost());
    lanes.meet();
    run(&mut lanes, 1000);
    lanes.pair.assert_success();
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Deliver(Role),
    Prepare,
    Open(Role),
    Cut(bool),
    Notice(Role),
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Sender), Just(Role::Receiver)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => role().prop_map(Step::Deliver),
        1 => Just(Step::Prepare),
        3 => role().prop_map(Step::Open),
        1 => any::<bool>().prop_map(Step::Cut),
        3 => role().prop_map(Step::Notice),
    ]
}

/// What is known of the path that was prepared last.
#[derive(Default)]
struct Last {
    generation: u32,
    by_sender: bool,
    by_receiver: bool,
}

fn take(lanes: &mut Lanes, last: &mut Last, step: Step) {
    match step {
        Step::Deliver(role) => {
            lanes.deliver(role);
        }
        // One is looked for at a time, and not while a side is on its way.
        Step::Prepare
            if last.by_sender == last.by_receiver
                && lanes.current(Role::Sender) == lanes.current(Role::Receiver) =>
        {
            *last = Last { generation: lanes.prepare(), ..Last::default() };
        }
        Step::Open(role) if last.generation != 0 => {
            let known = if role == Role::Sender { &mut last.by_sender } else { &mut last.by_receiver };
            if !std::mem::replace(known, true) {
                lanes.open(role, last.generation);
            }
        }
        Step::Cut(is_current) => {
            let generation = if is_current { lanes.current(Role::Sender) } else { last.generation };
            if !lanes.is_cut(generation) {
                lanes.cut(generation);
            }
        }
        Step::Notice(role) => notice(lanes, last, role),
        Step::Prepare | Step::Open(_) => {}
    }
    if lanes.is_lost() {
        lanes.meet();
        *last = Last::default();
    }
}

/// A side finds out what is dead of what it knows.
fn notice(lanes: &mut Lanes, last: &Last, role: Role) {
    let (current, knows) =
        (lanes.current(role), if role == Role::Sender { last.by_sender } else { last.by_receiver });
    if last.generation != 0 && last.generation != current && knows && lanes.is_cut(last.generation) {
        lanes.notice(role, last.generation);
    }
    if lanes.is_cut(current) && !lanes.is_lost() {
        lanes.notice(role, current);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None,  ..ProptestConfig::default() })]

    #[test]
    fn whatever_opens_and_dies_everything_arrives(steps in vec(step(), 0..200)) {
        let mut lanes = lanes(20);
        let mut last = Last::default();
        for step in steps {
            take(&mut lanes, &mut last, step);
            prop_assert_eq!((lanes.pair.sender.error, lanes.pair.receiver.error), (None, None), "{:?}", step);
        }
        // From here on nothing dies, and everybody finds out.
        for round in 0..20 {
            run(&mut lanes, 200);
            for role in [Role::Sender, Role::Receiver] {
                take(&mut lanes, &mut last, Step::Open(role));
                take(&mut lanes, &mut last, Step::Notice(role));
            }
            if lanes.pair.sender.machine.is_done() && lanes.pair.receiver.machine.is_done() {
                break;
            }
            // A path that is alive for one side and given up by the other falls silent.
            if round > 2 {
                lanes.meet();
                last = Last::default();
            }
        }
        lanes.pair.assert_success();
    }
}
