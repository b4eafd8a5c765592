//! One association, from its first packet to its last.

mod closing;
mod handshake;
mod incoming;
mod outgoing;
mod partial;
mod path_mtu;
mod resets;
pub(crate) mod stream;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use shared::{TransportContext, TransportMessage, TransportProtocol};

use crate::config::TransportConfig;
use crate::congestion::Model;
use crate::event::{AssociationError, AssociationEvent, EndpointEvent, Event};
use crate::inbound::Inbound;
use crate::pacer::Pacer;
use crate::packet::Header;
use crate::queue::SendQueue;
use crate::recovery::{Acked, Controller, Flight, wire_len};
use crate::units::to_usize;
use crate::{Payload, Side, tsn};
use handshake::Handshake;
use incoming::AckState;
use path_mtu::PathMtu;
use resets::Resets;
use stream::StreamState;
use timers::Timers;

/// See the diagram at the top of the crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Closed,
    Awaiting,
    CookieWait,
    CookieEchoed,
    Established,
    ShutdownPending,
    ShutdownSent,
    ShutdownReceived,
    ShutdownAckSent,
}

/// What an association is born with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    pub(crate) side: Side,
    pub(crate) tag: u32,
    pub(crate) first_tsn: u32,
    pub(crate) cookie: [u8; 32],
    pub(crate) max_payload: u32,
    pub(crate) local_addr: SocketAddr,
    pub(crate) remote_addr: SocketAddr,
    pub(crate) protocol: TransportProtocol,
}

/// Counts since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssociationStats {
    /// DATA chunks that came, those that came twice among them.
    pub received_chunks: u64,
    /// DATA chunks that came twice.
    pub duplicate_chunks: u64,
    /// DATA chunks that were sent for the first time.
    pub sent_chunks: u64,
    /// DATA chunks that were sent again.
    pub repeated_chunks: u64,
    /// SACKs that came.
    pub received_sacks: u64,
    /// Times the peer was silent for a retransmission timeout.
    pub timeouts: u64,
}

/// A control chunk on its way out, alone in its packet.
#[derive(Clone, Debug)]
struct Control {
    tag: u32,
    chunk: Bytes,
    /// Whether the packet needs a checksum whatever was agreed (RFC 9653 §5.2).
    needs_checksum: bool,
}

/// One association: feed it events and the time, and ask it for packets, events and the next deadline.
#[derive(Debug)]
pub struct Association {
    birth: Birth,
    config: Arc<TransportConfig>,
    state: State,
    header: Header,
    handshake: Handshake,
    was_established: bool,

    queue: SendQueue,
    flight: Flight,
    congestion: Box<dyn Controller>,
    pacer: Pacer,
    path: PathMtu,
    /// What the peer had room for when it last said so, less what was sent since, in bytes.
    peer_window: u64,
    /// Since when the peer has had no room and nothing is on its way.
    shut_since: Option<Instant>,
    /// Chunks that may go whatever the window says: probes.
    allowance: u32,
    forward_due: bool,

    inbound: Inbound,
    ack: AckState,
    streams: BTreeMap<u16, StreamState>,
    next_generation: u64,
    resets: Resets,

    timers: Timers,
    control: VecDeque<Control>,
    events: VecDeque<Event>,
    endpoint_events: VecDeque<EndpointEvent>,
    stats: AssociationStats,
    /// Kept for their memory.
    buffer: BytesMut,
    freed: Vec<Acked>,
}

impl Default for Association {
    /// One that is over, and never was.
    fn default() -> Self {
        let nowhere = TransportContext::default();
        let birth = Birth {
            side: Side::Client,
            tag: 0,
            first_tsn: 0,
            cookie: [0; 32],
            max_payload: 4,
            local_addr: nowhere.local_addr,
            remote_addr: nowhere.peer_addr,
            protocol: nowhere.transport_protocol,
        };
        Self::idle(birth, Arc::new(TransportConfig::default()))
    }
}

impl Association {
    pub(crate) fn new(now: Instant, birth: Birth, config: Arc<TransportConfig>) -> Self {
        let mut association = Self::idle(birth, config);
        match birth.side {
            Side::Client => association.start(now),
            Side::Server => association.state = State::Awaiting,
        }
        association
    }

    fn idle(birth: Birth, config: Arc<TransportConfig>) -> Self {
        let first = tsn::first(birth.first_tsn);
        let chunk = wire_len(birth.max_payload.try_into().unwrap_or(4));
        let max_message = to_usize(config.max_message_size.into());
        Self {
            birth,
            state: State::Closed,
            header: Header { source_port: config.port, destination_port: config.port, tag: 0 },
            handshake: Handshake::default(),
            was_established: false,
            queue: SendQueue::default(),
            flight: Flight::new(first),
            congestion: Box::new(Model::new(chunk)),
            path: PathMtu::new(birth.max_payload),
            pacer: Pacer::default(),
            peer_window: 0,
            shut_since: None,
            allowance: 0,
            forward_due: false,
            inbound: Inbound::new(tsn::first(0), config.receive_window.into(), max_message),
            ack: AckState::default(),
            streams: BTreeMap::new(),
            next_generation: 0,
            resets: Resets::new(birth.first_tsn),
            timers: Timers::default(),
            control: VecDeque::new(),
            events: VecDeque::new(),
            endpoint_events: VecDeque::new(),
            stats: AssociationStats::default(),
            buffer: BytesMut::new(),
            freed: Vec::new(),
            config,
        }
    }

    /// The next thing the owner should know.
    #[must_use]
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next thing the endpoint should know.
    #[must_use]
    pub fn poll_endpoint_event(&mut self) -> Option<EndpointEvent> {
        self.endpoint_events.pop_front()
    }

    /// Packets for the peer, until there are none.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<TransportMessage<Payload>> {
        let packets = self.gather(now);
        (!packets.is_empty()).then(|| TransportMessage {
            now,
            transport: TransportContext {
                local_addr: self.birth.local_addr,
                peer_addr: self.birth.remote_addr,
                transport_protocol: self.birth.protocol,
                ecn: None,
            },
            message: Payload::RawEncode(packets),
        })
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next(self.pacing_deadline())
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run_timers(now);
    }

    /// A packet has come.
    pub fn handle_event(&mut self, event: AssociationEvent) {
        if let Some((now, packet)) = event.into_packet() {
            self.take_packet(now, packet);
        }
    }

    /// Counts since the beginning.
    pub fn stats(&self) -> AssociationStats {
        self.stats
    }

    /// Whether it has not been established yet.
    pub fn is_handshaking(&self) -> bool {
        !self.was_established
    }

    /// How many streams there may be in each direction; `None` before the two sides have agreed.
    pub fn negotiated_max_streams(&self) -> Option<u16> {
        self.was_established.then(|| self.handshake.stream_count())
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether there is nothing left to do with it.
    pub fn is_drained(&self) -> bool {
        self.is_closed() && self.control.is_empty()
    }

    /// Which side started it.
    pub fn side(&self) -> Side {
        self.birth.side
    }

    /// The average round-trip time; zero before it was measured.
    pub fn rtt(&self) -> Duration {
        self.flight.round_trip.smoothed().unwrap_or_default()
    }

    /// The streams that are open.
    pub fn stream_ids(&self) -> Vec<u16> {
        self.streams.keys().copied().collect()
    }

    fn send_control(&mut self, chunk: Bytes) {
        self.control.push_back(Control { tag: self.header.tag, chunk, needs_checksum: false });
    }

    fn lose_stream(&mut self, id: u16, reason: AssociationError) {
        if let Some(state) = self.streams.remove(&id) {
            for message in &state.ready {
                self.inbound.release(&message.pieces);
            }
            self.events.push_back(Event::AssociationLost { reason, id });
        }
    }
}
