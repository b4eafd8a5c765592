//! The messages inside records.

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::message::{Batch, DeclineReason, Message, decode};

use super::{Hex, show};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plaintext {
    plaintext: Hex,
}

pub(crate) fn message(given: &Plaintext) -> Value {
    let bytes = &given.plaintext.0;
    let Ok(messages) =
        decode(bytes).map(|each| each.map(|(message, _)| message)).collect::<Result<Vec<_>, _>>()
    else {
        return json!({ "refused": true });
    };
    let mut encoded = Vec::new();
    for message in &messages {
        message.encode_into(&mut encoded);
    }
    json!({ "messages": messages.iter().map(describe).collect::<Vec<_>>(), "encoded": show(&encoded) })
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn describe(message: &Message<'_>) -> Value {
    match message {
        Message::ManifestPart { purpose, entries } => {
            json!({ "manifest_part": { "purpose": purpose.to_byte(), "entries": hex(entries) } })
        }
        Message::ManifestEnd { entries, total_size, digest } => {
            json!({ "manifest_end": { "entries": entries, "total_size": total_size, "digest": hex(digest) } })
        }
        Message::Accept { digest } => json!({ "accept": { "digest": hex(digest) } }),
        Message::Decline { reason } => json!({ "decline": { "reason": decline_code(*reason) } }),
        Message::State { manifest, accepted, next } => {
            let manifest = manifest.as_ref().map(|digest| hex(digest));
            json!({ "state": { "manifest": manifest, "accepted": accepted, "next": next } })
        }
        Message::Resume { file, offset } => json!({ "resume": { "file": file, "offset": offset } }),
        Message::Prefix { file, offset, digest } => {
            json!({ "prefix": { "file": file, "offset": offset, "digest": hex(digest) } })
        }
        Message::Start { first, offset, until, credit } => {
            json!({ "start": { "first": first, "offset": offset, "until": until, "credit": credit } })
        }
        Message::Data { file, offset, bytes } => {
            json!({ "data": { "file": file, "offset": offset, "bytes": show(bytes) } })
        }
        Message::Batch(Batch { items, bytes }) => {
            let item = |(file, len, digest): &(u32, u32, [u8; 32])| json!([file, len, hex(digest)]);
            json!({ "batch": { "items": items.iter().map(item).collect::<Vec<_>>(), "bytes": show(bytes) } })
        }
        Message::FileEnd { file, len, digest } => {
            json!({ "file_end": { "file": file, "len": len, "digest": hex(digest) } })
        }
        Message::TransferEnd { digest } => json!({ "transfer_end": { "digest": hex(digest) } }),
        Message::Done { digest } => json!({ "done": { "digest": hex(digest) } }),
        Message::DoneAck => json!({ "done_ack": {} }),
        Message::Credit { total } => json!({ "credit": { "total": total } }),
        Message::Ping { token } => json!({ "ping": { "token": token } }),
        Message::Pong { token } => json!({ "pong": { "token": token } }),
        Message::Bye => json!({ "bye": {} }),
        Message::Switch { next } => json!({ "switch": { "next": next } }),
        Message::Abort { reason, file } => json!({ "abort": { "reason": reason.code(), "file": file } }),
    }
}

fn decline_code(reason: DeclineReason) -> u8 {
    match reason {
        DeclineReason::NoSpace => 2,
        DeclineReason::Unwanted => 3,
        DeclineReason::InvalidManifest => 4,
        DeclineReason::User | _ => 1,
    }
}
