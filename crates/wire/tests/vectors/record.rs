//! Generations and the records in them.

use serde::Deserialize;
use serde_json::{Value, json};
use wire::generation::Generation;
use wire::handshake::{Seed, Session};
use wire::keys::Binding;
use wire::record::{HEADER_LEN, Opener, RecordError, Sealer, TAG_LEN};
use wire::signaling::Role;

use super::handshake::Handshake;
use super::{Hex, Splice, show};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are those of the files")]
pub(crate) struct Records {
    handshake: Handshake,
    generations: Vec<Opened>,
    #[serde(default)]
    records: Vec<Sealed>,
    #[serde(default)]
    deliveries: Vec<Delivery>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Opened {
    sender: End,
    receiver: End,
}

/// One side's view of a generation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    number: u32,
    over: Transport,
    nonce: Hex,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Transport {
    /// Fingerprints of the sender and the receiver.
    Webrtc(Hex, Hex),
    Relay,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    generation: usize,
    from: Role,
    plaintext: Hex,
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    generation: usize,
    to: Role,
    record: usize,
    splice: Option<Splice>,
}

impl End {
    fn generation(&self, session: &Session) -> Generation {
        let binding = match &self.over {
            Transport::Webrtc(sender, receiver) => Binding::webrtc(&sender.array(), &receiver.array()),
            Transport::Relay => Binding::relay(&session.secret.resume_slot()),
        };
        Generation::new(session.secret.clone(), self.number, binding).unwrap()
    }

    fn nonce(&self) -> Seed {
        Seed::new(self.nonce.array())
    }
}

type Keys = (Sealer, Opener);

/// The opening records and, when both were accepted, the keys of the sender and of the receiver.
fn open(given: &Opened, sessions: &(Session, Session)) -> (Value, Option<(Keys, Keys)>) {
    let (receiver, from_r) = given.receiver.generation(&sessions.1).receiver(given.receiver.nonce());
    let answer = given.sender.generation(&sessions.0).sender(&from_r, given.sender.nonce());
    let Ok((sealer, opener, from_s)) = answer else {
        return (json!({ "receiver": show(&from_r), "refused": "sender" }), None);
    };
    let Ok(keys) = receiver.receive(&from_s) else {
        return (json!({ "receiver": show(&from_r), "sender": show(&from_s), "refused": "receiver" }), None);
    };
    (json!({ "receiver": show(&from_r), "sender": show(&from_s) }), Some(((sealer, opener), keys)))
}

pub(crate) fn record(given: &Records) -> Value {
    let sessions = given.handshake.sessions();
    let (openings, mut keys): (Vec<_>, Vec<_>) =
        given.generations.iter().map(|opened| open(opened, &sessions)).unzip();
    let sealed: Vec<_> = given
        .records
        .iter()
        .map(|record| {
            let (at_sender, at_receiver) = keys[record.generation].as_mut().unwrap();
            let (sealer, _) = if record.from == Role::Sender { at_sender } else { at_receiver };
            let plaintext = record.plaintext.0.repeat(record.times);
            let mut bytes = [&[0; HEADER_LEN], plaintext.as_slice(), &[0; TAG_LEN]].concat();
            sealer.seal(&mut bytes).map(|()| bytes)
        })
        .collect();
    let deliveries = given.deliveries.iter().map(|delivery| {
        let mut bytes = sealed[delivery.record].clone().unwrap();
        delivery.splice.iter().for_each(|splice| splice.apply(&mut bytes));
        let (at_sender, at_receiver) = keys[delivery.generation].as_mut().unwrap();
        let (_, opener) = if delivery.to == Role::Sender { at_sender } else { at_receiver };
        opener.open(&mut bytes).map_or_else(reason, |_| "opened")
    });
    let deliveries: Vec<_> = deliveries.collect();
    let shown: Vec<_> = sealed
        .iter()
        .map(|each| each.as_ref().map_or_else(|error| json!(reason(*error)), |bytes| show(bytes)))
        .collect();
    json!({ "openings": openings, "sealed": shown, "deliveries": deliveries })
}

fn reason(error: RecordError) -> &'static str {
    match error {
        RecordError::Length => "impossible length",
        RecordError::Open => "refused",
        RecordError::Exhausted | _ => "unknown",
    }
}
