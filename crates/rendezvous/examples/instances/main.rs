//! Three instances behind nginx with Redis: claims that race, and sessions whose instances are killed.
//!
//! ```text
//! cargo build --release -p rendezvous --bin rendezvous --example instances
//! target/release/examples/instances [--claims N] [--sessions N] [--seconds N]
//! ```
//!
//! Fails when two receivers got one code, or a session was lost that both sides wanted.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a program of the tests")]
#![allow(clippy::expect_used, clippy::print_stdout, reason = "figures to look at")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what a server says besides is nothing to it")]

mod cluster;
mod races;
#[path = "../load/sockets.rs"]
mod sockets;
mod survivors;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::task::LocalSet;

use self::cluster::Cluster;

/// Claims that race, and sessions whose instances are killed.
#[derive(Debug, Parser)]
struct Args {
    /// Claims that race, four for each code
    #[arg(long, default_value_t = 100_000)]
    claims: usize,
    /// Sessions at a time while instances are killed
    #[arg(long, default_value_t = 200)]
    sessions: usize,
    /// For how long an instance is killed every five seconds
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// The server [default: `rendezvous` beside this program's directory]
    #[arg(long)]
    server: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let beside = || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("rendezvous");
    let server = args.server.unwrap_or_else(beside);
    LocalSet::new()
        .run_until(async {
            let mut cluster = Cluster::start(&server, 3).await;
            let races = races::run(cluster.front, args.claims).await;
            println!(
                "{} racing claims: {} codes won once, {} more than once, {} races failed",
                races.claims, races.won, races.doubled, races.failed
            );
            let lasts = Duration::from_secs(args.seconds);
            let survivors = survivors::run(&mut cluster, args.sessions, lasts).await;
            println!("{survivors}");
            let holds = races.doubled == 0 && races.failed == 0 && survivors.lost == 0;
            if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        })
        .await
}
