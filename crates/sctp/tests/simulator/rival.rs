//! Beside somebody else.

use std::time::Duration;

use crate::world::{Setup, World};

/// The part of what both get that this side gets, in percent, over a minute.
fn share(setup: Setup) -> u64 {
    let mut world = World::new(setup);
    world.run(Duration::from_secs(5), |_| false);
    let before: u64 = world.rivals.iter().map(|rival| rival.acked).sum();
    let ours = world.measure(Duration::from_mins(1)) * 1_497 / 1_404;
    let theirs: u64 = world.rivals.iter().map(|rival| rival.acked).sum::<u64>() - before;
    let percent = ours * 100 / (ours + theirs);
    println!(
        "{percent} %: {} against {} MB/s; {:?}",
        ours / 60_000_000,
        theirs / 60_000_000,
        world.sender().stats()
    );
    percent
}

/// The mean of three runs: where the two flows meet is chance, and the same minute comes out some percent higher or lower.
fn mean_share(setup: &Setup) -> u64 {
    [1, 2, 3].map(|seed| share(Setup { seed, ..setup.clone() })).iter().sum::<u64>() / 3
}

#[test]
fn a_flow_of_cubic_is_neither_starved_nor_yielded_to() {
    let mut wrong = Vec::new();
    for (megabits, round_trip, queues) in
        [(200, 50, 1), (200, 50, 2), (100, 20, 1), (50, 100, 1), (500, 30, 1), (20, 40, 1), (100, 80, 2)]
    {
        let mut setup = Setup::new(megabits, Duration::from_millis(round_trip));
        setup.there.queue *= queues;
        setup.rivals = 1;
        let percent = mean_share(&setup);
        if !(25..=67).contains(&percent) {
            wrong.push((megabits, round_trip, queues, percent));
        }
    }
    assert!(wrong.is_empty(), "beside cubic: {wrong:?}");
}
