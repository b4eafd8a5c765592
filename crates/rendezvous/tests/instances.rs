//! The program `instances`, for a short while: three instances behind nginx, claims that race, and one instance killed.

#![allow(dead_code, clippy::print_stdout, reason = "the modules of the program")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helper fails as its test does")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what a server says besides is nothing to them")]
#![allow(clippy::expect_used, reason = "the program says what is missing")]
#![cfg(target_os = "linux")]

#[path = "../examples/instances/cluster.rs"]
mod cluster;
#[path = "../examples/instances/races.rs"]
mod races;
#[path = "../examples/load/sockets.rs"]
mod sockets;
#[path = "../examples/instances/survivors.rs"]
mod survivors;

use std::path::Path;
use std::time::Duration;

use tokio::task::LocalSet;

#[tokio::test]
async fn a_code_has_one_receiver_and_a_killed_instance_costs_no_session() {
    let instances = LocalSet::new();
    instances
        .run_until(async {
            let mut cluster = cluster::Cluster::start(Path::new(env!("CARGO_BIN_EXE_rendezvous")), 3).await;
            let races = races::run(cluster.front, 2_000).await;
            println!("{races:?}");
            assert_eq!((races.won, races.doubled, races.failed), (500, 0, 0));
            let survivors = survivors::run(&mut cluster, 30, Duration::from_secs(12)).await;
            println!("{survivors}");
            assert_eq!((survivors.kills, survivors.lost), (2, 0));
            assert!(survivors.met > 30);
        })
        .await;
}
