//! Signals of the first and of later meetings, and the session descriptions in them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use wire::handshake::Seed;
use wire::signal::{
    CheckedDescription, Meeting, Signal, SignalError, SignalOpener, SignalSealer, first_meeting,
};
use wire::signaling::Role;

use super::handshake::Handshake;
use super::{Hex, Splice, show};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are those of the files")]
pub(crate) struct Signals {
    handshake: Handshake,
    /// The nonces of a later meeting; without them it is the first.
    meeting: Option<Nonces>,
    signals: Vec<Said>,
    /// Who gets which signal; all in order and to the other side if nothing is said.
    deliveries: Option<Vec<Delivery>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nonces {
    sender: Hex,
    receiver: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    from: Role,
    #[serde(deserialize_with = "parse")]
    signal: Signal,
}

fn parse<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Signal, D::Error> {
    let json = Value::deserialize(deserializer)?;
    Signal::parse(json.to_string().as_bytes()).map_err(D::Error::custom)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    to: Role,
    signal: usize,
    splice: Option<Splice>,
}

/// Sealer and opener of one end.
type Half = (SignalSealer, SignalOpener);

pub(crate) fn signal(given: &Signals) -> Value {
    let (sender, receiver) = given.handshake.sessions();
    let mut expect = json!({});
    let (mut at_sender, mut at_receiver): (Half, Half) = match &given.meeting {
        None => (first_meeting(&sender), first_meeting(&receiver)),
        Some(nonces) => {
            let seed = |hex: &Hex| Seed::new(hex.array());
            let (half_s, body_s) = Meeting::new(sender.secret().clone(), Role::Sender, seed(&nonces.sender));
            let (half_r, body_r) =
                Meeting::new(receiver.secret().clone(), Role::Receiver, seed(&nonces.receiver));
            expect["meet"] = json!({ "sender": show(&body_s), "receiver": show(&body_r) });
            (half_s.receive(&body_r).unwrap(), half_r.receive(&body_s).unwrap())
        }
    };
    let mut sealed = Vec::new();
    for said in &given.signals {
        let (sealer, _) = if said.from == Role::Sender { &mut at_sender } else { &mut at_receiver };
        sealed.push(sealer.seal(&said.signal));
    }
    let other = |role| if role == Role::Sender { Role::Receiver } else { Role::Sender };
    let deliver = |(signal, said): (usize, &Said)| Delivery { to: other(said.from), signal, splice: None };
    let everything = given.signals.iter().enumerate().map(deliver).collect();
    let deliveries = given.deliveries.as_ref().unwrap_or(&everything);
    let opened = deliveries.iter().map(|delivery| {
        let mut body = sealed[delivery.signal].clone();
        delivery.splice.iter().for_each(|splice| splice.apply(&mut body));
        let (_, opener) = if delivery.to == Role::Sender { &mut at_sender } else { &mut at_receiver };
        match opener.open(&body) {
            Ok(signal) => {
                assert_eq!(signal, given.signals[delivery.signal].signal);
                "opened"
            }
            Err(_) => "refused",
        }
    });
    expect["deliveries"] = opened.collect();
    expect["sealed"] = sealed.iter().map(|body| show(body)).collect();
    expect
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    lines: Vec<String>,
}

pub(crate) fn description(given: &Description) -> Value {
    match CheckedDescription::parse(&(given.lines.join("\r\n") + "\r\n")) {
        Ok(checked) => {
            let kept: Vec<_> = checked.sdp().lines().collect();
            json!({ "fingerprint": show(&checked.fingerprint().0), "lines": kept })
        }
        Err(error) => json!({ "refused": reason(error) }),
    }
}

fn reason(error: SignalError) -> &'static str {
    match error {
        SignalError::Fingerprint => "fingerprint",
        SignalError::NotADataSection => "section",
        SignalError::MessageSize { .. } => "message size",
        SignalError::TooManyCandidates => "candidates",
        SignalError::Malformed | SignalError::Unreadable => "signal",
        _ => "unknown",
    }
}
