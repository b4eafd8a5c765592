//! What stands in Redis: names of keys, and the values that are more than an instance's name.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wire::code::Nameplate;
use wire::signaling::{Claim, Slot};

use super::frame::InstanceId;
use crate::client_ip::ClientKey;
use crate::registry::{Portable, PortableDoor};

/// The key whose value is the instance that has a typed door, or [`RESTING`].
pub(crate) fn nameplate_key(nameplate: Nameplate) -> String {
    format!("send:n:{nameplate}")
}

/// The key whose value is the instance that has a link door.
pub(crate) fn slot_key(slot: Slot) -> String {
    format!("send:l:{}", hash(b"link", slot.as_bytes()))
}

/// The key of what `claim` names.
pub(crate) fn door_key(claim: Claim) -> String {
    match claim {
        Claim::Nameplate(nameplate) => nameplate_key(nameplate),
        Claim::Slot(slot) => slot_key(slot),
    }
}

/// The key that the one receiver has which gets attempt `number` at a door.
pub(crate) fn claim_key(claim: Claim, number: u32) -> String {
    match claim {
        Claim::Nameplate(nameplate) => format!("send:claim:{nameplate}:{number}"),
        Claim::Slot(slot) => format!("send:claim:{}:{number}", hash(b"link", slot.as_bytes())),
    }
}

/// The key whose value is the instance where a meeting is.
pub(crate) fn meeting_key(slot: Slot) -> String {
    format!("send:m:{}", hash(b"meeting", slot.as_bytes()))
}

/// The key of a session whose sender may come back.
pub(crate) fn session_key(return_slot: Slot) -> String {
    format!("send:s:{}", hash(b"return", return_slot.as_bytes()))
}

/// A key under which `what` of a client is counted.
pub(crate) fn counter_key(what: &str, client: ClientKey) -> String {
    format!("send:{what}:{}", hash(what.as_bytes(), client.address().to_string().as_bytes()))
}

/// An instance's channel.
pub(crate) fn channel(instance: InstanceId) -> String {
    format!("send:i:{instance}")
}

/// The channel of all instances.
pub(crate) const EVERYBODY: &str = "send:all";

/// The value of a nameplate that nobody has and nobody may have yet.
pub(crate) const RESTING: &str = "resting";

/// 128 bits of SHA-256 in hex: whoever reads Redis learns no slot by which to join or to come back.
fn hash(label: &[u8], bytes: &[u8]) -> String {
    let digest = Sha256::new().chain_update(label).chain_update([0]).chain_update(bytes).finalize();
    data_encoding::HEXLOWER.encode(digest.get(..16).unwrap_or_default())
}

/// A session as it stands in Redis: who has it, and what another instance needs to go on with it. Times are Unix
/// milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nameplate: Option<Nameplate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typed: Option<Door>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<Door>,
    /// The key of the link's slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slot: Option<String>,
    reopenings: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Door {
    until: u64,
    drops: u32,
    attempts: u32,
}

impl Record {
    /// A session that `owner` has.
    pub(crate) fn new(owner: InstanceId, session: &Portable, now: SystemTime) -> Self {
        let door = |door: PortableDoor| Door {
            until: milliseconds(now).saturating_add(u64::try_from(door.left.as_millis()).unwrap_or(u64::MAX)),
            drops: door.soft_drops,
            attempts: door.attempts,
        };
        Self {
            owner: owner.to_string(),
            nameplate: session.typed.map(|(nameplate, _)| nameplate),
            typed: session.typed.map(|(_, state)| door(state)),
            link: session.link.map(|(_, state)| door(state)),
            slot: session.link.map(|(slot, _)| slot_key(slot)),
            reopenings: session.reopenings,
        }
    }

    /// The record that these bytes are.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The record as text.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Who has the session.
    pub(crate) fn owner(&self) -> Option<InstanceId> {
        InstanceId::parse(self.owner.as_bytes())
    }

    /// The session at `now` for a sender that names this `link_slot`: what it does not name, or what is over, is not in it.
    /// No door is open for longer than `longest`, whatever a clock says.
    pub(crate) fn session(&self, link_slot: Option<Slot>, longest: Duration, now: SystemTime) -> Portable {
        let open = |door: Door| {
            let left = Duration::from_millis(door.until.saturating_sub(milliseconds(now))).min(longest);
            let state =
                PortableDoor { left, soft_drops: door.drops, attempts: door.attempts.min(MOST_ATTEMPTS) };
            (!left.is_zero()).then_some(state)
        };
        let slot = link_slot.filter(|slot| self.slot.as_ref() == Some(&slot_key(*slot)));
        Portable {
            typed: self.nameplate.zip(self.typed.and_then(open)),
            link: slot.zip(self.link.and_then(open)),
            reopenings: self.reopenings.min(MOST_REOPENINGS),
        }
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// More attempts than this at one door are somebody's invention.
const MOST_ATTEMPTS: u32 = 1_000_000;

/// More doors than this are never opened on one session (PROTOCOL.md §4).
const MOST_REOPENINGS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn session() -> Portable {
        let door = PortableDoor { left: 3 * MINUTE, soft_drops: 1, attempts: 2 };
        let typed = Some((Nameplate::new(999_999).unwrap(), door));
        Portable { typed, link: Some((Slot::new([5; 16]), door)), reopenings: 2 }
    }

    #[test]
    fn a_session_comes_back_as_it_was_without_the_time_that_passed() {
        let now = SystemTime::now();
        let text = Record::new(InstanceId([255; 8]), &session(), now).to_text();
        assert!(text.len() <= 512, "{}", text.len());
        let record = Record::parse(text.as_bytes()).unwrap();
        assert_eq!(record.owner(), Some(InstanceId([255; 8])));
        let slot = Some(Slot::new([5; 16]));
        let back = record.session(slot, 5 * MINUTE, now + MINUTE);
        let left = |door: PortableDoor| door.left.as_secs_f64().round();
        assert_eq!(back.typed.map(|(_, door)| left(door)), Some(120.0));
        assert_eq!(back.link.map(|(_, door)| left(door)), Some(120.0));
        assert_eq!(record.session(None, 5 * MINUTE, now).link, None);
        assert_eq!(record.session(Some(Slot::new([6; 16])), 5 * MINUTE, now).link, None, "another slot");
        let over = record.session(slot, 5 * MINUTE, now + 3 * MINUTE);
        assert_eq!((over.typed, over.link), (None, None));
    }

    #[test]
    fn a_clock_that_is_wrong_extends_nothing_beyond_a_doors_life() {
        let now = SystemTime::now();
        let record = Record::new(InstanceId([1; 8]), &session(), now);
        let early = record.session(None, 5 * MINUTE, now - 1000 * MINUTE);
        assert_eq!(early.typed.map(|(_, door)| door.left), Some(5 * MINUTE));
    }

    #[test]
    fn garbage_is_no_record() {
        for bytes in
            [&b""[..], b"{", b"null", b"[1]", b"\xff", br#"{"owner":1}"#, br#"{"owner":"x","reopenings":-1}"#]
        {
            assert!(Record::parse(bytes).is_none());
        }
        let record = Record::parse(br#"{"owner":"x","reopenings":4000000000}"#).unwrap();
        assert_eq!(record.owner(), None);
        assert_eq!(record.session(None, MINUTE, SystemTime::now()).reopenings, 2);
    }

    #[test]
    fn a_slot_is_not_in_its_key() {
        let slot = Slot::new([5; 16]);
        let keys = [slot_key(slot), meeting_key(slot), session_key(slot)];
        for key in &keys {
            assert!(!key.contains(&"05".repeat(16)), "{key}");
        }
        assert_ne!(keys[0].rsplit(':').next(), keys[1].rsplit(':').next());
    }
}
