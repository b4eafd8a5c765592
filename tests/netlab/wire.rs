//! What a long wire does to packets: each takes its time, few fit in front of it, and some are lost.

use std::time::Duration;

/// A wire as a person would describe it; both directions are alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    /// Bits per second, IP headers included.
    pub(crate) rate: u64,
    /// There and back, without the queue.
    pub(crate) round_trip: Duration,
    /// By how much packets may be later than that each way; their order stays.
    pub(crate) jitter: Duration,
    /// How many are lost, of one.
    pub(crate) loss: f64,
    /// How many are lost in a row, on average; 1 when one loss has nothing to do with the next.
    pub(crate) burst: f64,
    /// Bytes that may wait in front of it.
    pub(crate) queue: u64,
}

/// Less than this no router has, in bytes.
const SMALLEST_QUEUE: u64 = 128 << 10;

impl Wire {
    /// A wire without faults, and a queue for what fits on it: one product of bandwidth and delay.
    pub(crate) fn new(rate: u64, round_trip: Duration) -> Self {
        let product = u128::from(rate) * round_trip.as_millis() / 8_000;
        let queue = u64::try_from(product).unwrap_or(u64::MAX).max(SMALLEST_QUEUE);
        Self { rate, round_trip, jitter: Duration::ZERO, loss: 0.0, burst: 1.0, queue }
    }

    /// How long `len` bytes take to be sent.
    fn time_for(&self, len: u64) -> Duration {
        Duration::from_nanos(len.saturating_mul(8_000_000_000) / self.rate.max(1))
    }

    /// How many bytes are sent in `time`.
    pub(crate) fn bytes_in(&self, time: Duration) -> u64 {
        let bytes = time.as_nanos() * u128::from(self.rate) / 8_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It comes out at this time.
    Arrives(Duration),
    /// It is lost on its way.
    Lost,
    /// There was no room for it.
    Overflows,
}

/// One direction of a wire. It has no clock: times are those since some beginning.
#[derive(Debug)]
pub(crate) struct Passage {
    wire: Wire,
    chance: Chance,
    is_free_at: Duration,
    last_arrival: Duration,
    is_losing: bool,
}

impl Passage {
    /// A direction on which nothing is yet. The same `seed` loses the same packets.
    pub(crate) fn new(wire: Wire, seed: u64) -> Self {
        let (is_free_at, last_arrival) = (Duration::ZERO, Duration::ZERO);
        Self { wire, chance: Chance(seed), is_free_at, last_arrival, is_losing: false }
    }

    /// A packet of `len` bytes comes to the queue.
    pub(crate) fn take(&mut self, now: Duration, len: u64) -> Fate {
        let waiting = self.wire.bytes_in(self.is_free_at.saturating_sub(now));
        if waiting + len > self.wire.queue {
            return Fate::Overflows;
        }
        self.is_free_at = self.is_free_at.max(now) + self.wire.time_for(len);
        // What is lost has had its share of the rate.
        if self.loses() {
            return Fate::Lost;
        }
        let late = self.wire.jitter.mul_f64(self.chance.next());
        let arrival = self.is_free_at + self.wire.round_trip / 2 + late;
        self.last_arrival = self.last_arrival.max(arrival);
        Fate::Arrives(self.last_arrival)
    }

    /// A chain of two states (Gilbert): as many losses as the wire says, in bursts as long as it says on average.
    fn loses(&mut self) -> bool {
        let Wire { loss, burst, .. } = self.wire;
        let chance = if burst <= 1.0 {
            loss
        } else if self.is_losing {
            1.0 - 1.0 / burst
        } else {
            loss / burst / (1.0 - loss)
        };
        self.is_losing = self.chance.next() < chance;
        self.is_losing
    }
}

/// Numbers that look random (`SplitMix64`).
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    /// At least 0, less than 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Twelve megabits: a packet of 1,500 bytes takes a millisecond.
    fn wire() -> Wire {
        Wire::new(12_000_000, 20 * MILLISECOND)
    }

    #[test]
    fn packets_come_out_one_behind_the_other_after_half_a_round_trip() {
        let mut passage = Passage::new(wire(), 1);
        for number in 1..=20 {
            assert_eq!(
                passage.take(Duration::ZERO, 1_500),
                Fate::Arrives((10 + number) * MILLISECOND),
                "{number}"
            );
        }
        assert_eq!(passage.take(100 * MILLISECOND, 1_500), Fate::Arrives(111 * MILLISECOND), "it was idle");
    }

    #[test]
    fn what_the_queue_has_no_room_for_is_dropped() {
        let mut passage = Passage::new(Wire { queue: 3_000, ..wire() }, 1);
        let fates = [(); 3].map(|()| passage.take(Duration::ZERO, 1_500));
        assert_eq!(
            fates,
            [Fate::Arrives(11 * MILLISECOND), Fate::Arrives(12 * MILLISECOND), Fate::Overflows]
        );
        assert_eq!(passage.take(MILLISECOND, 1_500), Fate::Arrives(13 * MILLISECOND), "one has left");
    }

    #[test]
    fn as_many_are_lost_as_the_wire_says_and_in_such_bursts() {
        for burst in [1.0, 5.0] {
            let mut passage = Passage::new(Wire { loss: 0.01, burst, ..wire() }, 7);
            let fates =
                (0..1_000_000_u32).map(|number| passage.take(number * MILLISECOND, 1_500) == Fate::Lost);
            let (mut lost, mut bursts, mut was_lost) = (0.0, 0.0, false);
            for is_one in fates {
                lost += f64::from(u8::from(is_one));
                bursts += f64::from(u8::from(is_one && !was_lost));
                was_lost = is_one;
            }
            assert!((9_000.0..11_000.0).contains(&lost), "{lost} of a million, bursts of {burst}");
            assert!((lost / bursts - burst).abs() < 0.3, "{bursts} bursts instead of those of {burst}");
        }
    }

    #[test]
    fn a_late_packet_holds_up_those_behind_it() {
        let mut passage = Passage::new(Wire { jitter: 10 * MILLISECOND, ..wire() }, 3);
        let mut last = Duration::ZERO;
        for number in 0..1_000 {
            let sent = number * MILLISECOND;
            let Fate::Arrives(arrival) = passage.take(sent, 1_500) else { panic!("lost") };
            assert!(arrival >= last && arrival <= sent + 21 * MILLISECOND, "{arrival:?} after {last:?}");
            last = arrival;
        }
    }
}
