//! Which nameplates are in use, and which rest.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use wire::code::Nameplate;

use super::mailbox::MailboxId;
use crate::shrink::Shrink;

/// All nameplates that cannot be given away at the moment.
///
/// A nameplate that was used rests for a while, so that a mistyped or repeated old code meets nobody.
#[derive(Debug)]
pub(super) struct Nameplates {
    holders: HashMap<Nameplate, Holder>,
    taken_by_length: HashMap<u32, u32>,
    resting: VecDeque<(Instant, Nameplate)>,
    rest: Duration,
    is_longer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Door(MailboxId),
    Resting,
    Elsewhere,
}

impl Nameplates {
    /// None in use; those in `avoid` never will be.
    pub(super) fn new(avoid: &BTreeSet<Nameplate>, rest: Duration) -> Self {
        let mut nameplates = Self {
            holders: HashMap::new(),
            taken_by_length: HashMap::new(),
            resting: VecDeque::new(),
            rest,
            is_longer: false,
        };
        for nameplate in avoid {
            nameplates.hold(*nameplate, Holder::Elsewhere);
        }
        nameplates
    }

    /// Gives back what is not needed any more.
    pub(super) fn shrink(&mut self, now: Instant) {
        self.wake(now);
        self.holders.shrink_if_sparse();
        self.resting.shrink_if_sparse();
    }

    /// Whether from now on every nameplate is a digit longer than it need be: a guess meets a tenth as many.
    pub(super) fn lengthen(&mut self, is_longer: bool) {
        self.is_longer = is_longer;
    }

    /// Gives `mailbox` a nameplate drawn at random from the shortest length of which less than half is taken.
    ///
    /// Below half, a guessed nameplate more often than not is nobody's, and drawing again soon succeeds: all of
    /// [`DRAWS`] draws miss with a probability below 2⁻⁶⁴. `None` when every length is half full.
    pub(super) fn allocate(
        &mut self,
        mailbox: MailboxId,
        entropy: &mut dyn FnMut() -> u64,
        now: Instant,
    ) -> Option<Nameplate> {
        let nameplate = self.propose(Nameplate::MIN_DIGITS, entropy, now)?;
        self.hold(nameplate, Holder::Door(mailbox));
        Some(nameplate)
    }

    /// Draws a nameplate of so many digits, or more when half of those are taken here, that nobody has here.
    pub(super) fn propose(
        &mut self,
        least_digits: u32,
        entropy: &mut dyn FnMut() -> u64,
        now: Instant,
    ) -> Option<Nameplate> {
        self.wake(now);
        let shortest =
            (Nameplate::MIN_DIGITS..=Nameplate::MAX_DIGITS).find(|digits| self.has_room(*digits))?;
        let first = (shortest + u32::from(self.is_longer)).max(least_digits).min(Nameplate::MAX_DIGITS);
        for digits in first..=Nameplate::MAX_DIGITS {
            let count = Nameplate::count_of(digits);
            if !self.has_room(digits) {
                continue;
            }
            for _ in 0..DRAWS {
                let index = u32::try_from(entropy() % u64::from(count)).ok()?;
                let nameplate = Nameplate::nth(digits, index)?;
                if !self.holders.contains_key(&nameplate) {
                    return Some(nameplate);
                }
            }
        }
        None
    }

    /// Gives `mailbox` a nameplate that was reserved for it among all instances.
    pub(super) fn take(&mut self, nameplate: Nameplate, mailbox: MailboxId) {
        if let Some(holder) = self.holders.get_mut(&nameplate) {
            *holder = Holder::Door(mailbox);
        } else {
            self.hold(nameplate, Holder::Door(mailbox));
        }
    }

    /// Ends `mailbox`'s use of a nameplate that another instance has now.
    pub(super) fn hand_over(&mut self, nameplate: Nameplate, mailbox: MailboxId) {
        if self.find(nameplate) == Some(mailbox) {
            self.remove(nameplate);
        }
    }

    /// The mailbox whose typed door this is.
    pub(super) fn find(&self, nameplate: Nameplate) -> Option<MailboxId> {
        match self.holders.get(&nameplate) {
            Some(Holder::Door(mailbox)) => Some(*mailbox),
            Some(Holder::Resting | Holder::Elsewhere) | None => None,
        }
    }

    /// Ends `mailbox`'s use of its nameplate, which then rests. Nothing happens when it is not its own any more; tells
    /// whether it was.
    pub(super) fn release(&mut self, nameplate: Nameplate, mailbox: MailboxId, now: Instant) -> bool {
        let is_own = self.find(nameplate) == Some(mailbox);
        if is_own {
            self.holders.insert(nameplate, Holder::Resting);
            self.resting.push_back((now + self.rest, nameplate));
        }
        is_own
    }

    fn has_room(&self, digits: u32) -> bool {
        self.taken(digits) * 2 < Nameplate::count_of(digits)
    }

    fn taken(&self, digits: u32) -> u32 {
        self.taken_by_length.get(&digits).copied().unwrap_or(0)
    }

    fn hold(&mut self, nameplate: Nameplate, holder: Holder) {
        self.holders.insert(nameplate, holder);
        *self.taken_by_length.entry(nameplate.digits()).or_default() += 1;
    }

    /// Returns to circulation what has rested long enough.
    fn wake(&mut self, now: Instant) {
        while let Some((until, nameplate)) = self.resting.front().copied()
            && until <= now
        {
            self.resting.pop_front();
            if self.holders.get(&nameplate) == Some(&Holder::Resting) {
                self.remove(nameplate);
            }
        }
    }

    fn remove(&mut self, nameplate: Nameplate) {
        self.holders.remove(&nameplate);
        if let Some(taken) = self.taken_by_length.get_mut(&nameplate.digits()) {
            *taken -= 1;
        }
    }
}

/// Draws before a length is given up.
const DRAWS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_mins(2);
    const MAILBOX: MailboxId = MailboxId(1);

    fn counter() -> impl FnMut() -> u64 {
        let mut state = 7_u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        }
    }

    #[test]
    fn lengths_grow_at_half_occupancy() {
        let mut nameplates = Nameplates::new(&BTreeSet::new(), REST);
        let (mut entropy, now) = (counter(), Instant::now());
        let mut drawn = BTreeSet::new();
        for index in 0..500 {
            let nameplate = nameplates.allocate(MAILBOX, &mut entropy, now).unwrap();
            let expected = if index < 45 {
                2
            } else if index < 495 {
                3
            } else {
                4
            };
            assert_eq!(nameplate.digits(), expected, "nameplate {index}");
            assert!(drawn.insert(nameplate), "{nameplate} was given twice");
        }
    }

    #[test]
    fn under_guard_every_nameplate_is_a_digit_longer() {
        let mut nameplates = Nameplates::new(&BTreeSet::new(), REST);
        let (mut entropy, now) = (counter(), Instant::now());
        let mut digits = |is_longer| {
            nameplates.lengthen(is_longer);
            nameplates.allocate(MAILBOX, &mut entropy, now).map(Nameplate::digits)
        };
        assert_eq!([digits(false), digits(true), digits(false)], [Some(2), Some(3), Some(2)]);
    }

    #[test]
    fn a_released_nameplate_rests_before_it_is_given_again() {
        let mut nameplates = Nameplates::new(&BTreeSet::new(), REST);
        let (mut entropy, now) = (counter(), Instant::now());
        let drawn: Vec<_> = (0..45).filter_map(|_| nameplates.allocate(MAILBOX, &mut entropy, now)).collect();
        for nameplate in &drawn {
            nameplates.release(*nameplate, MAILBOX, now);
            assert_eq!(nameplates.find(*nameplate), None);
        }
        let early = nameplates.allocate(
            MAILBOX,
            &mut entropy,
            (now + REST).checked_sub(Duration::from_millis(1)).unwrap(),
        );
        assert_eq!(early.map(Nameplate::digits), Some(3), "resting ones count as taken");
        let late = nameplates.allocate(MAILBOX, &mut entropy, now + REST);
        assert_eq!(late.map(Nameplate::digits), Some(2));
    }

    #[test]
    fn only_the_holder_can_release_a_nameplate() {
        let mut nameplates = Nameplates::new(&BTreeSet::new(), REST);
        let now = Instant::now();
        let nameplate = nameplates.allocate(MAILBOX, &mut counter(), now).unwrap();
        nameplates.release(nameplate, MailboxId(2), now);
        assert_eq!(nameplates.find(nameplate), Some(MAILBOX));
    }

    #[test]
    fn avoided_nameplates_are_never_given() {
        let avoid: BTreeSet<_> = (10..50).filter_map(Nameplate::new).collect();
        let mut nameplates = Nameplates::new(&avoid, REST);
        let mut entropy = counter();
        for _ in 0..100 {
            let nameplate = nameplates.allocate(MAILBOX, &mut entropy, Instant::now()).unwrap();
            assert!(!avoid.contains(&nameplate));
        }
    }

    #[test]
    fn entropy_that_never_changes_does_not_hang() {
        let mut nameplates = Nameplates::new(&BTreeSet::new(), REST);
        let now = Instant::now();
        let drawn: Vec<_> = (0..6).map(|_| nameplates.allocate(MAILBOX, &mut || 0, now)).collect();
        let expected: Vec<_> =
            [10, 100, 1000, 10_000, 100_000].map(Nameplate::new).into_iter().chain([None]).collect();
        assert_eq!(drawn, expected);
    }
}
