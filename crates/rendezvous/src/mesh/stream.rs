//! One end of a link: numbered frames over something that loses messages, repeated until they are acknowledged.
//!
//! Sans-IO. What is to be said goes in through [`Stream::say`], what was heard through [`Stream::handle_frame`]; then
//! [`Stream::poll_transmit`] until it is empty, and [`Stream::poll_timeout`] says when to ask again. Frames come in order or
//! are dropped: the other end repeats what was not acknowledged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::frame::{Body, Frame};

/// One end of a link.
#[derive(Debug)]
pub(crate) struct Stream {
    waiting: VecDeque<Body>,
    len: usize,
    /// The number of the first frame in `waiting`.
    first: u32,
    /// How many of `waiting` have been transmitted since the last repetition began.
    sent: usize,
    /// The number of the last frame that was heard.
    heard: u32,
    acknowledge_at: Option<Instant>,
    repeat_at: Option<Instant>,
    interval: Duration,
    /// Since when the other end owes an acknowledgement.
    owed_since: Option<Instant>,
}

/// More waits than the other end may leave unacknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

/// A frame to transmit: number, acknowledgement, body.
pub(crate) type Transmit = (u32, u32, Body);

impl Stream {
    /// A link on which nothing was said.
    pub(crate) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            len: 0,
            first: 1,
            sent: 0,
            heard: 0,
            acknowledge_at: None,
            repeat_at: None,
            interval: FIRST_INTERVAL,
            owed_since: None,
        }
    }

    /// Says something, in order and once.
    ///
    /// # Errors
    /// [`Overflow`] when [`MOST_FRAMES`] or [`MOST_BYTES`] are not acknowledged yet.
    pub(crate) fn say(&mut self, body: Body) -> Result<(), Overflow> {
        let len = len_of(&body);
        if self.waiting.len() >= MOST_FRAMES || self.len + len > MOST_BYTES {
            return Err(Overflow);
        }
        self.len += len;
        self.waiting.push_back(body);
        Ok(())
    }

    /// A frame of this link was heard. What is new in it comes out; a repetition, or one that a lost one should have come
    /// before, is dropped.
    pub(crate) fn handle_frame(&mut self, frame: Frame, now: Instant) -> Option<Body> {
        self.handle_acknowledgement(frame.acknowledged, now);
        if frame.number == 0 {
            return None;
        }
        self.acknowledge_at.get_or_insert(now + ACKNOWLEDGE_WITHIN);
        if frame.number != self.heard.checked_add(1)? {
            return None;
        }
        self.heard = frame.number;
        Some(frame.body)
    }

    /// The next frame to transmit.
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        if self.repeat_at.is_some_and(|at| at <= now) {
            self.repeat_at = None;
            self.sent = 0;
            self.interval = (self.interval * 2).min(LONGEST_INTERVAL);
        }
        if let Some(body) = self.waiting.get(self.sent) {
            let number = self.first.wrapping_add(u32::try_from(self.sent).unwrap_or(u32::MAX));
            self.sent += 1;
            self.acknowledge_at = None;
            self.repeat_at.get_or_insert(now + self.interval);
            self.owed_since.get_or_insert(now);
            return Some((number, self.heard, body.clone()));
        }
        self.acknowledge_at.take_if(|at| *at <= now)?;
        Some((0, self.heard, Body::Acknowledge))
    }

    /// When [`Stream::poll_transmit`] will have something at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.repeat_at.into_iter().chain(self.acknowledge_at).min()
    }

    /// Since when the other end has left something unacknowledged.
    pub(crate) fn owed_since(&self) -> Option<Instant> {
        self.owed_since
    }

    /// Whether all that was said has been acknowledged.
    pub(crate) fn is_settled(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the other end has acknowledged anything.
    pub(crate) fn is_established(&self) -> bool {
        self.first > 1
    }

    fn handle_acknowledgement(&mut self, number: u32, now: Instant) {
        let count = number.wrapping_sub(self.first).wrapping_add(1) as usize;
        // Not of what was never transmitted, and not anew of what was acknowledged before.
        if count == 0 || count > self.sent {
            return;
        }
        for body in self.waiting.drain(..count) {
            self.len -= len_of(&body);
        }
        self.first = number.wrapping_add(1);
        self.sent -= count;
        self.interval = FIRST_INTERVAL;
        let is_owed = self.sent > 0;
        self.repeat_at = is_owed.then(|| now + self.interval);
        self.owed_since = is_owed.then_some(now);
    }
}

fn len_of(body: &Body) -> usize {
    if let Body::Message(text) = body { text.len() } else { 0 }
}

/// Frames that may wait: as many as one direction of a pairing may ever relay, and what ends it.
const MOST_FRAMES: usize = 72;

/// Bytes of messages that may wait: as a socket's own queue, and one that is under way.
const MOST_BYTES: usize = 80 * 1024;

/// How long an acknowledgement may wait for something to go with.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(25);

/// When what was not acknowledged is repeated first: ten times what the way there and back takes.
const FIRST_INTERVAL: Duration = Duration::from_millis(300);

/// The longest wait between two repetitions.
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mesh::frame::{InstanceId, LinkId};

    /// Two ends, and a network that loses what it is told to.
    struct Pair {
        ends: [Stream; 2],
        heard: [Vec<String>; 2],
        now: Instant,
    }

    impl Pair {
        fn new() -> Self {
            Self {
                ends: [Stream::new(), Stream::new()],
                heard: [Vec::new(), Vec::new()],
                now: Instant::now(),
            }
        }

        fn say(&mut self, end: usize, text: &str) {
            self.ends[end].say(Body::Message(text.to_owned())).unwrap();
        }

        fn step(&mut self, mut is_lost: impl FnMut() -> bool) {
            for end in [0, 1] {
                while let Some((number, acknowledged, body)) = self.ends[end].poll_transmit(self.now) {
                    let (link, from) = (LinkId([0; 16]), InstanceId([0; 8]));
                    let frame = Frame { link, from, number, acknowledged, body };
                    if is_lost() {
                        continue;
                    }
                    if let Some(Body::Message(text)) = self.ends[1 - end].handle_frame(frame, self.now) {
                        self.heard[1 - end].push(text);
                    }
                }
            }
            let due = self.ends.iter().filter_map(Stream::poll_timeout).min();
            self.now = due.map_or(self.now, |due| due.max(self.now));
        }
    }

    #[test]
    fn what_is_said_is_heard_in_order_and_acknowledged() {
        let mut pair = Pair::new();
        for text in ["a", "b", "c"] {
            pair.say(0, text);
        }
        pair.say(1, "x");
        for _ in 0..3 {
            pair.step(|| false);
        }
        assert_eq!(pair.heard, [vec!["x"], vec!["a", "b", "c"]]);
        assert!(pair.ends.iter().all(Stream::is_settled));
        assert_eq!(pair.ends.iter().find_map(Stream::poll_timeout), None, "nothing is left to do");
    }

    #[test]
    fn a_window_that_nobody_acknowledges_is_bounded() {
        let most = |len: usize| {
            let mut stream = Stream::new();
            (0..1000).take_while(|_| stream.say(Body::Message("x".repeat(len))).is_ok()).count()
        };
        assert_eq!((most(1024), most(16 * 1024)), (MOST_FRAMES, 5));
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_said_changes_nothing() {
        let mut stream = Stream::new();
        stream.say(Body::Gone).unwrap();
        let now = Instant::now();
        for acknowledged in [0, 1, 2, u32::MAX] {
            let frame = Frame { acknowledged, ..Frame::aside(InstanceId([0; 8]), Body::Acknowledge) };
            assert_eq!(stream.handle_frame(frame, now), None);
            assert!(!stream.is_settled(), "{acknowledged}: it was not even transmitted");
        }
        assert_eq!(stream.poll_transmit(now), Some((1, 0, Body::Gone)));
    }

    proptest! {
        #[test]
        fn whatever_is_lost_everything_arrives_once_and_in_order(
            losses in proptest::collection::vec(any::<bool>(), 0..60),
            counts in (0..20_usize, 0..20_usize),
        ) {
            let mut pair = Pair::new();
            for index in 0..counts.0 { pair.say(0, &index.to_string()); }
            for index in 0..counts.1 { pair.say(1, &index.to_string()); }
            let mut losses = losses.into_iter();
            for _ in 0..200 {
                pair.step(|| losses.next().unwrap_or(false));
            }
            let expected = |count: usize| (0..count).map(|index| index.to_string()).collect::<Vec<_>>();
            prop_assert_eq!(&pair.heard, &[expected(counts.1), expected(counts.0)]);
            prop_assert!(pair.ends.iter().all(Stream::is_settled));
        }
    }
}
