//! Goes through every pair of ways to reach the internet, with and without a TURN server, and prints which path each takes.
//!
//! ```text
//! cargo run --bin paths -- [--side-by-side N]
//! ```
//!
//! It fails when one takes another path than `netlab/README.md` says. Takes root.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helper fails as its test does")]
#![allow(dead_code, unused_imports, reason = "the helpers of all tests, of which this is one")]
#![expect(clippy::print_stdout, reason = "what it does is what it prints")]

mod crossing;
mod harness;
mod netlab;

use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use clap::Parser;

use crate::crossing::{Turn, cross, expected};
use crate::netlab::{Access, Internet};

/// Sends a file between every two ways to reach the internet.
#[derive(Parser)]
struct Args {
    /// How many transfers at a time; most of those that find no path wait for half a minute
    #[arg(long, default_value_t = 4)]
    side_by_side: usize,
}

fn main() -> ExitCode {
    let cells = Mutex::new(cells().into_iter());
    let wrong = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..Args::parse().side_by_side {
            scope.spawn(|| {
                loop {
                    let Some((one, other, turn)) = cells.lock().unwrap().next() else { return };
                    if !is_as_expected(one, other, turn) {
                        *wrong.lock().unwrap() += 1;
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!("{wrong} of {} paths are not the expected ones", self::cells().len());
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every pair once; who sends alternates.
fn cells() -> Vec<(Access, Access, Turn)> {
    let mut cells = Vec::new();
    for (index, &one) in Access::ALL.iter().enumerate() {
        for &other in &Access::ALL[index..] {
            let (sender, receiver) = if cells.len() % 4 < 2 { (one, other) } else { (other, one) };
            cells.extend([Turn::Missing, Turn::Offered].map(|turn| (sender, receiver, turn)));
        }
    }
    cells
}

fn is_as_expected(one: Access, other: Access, turn: Turn) -> bool {
    let expected = expected(one, other, turn);
    let crossed = thread::spawn(move || Internet::new().map(|internet| cross(&internet, one, other, turn)));
    let found = match crossed.join() {
        Ok(Some(crossing)) if crossing.may_be(expected) => format!("{crossing}"),
        Ok(Some(crossing)) => format!("{crossing}, NOT {}", expected.name()),
        Ok(None) => return false,
        Err(_) => format!("FAILED, not {}", expected.name()),
    };
    println!("{} to {}, TURN {turn:?}: {found}", one.name(), other.name());
    !found.contains("not ") && !found.contains("NOT ")
}
