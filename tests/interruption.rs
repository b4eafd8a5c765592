//! A transfer that is interrupted in the middle and goes on by itself, and what that costs.

#![expect(clippy::print_stdout, reason = "what a break costs is worth seeing")]

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{BIG, BIG_LEN, Ended, Machine, NOTICED, Peer, Rendezvous, Snapshot, content};
use crate::netlab::{Cut, Netlab, stay_away};

const MIB: usize = 1024 * 1024;

/// What one break may cost: the credit window, and a MiB.
const COST: u64 = wire::transfer::CREDIT_WINDOW + MIB as u64;

/// How soon a transfer goes on once the network is back.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(5);

/// A transfer of [`BIG`], of which something has moved and most has not.
pub(crate) struct Interruption {
    alice: Machine,
    bob: Machine,
    /// Alice's side.
    pub(crate) sending: Peer,
    /// Bob's side.
    pub(crate) receiving: Peer,
}

/// How it ended.
pub(crate) struct Survived {
    /// The sender's end.
    pub(crate) sent: Ended,
    /// The receiver's end.
    pub(crate) received: Ended,
    /// Bytes of the file that were sent more than once.
    pub(crate) again: u64,
}

impl Interruption {
    /// Begins it.
    #[track_caller]
    pub(crate) fn prepare(alice: Machine, bob: Machine) -> Self {
        alice.write(BIG, &content(BIG_LEN));
        let mut sending = alice.start(&[BIG]);
        let code = sending.code();
        let mut receiving = bob.start(&["receive", &code, "--yes"]);
        receiving.under_way();
        Self { alice, bob, sending, receiving }
    }

    /// Both succeed, with one code, and what was sent twice is no more than `breaks` breaks may cost.
    #[track_caller]
    pub(crate) fn both_succeed(self, breaks: u64) -> Survived {
        let received = self.receiving.end();
        received.succeeded();
        let sent = self.sending.end();
        sent.succeeded();
        assert_eq!(Snapshot::of(&self.alice.path(BIG)), Snapshot::of(&self.bob.path(BIG)));
        assert_eq!(self.bob.names(), [BIG], "nothing is left over");
        assert_eq!(sent.events_of("code").len(), 1, "{sent:?}");
        let again = number(&sent.events_of("finished")[0]["moved"]) - BIG_LEN as u64;
        println!("sent again: {again} bytes after {breaks} breaks");
        assert!(again <= breaks * COST, "{again} bytes were sent again after {breaks} breaks: {sent:?}");
        Survived { sent, received, again }
    }
}

/// What came of a network that was cut and came back.
pub(crate) struct Recovery {
    cut: Cut,
    lasted: Duration,
    /// From the network's return to the first byte that had not been here before.
    pub(crate) resumed_after: Duration,
    /// Whether the connection had to be made anew.
    reconnected: bool,
    /// Bytes of the file that were sent more than once.
    again: u64,
    /// Bytes of all kinds that the sender's cable carried.
    wire_len: u64,
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cut, lasted, resumed_after, reconnected, again, wire_len } = self;
        let how = if *reconnected { "over a new connection" } else { "over the same connection" };
        write!(f, "{cut:?} for {lasted:?}: goes on {resumed_after:.1?} after the network is back, {how}; ")?;
        write!(f, "{again} bytes of {BIG_LEN} sent again, {wire_len} on the wire")
    }
}

/// Cuts the receiver off in the middle of a transfer for as long as told. It goes on by itself when the network is back: soon
/// (asserted is ten times of what is promised), with the same code, and at the cost of what was in flight.
#[track_caller]
pub(crate) fn outlive(lab: &Netlab, cut: Cut, lasted: Duration) -> Recovery {
    let server = Rendezvous::start_on(&lab.server);
    let alice = Machine::with_server(&server).on(&lab.alice);
    let bob = Machine::with_server(&server).on(&lab.bob);
    let carried = || lab.alice.cable.traffic().sent;
    let before = carried();
    let mut transfer = Interruption::prepare(alice, bob);
    let since = Instant::now();
    lab.bob.cable.cut(cut);
    if lasted > NOTICED {
        for peer in [&mut transfer.sending, &mut transfer.receiving] {
            peer.event("reconnecting");
            assert!(since.elapsed() < NOTICED, "noticed after {:.1?}", since.elapsed());
        }
    }
    stay_away(lasted.saturating_sub(since.elapsed()));
    let here = transfer.receiving.done();
    lab.bob.cable.restore(cut);
    let back = Instant::now();
    assert!(transfer.receiving.progresses_to(here + 1), "{:?}", transfer.receiving);
    let resumed_after = back.elapsed();
    let Survived { received, again, .. } = transfer.both_succeed(1);
    let reconnected = !received.events_of("reconnecting").is_empty();
    let recovery = Recovery { cut, lasted, resumed_after, reconnected, again, wire_len: carried() - before };
    assert!(resumed_after < 10 * BACK_WITHIN, "{recovery}");
    recovery
}

/// The number that a JSON value is.
#[track_caller]
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}
