//! Goes through every pair of ways to reach the internet, with and without a TURN server, and prints which path each takes.
//!
//! ```text
//! cargo run --bin paths -- [--side-by-side N]
//! ```
//!
//! Each transfer is 20 MB and arrives intact. It fails when one takes another path than `netlab/README.md` says. Takes root.

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
use std::time::Duration;

use clap::Parser;

use crate::crossing::{Crossing, Path, Turn, cross, expected};
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
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..Args::parse().side_by_side {
            scope.spawn(|| {
                loop {
                    let Some((one, other, turn)) = cells.lock().unwrap().next() else { return };
                    let result = try_cell(one, other, turn);
                    results.lock().unwrap().push(result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    let mut waits: Vec<Duration> = results
        .iter()
        .flatten()
        .filter(|crossing| crossing.path != Path::None)
        .map(|crossing| crossing.took)
        .collect();
    waits.sort();
    if let Some(last) = waits.len().checked_sub(1) {
        let [half, most] = [50, 95].map(|percent| waits[last * percent / 100]);
        println!("code accepted to first byte: {half:.2?} at most in half of them, {most:.2?} in 95 %");
    }
    let wrong = results.iter().filter(|result| result.is_none()).count();
    println!("{wrong} of {} paths are not the expected ones", results.len());
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

/// What came of a pair, if it is what was expected.
fn try_cell(one: Access, other: Access, turn: Turn) -> Option<Crossing> {
    let expected = expected(one, other, turn);
    let crossed =
        thread::spawn(move || Internet::new().map(|internet| cross(&internet, [one, other], turn, LEN)));
    let crossing = crossed.join().ok().flatten();
    let is_right = crossing.is_some_and(|crossing| crossing.may_be(expected));
    let found = crossing.map_or_else(|| "FAILED".to_owned(), |crossing| crossing.to_string());
    let wrong = if is_right { String::new() } else { format!(", NOT {}", expected.name()) };
    println!("{} to {}, TURN {turn:?}: {found}{wrong}", one.name(), other.name());
    crossing.filter(|_| is_right)
}

/// The file of each transfer, in bytes.
const LEN: usize = 20_000_000;
