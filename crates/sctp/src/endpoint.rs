//! Finds the association a packet belongs to, and makes new ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use shared::{EcnCodepoint, TransportContext, TransportMessage, TransportProtocol};
use thiserror::Error;

use crate::association::{Association, Birth};
use crate::config::{ClientConfig, EndpointConfig, ServerConfig, TransportConfig};
use crate::event::{AssociationEvent, EndpointEvent};
use crate::packet::PartialDecode;
use crate::{Payload, Side};

/// Names an association within its endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssociationHandle(pub usize);

/// What a packet led to.
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
#[derive(Debug)]
#[non_exhaustive]
pub enum DatagramEvent {
    /// The association is to be told.
    AssociationEvent(AssociationEvent),
    /// There is a new association.
    NewAssociation(Association),
}

/// Why no association was made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// There are as many as this endpoint takes.
    #[error("too many associations")]
    TooManyAssociations,
    /// Nobody can be reached there.
    #[error("nobody can be reached at {0}")]
    InvalidRemoteAddress(SocketAddr),
}

/// What is known about an association by which its packets are found.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// What its peer puts into every packet.
    tag: u32,
    /// What its peer asked for in its INIT; zero before.
    peer_tag: u32,
    side: Side,
}

/// More than this over one DTLS connection is an attack; data channels need one.
const MAX_ASSOCIATIONS: usize = 8;

/// All associations over one connection of the layer below. It does no input and output and reads no clock.
#[derive(Debug)]
pub struct Endpoint {
    local_addr: SocketAddr,
    protocol: TransportProtocol,
    config: Arc<EndpointConfig>,
    server: Option<Arc<ServerConfig>>,
    entries: BTreeMap<AssociationHandle, Entry>,
    next_handle: usize,
}

impl Endpoint {
    /// An endpoint that takes associations if it has a `server_config`.
    pub fn new(
        local_addr: SocketAddr,
        transport_protocol: TransportProtocol,
        endpoint_config: Arc<EndpointConfig>,
        server_config: Option<Arc<ServerConfig>>,
    ) -> Self {
        Self {
            local_addr,
            protocol: transport_protocol,
            config: endpoint_config,
            server: server_config,
            entries: BTreeMap::new(),
            next_handle: 0,
        }
    }

    /// An association tells that it is no more.
    pub fn handle_event(&mut self, handle: AssociationHandle, _: EndpointEvent) {
        self.entries.remove(&handle);
    }

    /// A packet has come. Says what is to be done with it; nothing, if it belongs nowhere.
    #[allow(clippy::needless_pass_by_value, reason = "the interface it stands in for has it so")]
    pub fn handle(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        ecn: Option<EcnCodepoint>,
        data: Bytes,
    ) -> Option<(AssociationHandle, DatagramEvent)> {
        let packet = match PartialDecode::read(&data) {
            Ok(packet) => packet,
            Err(error) => {
                tracing::debug!(%error, "a packet was dropped");
                return None;
            }
        };
        let transport = TransportContext {
            local_addr: self.local_addr,
            peer_addr: remote,
            transport_protocol: self.protocol,
            ecn,
        };
        let initiate_tag = packet.initiate_tag();
        let known = match initiate_tag {
            Some(tag) => self.initiated(tag),
            None => self.owner(packet.header.tag),
        };
        let event =
            AssociationEvent(TransportMessage { now, transport, message: Payload::PartialDecode(packet) });
        if let Some(handle) = known {
            return Some((handle, DatagramEvent::AssociationEvent(event)));
        }
        let (handle, association) = self.accept(now, remote, initiate_tag?, event)?;
        Some((handle, DatagramEvent::NewAssociation(association)))
    }

    /// Starts an association.
    ///
    /// # Errors
    /// [`ConnectError`], when `remote` has no port or there are too many already.
    pub fn connect(
        &mut self,
        now: Instant,
        config: ClientConfig,
        remote: SocketAddr,
    ) -> Result<(AssociationHandle, Association), ConnectError> {
        if remote.port() == 0 {
            return Err(ConnectError::InvalidRemoteAddress(remote));
        }
        if self.entries.len() >= MAX_ASSOCIATIONS {
            return Err(ConnectError::TooManyAssociations);
        }
        Ok(self.add(now, (Side::Client, 0), remote, config.transport))
    }

    /// The association whose peer has sent this INIT before, or a client that is being met half-way (RFC 9260 §5.2.1).
    fn initiated(&self, tag: u32) -> Option<AssociationHandle> {
        let known = self.entries.iter().find(|(_, entry)| entry.peer_tag == tag);
        let opening = || {
            let mut clients = self.entries.iter().filter(|(_, entry)| entry.side == Side::Client);
            clients.next().filter(|_| self.server.is_none() && clients.next().is_none())
        };
        known.or_else(opening).map(|(&handle, _)| handle)
    }

    fn owner(&self, tag: u32) -> Option<AssociationHandle> {
        self.entries.iter().find(|(_, entry)| tag != 0 && entry.tag == tag).map(|(&handle, _)| handle)
    }

    fn accept(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        peer_tag: u32,
        event: AssociationEvent,
    ) -> Option<(AssociationHandle, Association)> {
        let server = self.server.clone()?;
        if peer_tag == 0 || self.entries.len() >= MAX_ASSOCIATIONS {
            tracing::debug!("an association was refused");
            return None;
        }
        let (handle, mut association) =
            self.add(now, (Side::Server, peer_tag), remote, server.transport.clone());
        association.handle_event(event);
        Some((handle, association))
    }

    fn add(
        &mut self,
        now: Instant,
        (side, peer_tag): (Side, u32),
        remote: SocketAddr,
        config: Arc<TransportConfig>,
    ) -> (AssociationHandle, Association) {
        let tag = loop {
            let tag = self.random();
            if tag != 0 && self.owner(tag).is_none() {
                break tag;
            }
        };
        let mut cookie = [0; 32];
        (self.config.entropy)(&mut cookie);
        let birth = Birth {
            side,
            tag,
            first_tsn: self.random(),
            cookie,
            max_payload: self.config.max_payload_size,
            local_addr: self.local_addr,
            remote_addr: remote,
            protocol: self.protocol,
        };
        let handle = AssociationHandle(self.next_handle);
        self.next_handle += 1;
        self.entries.insert(handle, Entry { tag, peer_tag, side });
        (handle, Association::new(now, birth, config))
    }

    fn random(&self) -> u32 {
        let mut bytes = [0; 4];
        (self.config.entropy)(&mut bytes);
        u32::from_ne_bytes(bytes)
    }
}
