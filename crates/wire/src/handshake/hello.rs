//! What each side says about itself before there is a key: versions, suites, mode, nonce.

use super::HandshakeError;
use crate::PROTOCOL_VERSION;
use crate::code::Mode;

/// The one cipher suite of version 1: the primitives of PROTOCOL.md §2.
const SUITE: u16 = 1;

/// Longest hello that is looked at, in bytes, extensions included.
const MAX_LEN: usize = 512;

/// A parsed hello. Its bytes enter the transcript as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    versions: Vec<u16>,
    suites: Vec<u16>,
    pub(super) mode: Mode,
    nonce: [u8; 16],
    /// SHA-256 of the sender's verifier nonce; the receiver's hello has none.
    pub(super) commitment: Option<[u8; 32]>,
}

impl Hello {
    pub(super) fn new(mode: Mode, nonce: [u8; 16], commitment: Option<[u8; 32]>) -> Self {
        Self { versions: vec![PROTOCOL_VERSION], suites: vec![SUITE], mode, nonce, commitment }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for list in [&self.versions, &self.suites] {
            bytes.push(u8::try_from(list.len()).expect("lists of our own are short"));
            bytes.extend(list.iter().flat_map(|number| number.to_be_bytes()));
        }
        bytes.extend_from_slice(&0_u32.to_be_bytes());
        bytes.push(match self.mode {
            Mode::Typed => 1,
            Mode::Link => 2,
        });
        bytes.extend_from_slice(&self.nonce);
        bytes.extend(self.commitment.iter().flatten());
        bytes
    }

    /// Reads a hello; `committed` says whether one of the sender, with a commitment, is expected.
    pub(super) fn decode(bytes: &[u8], committed: bool) -> Result<Self, HandshakeError> {
        if bytes.len() > MAX_LEN {
            return Err(HandshakeError::Malformed);
        }
        Self::parse(bytes, committed).ok_or(HandshakeError::Malformed)
    }

    fn parse(bytes: &[u8], committed: bool) -> Option<Self> {
        let (versions, rest) = list(bytes)?;
        let (suites, rest) = list(rest)?;
        let (_capabilities, rest) = rest.split_first_chunk::<4>()?;
        let (mode, rest) = rest.split_first()?;
        let mode = match mode {
            1 => Mode::Typed,
            2 => Mode::Link,
            _ => return None,
        };
        let (nonce, rest) = rest.split_first_chunk()?;
        let commitment = if committed { Some(*rest.first_chunk()?) } else { None };
        Some(Self { versions, suites, mode, nonce: *nonce, commitment })
    }

    /// Whether the two have a version and a suite in common. Called only after confirmation: before it, anyone on the
    /// way could have changed the lists.
    pub(super) fn require_common(&self, theirs: &Self) -> Result<(), HandshakeError> {
        let common = |a: &[u16], b: &[u16]| a.iter().any(|number| b.contains(number));
        if common(&self.versions, &theirs.versions) && common(&self.suites, &theirs.suites) {
            Ok(())
        } else {
            Err(HandshakeError::NoCommonVersion)
        }
    }
}

fn list(bytes: &[u8]) -> Option<(Vec<u16>, &[u8])> {
    let (count, rest) = bytes.split_first()?;
    let (numbers, rest) = rest.split_at_checked(usize::from(*count) * 2)?;
    let numbers = numbers.chunks_exact(2).filter_map(|pair| pair.try_into().ok());
    Some((numbers.map(u16::from_be_bytes).collect(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_of_each_side_survives_its_encoding() {
        for commitment in [None, Some([9; 32])] {
            let hello = Hello::new(Mode::Link, [3; 16], commitment);
            assert_eq!(Hello::decode(&hello.encode(), commitment.is_some()), Ok(hello));
        }
    }

    #[test]
    fn extensions_are_ignored_up_to_the_longest_hello() {
        let hello = Hello::new(Mode::Typed, [3; 16], None);
        let mut bytes = hello.encode();
        bytes.resize(MAX_LEN, 0xee);
        assert_eq!(Hello::decode(&bytes, false), Ok(hello));
        bytes.push(0xee);
        assert_eq!(Hello::decode(&bytes, false), Err(HandshakeError::Malformed));
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = Hello::new(Mode::Typed, [3; 16], Some([9; 32])).encode();
        for len in 0..bytes.len() {
            assert_eq!(Hello::decode(&bytes[..len], true), Err(HandshakeError::Malformed), "{len} bytes");
        }
    }

    #[test]
    fn sides_without_a_common_version_part() {
        let ours = Hello::new(Mode::Typed, [0; 16], None);
        let newer = Hello { versions: vec![2, 3], ..ours.clone() };
        assert_eq!(ours.require_common(&newer), Err(HandshakeError::NoCommonVersion));
        let both = Hello { versions: vec![3, 1], ..ours.clone() };
        assert_eq!(ours.require_common(&both), Ok(()));
    }
}
