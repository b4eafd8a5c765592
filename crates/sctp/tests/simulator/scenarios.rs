//! The links that the sender is made for, and those that it must survive.

use std::time::Duration;

use crate::link::LinkConfig;
use crate::world::{OVERHEAD, Setup, World};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Of what the link can carry beside headers and losses, the part that arrives, in percent, after a start of five seconds.
fn share(setup: Setup) -> u64 {
    let there = setup.there;
    let mut world = World::new(setup);
    world.run(Duration::from_secs(5), |_| false);
    let read = world.measure(Duration::from_secs(20));
    let stats = world.sender().stats();
    let payload = 1_404;
    let possible = there.rate * 20 * payload / (1_432 + OVERHEAD) * (1_000_000 - there.loss) / 1_000_000;
    let percent = read * 100 / possible;
    println!("{percent} % of {} MB/s, {stats:?}, drops {}", possible / 20_000_000, world.link_there.dropped);
    percent
}

fn assert_filled(name: &str, setup: Setup, least: u64) {
    let percent = share(setup);
    assert!(percent >= least, "{name}: {percent} % of the link, {least} wanted");
}

fn with(setup: &Setup, change: impl FnOnce(&mut LinkConfig)) -> Setup {
    let mut setup = setup.clone();
    change(&mut setup.there);
    setup
}

fn medium() -> Setup {
    Setup::new(200, ms(50))
}

#[test]
fn a_clean_link_is_filled() {
    assert_filled("200 Mbit, 50 ms", medium(), 90);
    assert_filled("20 Mbit, 20 ms", Setup::new(20, ms(20)), 90);
    assert_filled("1 Gbit, 20 ms", Setup::new(1_000, ms(20)), 90);
    assert_filled("100 Mbit, 200 ms", Setup::new(100, ms(200)), 90);
    assert_filled("2 Mbit, 100 ms", Setup::new(2, ms(100)), 90);
}

#[test]
fn random_losses_cost_no_more_than_what_is_lost() {
    for loss in [1_000, 10_000, 20_000, 50_000] {
        assert_filled("random losses", with(&medium(), |link| link.loss = loss), 90);
    }
}

#[test]
fn losses_in_bursts_cost_no_more() {
    assert_filled("bursts of 5", with(&medium(), |link| (link.loss, link.burst) = (10_000, 5)), 90);
    assert_filled("bursts of 50", with(&medium(), |link| (link.loss, link.burst) = (10_000, 50)), 90);
}

#[test]
fn a_long_fat_path_is_filled() {
    assert_filled("1 Gbit, 100 ms", Setup::new(1_000, ms(100)), 90);
    assert_filled("1 Gbit, 100 ms, 1 %", with(&Setup::new(1_000, ms(100)), |link| link.loss = 10_000), 80);
}

#[test]
fn a_receiver_that_reports_only_twenty_blocks_is_served_well() {
    let base = Setup { blocks: 20, ..medium() };
    for (loss, least) in [(0, 90), (1_000, 90), (10_000, 80), (20_000, 70)] {
        assert_filled("20 blocks", with(&base, |link| link.loss = loss), least);
    }
}

#[test]
fn a_short_queue_is_enough() {
    assert_filled("128 KiB", with(&medium(), |link| link.queue = 131_072), 90);
    assert_filled("128 KiB, 0.1 %", with(&medium(), |link| (link.queue, link.loss) = (131_072, 1_000)), 90);
}

#[test]
fn packets_that_overtake_each_other_are_not_lost() {
    assert_filled("2 ms of jitter", with(&medium(), |link| link.jitter = ms(2)), 90);
    assert_filled("10 ms of jitter", with(&medium(), |link| link.jitter = ms(10)), 90);
    assert_filled(
        "10 ms of jitter, 1 %",
        with(&medium(), |link| (link.jitter, link.loss) = (ms(10), 10_000)),
        85,
    );
}

#[test]
fn packets_that_come_twice_do_not_matter() {
    assert_filled("duplicates", with(&medium(), |link| link.duplication = 50_000), 90);
}

#[test]
fn lost_acknowledgements_do_not_matter() {
    let mut setup = medium();
    setup.back.loss = 300_000;
    assert_filled("30 % of the acknowledgements", setup, 90);
}

#[test]
fn a_driver_that_wakes_up_late_is_no_obstacle() {
    assert_filled("2 ms late", Setup { lateness: ms(2), ..medium() }, 90);
}

#[test]
fn a_rate_that_changes_is_followed() {
    let mut world = World::new(medium());
    world.run(Duration::from_secs(5), |_| false);
    world.link_there.config.rate /= 4;
    world.run(Duration::from_secs(8), |_| false);
    let slow = world.measure(Duration::from_secs(10));
    assert!(slow > 25_000_000 / 4 * 10 * 82 / 100, "{slow} bytes in ten seconds at 50 Mbit");
    world.link_there.config.rate *= 4;
    world.run(world.now + Duration::from_secs(3), |_| false);
    let fast = world.measure(Duration::from_secs(10));
    assert!(fast > 25_000_000 * 10 * 82 / 100, "{fast} bytes in ten seconds at 200 Mbit");
}

#[test]
fn a_link_that_was_gone_for_a_minute_is_used_at_once() {
    let mut world = World::new(medium());
    world.run(Duration::from_secs(5), |_| false);
    (world.link_there.is_down, world.link_back.is_down) = (true, true);
    world.run(Duration::from_secs(65), |_| false);
    (world.link_there.is_down, world.link_back.is_down) = (false, false);
    assert!(!world.is_lost, "the association has ended");
    let before = world.read;
    world.run(Duration::from_secs(69), |_| false);
    assert!(world.read > before + 1_000_000, "nothing arrived in the four seconds after the link was back");
    let read = world.measure(Duration::from_secs(5));
    assert!(read > 25_000_000 * 5 * 80 / 100, "{read} bytes in the five seconds after that");
}

#[test]
fn a_sender_with_little_to_send_is_not_slow_afterwards() {
    let mut setup = medium();
    setup.supply = Some(1_000_000);
    setup.message = 10_000;
    let mut world = World::new(setup);
    world.run(Duration::from_secs(10), |_| false);
    assert!(world.read > 9_500_000, "{} of ten million bytes", world.read);
    world.setup.supply = None;
    world.run(Duration::from_secs(12), |_| false);
    let read = world.measure(Duration::from_secs(5));
    assert!(read > 25_000_000 * 5 * 82 / 100, "{read} bytes in five seconds");
}

#[test]
fn a_slow_reader_holds_the_sender_up_and_nothing_is_lost() {
    let mut setup = medium();
    setup.demand = Some(2_000_000);
    setup.receive_window = 1 << 20;
    let mut world = World::new(setup);
    world.run(Duration::from_secs(3), |_| false);
    let read = world.measure(Duration::from_secs(20));
    assert!((36_000_000..=44_000_000).contains(&read), "{read} bytes in twenty seconds");
    let stats = world.sender().stats();
    assert!(stats.repeated_chunks * 20 < stats.sent_chunks, "{stats:?}");
}

#[test]
fn a_reader_that_pauses_is_asked_again() {
    let mut setup = medium();
    setup.demand = Some(0);
    setup.receive_window = 1 << 20;
    let mut world = World::new(setup);
    world.run(Duration::from_secs(30), |_| false);
    assert_eq!(world.read, 0);
    world.setup.demand = None;
    // Nobody tells the sender but the receiver.
    world.run(Duration::from_secs(40), |_| false);
    assert!(world.read > 80_000_000, "{} bytes in ten seconds", world.read);
}

#[test]
fn everything_arrives_and_the_timers_stop() {
    let mut setup = with(&medium(), |link| link.loss = 50_000);
    setup.back.loss = 50_000;
    let mut world = World::new(setup);
    world.limit = 10_000_000;
    world.run(Duration::from_secs(20), |world| world.read >= 10_000_000);
    assert!(world.read >= 10_000_000, "{} bytes", world.read);
    assert!(world.now < Duration::from_secs(4), "it took {:?}", world.now);
    world.run(world.now + Duration::from_secs(10), |_| false);
    assert_eq!(world.sender().poll_timeout(), None);
    assert_eq!(world.receiver().poll_timeout(), None);
}
