//! The operating system's randomness: the only place that asks for it.

use thiserror::Error;
use wire::handshake::Seed;

/// The operating system has no randomness to give.
#[derive(Debug, Error)]
#[error("the operating system gave no random bytes")]
pub struct EntropyError(#[source] getrandom::Error);

/// `N` fresh random bytes.
///
/// # Errors
/// [`EntropyError`], on systems that are broken or far too early in their boot.
pub fn bytes<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(EntropyError)?;
    Ok(bytes)
}

/// A fresh seed for one step of the protocol.
///
/// # Errors
/// As [`bytes()`].
pub fn seed() -> Result<Seed, EntropyError> {
    bytes().map(Seed::new)
}
