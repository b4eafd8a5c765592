//! Chunks against bytes written down by hand from the figures of the RFCs.

use bytes::{Bytes, BytesMut};

use super::control::{PROTOCOL_VIOLATION, encode, encode_cause};
use super::data::Data;
use super::init::Init;
use super::reset::{ResetParam, ResetRequest};
use super::{Chunk, Chunks, forward, sack};
use crate::tsn::first;

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn parse(hex: &str) -> Vec<Chunk> {
    Chunks(bytes(hex)).collect()
}

const DATA_HEX: &str = "00 03 0013  00000007  0001 0002  00000035  616263 00";
const SACK_HEX: &str = "03 00 001c  0000000a 00010000  0002 0001  0002 0003  0006 0006  00000009";
const INIT_HEX: &str = "01 00 0026  11223344 00100000 ffff ffff 00000001
    c000 0004  8001 0008 00000001  8008 0006 82 c0 0000";
const RESET_HEX: &str = "82 00 0016  000d 0012  00000001 00000002 00000003  0005 0000";

#[test]
fn what_is_written_is_what_the_standard_shows() {
    let data = Data {
        tsn: 7,
        stream: 1,
        ssn: 2,
        ppid: 53,
        is_beginning: true,
        is_end: true,
        payload: Bytes::from_static(b"abc"),
        ..Data::default()
    };
    let mut out = BytesMut::new();
    data.write(&mut out);
    assert_eq!(out, bytes(DATA_HEX));
    assert_eq!(parse(DATA_HEX), [Chunk::Data(data)]);

    out.clear();
    let at = |offset: u64| first(10) + offset;
    sack::write(&mut out, (first(10), 65_536), &[(at(2), at(3)), (at(6), at(6))], &[first(9)]);
    assert_eq!(out, bytes(SACK_HEX));

    let init = Init {
        tag: 0x1122_3344,
        window: 1 << 20,
        outbound_streams: 65_535,
        inbound_streams: 65_535,
        first_tsn: 1,
        cookie: None,
        has_forward_tsn: true,
        has_reset: true,
        takes_zero_checksum: true,
        longest_packet: 0,
    };
    assert_eq!(init.encode(super::INIT), bytes(INIT_HEX));
    assert_eq!(parse(INIT_HEX), [Chunk::Init(init.clone())]);
    let with_cookie = Init { cookie: Some(Bytes::from_static(b"cookie")), longest_packet: 9_000, ..init };
    let [Chunk::InitAck(read)] = &Chunks(with_cookie.encode(super::INIT_ACK)).collect::<Vec<_>>()[..] else {
        panic!("an INIT ACK is read as one");
    };
    assert_eq!(*read, with_cookie);

    assert_eq!(encode(super::COOKIE_ACK, &[]), bytes("0b 00 0004"));
    assert_eq!(encode_cause(super::ABORT, PROTOCOL_VIOLATION, &[]), bytes("06 00 0008  000d 0004"));
    assert_eq!(parse("06 00 0008  000c 0004"), [Chunk::Abort(Some(12))]);
    assert_eq!(forward::encode(first(9), &[(5, 6)]), bytes("c0 00 000c  00000009  0005 0006"));
}

#[test]
fn a_request_to_reset_streams_is_written_and_read() {
    let request = ResetRequest { sequence: 1, response_sequence: 2, last_tsn: 3, streams: vec![5] };
    let param = ResetParam::Request(request);
    assert_eq!(param.encode(), bytes(RESET_HEX));
    assert_eq!(parse(RESET_HEX), [Chunk::Reset(vec![param])]);
    let answer = ResetParam::Response { sequence: 9, result: 1 };
    assert_eq!(answer.encode(), bytes("82 00 0010  0010 000c  00000009 00000001"));
    assert_eq!(Chunks(answer.encode()).collect::<Vec<_>>(), [Chunk::Reset(vec![answer])]);
}

#[test]
fn a_sack_tells_what_it_was_told() {
    let [Chunk::Sack(sack)] = &parse(SACK_HEX)[..] else { panic!("a SACK is read as one") };
    let blocks: Vec<_> = sack.blocks(first(10)).collect();
    assert_eq!((sack.cumulative, sack.window), (10, 65_536));
    assert_eq!(blocks, [(first(12), first(13)), (first(16), first(16))]);
    assert_eq!(sack.duplicates(first(10)).collect::<Vec<_>>(), [first(9)]);
    // Blocks that end before they begin, or touch the cumulative TSN, are nothing.
    let [Chunk::Sack(odd)] = &parse("03 00 0018  0000000a 00010000  0002 0000  0003 0002  0001 0004")[..]
    else {
        panic!("a SACK is read as one");
    };
    assert_eq!(odd.blocks(first(10)).count(), 0);
}

#[test]
fn chunks_that_are_cut_short_end_the_packet() {
    let both = format!("{DATA_HEX} {SACK_HEX}");
    let whole = bytes(&both);
    for length in 0..whole.len() {
        let count = Chunks(whole.slice(..length)).count();
        // Padding at the very end may be missing.
        let expected = usize::from(length >= 19) + usize::from(length >= whole.len());
        assert_eq!(count, expected, "{length} bytes");
    }
    for hex in
        ["00 03 0003", "00 03 0000 00000000", "00 03 ffff 00", "03 00 0010 00000001 00000001 ffff ffff"]
    {
        assert_eq!(parse(hex), [], "{hex}");
    }
    assert_eq!(parse("7f 00 0004 0b 00 0004"), [Chunk::Unknown(0x7f), Chunk::CookieAck]);
}
