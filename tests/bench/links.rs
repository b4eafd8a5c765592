//! Whole transfers over long and lossy links, beside what the kernel's TCP makes of the same link in the same run.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;

use super::flow::{self, Flows};
use super::measured::median;
use super::print;
use super::process::{Process, Said};
use crate::harness::{Machine, Rendezvous};
use crate::netlab::{Link, Wire};

/// In which everything but the transfer itself is done, in the worst case.
const PATIENCE: Duration = Duration::from_mins(1);

/// From here on a wire is not what it says it is.
const LATE: Duration = Duration::from_millis(5);

/// Which links, and what goes over them.
#[derive(Parser)]
pub(crate) struct Args {
    /// Only links of so many megabits per second; with --rtt one of your own
    #[arg(long)]
    rate: Option<u64>,
    /// Only links of this round trip, in milliseconds
    #[arg(long)]
    rtt: Option<u64>,
    /// Only these losses, in percent
    #[arg(long, value_delimiter = ',')]
    loss: Vec<f64>,
    /// Packets that are lost in a row, on average
    #[arg(long)]
    burst: Option<f64>,
    /// Milliseconds by which a packet may be late
    #[arg(long)]
    jitter: Option<u64>,
    /// Bytes that may wait [default: one product of bandwidth and delay]
    #[arg(long)]
    queue: Option<u64>,
    /// How long each is to take: the size of the file is that of the link
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// How often; medians are printed
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Nothing of the kernel beside it
    #[arg(long)]
    alone: bool,
    /// Instead, a transfer of a minute beside one connection of the kernel's under cubic, and who gets how much
    #[arg(long)]
    beside: bool,
}

/// Megabits per second, milliseconds, percent, packets in a row, milliseconds, bytes: the links of the table in README.md.
type Row = (u64, u64, f64, f64, u64, Option<u64>);

const ROWS: [Row; 17] = [
    (200, 50, 0.0, 1.0, 0, None),
    (200, 50, 0.1, 1.0, 0, None),
    (200, 50, 1.0, 1.0, 0, None),
    (200, 50, 2.0, 1.0, 0, None),
    (200, 50, 1.0, 5.0, 0, None),
    (200, 50, 0.1, 1.0, 0, Some(128 << 10)),
    (200, 50, 0.1, 1.0, 10, None),
    (1_000, 20, 0.0, 1.0, 0, None),
    (1_000, 20, 0.1, 1.0, 0, None),
    (1_000, 20, 1.0, 1.0, 0, None),
    (1_000, 20, 2.0, 1.0, 0, None),
    (1_000, 100, 0.0, 1.0, 0, None),
    (1_000, 100, 0.1, 1.0, 0, None),
    (1_000, 100, 1.0, 1.0, 0, None),
    (100, 200, 0.0, 1.0, 0, None),
    (100, 200, 0.1, 1.0, 0, None),
    (100, 200, 2.0, 1.0, 0, None),
];

/// Goes over the links.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.beside {
        return beside(args);
    }
    let time = Duration::from_secs(args.seconds);
    print("| link | loss | send MB/s | of the link | cubic ×1 | cubic ×4 | BBR | CPU s/GB | sent per byte |");
    print("|---|---|---|---|---|---|---|---|---|");
    for row in args.rows() {
        let wire = wire(row);
        let (mut columns, mut latest) = ([const { Vec::new() }; 7], Duration::ZERO);
        for seed in 1..=args.runs {
            let crossing = cross(wire, seed, time)?;
            latest = latest.max(crossing.latest);
            let mut figures = vec![crossing.rate, crossing.sender, crossing.receiver, crossing.sent];
            if !args.alone {
                for (control, count) in [("cubic", 1), ("cubic", 4), ("bbr", 1)] {
                    let link = Link::new(wire, seed).context("takes root")?;
                    figures.push(flow::tcp(&link, control, count, time)?);
                    latest = latest.max(link.lateness());
                }
            }
            for (column, figure) in columns.iter_mut().zip(figures) {
                column.push(figure);
            }
        }
        print(&line(row, &columns.map(|column| median(&column))));
        if latest > LATE {
            print(&format!("<!-- the wire was late by up to {latest:.1?}: this machine was busy -->"));
        }
    }
    Ok(())
}

impl Args {
    fn rows(&self) -> Vec<Row> {
        let losses = if self.loss.is_empty() { &[0.0, 0.1, 1.0, 2.0][..] } else { &self.loss };
        let is_own = self.burst.is_some() || self.jitter.is_some() || self.queue.is_some();
        let known: Vec<Row> = ROWS
            .into_iter()
            .filter(|row| self.rate.is_none_or(|rate| rate == row.0))
            .filter(|row| self.rtt.is_none_or(|rtt| rtt == row.1))
            .filter(|row| self.loss.is_empty() || self.loss.contains(&row.2))
            .collect();
        if !is_own && !known.is_empty() {
            return known;
        }
        let (rate, rtt) = (self.rate.unwrap_or(200), self.rtt.unwrap_or(50));
        let (burst, jitter) = (self.burst.unwrap_or(1.0), self.jitter.unwrap_or(0));
        losses.iter().map(|&loss| (rate, rtt, loss, burst, jitter, self.queue)).collect()
    }
}

fn wire((rate, rtt, loss, burst, jitter, queue): Row) -> Wire {
    let wire = Wire::new(rate * 1_000_000, Duration::from_millis(rtt));
    let queue = queue.unwrap_or(wire.queue);
    Wire { loss: loss / 100.0, burst, jitter: Duration::from_millis(jitter), queue, ..wire }
}

fn line(row: Row, figures: &[f64; 7]) -> String {
    let (rate, rtt, loss, burst, jitter, queue) = row;
    let [ours, sender, receiver, sent, one, four, bbr] = figures;
    let mut faults = vec![format!("{loss} %")];
    faults.extend((burst > 1.0).then(|| format!("bursts of {burst}")));
    faults.extend((jitter > 0).then(|| format!("{jitter} ms jitter")));
    faults.extend(queue.map(|queue| format!("{} KiB queue", queue >> 10)));
    let faults = faults.join(", ");
    let share = ours / (rate as f64 / 8.0);
    // Of what was not measured there is no median.
    let cell = |figure: &f64| if figure.is_nan() { "–".to_owned() } else { format!("{figure:.1}") };
    let (one, four, bbr) = (cell(one), cell(four), cell(bbr));
    format!(
        "| {rate} Mbit {rtt} ms | {faults} | {ours:.1} | {share:.2} × | {one} | {four} | {bbr} \
         | {sender:.1} / {receiver:.1} | {sent:.2} |"
    )
}

/// A transfer over a link.
struct Crossing {
    /// MB/s, from consent to the last confirmation; over as much as came in three times the time that it should take.
    rate: f64,
    /// CPU seconds per GB of either side.
    sender: f64,
    receiver: f64,
    /// Bytes that came out of the wire, per byte of file.
    sent: f64,
    /// By how much the wire was late.
    latest: Duration,
}

fn cross(wire: Wire, seed: u64, time: Duration) -> Result<Crossing> {
    let link = Link::new(wire, seed).context("takes root")?;
    let size = wire.bytes_in(time);
    let Meeting { sending, receiving, _machines, _server } = meet(&link, size)?;
    let begun = receiving.event("offer", PATIENCE)?.at;
    let (deadline, mut done) = (begun + 3 * time, 0.0);
    let finished = receiving.follow(deadline, |said| done = said.number("done"))?;
    let costs = [sending.cost(), receiving.cost()];
    let bytes = if finished.is_some() { size as f64 } else { done };
    let end = finished.as_ref().map_or_else(Instant::now, |said| said.at);
    let sent = link.outwards.arrived_bytes.load(std::sync::atomic::Ordering::Relaxed) as f64 / bytes;
    let [sender, receiver] = costs.map(|cost| cost.cpu / (bytes / 1e9));
    if finished.is_none() {
        sending.interrupt();
        receiving.interrupt();
    }
    let rate = bytes / 1e6 / (end - begun).as_secs_f64();
    Ok(Crossing { rate, sender, receiver, sent, latest: link.lateness() })
}

/// Two processes that have met over a link.
struct Meeting {
    sending: Process,
    receiving: Process,
    _machines: [Machine; 2],
    _server: Rendezvous,
}

fn meet(link: &Link, size: u64) -> Result<Meeting> {
    let server = Rendezvous::start_inside_with(&link.near, &format!("{}:0", Link::NEAR), &[]);
    let [near, far] = [&link.near, &link.far].map(|space| Machine::with_quick_disk(&server).inside(space));
    make_sparse(&near.path("payload.bin"), size)?;
    let sending = Process::start(near.command(&["payload.bin", "--json"]))?;
    let code = sending.event("code", PATIENCE)?;
    let code = code.event["code"].as_str().context("no code")?;
    let receiving = Process::start(far.command(&["receive", code, "--yes", "--json"]))?;
    Ok(Meeting { sending, receiving, _machines: [near, far], _server: server })
}

/// Nothing but zeros: neither the cipher nor the hash is faster with them, and nothing compresses.
fn make_sparse(path: &Path, size: u64) -> Result<()> {
    Ok(File::create(path)?.set_len(size)?)
}

/// Who gets how much of a link that both want.
fn beside(args: &Args) -> Result<()> {
    let time = Duration::from_mins(1);
    print("| link | loss | send MB/s | cubic MB/s | send's share of the link |");
    print("|---|---|---|---|---|");
    let (rate, rtt) = (args.rate.unwrap_or(200), args.rtt.unwrap_or(50));
    for &loss in if args.loss.is_empty() { &[0.0][..] } else { &args.loss } {
        let wire = wire((rate, rtt, loss, 1.0, args.jitter.unwrap_or(0), args.queue));
        let link = Link::new(wire, 1).context("takes root")?;
        let meeting = meet(&link, wire.bytes_in(2 * time))?;
        let flows = Flows::start(&link, "cubic", 1)?;
        let begun = meeting.receiving.event("offer", PATIENCE)?.at;
        let (before, mut done) = (flows.received(), 0.0);
        meeting.receiving.follow(begun + time, |said: &Said| done = said.number("done"))?;
        let seconds = begun.elapsed().as_secs_f64();
        let cubic = (flows.received() - before) as f64 / 1e6 / seconds;
        drop(flows);
        meeting.sending.interrupt();
        meeting.receiving.interrupt();
        let ours = done / 1e6 / seconds;
        let share = ours / (rate as f64 / 8.0);
        print(&format!("| {rate} Mbit {rtt} ms | {loss} % | {ours:.1} | {cubic:.1} | {share:.2} |"));
    }
    Ok(())
}
