//! Whatever the network does, everything arrives.

use std::time::Duration;

use crate::dice::Dice;
use crate::link::LinkConfig;
use crate::world::{Setup, World};

fn random_link(dice: &mut Dice) -> LinkConfig {
    let mut link = LinkConfig::new([1, 5, 20, 100, 1_000][dice.below(5) as usize], Duration::ZERO);
    link.delay = Duration::from_micros(dice.below(150_000));
    link.queue = 20_000 + dice.below(2_000_000);
    link.loss = [0, 0, 1_000, 10_000, 50_000, 200_000][dice.below(6) as usize];
    link.burst = 1 + dice.below(20);
    link.jitter = Duration::from_micros([0, 0, 500, 20_000][dice.below(4) as usize]);
    link.duplication = [0, 0, 10_000, 300_000][dice.below(4) as usize];
    link
}

/// One run. A link that goes away comes back; the bytes must arrive in a time that leaves room for the worst of links.
fn run(seed: u64) {
    let mut dice = Dice::new(seed);
    let mut setup = Setup::new(1, Duration::ZERO);
    setup.seed = seed;
    setup.there = random_link(&mut dice);
    setup.back = random_link(&mut dice);
    setup.message = [10, 1_000, 1_161, 20_000, 65_600, 262_144][dice.below(6) as usize];
    setup.receive_window = [1 << 17, 1 << 20, 1 << 22][dice.below(3) as usize].max(2 * setup.message as u32);
    setup.send_buffer = [1 << 16, 1 << 20, 1 << 22][dice.below(3) as usize];
    setup.lateness = Duration::from_micros(dice.below(3_000));
    if dice.below(4) == 0 {
        setup.demand = Some(100_000 + dice.below(10_000_000));
    }
    let total = 20_000 + dice.below(if setup.message < 100 { 40_000 } else { 1_500_000 });
    let mut world = World::new(setup);
    world.limit = total;
    let is_done = |it: &World| it.read >= total;
    if dice.below(3) == 0 {
        world.run(Duration::from_millis(dice.below(2_000)), is_done);
        (world.link_there.is_down, world.link_back.is_down) = (true, dice.below(2) == 0);
        let until = world.now + Duration::from_millis(dice.below(20_000));
        world.run(until, is_done);
        (world.link_there.is_down, world.link_back.is_down) = (false, false);
    }
    world.run(Duration::from_mins(20), is_done);
    assert!(
        world.read >= total,
        "seed {seed}: {} of {total} bytes; {:?}; {:?}; lost {}",
        world.read,
        world.setup,
        world.sender().stats(),
        world.is_lost
    );
    assert!(world.packets < 400_000, "seed {seed}: {} packets for {total} bytes", world.packets);
}

/// `SCTP_SEEDS` says how many.
#[test]
fn everything_arrives_whatever_the_network_does() {
    let count = std::env::var("SCTP_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(300);
    let first = std::env::var("SCTP_FIRST_SEED").ok().and_then(|first| first.parse().ok()).unwrap_or(0);
    for seed in first..first + count {
        run(seed);
    }
}
