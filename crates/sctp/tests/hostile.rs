//! A peer that means harm: packets made by hand, and what they must not achieve.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets what it does not expect is to fail there"
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use rtc_sctp::{
    Association, AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ServerConfig, StreamEvent, TransportConfig,
};
use shared::TransportProtocol;

const WINDOW: u32 = 1 << 20;
const PEER_TAG: u32 = 0xabcd_0001;
const FIRST_TSN: u32 = 0xffff_fff0;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A server, and everything the peer needs to know about it.
struct Victim {
    now: Instant,
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: Association,
    tag: u32,
}

fn packet(tag: u32, chunks: &[u8]) -> Bytes {
    let mut packet = BytesMut::new();
    packet.put_u16(5_000);
    packet.put_u16(5_000);
    packet.put_u32(tag);
    packet.put_u32(0);
    packet.put_slice(chunks);
    let sum = crc32c::crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&sum);
    packet.freeze()
}

fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut chunk = vec![kind, flags];
    chunk.extend(u16::try_from(value.len() + 4).unwrap().to_be_bytes());
    chunk.extend(value);
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}

fn init(tag: u32) -> Vec<u8> {
    let mut value = tag.to_be_bytes().to_vec();
    value.extend(WINDOW.to_be_bytes());
    value.extend([0xff; 4]);
    value.extend(FIRST_TSN.to_be_bytes());
    // FORWARD TSN is supported.
    value.extend([0xc0, 0x00, 0x00, 0x04]);
    chunk(1, 0, &value)
}

fn data(tsn: u32, flags: u8, (stream, ssn): (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut value = tsn.to_be_bytes().to_vec();
    value.extend(stream.to_be_bytes());
    value.extend(ssn.to_be_bytes());
    value.extend(53_u32.to_be_bytes());
    value.extend(payload);
    chunk(0, flags, &value)
}

fn server(config: TransportConfig) -> Endpoint {
    let server = ServerConfig::new(config);
    Endpoint::new(address(1), TransportProtocol::UDP, EndpointConfig::new().into(), Some(server.into()))
}

impl Victim {
    /// A server that has shaken hands.
    fn new() -> Self {
        let now = Instant::now();
        let mut endpoint = server(TransportConfig::default().with_max_receive_buffer_size(WINDOW));
        let Some((handle, DatagramEvent::NewAssociation(association))) =
            endpoint.handle(now, address(2), None, packet(0, &init(PEER_TAG)))
        else {
            panic!("an INIT makes an association");
        };
        let mut victim = Self { now, endpoint, handle, association, tag: 0 };
        let init_ack = victim.sent().remove(0);
        victim.tag = u32::from_be_bytes(init_ack[16..20].try_into().unwrap());
        let cookie_at = init_ack.windows(4).position(|at| at == [0, 7, 0, 36]).unwrap() + 4;
        let cookie = init_ack.slice(cookie_at..cookie_at + 32);
        victim.tell(&chunk(10, 0, &cookie));
        assert!(matches!(victim.association.poll(), Some(Event::Connected)));
        victim.sent();
        victim
    }

    fn sent(&mut self) -> Vec<Bytes> {
        let mut packets = Vec::new();
        while let Some(transmit) = self.association.poll_transmit(self.now) {
            if let Payload::RawEncode(contents) = transmit.message {
                packets.extend(contents);
            }
        }
        packets
    }

    fn receive(&mut self, packet: Bytes) {
        if let Some((handle, DatagramEvent::AssociationEvent(event))) =
            self.endpoint.handle(self.now, address(2), None, packet)
        {
            assert_eq!(handle, self.handle);
            self.association.handle_event(event);
        }
    }

    fn tell(&mut self, chunks: &[u8]) {
        self.receive(packet(self.tag, chunks));
    }

    /// The cumulative TSN and the window of the last SACK that was sent.
    fn last_sack(&mut self) -> Option<(u32, u32)> {
        self.now += Duration::from_millis(500);
        self.association.handle_timeout(self.now);
        let sack = self.sent().into_iter().rfind(|packet| packet[12] == 3)?;
        let number = |at: usize| u32::from_be_bytes(sack[at..at + 4].try_into().unwrap());
        assert!(sack.len() <= 1_191, "a SACK of {} bytes", sack.len());
        Some((number(16), number(20)))
    }

    fn read(&mut self, stream: u16) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let Ok(mut stream) = self.association.stream(stream) else { return messages };
        while let Some(message) = stream.read_sctp().unwrap() {
            messages.push(message.to_payload(1 << 20).unwrap().to_vec());
        }
        messages
    }
}

const WHOLE: u8 = 3;
const BEGIN: u8 = 2;
const MIDDLE: u8 = 0;
const END: u8 = 1;
const UNORDERED: u8 = 4;

#[test]
fn noise_is_ignored() {
    let mut victim = Victim::new();
    let good = packet(victim.tag, &data(FIRST_TSN, WHOLE, (0, 0), b"hello"));
    for length in 0..good.len() {
        victim.receive(good.slice(..length));
    }
    for at in 0..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 0x40;
        victim.receive(bad.into());
    }
    victim.receive(packet(victim.tag ^ 1, &data(FIRST_TSN, WHOLE, (0, 0), b"other tag")));
    assert!(victim.read(0).is_empty());
    victim.receive(good);
    assert_eq!(victim.read(0), [b"hello"]);
}

#[test]
fn a_checksum_of_zero_is_taken_only_by_those_who_said_so() {
    for (is_offered, expected) in [(true, 1), (false, 0)] {
        let mut endpoint = server(TransportConfig::default().with_zero_checksum(is_offered));
        let mut bare = packet(0, &init(PEER_TAG)).to_vec();
        bare[8..12].fill(0);
        let now = Instant::now();
        assert!(endpoint.handle(now, address(2), None, bare.into()).is_none(), "an INIT without a checksum");
        let _ = expected;
    }
    let mut victim = Victim::new();
    let mut bare = packet(victim.tag, &data(FIRST_TSN, WHOLE, (0, 0), b"bare")).to_vec();
    bare[8..12].fill(0);
    victim.receive(bare.into());
    assert_eq!(victim.read(0), [b"bare"], "this side has said so");
}

#[test]
fn a_thousand_inits_make_few_associations() {
    let mut endpoint = server(TransportConfig::default());
    let now = Instant::now();
    let made = (1..=1_000)
        .filter(|&tag| endpoint.handle(now, address(2), None, packet(0, &init(tag))).is_some())
        .count();
    assert!(made <= 8, "{made} associations");
}

#[test]
fn a_wrong_cookie_opens_nothing() {
    let mut endpoint = server(TransportConfig::default());
    let now = Instant::now();
    let Some((_, DatagramEvent::NewAssociation(mut association))) =
        endpoint.handle(now, address(2), None, packet(0, &init(PEER_TAG)))
    else {
        panic!("an INIT makes an association");
    };
    let Some(Payload::RawEncode(packets)) = association.poll_transmit(now).map(|transmit| transmit.message)
    else {
        panic!("an INIT is answered");
    };
    let tag = u32::from_be_bytes(packets[0][16..20].try_into().unwrap());
    let echo = packet(tag, &chunk(10, 0, &[7; 32]));
    if let Some((_, DatagramEvent::AssociationEvent(event))) = endpoint.handle(now, address(2), None, echo) {
        association.handle_event(event);
    }
    assert!(association.is_handshaking());
    assert!(association.poll().is_none());
}

#[test]
fn data_beyond_the_window_is_refused_and_nothing_is_stuck() {
    let mut victim = Victim::new();
    let payload = [7; 1_000];
    // A hole at the front: nothing of this can be read.
    for tsn in 1..4_000_u32 {
        victim.tell(&data(FIRST_TSN.wrapping_add(tsn), WHOLE, (0, tsn as u16), &payload));
    }
    let (cumulative, window) = victim.last_sack().unwrap();
    assert_eq!((cumulative, window), (FIRST_TSN.wrapping_sub(1), 0));
    // What fills the hole is taken all the same.
    victim.tell(&data(FIRST_TSN, WHOLE, (0, 0), &payload));
    let read = victim.read(0).len();
    assert!(
        (1_000..=2_000).contains(&read),
        "{read} messages of 1,000 bytes were kept for a window of 1 MiB"
    );
    let is_free = victim.last_sack().is_some_and(|(_, room)| room == WINDOW);
    assert!(is_free, "what was read costs nothing");
}

#[test]
fn small_chunks_in_large_packets_do_not_cost_more_than_the_window() {
    let mut victim = Victim::new();
    for tsn in 0..60_000_u32 {
        victim.tell(&data(FIRST_TSN.wrapping_add(2 * tsn + 1), WHOLE, (0, 1), &[7]));
        if tsn % 1_000 == 0 {
            victim.last_sack();
        }
    }
    let (_, window) = victim.last_sack().unwrap();
    assert_eq!(window, 0, "chunks cost more than their bytes");
}

#[test]
fn tsns_far_ahead_are_refused() {
    let mut victim = Victim::new();
    for ahead in [65_536, 1 << 20, 1 << 30, 0x7fff_ffff] {
        victim.tell(&data(FIRST_TSN.wrapping_add(ahead), WHOLE, (0, 0), b"far"));
    }
    let (_, window) = victim.last_sack().unwrap();
    assert_eq!(window, WINDOW);
}

#[test]
fn a_message_without_end_ends_the_association() {
    let mut victim = Victim::new();
    victim.tell(&data(FIRST_TSN, BEGIN, (0, 0), &[7; 1_100]));
    for tsn in 1..300_u32 {
        victim.tell(&data(FIRST_TSN.wrapping_add(tsn), MIDDLE, (0, 0), &[7; 1_100]));
    }
    assert!(victim.association.is_closed());
    let last = victim.sent().pop().unwrap();
    assert_eq!(last[12], 6, "an ABORT says so");
}

#[test]
fn fragments_that_do_not_belong_together_make_no_message() {
    let mut victim = Victim::new();
    let tsn = |offset: u32| FIRST_TSN.wrapping_add(offset);
    victim.tell(&data(tsn(0), MIDDLE, (0, 0), b"no beginning"));
    victim.tell(&data(tsn(1), END, (0, 0), b"no beginning"));
    victim.tell(&data(tsn(2), BEGIN, (0, 0), b"no end"));
    victim.tell(&data(tsn(3), END, (1, 0), b"other stream"));
    victim.tell(&data(tsn(4), WHOLE, (0, 1), b"whole"));
    assert_eq!(victim.read(0), [b"whole"]);
    assert!(victim.read(1).is_empty());
    assert_eq!(victim.last_sack().unwrap(), (tsn(4), WINDOW));
}

#[test]
fn what_need_not_wait_for_a_hole_is_read_at_once() {
    let mut victim = Victim::new();
    let tsn = |offset: u32| FIRST_TSN.wrapping_add(offset);
    victim.tell(&data(tsn(1), WHOLE | UNORDERED, (0, 0), b"unordered"));
    victim.tell(&data(tsn(4), END, (2, 0), b"stream"));
    victim.tell(&data(tsn(3), BEGIN, (2, 0), b"other "));
    victim.tell(&data(tsn(5), WHOLE, (0, 1), b"second"));
    assert_eq!(victim.read(0), [b"unordered"]);
    assert_eq!(victim.read(2), [b"other stream"]);
    victim.tell(&data(tsn(2), WHOLE, (3, 0), b"third stream"));
    victim.tell(&data(tsn(0), WHOLE, (0, 0), b"first"));
    assert_eq!(victim.read(0), [&b"first"[..], b"second"]);
    assert_eq!(victim.read(3), [b"third stream"]);
    assert_eq!(victim.last_sack().unwrap(), (tsn(5), WINDOW));
}

#[test]
fn acknowledgements_of_what_was_never_sent_end_the_association() {
    let mut victim = Victim::new();
    let mut value = 0x7777_7777_u32.to_be_bytes().to_vec();
    value.extend([0, 16, 0, 0, 0, 0, 0, 0]);
    victim.tell(&chunk(3, 0, &value));
    let is_over = victim.association.is_closed();
    // By chance the number may lie behind; then it is old news.
    assert!(is_over || victim.association.stats().received_sacks == 1);
}

#[test]
fn gap_blocks_of_nonsense_free_nothing() {
    let mut victim = Victim::new();
    let now = victim.now;
    let message = Bytes::from(vec![1; 50_000]);
    victim.association.open_stream(0, PayloadProtocolIdentifier::Binary).unwrap();
    let mut stream = victim.association.stream(0).unwrap();
    stream.write_chunk_with_ppi(now, &message, PayloadProtocolIdentifier::Binary).unwrap();
    let sent = victim.sent();
    let with_data = sent.iter().find(|packet| packet[12] == 0).unwrap();
    let first = u32::from_be_bytes(with_data[16..20].try_into().unwrap());
    for blocks in [[5_u16, 3], [0, 0], [1, 1], [60_000, 65_535], [u16::MAX, u16::MAX]] {
        let mut value = first.wrapping_sub(1).to_be_bytes().to_vec();
        value.extend(WINDOW.to_be_bytes());
        value.extend([0, 1, 0, 0]);
        value.extend(blocks.iter().flat_map(|edge| edge.to_be_bytes()));
        victim.tell(&chunk(3, 0, &value));
    }
    assert!(!victim.association.is_closed());
    assert_eq!(victim.association.stream(0).unwrap().buffered_amount().unwrap(), 50_000);
}

#[test]
fn who_does_not_ask_for_long_packets_gets_none() {
    let mut victim = Victim::new();
    let now = victim.now;
    victim.association.open_stream(0, PayloadProtocolIdentifier::Binary).unwrap();
    let mut stream = victim.association.stream(0).unwrap();
    let message = Bytes::from(vec![1; 50_000]);
    stream.write_chunk_with_ppi(now, &message, PayloadProtocolIdentifier::Binary).unwrap();
    let longest = victim.sent().iter().map(Bytes::len).max().unwrap();
    assert_eq!(longest, 1_432, "Chromium closes the connection over more than 2,048");
}

#[test]
fn streams_are_opened_by_messages_and_not_by_promises() {
    let mut victim = Victim::new();
    for stream in 0..5_000_u16 {
        let tsn = FIRST_TSN.wrapping_add(stream.into());
        victim.tell(&data(tsn, WHOLE, (stream, 0), b"hi"));
    }
    let mut opened = 0;
    while let Some(event) = victim.association.poll() {
        opened += usize::from(matches!(event, Event::Stream(StreamEvent::Opened { .. })));
    }
    assert_eq!(opened, 5_000);
    // The owner wants none of them.
    for stream in 0..5_000 {
        victim.association.stream(stream).unwrap().close(victim.now).unwrap();
    }
    assert_eq!(victim.last_sack().map(|(_, window)| window), Some(WINDOW));
}

#[test]
fn resets_and_forwards_of_nonsense_do_nothing() {
    let mut victim = Victim::new();
    victim.tell(&data(FIRST_TSN, WHOLE, (0, 0), b"kept"));
    let request = |sequence: u32, last: u32| {
        let mut value = vec![0, 13, 0, 18];
        value.extend([sequence, 0, last].iter().flat_map(|number| number.to_be_bytes()));
        value.extend([0, 0, 0, 0]);
        chunk(130, 0, &value)
    };
    for sequence in [0, 1, FIRST_TSN.wrapping_sub(1), 0x8000_0000] {
        victim.tell(&request(sequence, FIRST_TSN));
    }
    // The right number, but the stream is not read, and more is to come.
    victim.tell(&request(FIRST_TSN, FIRST_TSN.wrapping_add(1_000)));
    victim.tell(&chunk(192, 0, &FIRST_TSN.wrapping_sub(100).to_be_bytes()));
    victim.tell(&chunk(192, 0, &FIRST_TSN.wrapping_add(1 << 20).to_be_bytes()));
    victim.tell(&chunk(192, 0, &[1]));
    assert_eq!(victim.read(0), [b"kept"]);
    victim.tell(&data(FIRST_TSN.wrapping_add(1), WHOLE, (0, 1), b"goes on"));
    assert_eq!(victim.read(0), [b"goes on"]);
}

#[test]
fn what_was_given_up_is_not_waited_for() {
    let mut victim = Victim::new();
    let tsn = |offset: u32| FIRST_TSN.wrapping_add(offset);
    victim.tell(&data(tsn(0), BEGIN, (0, 0), b"half"));
    victim.tell(&data(tsn(3), WHOLE, (0, 1), b"next"));
    let mut forward = tsn(2).to_be_bytes().to_vec();
    forward.extend([0, 0, 0, 0]);
    victim.tell(&chunk(192, 0, &forward));
    assert_eq!(victim.read(0), [b"next"]);
    assert_eq!(victim.last_sack().unwrap(), (tsn(3), WINDOW));
}
