//! The work that one socket has to do while the guard is up, and what it wanted meanwhile.
//!
//! It belongs to the socket: a challenge is known to it alone, is used once, and goes when the socket does. So there is
//! no table to fill, and nothing that one client finds is of use to another.

use wire::signaling::{Challenge, ClientMessage, CloseReason};

use crate::hub::Connection;
use crate::metrics::Work;

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// This is to be done now.
    Free(ClientMessage),
    /// It is done once the client has worked for it.
    Owed,
    /// The socket goes.
    Refused(CloseReason),
}

/// What a socket owes.
#[derive(Debug, Default)]
pub(crate) enum Debt {
    /// Nothing yet.
    #[default]
    None,
    /// The answer to this challenge; then it gets what it asked for.
    Owed(Box<(Challenge, ClientMessage)>),
    /// It has worked.
    Paid,
}

/// What becomes of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Payment {
    /// It is right; this was asked for.
    Accepted(ClientMessage),
    /// It is wrong, or nothing was owed.
    Refused,
}

impl Debt {
    /// Lets a message pass, has its client work for it, or takes the work.
    pub(crate) fn take(&mut self, message: ClientMessage, connection: &Connection) -> Passage {
        if let ClientMessage::Stamp { counter } = message {
            let payment = self.pay(counter);
            connection.metrics().count_work(match payment {
                Payment::Accepted(_) => Work::Done,
                Payment::Refused => Work::Wrong,
            });
            return match payment {
                Payment::Accepted(wanted) => Passage::Free(wanted),
                Payment::Refused => Passage::Refused(CloseReason::BadMessage),
            };
        }
        match self {
            Self::Owed(_) => Passage::Refused(CloseReason::BadMessage),
            Self::Paid => Passage::Free(message),
            Self::None => match connection.price(&message) {
                None => Passage::Free(message),
                Some(bits) => {
                    connection.metrics().count_work(Work::Asked);
                    connection.challenge(self.incur(bits, connection.seed(), message));
                    Passage::Owed
                }
            },
        }
    }

    /// Asks for `bits` of work before `message` is done. `seed` must not be foreseeable.
    fn incur(&mut self, bits: u8, seed: String, message: ClientMessage) -> Challenge {
        let challenge = Challenge { bits, seed };
        *self = Self::Owed(Box::new((challenge.clone(), message)));
        challenge
    }

    /// Takes the answer. There is one try.
    fn pay(&mut self, counter: u64) -> Payment {
        match std::mem::replace(self, Self::Paid) {
            Self::Owed(owed) if owed.0.is_met_by(counter) => Payment::Accepted(owed.1),
            Self::None | Self::Owed(_) | Self::Paid => Payment::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owing(bits: u8) -> (Debt, Challenge) {
        let mut debt = Debt::default();
        let challenge = debt.incur(bits, "q6urq6urq6urq6urq6urqw".to_owned(), ClientMessage::OpenDoor);
        (debt, challenge)
    }

    /// More than enough for four bits.
    const MANY: u64 = 10_000;

    #[test]
    fn an_answer_is_good_once() {
        let (mut debt, challenge) = owing(4);
        let counter = (0..MANY).find(|counter| challenge.is_met_by(*counter)).unwrap();
        assert_eq!(debt.pay(counter), Payment::Accepted(ClientMessage::OpenDoor));
        assert_eq!(debt.pay(counter), Payment::Refused);
    }

    #[test]
    fn a_wrong_answer_ends_the_debt_too() {
        let (mut debt, challenge) = owing(4);
        let wrong = (0..MANY).find(|counter| !challenge.is_met_by(*counter)).unwrap();
        let right = (0..MANY).find(|counter| challenge.is_met_by(*counter)).unwrap();
        assert_eq!(debt.pay(wrong), Payment::Refused);
        assert_eq!(debt.pay(right), Payment::Refused);
        assert_eq!(Debt::default().pay(right), Payment::Refused);
    }
}
