//! SHA-256 that keeps pace with a file as it is read or written.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A running SHA-256 over the bytes of one file, in order.
///
/// A clone continues on its own, so the digest of a prefix costs no second pass.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Hashes `bytes` at once.
    pub fn of(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    /// Takes in the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything taken in.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_gives_the_digest_of_the_prefix_and_leaves_the_original_running() {
        let mut hasher = Hasher::default();
        hasher.update(b"abc");
        let prefix = hasher.clone();
        hasher.update(b"def");

        assert_eq!(prefix.finish(), Hasher::of(b"abc"));
        assert_eq!(hasher.finish(), Hasher::of(b"abcdef"));
    }

    #[test]
    fn the_digest_of_abc_is_the_one_fips_180_gives() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(data_encoding::HEXLOWER.encode(&Hasher::of(b"abc")), expected);
    }
}
