//! ChaCha20-Poly1305 (RFC 8439) in place, keyed by purpose-made keys: the only file that names the cipher.

use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Tag};
use thiserror::Error;

use crate::keys::Key;

/// Bytes the authentication tag adds.
pub const TAG_LEN: usize = 16;

/// One key of one direction. The nonce is `0[4] || u64(counter)`; whoever holds a cipher keeps the counter.
pub(crate) struct Cipher(ChaCha20Poly1305);

impl Cipher {
    /// A cipher under `key`.
    pub(crate) fn new(key: &Key) -> Self {
        Self(ChaCha20Poly1305::new(key.as_bytes().into()))
    }

    /// Encrypts `text` in place and returns its tag. A counter must never be used twice under one key.
    pub(crate) fn seal(&self, counter: u64, aad: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = self.0.encrypt_in_place_detached(&nonce(counter).into(), aad, text);
        tag.expect("a text of at most 66,048 bytes is within the cipher's limit").into()
    }

    /// Decrypts `text` in place if its tag is right; otherwise leaves it encrypted.
    pub(crate) fn open(
        &self,
        counter: u64,
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), OpenError> {
        let opened =
            self.0.decrypt_in_place_detached(&nonce(counter).into(), aad, text, Tag::from_slice(tag));
        opened.map_err(|_| OpenError)
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
