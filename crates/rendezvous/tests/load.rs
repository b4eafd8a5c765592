//! The program `load`, for a short while: what it would find out is printed, what would be a fault is not there.

#![allow(dead_code, clippy::print_stdout, reason = "the modules of the program")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helper fails as its test does")]
#![allow(clippy::cast_precision_loss, reason = "figures to look at")]
#![cfg(target_os = "linux")]

#[path = "../examples/load/run.rs"]
mod run;
#[path = "../examples/load/sockets.rs"]
mod sockets;

use std::time::Duration;

#[tokio::test]
async fn five_hundred_sessions_are_served_and_none_is_lost() {
    let load = run::Load {
        server: env!("CARGO_BIN_EXE_rendezvous").into(),
        waiting: 250,
        pairs: 250,
        rate: 25,
        lasts: Duration::from_secs(20),
    };
    let report = load.run().await;
    println!("{report}");
    assert_eq!(report.lost, 0);
    assert!(report.passed > 250, "{}", report.passed);
    // Ten times what it has to be, on a machine that does other things as well.
    assert!(report.slowest_of(99) < Duration::from_millis(100), "{report}");
    assert!(report.kib_per_session() < 160.0, "{report}");
    // A thousand sessions took ten times as much.
    assert!(report.leftover() < 0.2, "{report}");
}
