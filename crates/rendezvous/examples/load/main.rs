//! Many thousand sessions against one server, to see what one costs and how long a message takes.
//!
//! ```text
//! cargo build --release -p rendezvous --bin rendezvous --example load
//! ulimit -n 100000 && target/release/examples/load [--waiting N] [--pairs N] [--rate N] [--seconds N]
//! ```
//!
//! The server is started here, on the last processor alone. Fails when a session is lost or a bound is missed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a program of the tests")]
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "figures to look at")]

mod run;
mod sockets;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Many thousand sessions against one server.
#[derive(Debug, Parser)]
struct Args {
    /// Sessions whose sender waits
    #[arg(long, default_value_t = 10_000)]
    waiting: usize,
    /// Sessions whose sides exchange messages
    #[arg(long, default_value_t = 10_000)]
    pairs: usize,
    /// Sessions that come and go per second meanwhile
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// How long
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// The server [default: `rendezvous` beside this program's directory]
    #[arg(long)]
    server: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let beside = || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("rendezvous");
    let load = run::Load {
        server: args.server.unwrap_or_else(beside),
        waiting: args.waiting,
        pairs: args.pairs,
        rate: args.rate,
        lasts: Duration::from_secs(args.seconds),
    };
    if let Err(most) = load.check_descriptors() {
        println!(
            "not enough file descriptors: {} are needed in each process, and {most} may be open",
            load.descriptors()
        );
        return ExitCode::FAILURE;
    }
    let report = load.run().await;
    println!("{report}");
    let holds = report.lost == 0
        && report.kib_per_session() <= 16.0
        && report.slowest_of(99) <= Duration::from_millis(10)
        && report.has_given_back();
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
