//! The key schedule: every label, every derived key, and the only use of HKDF and HMAC (PROTOCOL.md §5.4).
//!
//! Keys are types that are wiped on drop and never printed. Directions are named: `s2r` is sealed by the sender.

use core::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::code::Password;
use crate::signaling::{Role, Slot};
use crate::transcript::{Transcript, TranscriptHash};

/// A 256-bit secret key for one purpose.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `HMAC-SHA256(self, part || …)`.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Whether `mac` is `HMAC-SHA256(self, part || …)`, in constant time.
    pub(crate) fn verify(&self, parts: &[&[u8]], mac: &[u8; 32]) -> bool {
        self.mac(parts).ct_eq(mac).into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(redacted)")
    }
}

/// One key for each direction. Its counters start at 0, so there is no second copy.
#[derive(Debug)]
pub(crate) struct DirectionalKeys {
    /// Seals what the sender says.
    pub(crate) s2r: Key,
    /// Seals what the receiver says.
    pub(crate) r2s: Key,
}

impl DirectionalKeys {
    /// The keys as one end uses them: the one it seals with, then the one it opens with.
    pub(crate) fn into_seal_and_open(self, role: Role) -> (Key, Key) {
        match role {
            Role::Sender => (self.s2r, self.r2s),
            Role::Receiver => (self.r2s, self.s2r),
        }
    }
}

/// The keys with which one end seals and opens the signals of one meeting: neither `Clone` nor to be had twice, because
/// each use of them counts from 0.
#[derive(Debug)]
pub struct SignalKeys {
    /// What this end seals with.
    pub(crate) seal: Key,
    /// What it opens with.
    pub(crate) open: Key,
}

impl SignalKeys {
    pub(crate) fn new(keys: DirectionalKeys, role: Role) -> Self {
        let (seal, open) = keys.into_seal_and_open(role);
        Self { seal, open }
    }
}

/// The root of everything both sides derive from one PAKE run.
#[derive(Debug)]
pub(crate) struct KeySchedule(Key);

impl KeySchedule {
    /// `PRK = Extract(TH, K)`.
    pub(crate) fn new(transcript: &TranscriptHash, pake_output: &[u8]) -> Self {
        Self(extract(&transcript.0, pake_output))
    }

    /// The key with which `role` proves that it knows the password.
    pub(crate) fn confirm(&self, role: Role) -> Key {
        expand(&self.0, &[b"send/1 confirm ", letter(role)])
    }

    /// The keys of signals in the first meeting.
    pub(crate) fn signal(&self) -> DirectionalKeys {
        directional(&self.0, "send/1 signal ", &[])
    }

    /// The secret that outlives this connection.
    pub(crate) fn session(&self) -> SessionSecret {
        SessionSecret(expand(&self.0, &[b"send/1 session"]))
    }

    /// The value both users may compare.
    pub(crate) fn verifier(&self, nonce_s: &[u8; 32], nonce_r: &[u8; 32]) -> Verifier {
        let bytes = expand(&self.0, &[b"send/1 sas", nonce_s, nonce_r]);
        Verifier(*bytes.as_bytes().first_chunk().expect("a key has 32 bytes"))
    }
}

/// What a session is resumed from: `SS`. It lives in memory only and has no text form; a page, whose memory ends when it is
/// loaded anew, keeps the bytes for as long as its tab lives.
#[derive(Clone, Debug)]
pub struct SessionSecret(Key);

impl SessionSecret {
    /// What [`SessionSecret::to_token`] gave.
    pub fn from_token(token: [u8; 32]) -> Self {
        Self(Key(token))
    }

    /// The secret itself: whoever has it can take this side's place until the session ends.
    pub fn to_token(&self) -> [u8; 32] {
        *self.0.as_bytes()
    }

    /// Where both sides meet again.
    pub fn resume_slot(&self) -> Slot {
        slot(&expand(&self.0, &[b"send/1 resume slot"]))
    }

    /// The keys of signals in a later meeting, bound to both sides' fresh nonces.
    pub(crate) fn meeting(&self, nonce_s: &[u8; 32], nonce_r: &[u8; 32]) -> DirectionalKeys {
        let salt = [*nonce_s, *nonce_r].concat();
        directional(&extract(&salt, self.0.as_bytes()), "send/1 resignal ", &[])
    }

    /// The key with which `role` opens generation `generation`.
    pub(crate) fn opening(&self, role: Role, generation: u32) -> Key {
        expand(&self.0, &[b"send/1 conn ", letter(role), &generation.to_be_bytes()])
    }

    /// The record keys of one generation over one transport.
    pub(crate) fn records(
        &self,
        nonce_s: &[u8; 32],
        nonce_r: &[u8; 32],
        generation: u32,
        binding: &Binding,
    ) -> DirectionalKeys {
        let salt = [*nonce_s, *nonce_r].concat();
        let connection = extract(&salt, self.0.as_bytes());
        directional(&connection, "send/1 data ", &[&generation.to_be_bytes(), &binding.0])
    }
}

/// What a transport is: it enters the keys, so that records of one never open over another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding(Vec<u8>);

impl Binding {
    /// A WebRTC connection between these two certificates (SHA-256 fingerprints of the DER encoding).
    pub fn webrtc(fingerprint_s: &[u8; 32], fingerprint_r: &[u8; 32]) -> Self {
        Self(Transcript::new("").push(b"webrtc").push(fingerprint_s).push(fingerprint_r).into_bytes())
    }

    /// The rendezvous' relay, joined at the session's slot.
    pub fn relay(resume_slot: &Slot) -> Self {
        Self(Transcript::new("").push(b"relay").push(resume_slot.as_bytes()).into_bytes())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// 40 bits that differ if somebody stands between the two sides, shown as four words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Verifier([u8; 5]);

impl Verifier {
    /// Four words of the list, 10 bits each, from the most significant bits on.
    pub fn words(&self) -> [&'static str; 4] {
        let bits = self.0.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        [30, 20, 10, 0].map(|shift| crate::wordlist::word(((bits >> shift) & 0x3ff) as u16))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(redacted)")
    }
}

/// The slot of a link's door, or `None` for a typed password: it is too short to hide behind a hash.
pub fn link_slot(password: &Password) -> Option<Slot> {
    (password.mode() == crate::code::Mode::Link)
        .then(|| slot(&expand(&extract(&[], password.as_bytes()), &[b"send/1 link slot"])))
}

fn letter(role: Role) -> &'static [u8] {
    match role {
        Role::Sender => b"S",
        Role::Receiver => b"R",
    }
}

fn directional(root: &Key, label: &str, context: &[&[u8]]) -> DirectionalKeys {
    let key = |direction: &[u8]| expand(root, &[&[label.as_bytes(), direction], context].concat());
    DirectionalKeys { s2r: key(b"s2r"), r2s: key(b"r2s") }
}

fn slot(key: &Key) -> Slot {
    let bytes = key.as_bytes().first_chunk().expect("a key has 32 bytes");
    Slot::new(*bytes)
}

fn extract(salt: &[u8], input: &[u8]) -> Key {
    let (root, _) = Hkdf::<Sha256>::extract(Some(salt), input);
    Key(root.into())
}

fn expand(root: &Key, info: &[&[u8]]) -> Key {
    let mut output = Key([0; 32]);
    let hkdf = Hkdf::<Sha256>::from_prk(root.as_bytes()).expect("a root key is as long as the hash");
    hkdf.expand_multi_info(info, &mut output.0).expect("32 bytes are within HKDF's limit");
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> KeySchedule {
        KeySchedule::new(&TranscriptHash([1; 32]), &[2; 32])
    }

    #[test]
    fn no_two_keys_of_a_session_are_equal() {
        let schedule = schedule();
        let session = schedule.session();
        let binding = Binding::webrtc(&[3; 32], &[4; 32]);
        let pairs = [
            schedule.signal(),
            session.meeting(&[5; 32], &[6; 32]),
            session.records(&[5; 32], &[6; 32], 1, &binding),
            session.records(&[5; 32], &[6; 32], 2, &binding),
            session.records(&[5; 32], &[6; 32], 1, &Binding::webrtc(&[4; 32], &[3; 32])),
            session.records(&[5; 32], &[6; 32], 1, &Binding::relay(&session.resume_slot())),
            session.records(&[6; 32], &[5; 32], 1, &binding),
        ];
        let mut keys = vec![
            schedule.confirm(Role::Sender),
            schedule.confirm(Role::Receiver),
            session.opening(Role::Sender, 1),
            session.opening(Role::Receiver, 1),
            session.opening(Role::Sender, 2),
        ];
        keys.extend(pairs.into_iter().flat_map(|pair| [pair.s2r, pair.r2s]));
        let mut bytes: Vec<_> = keys.iter().map(|key| *key.as_bytes()).collect();
        bytes.sort_unstable();
        bytes.dedup();
        assert_eq!(bytes.len(), keys.len());
    }

    #[test]
    fn only_a_link_password_has_a_slot() {
        let link = Password::from_link([7; 16]);
        assert_ne!(link_slot(&link), link_slot(&Password::from_link([8; 16])));
        assert_eq!(link_slot(&Password::from_digits(4, [7; 16])), None);
    }

    #[test]
    fn debug_output_shows_no_key() {
        let text = format!("{:?} {:?}", schedule(), schedule().session());
        assert_eq!(text, "KeySchedule(Key(redacted)) SessionSecret(Key(redacted))");
    }

    #[test]
    fn a_verifier_is_four_words() {
        let words = Verifier([0; 5]).words();
        assert_eq!(words, [crate::wordlist::word(0); 4]);
    }
}
