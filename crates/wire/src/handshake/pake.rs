//! SPAKE2 behind a narrow door: which side is which, and which points of the peer are acceptable.
//!
//! The crate decompresses the peer's point and goes on; RFC 9382 §7 wants it to be a member of the group, so that is
//! checked here first.

use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::IsIdentity as _;
use rand_chacha::ChaCha20Rng;
use spake2::{Ed25519Group, Identity, Password, Spake2};
use zeroize::Zeroizing;

use super::{HandshakeError, Identities};
use crate::signaling::Role;

/// Side marker and compressed point.
pub(super) const MESSAGE_LEN: usize = 33;

/// A PAKE run whose message is on its way.
pub(super) struct Pake {
    state: Spake2<Ed25519Group>,
    role: Role,
}

impl Pake {
    /// Starts a run. Entropy comes from `rng`, which must not be reused for another.
    pub(super) fn start(
        role: Role,
        identities: &Identities,
        rng: &mut ChaCha20Rng,
    ) -> (Self, [u8; MESSAGE_LEN]) {
        let password = Password::new(&identities.password);
        let sender = Identity::new(&identities.sender);
        let receiver = Identity::new(&identities.receiver);
        let (state, message) = match role {
            Role::Sender => Spake2::start_a_with_rng(&password, &sender, &receiver, rng),
            Role::Receiver => Spake2::start_b_with_rng(&password, &sender, &receiver, rng),
        };
        let message = message.try_into().expect("the crate's messages are a marker and a point");
        (Self { state, role }, message)
    }

    /// The shared bytes: equal on both sides if the passwords were.
    pub(super) fn finish(self, theirs: &[u8; MESSAGE_LEN]) -> Result<Zeroizing<Vec<u8>>, HandshakeError> {
        let [marker, point @ ..] = theirs;
        let expected = match self.role {
            Role::Sender => b'B',
            Role::Receiver => b'A',
        };
        if *marker != expected || !is_group_element(point) {
            return Err(HandshakeError::BadPakeMessage);
        }
        self.state.finish(theirs).map(Zeroizing::new).map_err(|_| HandshakeError::BadPakeMessage)
    }
}

impl core::fmt::Debug for Pake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Pake({:?}, redacted)", self.role)
    }
}

/// A canonical encoding of a point of the prime-order subgroup other than the identity.
fn is_group_element(bytes: &[u8; 32]) -> bool {
    let compressed = CompressedEdwardsY(*bytes);
    compressed.decompress().is_some_and(|point| {
        point.compress() == compressed && !point.is_identity() && point.is_torsion_free()
    })
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::{ED25519_BASEPOINT_COMPRESSED, EIGHT_TORSION};

    use super::*;

    #[test]
    fn the_base_point_is_a_group_element() {
        assert!(is_group_element(ED25519_BASEPOINT_COMPRESSED.as_bytes()));
    }

    #[test]
    fn the_identity_and_the_eight_torsion_points_are_not() {
        for point in EIGHT_TORSION {
            assert!(!is_group_element(point.compress().as_bytes()));
        }
    }

    #[test]
    fn a_point_with_a_torsion_component_is_not() {
        let base = ED25519_BASEPOINT_COMPRESSED.decompress().unwrap();
        for torsion in &EIGHT_TORSION[1..] {
            assert!(!is_group_element((base + torsion).compress().as_bytes()));
        }
    }

    #[test]
    fn encodings_that_are_not_canonical_or_not_on_the_curve_are_not() {
        // p = 2^255 - 19, little-endian: the y coordinate 0 written as p.
        let mut p = [0xff; 32];
        p[0] = 0xed;
        p[31] = 0x7f;
        assert!(!is_group_element(&p));
        let mut not_on_curve = [0; 32];
        not_on_curve[0] = 2;
        assert!(!is_group_element(&not_on_curve));
    }
}
