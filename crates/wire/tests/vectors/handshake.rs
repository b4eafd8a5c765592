//! Handshakes: two passwords, two places and two seeds go in, every body and what the session shows come out.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wire::code::{Code, Nameplate, Password};
use wire::handshake::{HandshakeError, Receiver, Seed, Sender, Session};
use wire::signal::{Signal, halves};
use wire::signaling::{Claim, Slot};

use super::{Hex, Splice, show};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Handshake {
    sender: End,
    receiver: End,
    /// What happens to bodies on the way, in this order.
    #[serde(default)]
    tamper: Vec<Tamper>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    password: Secret,
    at: Place,
    seed: Hex,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Secret {
    Typed(String),
    Link(Hex),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Nameplate(u32),
    Slot(Hex),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tamper {
    /// The body that is changed,
    body: String,
    /// by another that takes its place,
    instead: Option<String>,
    /// or in some bytes.
    splice: Option<Splice>,
}

impl End {
    fn password(&self) -> Password {
        match &self.password {
            Secret::Typed(text) => format!("48-{text}").parse::<Code>().unwrap().password().clone(),
            Secret::Link(bytes) => Password::from_link(bytes.array()),
        }
    }

    fn place(&self) -> Claim {
        match &self.at {
            Place::Nameplate(number) => Claim::Nameplate(Nameplate::new(*number).unwrap()),
            Place::Slot(bytes) => Claim::Slot(Slot::new(bytes.array())),
        }
    }

    fn seed(&self) -> Seed {
        Seed::new(self.seed.array())
    }
}

/// The bodies as they were sent, and how it ended.
#[derive(Default)]
struct Course {
    sent: Map<String, Value>,
    bodies: Vec<(&'static str, Vec<u8>)>,
}

impl Handshake {
    /// Both ends of the session, the sender's first.
    pub(crate) fn sessions(&self) -> (Session, Session) {
        self.run(&mut Course::default()).expect("the handshake of this vector succeeds")
    }

    fn run(&self, course: &mut Course) -> Result<(Session, Session), (&'static str, HandshakeError)> {
        let (receiver, body) =
            Receiver::new(&self.receiver.password(), &self.receiver.place(), self.receiver.seed());
        let sender = Sender::new(&self.sender.password(), &self.sender.place(), self.sender.seed());
        let body = self.carry(course, "hello_r", body);
        let (sender, body) = sender.receive_hello(&body).map_err(|error| ("sender", error))?;
        let body = self.carry(course, "hello_s", body);
        let (receiver, body) = receiver.receive_hello(&body).map_err(|error| ("receiver", error))?;
        let body = self.carry(course, "confirm_r", body);
        let (sender, body) = sender.receive_confirm(&body).map_err(|error| ("sender", error))?;
        let body = self.carry(course, "confirm_s", body);
        let receiver = receiver.receive_confirm(&body).map_err(|error| ("receiver", error))?;
        Ok((sender, receiver))
    }

    /// What arrives of a body.
    fn carry(&self, course: &mut Course, name: &'static str, body: Vec<u8>) -> Vec<u8> {
        course.sent.insert(name.to_owned(), show(&body));
        course.bodies.push((name, body.clone()));
        let mut arrives = body;
        for tamper in self.tamper.iter().filter(|tamper| tamper.body == name) {
            if let Some(instead) = &tamper.instead {
                let other = course.bodies.iter().find(|(sent, _)| sent == instead).unwrap();
                arrives.clone_from(&other.1);
            }
            if let Some(splice) = &tamper.splice {
                splice.apply(&mut arrives);
            }
        }
        arrives
    }
}

pub(crate) fn handshake(given: &Handshake) -> Value {
    let mut course = Course::default();
    let outcome = given.run(&mut course);
    let mut expect = course.sent;
    match outcome {
        Ok((sender, receiver)) => {
            expect.insert("session".to_owned(), session(sender, receiver));
        }
        Err((side, error)) => {
            expect.insert("refused".to_owned(), json!({ "by": side, "because": reason(error) }));
        }
    }
    Value::Object(expect)
}

/// What both ends of a session show, which must be the same.
fn session(sender: Session, receiver: Session) -> Value {
    let slot = sender.secret.resume_slot();
    assert_eq!(slot, receiver.secret.resume_slot());
    assert_eq!(sender.verifier, receiver.verifier);
    let (mut from_sender, mut at_sender) = halves(sender.signal_keys);
    let (mut from_receiver, mut at_receiver) = halves(receiver.signal_keys);
    let signal = Signal::Generations { highest: 0 };
    let (s2r, r2s) = (from_sender.seal(&signal), from_receiver.seal(&signal));
    assert_eq!(at_receiver.open(&s2r), Ok(signal.clone()));
    assert_eq!(at_sender.open(&r2s), Ok(signal));
    json!({
        "resume_slot": show(slot.as_bytes()),
        "verifier": sender.verifier.words(),
        "first_signals": { "s2r": show(&s2r), "r2s": show(&r2s) },
    })
}

fn reason(error: HandshakeError) -> &'static str {
    match error {
        HandshakeError::Malformed => "malformed",
        HandshakeError::ModeMismatch => "mode",
        HandshakeError::BadPakeMessage => "pake message",
        HandshakeError::WrongPassword => "mac",
        HandshakeError::BadCommitment => "commitment",
        HandshakeError::NoCommonVersion => "version",
        _ => "unknown",
    }
}
