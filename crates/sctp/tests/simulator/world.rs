//! Two hosts, the links between them, and the clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc_sctp::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ServerConfig, StreamEvent, TimerConfig, TransportConfig,
};
use shared::TransportProtocol;

use crate::cubic::{Cubic, SEGMENT};
use crate::dice::Dice;
use crate::link::{Link, LinkConfig};

/// What DTLS, UDP and IP add to a packet.
pub(crate) const OVERHEAD: u64 = 65;
pub(crate) const STREAM: u16 = 0;

/// Everything about a run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) there: LinkConfig,
    pub(crate) back: LinkConfig,
    pub(crate) message: usize,
    /// What the sender keeps written and not acknowledged.
    pub(crate) send_buffer: usize,
    pub(crate) receive_window: u32,
    /// Bytes per second that the sender has, if it has not everything at once.
    pub(crate) supply: Option<u64>,
    /// Bytes per second that the reader takes.
    pub(crate) demand: Option<u64>,
    /// How late timers are.
    pub(crate) lateness: Duration,
    pub(crate) rivals: usize,
    /// Blocks that a SACK reports at most, as with other receivers.
    pub(crate) blocks: u16,
}

impl Setup {
    pub(crate) fn new(megabits: u64, round_trip: Duration) -> Self {
        let there = LinkConfig::new(megabits, round_trip / 2);
        let back = LinkConfig { queue: u64::MAX / 4, ..there };
        Self {
            seed: 1,
            there,
            back,
            message: 65_600,
            send_buffer: 32 << 20,
            receive_window: 32 << 20,
            supply: None,
            demand: None,
            lateness: Duration::from_micros(300),
            rivals: 0,
            blocks: u16::MAX,
        }
    }
}

/// The SACK of a receiver that reports fewer blocks. Nobody looks at its checksum.
fn with_fewer_blocks(packet: Bytes, most: u16) -> Bytes {
    let number = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    if packet[12] != 3 || number(24) <= most {
        return packet;
    }
    let mut cut = packet[..28 + 4 * usize::from(most)].to_vec();
    let length = u16::try_from(cut.len() - 12).unwrap();
    cut[14..16].copy_from_slice(&length.to_be_bytes());
    cut[24..26].copy_from_slice(&most.to_be_bytes());
    cut[26..28].fill(0);
    cut.into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Here,
    There,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Packet(Side, Bytes),
    Wake(Side),
    /// The reader, or the writer, gets its next share.
    Share,
    RivalArrives(usize, u64, Duration),
    RivalAck(usize, u64, Duration),
    RivalTimeout(usize, u64),
}

struct Host {
    endpoint: Endpoint,
    handle: Option<AssociationHandle>,
    association: Option<Association>,
    wake_at: Option<Duration>,
}

/// A run.
pub(crate) struct World {
    pub(crate) setup: Setup,
    origin: Instant,
    pub(crate) now: Duration,
    agenda: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    count: u64,
    here: Host,
    there: Host,
    pub(crate) link_there: Link,
    pub(crate) link_back: Link,
    /// Bytes written, read, and the number of the next message of each.
    pub(crate) written: u64,
    pub(crate) read: u64,
    next_written: u64,
    next_read: u64,
    pub(crate) limit: u64,
    pub(crate) is_connected: bool,
    pub(crate) is_lost: bool,
    pub(crate) rivals: Vec<Cubic>,
    /// How late the rivals' acknowledgements are, and when the last of them arrives.
    dice: Dice,
    last_ack_at: Duration,
    supplied: u64,
    demanded: u64,
    pub(crate) packets: u64,
    most_unread: u64,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn entropy(seed: u64) -> EndpointConfig {
    let dice = std::sync::Mutex::new(Dice::new(seed));
    let mut config = EndpointConfig::new();
    config.entropy(move |buffer| {
        let mut dice = dice.lock().unwrap();
        buffer.fill_with(|| dice.next() as u8);
    });
    config
}

impl World {
    pub(crate) fn new(setup: Setup) -> Self {
        // A handshake that meets an outage goes on too.
        let patient = usize::MAX;
        let timers = TimerConfig {
            max_t1_init_retrans: patient,
            max_t1_cookie_retrans: patient,
            ..TimerConfig::default()
        };
        let transport = TransportConfig::default()
            .with_max_receive_buffer_size(setup.receive_window)
            .with_timer_config(timers);
        let (here_config, there_config) = (entropy(setup.seed), entropy(setup.seed ^ 0xffff));
        let server = ServerConfig::new(transport.clone());
        let mut here = Endpoint::new(address(1), TransportProtocol::UDP, here_config.into(), None);
        let there =
            Endpoint::new(address(2), TransportProtocol::UDP, there_config.into(), Some(server.into()));
        let origin = Instant::now();
        let (handle, association) = here.connect(origin, ClientConfig::new(transport), address(2)).unwrap();
        let mut world = Self {
            origin,
            now: Duration::ZERO,
            agenda: BinaryHeap::new(),
            count: 0,
            here: Host {
                endpoint: here,
                handle: Some(handle),
                association: Some(association),
                wake_at: None,
            },
            there: Host { endpoint: there, handle: None, association: None, wake_at: None },
            link_there: Link::new(setup.there, setup.seed ^ 1),
            link_back: Link::new(setup.back, setup.seed ^ 2),
            written: 0,
            read: 0,
            next_written: 0,
            next_read: 0,
            limit: u64::MAX,
            is_connected: false,
            is_lost: false,
            rivals: (0..setup.rivals).map(|_| Cubic::new()).collect(),
            dice: Dice::new(setup.seed ^ 3),
            last_ack_at: Duration::ZERO,
            supplied: 0,
            demanded: 0,
            packets: 0,
            most_unread: 0,
            setup,
        };
        world.flush(Side::Here);
        if world.setup.supply.is_some() || world.setup.demand.is_some() {
            world.at(Duration::ZERO, Happening::Share);
        }
        for rival in 0..world.rivals.len() {
            world.rival_sends(rival);
            world.at(Duration::from_secs(1), Happening::RivalTimeout(rival, 0));
        }
        world
    }

    fn at(&mut self, time: Duration, what: Happening) {
        self.count += 1;
        self.agenda.push(Reverse((time, self.count, what)));
    }

    fn host(&mut self, side: Side) -> &mut Host {
        match side {
            Side::Here => &mut self.here,
            Side::There => &mut self.there,
        }
    }

    pub(crate) fn sender(&self) -> &Association {
        self.here.association.as_ref().unwrap()
    }

    pub(crate) fn receiver(&mut self) -> &mut Association {
        self.there.association.as_mut().unwrap()
    }

    /// Runs until `until`, or until `is_done`.
    pub(crate) fn run(&mut self, until: Duration, mut is_done: impl FnMut(&Self) -> bool) {
        while let Some(Reverse((time, _, what))) = self.agenda.pop() {
            if time > until {
                self.at(time, what);
                break;
            }
            self.now = time;
            self.happen(what);
            if is_done(self) {
                return;
            }
        }
        self.now = until;
    }

    /// Bytes read in the next `span`.
    pub(crate) fn measure(&mut self, span: Duration) -> u64 {
        let before = self.read;
        self.run(self.now + span, |_| false);
        self.read - before
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Packet(side, packet) => self.arrive(side, packet),
            Happening::Wake(side) => {
                let now = self.now;
                let instant = self.origin + now;
                let host = self.host(side);
                if host.wake_at == Some(now) {
                    host.wake_at = None;
                    if let Some(association) = &mut host.association {
                        association.handle_timeout(instant);
                    }
                    self.flush(side);
                }
            }
            Happening::Share => {
                let part = |rate: Option<u64>| rate.map_or(0, |rate| rate / 100);
                self.supplied += part(self.setup.supply);
                self.demanded += part(self.setup.demand);
                self.at(self.now + Duration::from_millis(10), Happening::Share);
                self.flush(Side::Here);
                self.flush(Side::There);
            }
            Happening::RivalArrives(rival, number, sent_at) => {
                // Two flows whose hosts keep exact time fall into step at the queue, and one of them pays for every drop.
                let unevenness = Duration::from_micros(self.dice.below(50));
                let ack_at = (self.now + self.setup.back.delay + unevenness).max(self.last_ack_at);
                self.last_ack_at = ack_at;
                self.at(ack_at, Happening::RivalAck(rival, number, sent_at));
            }
            Happening::RivalAck(rival, number, sent_at) => {
                let now = self.now;
                self.rivals[rival].on_ack(now, number, now.saturating_sub(sent_at));
                self.rival_sends(rival);
            }
            Happening::RivalTimeout(rival, before) => {
                if self.rivals[rival].acked == before {
                    self.rivals[rival].on_timeout();
                    self.rival_sends(rival);
                }
                let acked = self.rivals[rival].acked;
                self.at(self.now + Duration::from_secs(1), Happening::RivalTimeout(rival, acked));
            }
        }
    }

    fn rival_sends(&mut self, rival: usize) {
        for number in self.rivals[rival].send() {
            let now = self.now;
            for arrival in self.link_there.carry(now, SEGMENT) {
                self.at(arrival, Happening::RivalArrives(rival, number, now));
            }
        }
    }

    fn arrive(&mut self, side: Side, packet: Bytes) {
        let now = self.origin + self.now;
        let host = self.host(side);
        match host.endpoint.handle(now, address(9), None, packet) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                host.handle = Some(handle);
                host.association = Some(association);
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if host.handle == Some(handle)
                    && let Some(association) = &mut host.association
                {
                    association.handle_event(event);
                }
            }
            _ => {}
        }
        self.flush(side);
    }

    /// Lets the application of `side` act, and sends what there is to send.
    fn flush(&mut self, side: Side) {
        self.act(side);
        let instant = self.origin + self.now;
        let (now, lateness) = (self.now, self.setup.lateness);
        let origin = self.origin;
        let host = self.host(side);
        let Some(association) = &mut host.association else { return };
        let mut packets = Vec::new();
        while let Some(transmit) = association.poll_transmit(instant) {
            if let Payload::RawEncode(contents) = transmit.message {
                packets.extend(contents);
            }
        }
        let wake_at = association.poll_timeout().map(|at| (at - origin + lateness).max(now + lateness));
        let is_news = wake_at.is_some() && host.wake_at != wake_at;
        host.wake_at = wake_at;
        if let Some(wake_at) = wake_at.filter(|_| is_news) {
            self.at(wake_at, Happening::Wake(side));
        }
        for packet in packets {
            self.packets += 1;
            let blocks = self.setup.blocks;
            let packet = if side == Side::There { with_fewer_blocks(packet, blocks) } else { packet };
            let size = packet.len() as u64 + OVERHEAD;
            let (link, other) = match side {
                Side::Here => (&mut self.link_there, Side::There),
                Side::There => (&mut self.link_back, Side::Here),
            };
            let is_probe = packet[12] == 4;
            assert!(is_probe || size <= link.config.mtu, "data in a packet of {} bytes", packet.len());
            for arrival in link.carry(now, size) {
                self.at(arrival, Happening::Packet(other, packet.clone()));
            }
        }
    }

    fn act(&mut self, side: Side) {
        loop {
            let Some(association) = &mut self.host(side).association else { return };
            let Some(event) = association.poll() else { break };
            match event {
                Event::Connected if side == Side::Here => {
                    let sender = self.here.association.as_mut().unwrap();
                    sender.open_stream(STREAM, PayloadProtocolIdentifier::Binary).unwrap();
                    self.is_connected = true;
                }
                Event::AssociationLost { .. } | Event::HandshakeFailed { .. } => self.is_lost = true,
                Event::Stream(StreamEvent::Readable { .. }) | _ => {}
            }
        }
        match side {
            Side::Here if self.is_connected => self.write(),
            Side::There => self.read_all(),
            Side::Here => {}
        }
    }

    fn write(&mut self) {
        let now = self.origin + self.now;
        let Some(association) = &mut self.here.association else { return };
        let Ok(mut stream) = association.stream(STREAM) else { return };
        let allowed = self.setup.supply.map_or(u64::MAX, |_| self.supplied).min(self.limit);
        while self.written < allowed && stream.buffered_amount().unwrap() < self.setup.send_buffer {
            let length = self.setup.message.max(8);
            let mut message = vec![0; length];
            message[..8].copy_from_slice(&self.next_written.to_be_bytes());
            self.next_written += 1;
            stream
                .write_chunk_with_ppi(now, &Bytes::from(message), PayloadProtocolIdentifier::Binary)
                .unwrap();
            self.written += length as u64;
        }
    }

    fn read_all(&mut self) {
        let demanded = self.setup.demand.map_or(u64::MAX, |_| self.demanded);
        let Some(association) = &mut self.there.association else { return };
        while self.read < demanded {
            let Ok(mut stream) = association.stream(STREAM) else { return };
            let Some(message) = stream.read_sctp().unwrap() else { return };
            let payload = message.to_payload(1 << 20).unwrap();
            assert_eq!(payload[..8], self.next_read.to_be_bytes(), "a message is missing or out of order");
            self.next_read += 1;
            self.read += payload.len() as u64;
        }
        self.most_unread = self.most_unread.max(self.written - self.read);
    }
}
