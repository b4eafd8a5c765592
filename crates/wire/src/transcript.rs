//! Length-prefixed concatenation: the one way this protocol joins byte strings before hashing or keying.

use sha2::{Digest as _, Sha256};

/// Bytes built of a label and length-prefixed parts, `label || lp(part) || …` with `lp(x) = u32(len(x)) || x`, so that
/// no two different lists of parts give the same bytes (PROTOCOL.md §2).
#[derive(Clone, Debug)]
pub(crate) struct Transcript(Vec<u8>);

impl Transcript {
    /// Begins with a label, which is not length-prefixed.
    pub(crate) fn new(label: &str) -> Self {
        Self(label.as_bytes().to_vec())
    }

    /// Appends `lp(part)`.
    pub(crate) fn push(mut self, part: &[u8]) -> Self {
        let len = u32::try_from(part.len()).expect("parts are bounded by the size of a frame");
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(part);
        self
    }

    /// The bytes themselves.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// SHA-256 of the bytes.
    pub(crate) fn hash(&self) -> TranscriptHash {
        TranscriptHash(Sha256::digest(&self.0).into())
    }
}

/// Hash of everything both sides said before they had a key: `TH` of PROTOCOL.md §5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TranscriptHash(pub(crate) [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_from_one_part_to_the_next_changes_the_bytes() {
        let one = Transcript::new("label").push(b"ab").push(b"c");
        let other = Transcript::new("label").push(b"a").push(b"bc");
        assert_ne!(one.into_bytes(), other.into_bytes());
    }

    #[test]
    fn a_part_stands_behind_its_length() {
        assert_eq!(Transcript::new("x").push(b"ab").into_bytes(), b"x\0\0\0\x02ab");
    }
}
