//! Two associations that hand each other their packets: opening, closing, giving up.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets what it does not expect is to fail there"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc_sctp::{
    Association, AssociationError, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig,
    Event, Payload, PayloadProtocolIdentifier as Ppid, ReliabilityType, ServerConfig, StreamEvent,
    TransportConfig,
};
use shared::TransportProtocol;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// One side.
struct Host {
    endpoint: Endpoint,
    handle: Option<AssociationHandle>,
    association: Option<Association>,
    events: Vec<Event>,
    inbox: VecDeque<Bytes>,
}

impl Host {
    fn new(server: Option<TransportConfig>) -> Self {
        let server = server.map(|config| ServerConfig::new(config).into());
        let config = EndpointConfig::new().into();
        Self {
            endpoint: Endpoint::new(address(1), TransportProtocol::UDP, config, server),
            handle: None,
            association: None,
            events: Vec::new(),
            inbox: VecDeque::new(),
        }
    }

    fn connect(&mut self, now: Instant, config: &TransportConfig) {
        let (handle, association) =
            self.endpoint.connect(now, ClientConfig::new(config.clone()), address(2)).unwrap();
        (self.handle, self.association) = (Some(handle), Some(association));
    }

    fn it(&mut self) -> &mut Association {
        self.association.as_mut().unwrap()
    }

    /// Takes what is in the inbox, and returns what is to be sent.
    fn turn(&mut self, now: Instant) -> Vec<Bytes> {
        while let Some(packet) = self.inbox.pop_front() {
            match self.endpoint.handle(now, address(2), None, packet) {
                Some((handle, DatagramEvent::NewAssociation(association))) => {
                    (self.handle, self.association) = (Some(handle), Some(association));
                }
                Some((handle, DatagramEvent::AssociationEvent(event))) if self.handle == Some(handle) => {
                    self.it().handle_event(event);
                }
                _ => {}
            }
        }
        let mut packets = Vec::new();
        let Some(association) = &mut self.association else { return packets };
        if association.poll_timeout().is_some_and(|at| at <= now) {
            association.handle_timeout(now);
        }
        while let Some(transmit) = association.poll_transmit(now) {
            if let Payload::RawEncode(contents) = transmit.message {
                packets.extend(contents);
            }
        }
        self.events.extend(std::iter::from_fn(|| association.poll()));
        packets
    }

    fn write(&mut self, now: Instant, stream: u16, message: &[u8]) {
        let message = Bytes::copy_from_slice(message);
        self.it().stream(stream).unwrap().write_chunk_with_ppi(now, &message, Ppid::Binary).unwrap();
    }

    fn read(&mut self, stream: u16) -> Vec<Vec<u8>> {
        let Ok(mut stream) = self.it().stream(stream) else { return Vec::new() };
        std::iter::from_fn(|| stream.read_sctp().unwrap())
            .map(|message| message.to_payload(1 << 20).unwrap().to_vec())
            .collect()
    }

    fn has_lost(&self, stream: u16) -> Option<&AssociationError> {
        self.events.iter().find_map(|event| match event {
            Event::AssociationLost { reason, id } if *id == stream => Some(reason),
            _ => None,
        })
    }

    fn is_connected(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Connected))
    }
}

struct Pair {
    now: Instant,
    a: Host,
    b: Host,
}

impl Pair {
    fn with(config: &TransportConfig) -> Self {
        let now = Instant::now();
        let mut pair = Self { now, a: Host::new(None), b: Host::new(Some(config.clone())) };
        pair.a.connect(now, config);
        pair.run(10, |_| true);
        assert!(pair.a.is_connected() && pair.b.is_connected());
        pair
    }

    fn new() -> Self {
        Self::with(&TransportConfig::default())
    }

    /// Lets so many milliseconds pass. Of the packets of `a` those arrive that `passes` lets through.
    fn run(&mut self, milliseconds: u64, mut passes: impl FnMut(&Bytes) -> bool) {
        for _ in 0..milliseconds {
            let (there, back) = (self.a.turn(self.now), self.b.turn(self.now));
            self.b.inbox.extend(there.into_iter().filter(|packet| passes(packet)));
            self.a.inbox.extend(back);
            self.now += Duration::from_millis(1);
        }
    }

    fn open(&mut self, stream: u16) {
        self.a.it().open_stream(stream, Ppid::Binary).unwrap();
    }
}

/// Whether the first chunk of a packet is DATA.
fn is_data(packet: &Bytes) -> bool {
    packet[12] == 0
}

#[test]
fn messages_of_every_length_arrive() {
    let mut pair = Pair::new();
    pair.open(7);
    let lengths = [1, 3, 4, 1_159, 1_160, 1_161, 1_163, 1_164, 65_535, 65_536, 66_066, 262_144];
    for length in lengths {
        pair.a.write(pair.now, 7, &vec![length as u8; length]);
    }
    pair.run(200, |_| true);
    let read: Vec<_> = pair.b.read(7).into_iter().map(|message| message.len()).collect();
    assert_eq!(read, lengths);
    assert_eq!(pair.a.it().stream(7).unwrap().buffered_amount().unwrap(), 0);
    let released: usize = pair
        .a
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Stream(StreamEvent::BufferedAmountReleased { n_bytes, .. }) => Some(n_bytes),
            _ => None,
        })
        .sum();
    assert_eq!(released, lengths.iter().sum::<usize>());
    let too_long = Bytes::from(vec![0; 262_145]);
    let now = pair.now;
    assert!(pair.a.it().stream(7).unwrap().write_chunk_with_ppi(now, &too_long, Ppid::Binary).is_err());
}

#[test]
fn both_may_ask_at_once() {
    let now = Instant::now();
    let config = TransportConfig::default();
    let mut pair = Pair { now, a: Host::new(None), b: Host::new(None) };
    pair.a.connect(now, &config);
    pair.b.connect(now, &config);
    pair.run(50, |_| true);
    assert!(pair.a.is_connected() && pair.b.is_connected());
    pair.open(0);
    pair.a.write(pair.now, 0, b"hello");
    pair.run(50, |_| true);
    assert_eq!(pair.b.read(0), [b"hello"]);
}

#[test]
fn a_handshake_survives_the_loss_of_any_packet() {
    for lost in 0..2 {
        let now = Instant::now();
        let config = TransportConfig::default();
        let mut pair = Pair { now, a: Host::new(None), b: Host::new(Some(config.clone())) };
        pair.a.connect(now, &config);
        let mut count = 0;
        pair.run(2_000, |_| {
            count += 1;
            count != lost + 1
        });
        assert!(pair.a.is_connected() && pair.b.is_connected(), "without packet {lost}");
    }
}

#[test]
fn nobody_there_is_told_in_the_end() {
    let mut host = Host::new(None);
    let mut now = Instant::now();
    host.connect(now, &TransportConfig::default());
    for _ in 0..60 {
        host.turn(now);
        now += Duration::from_secs(1);
    }
    assert!(matches!(host.events[..], [Event::HandshakeFailed { .. }]), "{:?}", host.events);
    assert_eq!(host.it().poll_timeout(), None);
}

#[test]
fn a_closed_stream_ends_on_both_sides_once_it_is_read_and_can_be_opened_again() {
    let mut pair = Pair::new();
    for round in 0..3_u8 {
        pair.open(5);
        pair.a.write(pair.now, 5, &[round; 10_000]);
        let now = pair.now;
        pair.a.it().stream(5).unwrap().close(now).unwrap();
        pair.run(100, |_| true);
        assert!(pair.b.has_lost(5).is_none(), "there is something to read yet");
        assert_eq!(pair.b.read(5), [[round; 10_000]]);
        pair.run(500, |_| true);
        assert_eq!(pair.a.has_lost(5), Some(&AssociationError::Reset));
        assert_eq!(pair.b.has_lost(5), Some(&AssociationError::Reset));
        assert!(pair.a.it().stream(5).is_err() && pair.b.it().stream(5).is_err());
        pair.a.events.clear();
        pair.b.events.clear();
    }
}

#[test]
fn a_reset_survives_lost_packets() {
    let mut pair = Pair::new();
    pair.open(5);
    pair.a.write(pair.now, 5, b"last words");
    pair.run(50, |_| true);
    pair.b.read(5);
    let now = pair.now;
    pair.a.it().stream(5).unwrap().close(now).unwrap();
    let mut count = 0;
    pair.run(5_000, |packet| {
        count += usize::from(packet[12] == 130);
        packet[12] != 130 || count > 2
    });
    assert!(pair.a.has_lost(5).is_some() && pair.b.has_lost(5).is_some());
}

#[test]
fn a_message_that_may_be_lost_is_given_up_and_the_next_one_arrives() {
    for (kind, value) in
        [(ReliabilityType::Rexmit, 0), (ReliabilityType::Rexmit, 2), (ReliabilityType::Timed, 50)]
    {
        for unordered in [false, true] {
            let mut pair = Pair::new();
            pair.open(1);
            pair.a.it().stream(1).unwrap().set_reliability_params(unordered, kind, value).unwrap();
            pair.a.write(pair.now, 1, &[1; 5_000]);
            pair.run(1_500, |packet| !is_data(packet));
            pair.a.write(pair.now, 1, b"next");
            pair.run(3_000, |_| true);
            assert_eq!(pair.b.read(1), [b"next"], "{kind:?} {value} {unordered}");
            assert_eq!(pair.a.it().stream(1).unwrap().buffered_amount().unwrap(), 0);
            pair.run(1_000, |_| true);
            assert_eq!(pair.a.it().poll_timeout(), None, "nothing is waited for");
        }
    }
}

#[test]
fn a_reliable_message_waits_for_as_long_as_it_takes() {
    let mut pair = Pair::new();
    pair.open(1);
    pair.a.write(pair.now, 1, &[1; 5_000]);
    pair.run(30_000, |packet| !is_data(packet));
    pair.run(4_000, |_| true);
    assert_eq!(pair.b.read(1).len(), 1);
}

/// Writes a message of 100 KB over a path that carries packets of `most` bytes, and returns the longest with data that came.
fn longest_over(pair: &mut Pair, most: usize) -> usize {
    let mut longest = 0;
    pair.a.write(pair.now, 1, &vec![1; 100_000]);
    pair.run(4_000, |packet| {
        if is_data(packet) && packet.len() <= most {
            longest = longest.max(packet.len());
        }
        packet.len() <= most
    });
    longest
}

#[test]
fn packets_become_as_long_as_the_path_carries() {
    for (most, longest) in [(1_191, 1_188), (1_280, 1_188), (1_358, 1_352), (1_435, 1_432), (9_000, 8_932)] {
        let mut pair = Pair::new();
        pair.open(1);
        longest_over(&mut pair, most);
        assert_eq!(longest_over(&mut pair, most), longest, "of {most}");
        assert_eq!(pair.b.read(1).len(), 2, "both messages over {most}");
    }
}

#[test]
fn a_path_that_carries_less_than_it_did_ends_the_association() {
    let mut pair = Pair::new();
    pair.open(1);
    longest_over(&mut pair, 9_000);
    assert_eq!(pair.b.read(1).len(), 1);
    pair.a.write(pair.now, 1, &vec![1; 100_000]);
    pair.run(30_000, |packet| packet.len() <= 1_400);
    assert!(pair.a.it().is_closed(), "what was cut long cannot be cut again");
}

#[test]
fn a_goodbye_waits_for_what_was_written() {
    let mut pair = Pair::new();
    pair.open(1);
    pair.a.write(pair.now, 1, &vec![1; 200_000]);
    pair.a.it().shutdown().unwrap();
    pair.run(100, |_| true);
    assert_eq!(pair.b.read(1).len(), 1);
    pair.run(500, |_| true);
    assert!(pair.a.it().is_closed() && pair.b.it().is_closed());
    assert!(pair.a.it().poll_endpoint_event().is_some() && pair.b.it().poll_endpoint_event().is_some());
}

#[test]
fn an_abort_is_told() {
    let mut pair = Pair::new();
    pair.open(1);
    pair.a.write(pair.now, 1, b"hello");
    pair.run(10, |_| true);
    pair.a.it().abort().unwrap();
    pair.run(10, |_| true);
    assert_eq!(pair.a.has_lost(1), Some(&AssociationError::LocallyClosed));
    assert_eq!(pair.b.has_lost(1), Some(&AssociationError::Reset));
}

#[test]
fn packets_have_checksums_unless_both_do_without() {
    for is_offered in [true, false] {
        let mut pair = Pair::with(&TransportConfig::default().with_zero_checksum(is_offered));
        pair.open(1);
        pair.a.write(pair.now, 1, b"hello");
        let mut seen = Vec::new();
        pair.run(50, |packet| {
            seen.push(packet[8..12] == [0; 4]);
            true
        });
        assert!(!seen.is_empty() && seen.iter().all(|&is_bare| is_bare == is_offered));
        assert_eq!(pair.b.read(1), [b"hello"]);
    }
}

#[test]
fn a_heartbeat_is_answered_and_the_wrong_port_is_not() {
    let mut pair = Pair::with(&TransportConfig::default());
    pair.open(1);
    pair.a.write(pair.now, 1, b"x");
    let mut header = Bytes::new();
    pair.run(5, |packet| {
        header = packet.slice(..12);
        true
    });
    let heartbeat = |port: u16| {
        let mut packet = header.to_vec();
        packet[..2].copy_from_slice(&port.to_be_bytes());
        packet[8..12].fill(0);
        packet.extend([4, 0, 0, 12, 0, 1, 0, 8, 1, 2, 3, 4]);
        Bytes::from(packet)
    };
    pair.b.inbox.push_back(heartbeat(5_001));
    assert!(pair.b.turn(pair.now).iter().all(|packet| packet[12] != 5));
    pair.b.inbox.push_back(heartbeat(5_000));
    let answer = pair.b.turn(pair.now).into_iter().find(|packet| packet[12] == 5).unwrap();
    assert_eq!(answer[16..24], [0, 1, 0, 8, 1, 2, 3, 4]);
}
