//! What happens to a transfer, and the numbers that decide it.

use std::fmt;
use std::time::Duration;

/// What happens to a transfer under way. What else may happen to one has its place here and in `Scene::disturb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    KillReceiver,
    KillSender,
    KillServer,
    InterruptReceiver,
    InterruptSender,
    StopReceiver,
    StopSender,
    KillServerWhileReceiverIsStopped,
    CutReceiver,
    CutSender,
    CutServer,
    UnplugReceiver,
    UnplugSender,
    Part,
    KillServerWhileSenderIsCut,
    NarrowReceiver,
    FillDisk,
}

const DISTURBANCES: [Disturbance; 17] = [
    Disturbance::KillReceiver,
    Disturbance::KillSender,
    Disturbance::KillServer,
    Disturbance::InterruptReceiver,
    Disturbance::InterruptSender,
    Disturbance::StopReceiver,
    Disturbance::StopSender,
    Disturbance::KillServerWhileReceiverIsStopped,
    Disturbance::CutReceiver,
    Disturbance::CutSender,
    Disturbance::CutServer,
    Disturbance::UnplugReceiver,
    Disturbance::UnplugSender,
    Disturbance::Part,
    Disturbance::KillServerWhileSenderIsCut,
    Disturbance::NarrowReceiver,
    Disturbance::FillDisk,
];

impl Disturbance {
    /// Whether one of the two sides ends by it, so that the user has to begin again. Anything else they get over by
    /// themselves.
    pub(super) fn is_fatal(self) -> bool {
        let fatal = [
            Self::KillReceiver,
            Self::KillSender,
            Self::InterruptReceiver,
            Self::InterruptSender,
            Self::FillDisk,
        ];
        fatal.contains(&self)
    }
}

/// Longest time that something stays away, in milliseconds: twice the silence after which a connection is given up.
const LONGEST_AWAY: u64 = 12_000;

/// One disturbance: what, when, and for how long if it passes.
#[derive(Clone, Copy)]
pub(super) struct Blow {
    pub(super) disturbance: Disturbance,
    /// How much has arrived by then.
    pub(super) percent: u64,
    pub(super) lasts: Duration,
}

impl Blow {
    /// One or two in the order in which they come.
    pub(super) fn draw(dice: &mut Dice) -> Vec<Self> {
        let mut one = || Self {
            disturbance: DISTURBANCES[dice.len(DISTURBANCES.len())],
            percent: dice.below(95),
            lasts: Duration::from_millis(dice.below(LONGEST_AWAY)),
        };
        let (first, second) = (one(), one());
        let mut blows = vec![first, second];
        blows.truncate(1 + dice.len(2));
        blows.sort_by_key(|blow| blow.percent);
        blows
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} % for {:.1?}", self.disturbance, self.percent, self.lasts)
    }
}

/// Numbers that follow from a seed.
pub(super) struct Dice(u64);

impl Dice {
    /// Those of this seed.
    pub(super) fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give alike numbers, nor any seed nothing but zeros.
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.below(2);
        dice
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    /// A length below `bound`.
    pub(super) fn len(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }
}
