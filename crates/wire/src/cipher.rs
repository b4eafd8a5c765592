//! ChaCha20-Poly1305 (RFC 8439) in place, keyed by purpose-made keys: nothing else of `wire` names the cipher.
//!
//! Where there is assembly for it, `ring` does the work, at twice the speed of `wire-cipher`, which serves browsers
//! and, in the tests, as the reference. Both compute the same function.

use thiserror::Error;

use crate::keys::Key;

#[cfg(not(target_arch = "wasm32"))]
use native::Backend;
#[cfg(target_arch = "wasm32")]
use wire_cipher::Cipher as Backend;

/// Bytes the authentication tag adds.
pub const TAG_LEN: usize = 16;

/// One key of one direction. The nonce is `0[4] || u64(counter)`; whoever holds a cipher keeps the counter.
pub(crate) struct Cipher(Backend);

impl Cipher {
    /// A cipher under `key`.
    pub(crate) fn new(key: &Key) -> Self {
        Self(Backend::new(key.as_bytes()))
    }

    /// Encrypts `text` in place and returns its tag. A counter must never be used twice under one key.
    pub(crate) fn seal(&self, counter: u64, aad: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = self.0.seal(nonce(counter), aad, text);
        tag.expect("a text of at most 66,048 bytes is within the cipher's limit")
    }

    /// Decrypts `text` in place if its tag is right; otherwise what stands there is of no use.
    pub(crate) fn open(
        &self,
        counter: u64,
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), OpenError> {
        self.0.open(nonce(counter), aad, text, *tag).ok_or(OpenError)
    }
}

impl core::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Cipher(redacted)")
    }
}

/// The text is not what was sealed under this key and counter. Deliberately without detail.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("authentication failed")]
pub(crate) struct OpenError;

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    if let Some(tail) = nonce.last_chunk_mut::<8>() {
        *tail = counter.to_be_bytes();
    }
    nonce
}

/// `ring`, for everything but WASM.
#[cfg(not(target_arch = "wasm32"))]
mod native {
    use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};

    use super::TAG_LEN;

    pub(super) struct Backend(LessSafeKey);

    impl Backend {
        pub(super) fn new(key: &[u8; 32]) -> Self {
            let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("the cipher's keys have 32 bytes");
            Self(LessSafeKey::new(key))
        }

        pub(super) fn seal(&self, nonce: [u8; 12], aad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_LEN]> {
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), text).ok()?;
            tag.as_ref().try_into().ok()
        }

        pub(super) fn open(
            &self,
            nonce: [u8; 12],
            aad: &[u8],
            text: &mut [u8],
            tag: [u8; TAG_LEN],
        ) -> Option<()> {
            let nonce = Nonce::assume_unique_for_key(nonce);
            let aad = Aad::from(aad);
            self.0.open_in_place_separate_tag(nonce, aad, Tag::from(tag), text, 0..).ok().map(drop)
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn both_backends_compute_the_same_function() {
        let (native, portable) = (Backend::new(&KEY), wire_cipher::Cipher::new(&KEY));
        for len in [0, 1, 15, 16, 17, 63, 64, 65, 255, 65_536, 66_048] {
            for counter in [0, 1, u64::from(u32::MAX), u64::MAX] {
                let text: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
                let (mut one, mut other) = (text.clone(), text.clone());
                let tag = native.seal(nonce(counter), b"aad", &mut one).unwrap();
                assert_eq!(portable.seal(nonce(counter), b"aad", &mut other), Some(tag), "{len} bytes");
                assert_eq!(one, other, "{len} bytes");
                assert_eq!(portable.open(nonce(counter), b"aad", &mut one, tag), Some(()));
                assert_eq!(native.open(nonce(counter), b"aad", &mut other, tag), Some(()));
                assert!(one == text && other == text, "{len} bytes");
            }
        }
    }

    #[test]
    fn neither_backend_opens_what_was_changed() {
        let (native, portable) = (Backend::new(&KEY), wire_cipher::Cipher::new(&KEY));
        let mut sealed = b"sealed".to_vec();
        let tag = native.seal(nonce(1), b"aad", &mut sealed).unwrap();
        let mut flipped = tag;
        flipped[0] ^= 1;
        for (counter, aad, claimed) in [(2, b"aad", tag), (1, b"bad", tag), (1, b"aad", flipped)] {
            assert_eq!(native.open(nonce(counter), aad, &mut sealed.clone(), claimed), None);
            assert_eq!(portable.open(nonce(counter), aad, &mut sealed.clone(), claimed), None);
        }
    }
}
