//! The conversation through the rendezvous until both sides have proved themselves.

use super::super::SEARCH_SLICE;
use super::super::connection::{self, Connection, Handed, Place};
use super::super::output::{self, Output};
use super::super::ticket::Ticket;
use super::Session;
use crate::handshake::{self, Confirmed, Seed};
use crate::pow::{SEARCH_LIMIT, Search};
use crate::signaling::{
    Body, Challenge, ClientMessage, CloseReason, Door, Role, SIGNALING_VERSION, ServerMessage,
};

/// How far the two sides know each other.
#[derive(Debug)]
pub(super) enum Stage {
    /// The rendezvous was lost before anything was proved: the door is claimed again, perhaps at another instance.
    Unclaimed(Box<Ticket>),
    Claiming(Box<(Ticket, Seed)>),
    Greeting(Box<(Ticket, handshake::Receiver)>),
    Proving(Box<Confirmed>),
    /// The rendezvous was lost before the sender's answer came, which it repeats where the two meet again.
    Unanswered(Box<Unanswered>),
    Met(Box<Connection>),
    Over,
}

/// What a receiver needs to hear the sender's answer after all.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) confirmed: Box<Confirmed>,
    /// For the keys of the meeting, once this side is there.
    seed: Option<Seed>,
}

impl Session {
    /// A message of the rendezvous before the two sides have met.
    pub(super) fn handle_at_door(&mut self, message: ServerMessage) {
        let is_unanswered = matches!(self.stage, Stage::Unanswered(_));
        match message {
            ServerMessage::Paired { door: door @ Door::Meeting, attempt, ice_servers, relay }
                if is_unanswered =>
            {
                self.handed = Handed { ice_servers, relay };
                self.place = Some(Place { door, attempt });
            }
            // There it is as with a channel that is lost: what goes wrong is a reason to try again.
            ServerMessage::Left { .. } if is_unanswered => self.handle_server_gone(),
            ServerMessage::Refused { retry_after, .. } if is_unanswered => self.part(retry_after),
            ServerMessage::Refused { reason: CloseReason::GoingAway, .. } => self.handle_server_gone(),
            ServerMessage::Paired { door, attempt, ice_servers, relay } => {
                self.handed = Handed { ice_servers, relay };
                self.greet(Place { door, attempt });
            }
            ServerMessage::Relay { door, attempt, body } if self.place == Some(Place { door, attempt }) => {
                match body.to_bytes() {
                    Ok(body) => self.handle_body(&body),
                    Err(_) => self.fail("unverified"),
                }
            }
            ServerMessage::Left { door, attempt, reason } if self.place == Some(Place { door, attempt }) => {
                // One that left without saying what it thinks of the proof may only have lost the rendezvous.
                if reason == CloseReason::Gone && matches!(self.stage, Stage::Proving(_)) {
                    self.handle_server_gone();
                } else {
                    self.fail(output::closed(reason));
                }
            }
            ServerMessage::Refused { reason, retry_after } => {
                self.stage = Stage::Over;
                self.fail_until(output::closed(reason), retry_after);
            }
            ServerMessage::Challenge(challenge) => self.begin_search(challenge),
            ServerMessage::Created { .. }
            | ServerMessage::Relay { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::DoorClosed { .. }
            | ServerMessage::Unknown => {}
        }
    }

    /// The rendezvous wants work before it looks for the door. More than anybody may ask for is not done.
    fn begin_search(&mut self, challenge: Challenge) {
        if !matches!(self.stage, Stage::Claiming(_)) {
            return;
        }
        self.search = Search::new(challenge).filter(|_| !self.is_challenged);
        self.is_challenged = true;
        match self.search {
            Some(_) => self.want_search(),
            None => self.fail(output::closed(CloseReason::Busy)),
        }
    }

    /// One slice of the work.
    pub(super) fn go_on_searching(&mut self) {
        let Some(search) = &mut self.search else { return };
        match search.step(SEARCH_SLICE) {
            Some(counter) => {
                self.search = None;
                self.say(&ClientMessage::Stamp { counter });
            }
            None => self.want_search(),
        }
    }

    fn want_search(&mut self) {
        let limit = u64::try_from(SEARCH_LIMIT.as_millis()).unwrap_or(u64::MAX);
        self.outbox.push_back(Output::Search { limit });
    }

    fn greet(&mut self, place: Place) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Claiming(claiming) => {
                let (ticket, seed) = *claiming;
                self.place = Some(place);
                let (receiver, hello) = handshake::Receiver::new(&ticket.password, &ticket.at, seed);
                self.stage = Stage::Greeting(Box::new((ticket, receiver)));
                self.relay(&hello);
            }
            stage @ (Stage::Unclaimed(_)
            | Stage::Greeting(_)
            | Stage::Proving(_)
            | Stage::Unanswered(_)
            | Stage::Met(_)
            | Stage::Over) => {
                self.stage = stage;
            }
        }
    }

    fn handle_body(&mut self, body: &[u8]) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Greeting(greeting) => match greeting.1.receive_hello(body) {
                Ok((confirmed, proof)) => {
                    self.stage = Stage::Proving(Box::new(confirmed));
                    self.outbox.push_back(Output::Prove);
                    self.relay(&proof);
                }
                Err(error) => self.fail(output::handshake(error)),
            },
            Stage::Proving(confirmed) => match (confirmed.receive_confirm(body), self.place) {
                (Ok(session), Some(place)) => {
                    let handed = std::mem::take(&mut self.handed);
                    let connection = Connection::new(session, Role::Receiver, place, handed);
                    self.stage = Stage::Met(Box::new(connection));
                }
                (Ok(_), None) => {}
                (Err(error), _) => self.fail(output::handshake(error)),
            },
            Stage::Unanswered(unanswered) => self.handle_answer_again(*unanswered, body),
            stage @ (Stage::Unclaimed(_) | Stage::Claiming(_) | Stage::Met(_) | Stage::Over) => {
                self.stage = stage;
            }
        }
    }

    /// Nothing was proved, so the code is as good as before.
    pub(super) fn give_up_claim(&mut self, ticket: Ticket) {
        self.stage = Stage::Unclaimed(Box::new(ticket));
        (self.search, self.is_challenged) = (None, false);
        self.part(None);
    }

    /// Asks for the door that the ticket names.
    pub(super) fn claim(&mut self, ticket: Ticket, seed: Seed) {
        let claim = ClientMessage::Claim { v: SIGNALING_VERSION, at: ticket.at };
        self.stage = Stage::Claiming(Box::new((ticket, seed)));
        self.say(&claim);
    }

    /// The sender may have confirmed, and says so again where the two meet.
    pub(super) fn listen_again(&mut self, confirmed: Box<Confirmed>, retry_after: Option<u32>) {
        self.stage = Stage::Unanswered(Box::new(Unanswered { confirmed, seed: None }));
        self.part(retry_after);
    }

    fn part(&mut self, retry_after: Option<u32>) {
        self.place = None;
        self.outbox.clear();
        self.outbox.push_back(Output::Connection(connection::Output::Apart { retry_after }));
    }

    /// Goes to where the two meet, and says nothing there until the sender has.
    pub(super) fn meet_unanswered(&mut self, seed: Seed) {
        let Stage::Unanswered(unanswered) = &mut self.stage else { return };
        unanswered.seed = Some(seed);
        let slot = unanswered.confirmed.resume_slot();
        self.place = None;
        self.say(&ClientMessage::Meet { v: SIGNALING_VERSION, slot, role: Role::Receiver });
    }

    fn handle_answer_again(&mut self, Unanswered { confirmed, seed }: Unanswered, body: &[u8]) {
        let (Some(place), Some(seed)) = (self.place, seed) else { return };
        match confirmed.receive_confirm(body) {
            Ok(session) => {
                let place = (place, std::mem::take(&mut self.handed));
                let connection = Connection::confirmed(session, Role::Receiver, place, seed);
                self.stage = Stage::Met(Box::new(connection));
                self.settle(Ok(()));
            }
            Err(error) => self.fail(output::handshake(error)),
        }
    }

    fn relay(&mut self, body: &[u8]) {
        if let Some(Place { door, attempt }) = self.place {
            self.say(&ClientMessage::Relay { door, attempt, body: Body::from_bytes(body) });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn session() -> Session {
        let ticket = Ticket::parse("48-2093").ok().unwrap();
        let mut session = Session::new(&ticket, &[7; 64]).ok().unwrap();
        session.outbox.clear();
        session
    }

    fn challenge(bits: u8) -> String {
        let seed = "q6urq6urq6urq6urq6urqw".to_owned();
        ServerMessage::Challenge(Challenge { bits, seed }).to_frame()
    }

    fn next(session: &mut Session) -> Value {
        serde_json::from_str(&session.poll().unwrap()).unwrap()
    }

    #[test]
    fn work_for_a_door_is_done_in_slices_and_answered() {
        let mut session = session();
        session.handle_frame(&challenge(16));
        // The first counter of this seed with 16 zero bits is 178,315: nine slices.
        for _ in 0..9 {
            assert_eq!(next(&mut session)["do"], "search");
            session.search();
        }
        let stamp = ClientMessage::Stamp { counter: 178_315 };
        assert_eq!(next(&mut session)["frame"].as_str(), Some(stamp.to_frame().as_str()));
    }

    #[test]
    fn a_rendezvous_that_wants_too_much_work_or_twice_is_left() {
        for challenges in [&[23][..], &[4, 4][..]] {
            let mut session = session();
            for bits in challenges {
                session.outbox.clear();
                session.handle_frame(&challenge(*bits));
            }
            assert_eq!(next(&mut session)["why"], "server-busy");
        }
    }
}
