//! What an attempt at a door costs: pure counting, on the sender's side, because a rendezvous cannot be trusted to do it
//! (PROTOCOL.md §5.6).

use crate::code::Mode;

/// Attempts that end before the receiver proved anything, after which a typed door closes.
pub const SOFT_LIMIT: u8 = 3;

/// Codes that are shown after the first one.
pub const REISSUE_LIMIT: u8 = 2;

/// What the sender does after an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// The door stays open; answer the next hello with fresh entropy.
    Wait,
    /// The door is closed; show a new code and say why.
    Reissue,
    /// The door is closed and no further code is shown.
    GiveUp,
}

/// Counts attempts and codes of one run of the sender.
#[derive(Debug, Default)]
pub struct Attempts {
    soft: u8,
    reissues: u8,
}

impl Attempts {
    /// How many further codes may be shown.
    pub fn reissues_left(&self) -> u8 {
        REISSUE_LIMIT - self.reissues
    }

    /// Somebody proved a wrong password: the code is burnt. A link has no successor.
    pub fn handle_wrong_password(&mut self, mode: Mode) -> NextStep {
        match mode {
            Mode::Typed => self.reissue(),
            Mode::Link => NextStep::GiveUp,
        }
    }

    /// Somebody came and left before proving anything.
    pub fn handle_soft(&mut self, mode: Mode) -> NextStep {
        if mode == Mode::Link {
            return NextStep::Wait;
        }
        self.soft += 1;
        if self.soft < SOFT_LIMIT { NextStep::Wait } else { self.reissue() }
    }

    /// The code's time is up, or the rendezvous closed its door: another may be shown.
    pub fn handle_door_closed(&mut self) -> NextStep {
        self.reissue()
    }

    fn reissue(&mut self) -> NextStep {
        self.soft = 0;
        if self.reissues == REISSUE_LIMIT {
            return NextStep::GiveUp;
        }
        self.reissues += 1;
        NextStep::Reissue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_password_costs_the_code_and_three_codes_are_all_there_are() {
        let mut attempts = Attempts::default();
        let steps: Vec<_> = (0..3).map(|_| attempts.handle_wrong_password(Mode::Typed)).collect();
        assert_eq!(steps, [NextStep::Reissue, NextStep::Reissue, NextStep::GiveUp]);
        assert_eq!(attempts.reissues_left(), 0);
    }

    #[test]
    fn the_third_soft_attempt_at_one_code_closes_the_typed_door() {
        let mut attempts = Attempts::default();
        let steps: Vec<_> = (0..4).map(|_| attempts.handle_soft(Mode::Typed)).collect();
        assert_eq!(steps, [NextStep::Wait, NextStep::Wait, NextStep::Reissue, NextStep::Wait]);
    }

    #[test]
    fn soft_attempts_never_close_the_link_door() {
        let mut attempts = Attempts::default();
        assert!((0..1_000).all(|_| attempts.handle_soft(Mode::Link) == NextStep::Wait));
        assert_eq!(attempts.handle_wrong_password(Mode::Link), NextStep::GiveUp);
    }
}
