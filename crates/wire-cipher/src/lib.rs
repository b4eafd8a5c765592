//! ChaCha20-Poly1305 (RFC 8439) in plain Rust: what `wire` seals and opens records with in browsers, and the reference that its
//! tests compare assembly with.
//!
//! It is a crate of its own because the crate `chacha20poly1305` is generic: it is compiled where it is used, with the settings
//! of that crate. `wire` is compiled for size when it becomes the module of the page, and every quarter round of the cipher
//! was a call then: a quarter of the speed. This crate is compiled for speed in every profile.

use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Tag};

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Bytes of a nonce, which is used once under a key.
pub const NONCE_LEN: usize = 12;
/// Bytes of a tag.
pub const TAG_LEN: usize = 16;

/// The cipher under one key, which is wiped from memory when it is dropped. Who calls it sees to it that no nonce is used twice.
///
/// Nothing of it is inlined: that would compile it like its caller after all.
pub struct Cipher(ChaCha20Poly1305);

impl Cipher {
    /// A cipher under `key`.
    #[must_use]
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        Self(ChaCha20Poly1305::new(key.into()))
    }

    /// Encrypts `text` in place and returns its tag; nothing when it is longer than the cipher allows (256 GiB).
    #[must_use]
    #[inline(never)]
    pub fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_LEN]> {
        self.0.encrypt_in_place_detached(&nonce.into(), aad, text).ok().map(Into::into)
    }

    /// Decrypts `text` in place if its tag is right; otherwise what stands there is of no use.
    #[must_use]
    #[inline(never)]
    pub fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: [u8; TAG_LEN],
    ) -> Option<()> {
        self.0.decrypt_in_place_detached(&nonce.into(), aad, text, Tag::from_slice(&tag)).ok()
    }
}

impl core::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Cipher(redacted)")
    }
}
