//! The messages inside sealed records: `type u8 || length u32 || body`, one or more whole ones to a record
//! (PROTOCOL.md §8).
//!
//! Decoding borrows: the bytes of a file are never copied here. It allocates only what is bounded by the record in hand.

use core::ops::Range;
use std::borrow::Cow;

use thiserror::Error;

use crate::manifest::Purpose;
use crate::record::MAX_PLAINTEXT_LEN;

/// Bytes of a file in one DATA message.
pub const CHUNK_LEN: usize = 65_536;

/// Bytes in front of a message's body.
const PREFIX_LEN: usize = 1 + 4;

/// Bytes in front of the chunk of a DATA message that stands first in a record.
pub const DATA_PREFIX_LEN: usize = PREFIX_LEN + 4 + 8;

/// Length of a whole FILE_END message.
pub const FILE_END_LEN: usize = PREFIX_LEN + 4 + 8 + 32;

const _: () = assert!(
    DATA_PREFIX_LEN + CHUNK_LEN + FILE_END_LEN <= MAX_PLAINTEXT_LEN,
    "a full chunk with its end fits a record"
);

/// Longest file that may travel in a BATCH, in bytes.
pub const MAX_BATCHED_LEN: u64 = 16_384;

/// Bytes a file of a BATCH costs beside its own.
const BATCH_ITEM_LEN: usize = 4 + 4 + 32;

/// Plaintext length of a record that holds one BATCH of `count` files with `bytes` bytes together.
pub fn batch_len(count: usize, bytes: usize) -> usize {
    PREFIX_LEN + 2 + count * BATCH_ITEM_LEN + bytes
}

/// SHA-256 of a file, a prefix of one, or a manifest.
pub type Sha256Digest = [u8; 32];

/// Why a receiver does not want what it was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeclineReason {
    /// The user said no.
    User,
    /// There is not enough room.
    NoSpace,
    /// There are entries of a kind that is not wanted here.
    Unwanted,
    /// The manifest breaks the rules.
    InvalidManifest,
}

impl DeclineReason {
    fn code(self) -> u8 {
        match self {
            Self::User => 1,
            Self::NoSpace => 2,
            Self::Unwanted => 3,
            Self::InvalidManifest => 4,
        }
    }

    fn from_code(code: u8) -> Self {
        match code {
            2 => Self::NoSpace,
            3 => Self::Unwanted,
            4 => Self::InvalidManifest,
            _ => Self::User,
        }
    }
}

/// Why a side gives a transfer up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AbortReason {
    /// The user stopped it.
    Cancelled,
    /// The other side broke the protocol.
    Protocol,
    /// A file is no longer what it was when it was offered.
    SourceChanged,
    /// A file cannot be read.
    SourceUnreadable,
    /// The receiver's disk is full.
    DiskFull,
    /// The receiver's disk refuses.
    DiskError,
    /// What arrived is not what was sent.
    Integrity,
    /// Anything else.
    Internal,
}

impl AbortReason {
    /// The number on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::Cancelled => 1,
            Self::Protocol => 2,
            Self::SourceChanged => 3,
            Self::SourceUnreadable => 4,
            Self::DiskFull => 5,
            Self::DiskError => 6,
            Self::Integrity => 7,
            Self::Internal => 8,
        }
    }

    /// The reason with this number; unknown ones are [`AbortReason::Internal`].
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Cancelled,
            2 => Self::Protocol,
            3 => Self::SourceChanged,
            4 => Self::SourceUnreadable,
            5 => Self::DiskFull,
            6 => Self::DiskError,
            7 => Self::Integrity,
            _ => Self::Internal,
        }
    }
}

/// Small whole files in one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Entry, length in bytes and digest of each.
    pub items: Vec<(u32, u32, Sha256Digest)>,
    /// The files, one behind the other.
    pub bytes: Cow<'a, [u8]>,
}

/// Everything one side may tell the other inside a sealed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Whole entries of the manifest.
    ManifestPart {
        /// What the transfer is for; the same in every part.
        purpose: Purpose,
        /// Encoded entries.
        entries: Cow<'a, [u8]>,
    },
    /// The manifest is complete.
    ManifestEnd {
        /// How many entries there were.
        entries: u32,
        /// Sum of the sizes of all files, in bytes.
        total_size: u64,
        /// Of purpose and entries.
        digest: Sha256Digest,
    },
    /// The receiver wants it.
    Accept {
        /// Of the manifest.
        digest: Sha256Digest,
    },
    /// The receiver does not.
    Decline {
        /// Why.
        reason: DeclineReason,
    },
    /// What the receiver has; its first message in a generation.
    State {
        /// Digest of the manifest, if it knows one.
        manifest: Option<Sha256Digest>,
        /// Whether it was accepted.
        accepted: bool,
        /// The first entry that is not complete.
        next: u32,
    },
    /// The receiver holds a beginning of a file and asks for proof that it is the same file.
    Resume {
        /// Which entry.
        file: u32,
        /// How much of it, in bytes.
        offset: u64,
    },
    /// The sender's digest of the same beginning.
    Prefix {
        /// Which entry.
        file: u32,
        /// How much of it, in bytes.
        offset: u64,
        /// Of the first `offset` bytes.
        digest: Sha256Digest,
    },
    /// Asks for entries.
    Start {
        /// The first.
        first: u32,
        /// Where in the first, in bytes.
        offset: u64,
        /// The first that is not asked for.
        until: u32,
        /// As in CREDIT.
        credit: u64,
    },
    /// Bytes of a file.
    Data {
        /// Which entry.
        file: u32,
        /// Where they begin, in bytes.
        offset: u64,
        /// 1 to [`CHUNK_LEN`] of them.
        bytes: Cow<'a, [u8]>,
    },
    /// Small whole files.
    Batch(Batch<'a>),
    /// A file is complete.
    FileEnd {
        /// Which entry.
        file: u32,
        /// Its length, in bytes.
        len: u64,
        /// Of the whole file.
        digest: Sha256Digest,
    },
    /// Everything that was asked for has been sent.
    TransferEnd {
        /// Of the manifest.
        digest: Sha256Digest,
    },
    /// Everything is verified, synced and in place.
    Done {
        /// Of the manifest.
        digest: Sha256Digest,
    },
    /// The sender knows.
    DoneAck,
    /// How many bytes of counted records the sender may have sent in this generation.
    Credit {
        /// In total.
        total: u64,
    },
    /// Are you there?
    Ping {
        /// Comes back in PONG.
        token: u64,
    },
    /// I am.
    Pong {
        /// As in PING.
        token: u64,
    },
    /// This side leaves.
    Bye,
    /// The last record of a generation that another follows.
    Switch {
        /// The generation that follows.
        next: u32,
    },
    /// This side gives up.
    Abort {
        /// Why.
        reason: AbortReason,
        /// The entry that is to blame, if one is.
        file: Option<u32>,
    },
}

/// A plaintext that is not a sequence of whole messages. Deliberately without detail: it is the peer's.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a message")]
pub struct DecodeError;

impl Message<'_> {
    /// Appends the message to a plaintext.
    ///
    /// # Panics
    /// When the message is longer than 4 GiB.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&[self.number(), 0, 0, 0, 0]);
        self.encode_body(out);
        let len = u32::try_from(out.len() - at - PREFIX_LEN).expect("a message fits a record");
        if let Some(field) = out.get_mut(at + 1..at + PREFIX_LEN) {
            field.copy_from_slice(&len.to_be_bytes());
        }
    }

    /// Whether a record that contains it counts against the credit (PROTOCOL.md §8.3).
    pub fn is_counted(&self) -> bool {
        matches!(self, Self::Data { .. } | Self::Batch(_) | Self::FileEnd { .. } | Self::TransferEnd { .. })
    }

    fn number(&self) -> u8 {
        match self {
            Self::ManifestPart { .. } => 1,
            Self::ManifestEnd { .. } => 2,
            Self::Accept { .. } => 3,
            Self::Decline { .. } => 4,
            Self::State { .. } => 5,
            Self::Resume { .. } => 6,
            Self::Prefix { .. } => 7,
            Self::Start { .. } => 8,
            Self::Data { .. } => 9,
            Self::Batch(_) => 10,
            Self::FileEnd { .. } => 11,
            Self::TransferEnd { .. } => 12,
            Self::Done { .. } => 13,
            Self::DoneAck => 14,
            Self::Credit { .. } => 15,
            Self::Ping { .. } => 16,
            Self::Pong { .. } => 17,
            Self::Bye => 18,
            Self::Switch { .. } => 19,
            Self::Abort { .. } => 20,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::ManifestPart { purpose, entries } => {
                out.push(purpose.to_byte());
                out.extend_from_slice(entries);
            }
            Self::ManifestEnd { entries, total_size, digest } => {
                put(out, &[&entries.to_be_bytes(), &total_size.to_be_bytes(), digest]);
            }
            Self::Accept { digest } | Self::TransferEnd { digest } | Self::Done { digest } => {
                put(out, &[digest]);
            }
            Self::Decline { reason } => out.push(reason.code()),
            Self::State { manifest, accepted, next } => {
                let known = [u8::from(manifest.is_some())];
                let digest = manifest.unwrap_or_default();
                put(out, &[&known, &digest, &[u8::from(*accepted)], &next.to_be_bytes()]);
            }
            Self::Resume { file, offset } => put(out, &[&file.to_be_bytes(), &offset.to_be_bytes()]),
            Self::Prefix { file, offset, digest } | Self::FileEnd { file, len: offset, digest } => {
                put(out, &[&file.to_be_bytes(), &offset.to_be_bytes(), digest]);
            }
            Self::Start { first, offset, until, credit } => {
                let (first, until) = (first.to_be_bytes(), until.to_be_bytes());
                put(out, &[&first, &offset.to_be_bytes(), &until, &credit.to_be_bytes()]);
            }
            Self::Data { file, offset, bytes } => {
                put(out, &[&file.to_be_bytes(), &offset.to_be_bytes(), bytes]);
            }
            Self::Batch(batch) => batch.encode_body(out),
            Self::DoneAck | Self::Bye => {}
            Self::Credit { total: number } | Self::Ping { token: number } | Self::Pong { token: number } => {
                put(out, &[&number.to_be_bytes()]);
            }
            Self::Switch { next } => put(out, &[&next.to_be_bytes()]),
            Self::Abort { reason, file } => {
                put(out, &[&[reason.code()], &file.unwrap_or(u32::MAX).to_be_bytes()]);
            }
        }
    }
}

impl Batch<'_> {
    /// Where in `bytes` each file stands, or `None` when lengths and bytes disagree.
    pub fn ranges(&self) -> Option<Vec<Range<usize>>> {
        let mut at = 0_usize;
        let mut ranges = Vec::with_capacity(self.items.len());
        for (_, len, _) in &self.items {
            let end = at.checked_add(usize::try_from(*len).ok()?)?;
            ranges.push(at..end);
            at = end;
        }
        (at == self.bytes.len()).then_some(ranges)
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        let count = u16::try_from(self.items.len()).expect("a record holds a few hundred files at most");
        put(out, &[&count.to_be_bytes()]);
        for (file, len, digest) in &self.items {
            put(out, &[&file.to_be_bytes(), &len.to_be_bytes(), digest]);
        }
        out.extend_from_slice(&self.bytes);
    }
}

/// Writes what stands in front of the chunk of a DATA message, so that the chunk itself can be read from the disk to
/// where it will be sealed.
///
/// # Panics
/// When `chunk_len` exceeds [`CHUNK_LEN`].
pub fn data_prefix(file: u32, offset: u64, chunk_len: usize) -> [u8; DATA_PREFIX_LEN] {
    assert!(chunk_len <= CHUNK_LEN, "a chunk is at most {CHUNK_LEN} bytes");
    let mut prefix = Vec::with_capacity(DATA_PREFIX_LEN);
    Message::Data { file, offset, bytes: Cow::Borrowed(&[]) }.encode_into(&mut prefix);
    let len = u32::try_from(4 + 8 + chunk_len).expect("bounded above");
    let mut array = [0; DATA_PREFIX_LEN];
    array.copy_from_slice(&prefix);
    array[1..PREFIX_LEN].copy_from_slice(&len.to_be_bytes());
    array
}

/// The messages of a plaintext, each with where its body stands in it.
///
/// # Errors
/// Yields [`DecodeError`] once and ends when the rest is not a whole message.
pub fn decode(plaintext: &[u8]) -> impl Iterator<Item = Result<(Message<'_>, Range<usize>), DecodeError>> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let rest = plaintext.get(at..).filter(|rest| !rest.is_empty())?;
        let decoded = decode_one(rest).map(|(message, body_len)| {
            let body = at + PREFIX_LEN..at + PREFIX_LEN + body_len;
            at = body.end;
            (message, body)
        });
        if decoded.is_none() {
            at = plaintext.len();
        }
        Some(decoded.ok_or(DecodeError))
    })
}

fn decode_one(bytes: &[u8]) -> Option<(Message<'_>, usize)> {
    let (number, rest) = bytes.split_first()?;
    let (len, rest) = rest.split_first_chunk()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok().filter(|len| *len <= MAX_PLAINTEXT_LEN)?;
    let (body, _) = rest.split_at_checked(len)?;
    let mut fields = Fields(body);
    let message = decode_body(*number, &mut fields)?;
    fields.0.is_empty().then_some((message, len))
}

fn decode_body<'a>(number: u8, fields: &mut Fields<'a>) -> Option<Message<'a>> {
    Some(match number {
        1 => Message::ManifestPart {
            purpose: Purpose::from_byte(fields.byte()?)?,
            entries: Cow::Borrowed(fields.rest()),
        },
        2 => Message::ManifestEnd {
            entries: fields.u32()?,
            total_size: fields.u64()?,
            digest: fields.digest()?,
        },
        3 => Message::Accept { digest: fields.digest()? },
        4 => Message::Decline { reason: DeclineReason::from_code(fields.byte()?) },
        5 => {
            let (known, digest) = (fields.flag()?, fields.digest()?);
            let manifest = known.then_some(digest);
            Message::State { manifest, accepted: fields.flag()?, next: fields.u32()? }
        }
        6 => Message::Resume { file: fields.u32()?, offset: fields.u64()? },
        7 => Message::Prefix { file: fields.u32()?, offset: fields.u64()?, digest: fields.digest()? },
        8 => Message::Start {
            first: fields.u32()?,
            offset: fields.u64()?,
            until: fields.u32()?,
            credit: fields.u64()?,
        },
        9 => {
            let (file, offset, bytes) = (fields.u32()?, fields.u64()?, fields.rest());
            let possible = (1..=CHUNK_LEN).contains(&bytes.len());
            Message::Data { file, offset, bytes: possible.then_some(Cow::Borrowed(bytes))? }
        }
        10 => decode_batch(fields)?,
        11 => Message::FileEnd { file: fields.u32()?, len: fields.u64()?, digest: fields.digest()? },
        12 => Message::TransferEnd { digest: fields.digest()? },
        13 => Message::Done { digest: fields.digest()? },
        14 => Message::DoneAck,
        15 => Message::Credit { total: fields.u64()? },
        16 => Message::Ping { token: fields.u64()? },
        17 => Message::Pong { token: fields.u64()? },
        18 => Message::Bye,
        19 => Message::Switch { next: fields.u32()? },
        20 => Message::Abort {
            reason: AbortReason::from_code(fields.byte()?),
            file: Some(fields.u32()?).filter(|file| *file != u32::MAX),
        },
        _ => return None,
    })
}

fn decode_batch<'a>(fields: &mut Fields<'a>) -> Option<Message<'a>> {
    let count = usize::from(u16::from_be_bytes(fields.array()?));
    if count == 0 || count * BATCH_ITEM_LEN > fields.0.len() {
        return None;
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        let item = (fields.u32()?, fields.u32()?, fields.digest()?);
        if u64::from(item.1) > MAX_BATCHED_LEN {
            return None;
        }
        items.push(item);
    }
    let batch = Batch { items, bytes: Cow::Borrowed(fields.rest()) };
    batch.ranges().filter(|_| batch.bytes.len() <= CHUNK_LEN)?;
    Some(Message::Batch(batch))
}

/// What is left of a body.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn digest(&mut self) -> Option<Sha256Digest> {
        self.array()
    }

    fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(message: &Message<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode_into(&mut out);
        out
    }

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.replace(' ', "").as_bytes()).unwrap()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table with a row for every message")]
    fn messages_are_these_bytes() {
        let digest = [0xd1; 32];
        let d = "d1".repeat(32);
        let hi = Cow::Borrowed(b"hi".as_slice());
        let golden = [
            (
                Message::ManifestPart { purpose: Purpose::Files, entries: hi.clone() },
                "01 00000003 01 6869".to_owned(),
            ),
            (
                Message::ManifestEnd { entries: 2, total_size: 3, digest },
                format!("02 0000002c 00000002 0000000000000003 {d}"),
            ),
            (Message::Accept { digest }, format!("03 00000020 {d}")),
            (Message::Decline { reason: DeclineReason::NoSpace }, "04 00000001 02".to_owned()),
            (
                Message::State { manifest: Some(digest), accepted: true, next: 7 },
                format!("05 00000026 01 {d} 01 00000007"),
            ),
            (
                Message::State { manifest: None, accepted: false, next: 0 },
                format!("05 00000026 00 {} 00 00000000", "00".repeat(32)),
            ),
            (Message::Resume { file: 1, offset: 65_536 }, "06 0000000c 00000001 0000000000010000".to_owned()),
            (
                Message::Prefix { file: 1, offset: 65_536, digest },
                format!("07 0000002c 00000001 0000000000010000 {d}"),
            ),
            (
                Message::Start { first: 1, offset: 2, until: 3, credit: 4 },
                "08 00000018 00000001 0000000000000002 00000003 0000000000000004".to_owned(),
            ),
            (
                Message::Data { file: 1, offset: 2, bytes: hi.clone() },
                "09 0000000e 00000001 0000000000000002 6869".to_owned(),
            ),
            (
                Message::Batch(Batch { items: vec![(3, 0, digest), (4, 2, digest)], bytes: hi }),
                format!("0a 00000054 0002 00000003 00000000 {d} 00000004 00000002 {d} 6869"),
            ),
            (
                Message::FileEnd { file: 1, len: 2, digest },
                format!("0b 0000002c 00000001 0000000000000002 {d}"),
            ),
            (Message::TransferEnd { digest }, format!("0c 00000020 {d}")),
            (Message::Done { digest }, format!("0d 00000020 {d}")),
            (Message::DoneAck, "0e 00000000".to_owned()),
            (Message::Credit { total: 9 }, "0f 00000008 0000000000000009".to_owned()),
            (Message::Ping { token: 9 }, "10 00000008 0000000000000009".to_owned()),
            (Message::Pong { token: 9 }, "11 00000008 0000000000000009".to_owned()),
            (Message::Bye, "12 00000000".to_owned()),
            (Message::Switch { next: 2 }, "13 00000004 00000002".to_owned()),
            (
                Message::Abort { reason: AbortReason::DiskFull, file: None },
                "14 00000005 05 ffffffff".to_owned(),
            ),
        ];
        for (message, text) in golden {
            let bytes = encode(&message);
            assert_eq!(bytes, hex(&text), "{message:?}");
            let decoded: Vec<_> = decode(&bytes).collect();
            assert_eq!(decoded, [Ok((message, PREFIX_LEN..bytes.len()))]);
        }
    }

    #[test]
    fn one_record_may_hold_several_messages() {
        let mut bytes = encode(&Message::Ping { token: 1 });
        Message::Bye.encode_into(&mut bytes);
        let decoded: Vec<_> = decode(&bytes).map(|each| each.map(|(message, _)| message)).collect();
        assert_eq!(decoded, [Ok(Message::Ping { token: 1 }), Ok(Message::Bye)]);
    }

    #[test]
    fn every_truncation_and_every_extension_is_refused() {
        let bytes = encode(&Message::FileEnd { file: 1, len: 2, digest: [3; 32] });
        for len in 1..bytes.len() {
            assert!(decode(&bytes[..len]).any(|each| each == Err(DecodeError)), "{len} bytes");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(decode(&longer).any(|each| each == Err(DecodeError)));
    }

    #[test]
    fn a_chunk_of_zero_or_of_65_537_bytes_is_refused() {
        for len in [0, CHUNK_LEN + 1] {
            let bytes = encode(&Message::Data { file: 0, offset: 0, bytes: vec![0; len].into() });
            assert!(decode(&bytes).any(|each| each == Err(DecodeError)), "{len} bytes");
        }
    }

    #[test]
    fn a_batch_whose_lengths_do_not_add_up_is_refused() {
        for (len, have) in [(3, 2), (1, 2), (16_385, 16_385)] {
            let batch = Batch { items: vec![(0, len, [0; 32])], bytes: vec![0; have].into() };
            let bytes = encode(&Message::Batch(batch));
            assert!(decode(&bytes).any(|each| each == Err(DecodeError)), "{len} of {have}");
        }
    }

    #[test]
    fn an_unknown_type_is_refused() {
        for number in [0, 21, 255] {
            assert!(decode(&[number, 0, 0, 0, 0]).any(|each| each == Err(DecodeError)));
        }
    }

    #[test]
    fn the_prefix_written_for_a_chunk_is_that_of_a_data_message() {
        let whole = encode(&Message::Data { file: 5, offset: 65_536, bytes: vec![7; 1_000].into() });
        assert_eq!(whole[..DATA_PREFIX_LEN], data_prefix(5, 65_536, 1_000));
        assert_eq!(encode(&Message::FileEnd { file: 0, len: 0, digest: [0; 32] }).len(), FILE_END_LEN);
    }
}
