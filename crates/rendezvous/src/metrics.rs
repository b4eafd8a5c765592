//! What an operator watches: counts, as Prometheus reads them. No label says who or which.

use std::time::{Duration, Instant};

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use serde::Serialize;
use wire::signaling::{CloseReason, Door, ReportedPath, ServerMessage};

use crate::registry::{Census, Tally};

/// The numbers of one rendezvous since it started.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    started: Instant,
    sockets: IntGauge,
    sessions: IntGaugeVec,
    meetings: IntGauge,
    guard: IntGauge,
    created: IntCounter,
    pairings: IntCounterVec,
    attempts: IntCounterVec,
    transfers: IntCounterVec,
    refusals: IntCounterVec,
    challenges: IntCounterVec,
    stun: IntCounterVec,
    relayed_frames: IntCounter,
    relayed_bytes: IntCounter,
    relays: IntGauge,
    relay_records: IntCounter,
    relay_bytes: IntCounter,
    relay_ends: IntCounterVec,
    delivery: Histogram,
}

/// The same for a person or a script, without what changes with every frame.
#[derive(Debug, Serialize)]
pub(crate) struct Stats {
    uptime_seconds: u64,
    sockets: usize,
    sessions: Sessions,
    meetings: usize,
    created: u64,
    paired: u64,
    confirmed: u64,
    wrong_codes: u64,
    relayed_frames: u64,
    relayed_bytes: u64,
    relays: usize,
    relay_bytes: u64,
    is_guarded: bool,
}

#[derive(Debug, Serialize)]
struct Sessions {
    waiting: usize,
    pairing: usize,
    confirmed: usize,
}

/// What is at this moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Open sockets.
    pub(crate) sockets: usize,
    /// Sessions by state.
    pub(crate) census: Census,
    /// Whether the guard is up.
    pub(crate) is_guarded: bool,
    /// Sessions at the record relay.
    pub(crate) relays: usize,
}

/// How a challenge went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It was set.
    Asked,
    /// The answer was right.
    Done,
    /// It was not.
    Wrong,
}

/// What became of a datagram to STUN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stun {
    /// It was answered.
    Answered,
    /// Its client asks too often.
    Limited,
    /// It was not a request.
    Ignored,
}

/// Why somebody was turned away before there was a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// A connection too many, of a client or of all.
    Connection,
    /// A TLS handshake that failed or took too long.
    Tls,
    /// A page of another origin.
    Origin,
    /// A socket too many of a client.
    Client,
    /// The server is full, or stops.
    Server,
}

impl Metrics {
    /// Nothing has happened yet.
    ///
    /// # Panics
    /// Never: names and labels are constants, and each is registered once.
    pub(crate) fn new(now: Instant) -> Self {
        let registry = Registry::new();
        let gauge = |name, help| IntGauge::with_opts(opts(name, help)).expect(CONSTANT);
        let counter = |name, help| IntCounter::with_opts(opts(name, help)).expect(CONSTANT);
        let counters =
            |name, help, labels: &[&str]| IntCounterVec::new(opts(name, help), labels).expect(CONSTANT);
        let delivery = HistogramOpts::new(
            "rendezvous_delivery_seconds",
            "From taking in a message to having written what follows from it to a socket.",
        );
        let metrics = Self {
            started: now,
            sockets: gauge("rendezvous_sockets", "Open sockets."),
            sessions: IntGaugeVec::new(opts("rendezvous_sessions", "Sessions by state."), &["state"])
                .expect(CONSTANT),
            meetings: gauge("rendezvous_meetings", "Meetings that somebody is at."),
            guard: gauge("rendezvous_guard", "Whether clients have to work for a door: 1 or 0."),
            created: counter("rendezvous_sessions_created_total", "Sessions and further codes of them."),
            pairings: counters("rendezvous_pairings_total", "Two sides brought together.", &["door"]),
            attempts: counters(
                "rendezvous_attempts_total",
                "How attempts at a door ended.",
                &["door", "outcome"],
            ),
            transfers: counters(
                "rendezvous_transfers_reported_total",
                "Sessions as senders report their end: how the two were connected, and what came of it.",
                &["path", "outcome"],
            ),
            refusals: counters("rendezvous_refusals_total", "Clients turned away, and why.", &["reason"]),
            challenges: counters(
                "rendezvous_challenges_total",
                "Work asked for, and its answers.",
                &["result"],
            ),
            stun: counters(
                "rendezvous_stun_requests_total",
                "Datagrams to STUN, and what became of them.",
                &["outcome"],
            ),
            relayed_frames: counter("rendezvous_relayed_frames_total", "Frames passed on."),
            relayed_bytes: counter("rendezvous_relayed_bytes_total", "Bytes of bodies passed on."),
            relays: gauge("rendezvous_relay_sessions", "Sessions at the record relay."),
            relay_records: counter(
                "rendezvous_relay_records_total",
                "Sealed records that the relay took in.",
            ),
            relay_bytes: counter("rendezvous_relay_bytes_total", "Bytes of them."),
            relay_ends: counters(
                "rendezvous_relay_ends_total",
                "How sockets at the record relay ended.",
                &["reason"],
            ),
            delivery: Histogram::with_opts(delivery.buckets(BUCKETS.to_vec())).expect(CONSTANT),
            registry,
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let all: [Box<dyn prometheus::core::Collector>; 18] = [
            Box::new(self.sockets.clone()),
            Box::new(self.sessions.clone()),
            Box::new(self.meetings.clone()),
            Box::new(self.guard.clone()),
            Box::new(self.created.clone()),
            Box::new(self.pairings.clone()),
            Box::new(self.attempts.clone()),
            Box::new(self.transfers.clone()),
            Box::new(self.refusals.clone()),
            Box::new(self.challenges.clone()),
            Box::new(self.stun.clone()),
            Box::new(self.relayed_frames.clone()),
            Box::new(self.relayed_bytes.clone()),
            Box::new(self.relays.clone()),
            Box::new(self.relay_records.clone()),
            Box::new(self.relay_bytes.clone()),
            Box::new(self.relay_ends.clone()),
            Box::new(self.delivery.clone()),
        ];
        for collector in all {
            self.registry.register(collector).expect(CONSTANT);
        }
        // What has not happened yet is 0, and not absent.
        for door in [Door::Typed, Door::Link, Door::Meeting] {
            self.pairings.with_label_values(&[name_of(door)]);
        }
        for path in ReportedPath::ALL {
            for outcome in ["complete", "failed"] {
                self.transfers.with_label_values(&[path_name(path), outcome]);
            }
        }
    }

    /// Counts what the registry tells.
    pub(crate) fn count(&self, tally: Tally) {
        let ended = |door, outcome| self.attempts.with_label_values(&[name_of(door), outcome]).inc();
        match tally {
            Tally::Paired(door) => self.pairings.with_label_values(&[name_of(door)]).inc(),
            Tally::Confirmed(door) => ended(door, "confirmed"),
            Tally::WrongCode(door) => ended(door, "wrong_code"),
            Tally::SoftDrop(door) => ended(door, "dropped"),
            Tally::Reported { path, ok } => {
                let outcome = if ok { "complete" } else { "failed" };
                self.transfers.with_label_values(&[path_name(path), outcome]).inc();
            }
        }
    }

    /// Counts a message to a client.
    pub(crate) fn count_delivery(&self, message: &ServerMessage) {
        match message {
            ServerMessage::Created { .. } => self.created.inc(),
            ServerMessage::Relay { body, .. } => {
                self.relayed_frames.inc();
                self.relayed_bytes.inc_by(u64::try_from(body.len()).unwrap_or(u64::MAX));
            }
            ServerMessage::Refused { reason, .. } => {
                self.refusals.with_label_values(&[reason_name(*reason)]).inc();
            }
            ServerMessage::Paired { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::DoorClosed { .. }
            | ServerMessage::Challenge(_)
            | ServerMessage::Unknown => {}
        }
    }

    /// Counts a client that the record relay does not let in.
    pub(crate) fn count_refusal(&self, reason: CloseReason) {
        self.refusals.with_label_values(&[reason_name(reason)]).inc();
    }

    /// Counts a record at the relay.
    pub(crate) fn count_relayed_record(&self, len: usize) {
        self.relay_records.inc();
        self.relay_bytes.inc_by(u64::try_from(len).unwrap_or(u64::MAX));
    }

    /// Counts the end of a socket at the relay.
    pub(crate) fn count_relay_end(&self, reason: CloseReason) {
        self.relay_ends.with_label_values(&[reason_name(reason)]).inc();
    }

    /// Counts somebody who got no socket.
    pub(crate) fn count_turned_away(&self, why: TurnedAway) {
        let reason = match why {
            TurnedAway::Connection => "connection",
            TurnedAway::Tls => "tls",
            TurnedAway::Origin => "origin",
            TurnedAway::Client => "too_many_sockets",
            TurnedAway::Server => "server_full",
        };
        self.refusals.with_label_values(&[reason]).inc();
    }

    /// Counts a challenge.
    pub(crate) fn count_work(&self, work: Work) {
        let result = match work {
            Work::Asked => "asked",
            Work::Done => "done",
            Work::Wrong => "wrong",
        };
        self.challenges.with_label_values(&[result]).inc();
    }

    /// Counts a datagram to STUN.
    pub(crate) fn count_stun(&self, outcome: Stun) {
        let outcome = match outcome {
            Stun::Answered => "answered",
            Stun::Limited => "limited",
            Stun::Ignored => "ignored",
        };
        self.stun.with_label_values(&[outcome]).inc();
    }

    /// A message was on its way through the server for so long.
    pub(crate) fn observe_delivery(&self, took: Duration) {
        self.delivery.observe(took.as_secs_f64());
    }

    /// All of it as text: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.
    pub(crate) fn text(&self, moment: Moment) -> String {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let Moment { sockets, census, is_guarded, relays } = moment;
        self.relays.set(number(relays));
        self.sockets.set(number(sockets));
        self.meetings.set(number(census.meetings));
        self.guard.set(is_guarded.into());
        for (state, count) in
            [("waiting", census.waiting), ("pairing", census.pairing), ("confirmed", census.confirmed)]
        {
            self.sessions.with_label_values(&[state]).set(number(count));
        }
        let mut text = Vec::new();
        // Writing to memory cannot fail, and neither can reading it back.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    /// The same in short.
    pub(crate) fn stats(&self, moment: Moment, now: Instant) -> Stats {
        let Moment { sockets, census, is_guarded, relays } = moment;
        let doors = [Door::Typed, Door::Link].map(name_of);
        let ended = |outcome: &str| -> u64 {
            doors.iter().map(|door| self.attempts.with_label_values(&[*door, outcome]).get()).sum()
        };
        Stats {
            uptime_seconds: now.saturating_duration_since(self.started).as_secs(),
            sockets,
            sessions: Sessions {
                waiting: census.waiting,
                pairing: census.pairing,
                confirmed: census.confirmed,
            },
            meetings: census.meetings,
            created: self.created.get(),
            paired: doors.iter().map(|door| self.pairings.with_label_values(&[*door]).get()).sum(),
            confirmed: ended("confirmed"),
            wrong_codes: ended("wrong_code"),
            relayed_frames: self.relayed_frames.get(),
            relayed_bytes: self.relayed_bytes.get(),
            relays,
            relay_bytes: self.relay_bytes.get(),
            is_guarded,
        }
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help)
}

fn name_of(door: Door) -> &'static str {
    match door {
        Door::Typed => "typed",
        Door::Link => "link",
        Door::Meeting => "meeting",
    }
}

fn path_name(path: ReportedPath) -> &'static str {
    match path {
        ReportedPath::LocalNetwork => "local_network",
        ReportedPath::Direct => "direct",
        ReportedPath::Turn => "turn",
        ReportedPath::Relay => "relay",
        ReportedPath::None => "none",
    }
}

fn reason_name(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::NoSuchCode => "no_such_code",
        CloseReason::RateLimited => "rate_limited",
        CloseReason::Busy => "busy",
        CloseReason::TokenRequired => "token_required",
        CloseReason::UnsupportedVersion => "unsupported_version",
        CloseReason::BadMessage => "bad_message",
        CloseReason::IdleTimeout => "idle_timeout",
        CloseReason::Expired => "expired",
        CloseReason::Replaced => "replaced",
        CloseReason::GoingAway => "going_away",
        CloseReason::Gone => "gone",
        CloseReason::Quota => "quota",
        CloseReason::SlowReader => "slow_reader",
        CloseReason::WrongCode
        | CloseReason::Exhausted
        | CloseReason::OtherDoor
        | CloseReason::ConfirmTimeout
        | CloseReason::Unknown
        | _ => "other",
    }
}

/// Why nothing about a metric can be wrong at run time.
const CONSTANT: &str = "names and labels are constants";

/// Bounds in seconds: a message is through in some 50 µs, and 10 ms is what it may take under load.
const BUCKETS: [f64; 11] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0];

#[cfg(test)]
mod tests {
    use wire::signaling::Body;

    use super::*;

    const NOBODY: Moment = Moment {
        sockets: 3,
        census: Census { waiting: 2, pairing: 1, confirmed: 0, meetings: 4 },
        is_guarded: true,
        relays: 1,
    };

    #[test]
    fn what_happened_is_counted_where_it_is_looked_for() {
        let metrics = Metrics::new(Instant::now());
        metrics.count(Tally::Paired(Door::Link));
        metrics.count(Tally::WrongCode(Door::Typed));
        metrics.count(Tally::Reported { path: ReportedPath::Direct, ok: true });
        metrics.count_work(Work::Asked);
        metrics.count_turned_away(TurnedAway::Origin);
        metrics.observe_delivery(Duration::from_micros(80));
        metrics.count_relayed_record(66_000);
        metrics.count_relay_end(CloseReason::Quota);
        let (door, attempt) = (Door::Typed, 1);
        metrics.count_delivery(&ServerMessage::Relay { door, attempt, body: Body::from_bytes(&[0; 3]) });
        let reason = CloseReason::NoSuchCode;
        metrics.count_delivery(&ServerMessage::Refused { reason, retry_after: None });
        let text = metrics.text(NOBODY);
        for line in [
            "rendezvous_sockets 3",
            "rendezvous_sessions{state=\"waiting\"} 2",
            "rendezvous_meetings 4",
            "rendezvous_guard 1",
            "rendezvous_pairings_total{door=\"link\"} 1",
            "rendezvous_pairings_total{door=\"typed\"} 0",
            "rendezvous_attempts_total{door=\"typed\",outcome=\"wrong_code\"} 1",
            "rendezvous_transfers_reported_total{outcome=\"complete\",path=\"direct\"} 1",
            "rendezvous_challenges_total{result=\"asked\"} 1",
            "rendezvous_refusals_total{reason=\"origin\"} 1",
            "rendezvous_refusals_total{reason=\"no_such_code\"} 1",
            "rendezvous_relayed_bytes_total 4",
            "rendezvous_relay_sessions 1",
            "rendezvous_relay_bytes_total 66000",
            "rendezvous_relay_ends_total{reason=\"quota\"} 1",
            "rendezvous_delivery_seconds_bucket{le=\"0.0001\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        let stats = serde_json::to_value(metrics.stats(NOBODY, Instant::now())).unwrap();
        assert_eq!((&stats["wrong_codes"], &stats["sessions"]["waiting"]), (&1.into(), &2.into()));
    }

    #[test]
    fn two_servers_in_one_process_count_for_themselves() {
        let (one, other) = (Metrics::new(Instant::now()), Metrics::new(Instant::now()));
        one.count(Tally::Paired(Door::Typed));
        assert!(other.text(NOBODY).contains("rendezvous_pairings_total{door=\"typed\"} 0"));
    }
}
