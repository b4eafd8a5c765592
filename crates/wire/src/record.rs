//! The record layer: one record is one message of the transport (PROTOCOL.md §6.2).
//!
//! Records are sealed and opened in place in buffers that leave room for header and tag, so that a chunk is copied once
//! from the disk and never again. The counter is implicit: whatever is lost, repeated, reordered, reflected or foreign
//! does not open.

use thiserror::Error;

use crate::cipher::Cipher;
use crate::keys::Key;

pub use crate::cipher::TAG_LEN;

/// Bytes before the ciphertext: type and flags.
pub const HEADER_LEN: usize = 2;

/// Longest plaintext of a record, in bytes: a chunk of 65,536 and 512 for what stands around it.
pub const MAX_PLAINTEXT_LEN: usize = 65_536 + 512;

/// Longest record, in bytes. What a transport must be able to carry.
pub const MAX_RECORD_LEN: usize = HEADER_LEN + MAX_PLAINTEXT_LEN + TAG_LEN;

/// Records under one key, after which a new generation is due: far below what the cipher allows, far above any transfer
/// that stays on one path (256 TiB).
pub const MAX_RECORDS: u64 = 1 << 32;

/// Type of the record that opens a generation.
pub(crate) const TYPE_OPENING: u8 = 1;
/// Type of a sealed record.
const TYPE_SEALED: u8 = 2;

/// Length of the record that carries a plaintext of `plaintext_len` bytes.
pub fn record_len(plaintext_len: usize) -> usize {
    HEADER_LEN + plaintext_len + TAG_LEN
}

/// Seals one side's records of one generation.
#[derive(Debug)]
pub struct Sealer {
    cipher: Cipher,
    generation: u32,
    counter: u64,
}

impl Sealer {
    pub(crate) fn new(key: &Key, generation: u32) -> Self {
        Self { cipher: Cipher::new(key), generation, counter: 0 }
    }

    /// Seals a record in place: `record = header[2] || plaintext || tag[16]`, of which the caller filled the plaintext.
    ///
    /// # Errors
    /// [`RecordError::Length`] when there is no plaintext or more than [`MAX_PLAINTEXT_LEN`];
    /// [`RecordError::Exhausted`] after [`MAX_RECORDS`].
    pub fn seal(&mut self, record: &mut [u8]) -> Result<(), RecordError> {
        let [header, text @ ..] = split(record)?;
        let [plaintext, tag] = text;
        if self.counter == MAX_RECORDS {
            return Err(RecordError::Exhausted);
        }
        header.copy_from_slice(&[TYPE_SEALED, 0]);
        tag.copy_from_slice(&self.cipher.seal(self.counter, &aad(self.generation), plaintext));
        self.counter += 1;
        Ok(())
    }
}

/// Opens the other side's records of one generation.
#[derive(Debug)]
pub struct Opener {
    cipher: Cipher,
    generation: u32,
    counter: u64,
}

impl Opener {
    pub(crate) fn new(key: &Key, generation: u32) -> Self {
        Self { cipher: Cipher::new(key), generation, counter: 0 }
    }

    /// Opens the next record in place and gives its plaintext. After an error the generation is over.
    ///
    /// # Errors
    /// [`RecordError::Length`] before anything is decrypted; [`RecordError::Open`] for everything else that is wrong;
    /// [`RecordError::Exhausted`].
    pub fn open<'a>(&mut self, record: &'a mut [u8]) -> Result<&'a mut [u8], RecordError> {
        let plaintext = self.decrypt(record)?;
        self.counter += 1;
        Ok(plaintext)
    }

    /// Opens the next record if its plaintext is a certain one. If not, it is still the next.
    pub fn open_if(&mut self, record: &mut [u8], is_it: impl FnOnce(&[u8]) -> bool) -> bool {
        let is_opened = self.decrypt(record).is_ok_and(|plaintext| is_it(plaintext));
        self.counter += u64::from(is_opened);
        is_opened
    }

    fn decrypt<'a>(&self, record: &'a mut [u8]) -> Result<&'a mut [u8], RecordError> {
        let [header, plaintext, tag] = split(record)?;
        if self.counter == MAX_RECORDS {
            return Err(RecordError::Exhausted);
        }
        if *header != [TYPE_SEALED, 0] {
            return Err(RecordError::Open);
        }
        let tag = <&[u8; TAG_LEN]>::try_from(&*tag).map_err(|_| RecordError::Length)?;
        let opened = self.cipher.open(self.counter, &aad(self.generation), plaintext, tag);
        opened.map_err(|_| RecordError::Open)?;
        Ok(plaintext)
    }
}

/// Why a record was not sealed or opened.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// Empty or too long.
    #[error("a record has an impossible length")]
    Length,
    /// Not what the other side sealed next. Deliberately without detail.
    #[error("a record does not open")]
    Open,
    /// The key has sealed as many records as it may.
    #[error("this connection has carried as many records as it may")]
    Exhausted,
}

/// `type || flags || u32 generation`: what is authenticated beside the text.
fn aad(generation: u32) -> [u8; 6] {
    let [a, b, c, d] = generation.to_be_bytes();
    [TYPE_SEALED, 0, a, b, c, d]
}

/// Header, text and tag of a record whose length is possible.
fn split(record: &mut [u8]) -> Result<[&mut [u8]; 3], RecordError> {
    let text_len = record.len().checked_sub(HEADER_LEN + TAG_LEN).ok_or(RecordError::Length)?;
    if !(1..=MAX_PLAINTEXT_LEN).contains(&text_len) {
        return Err(RecordError::Length);
    }
    let (header, rest) = record.split_at_mut_checked(HEADER_LEN).ok_or(RecordError::Length)?;
    let (text, tag) = rest.split_at_mut_checked(text_len).ok_or(RecordError::Length)?;
    Ok([header, text, tag])
}
