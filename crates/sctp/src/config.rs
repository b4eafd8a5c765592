//! What an endpoint and its associations are told at the start.

use std::sync::Arc;

use crate::chunk::data;
use crate::packet;

/// The smallest packet that carries data: its headers and one padded byte.
pub const MIN_DATA_PACKET_MTU: u32 = HEADERS_LEN + 4;

const HEADERS_LEN: u32 = 28;
const _: () = assert!(HEADERS_LEN as usize == packet::HEADER_LEN + data::HEADER_LEN);

/// Fits into 1,280 bytes with the headers of IPv6, UDP, TURN and DTLS: what every path must carry (RFC 8200 §5).
const DEFAULT_MTU: u32 = 1_191;

/// How many bytes of a message fit into a packet of `mtu` bytes, such that the chunk needs no padding beyond it.
pub fn max_payload_size_for_mtu(mtu: u32) -> u32 {
    (mtu.max(MIN_DATA_PACKET_MTU) - HEADERS_LEN) & !3
}

/// How often a side repeats what is not answered before it gives up.
#[derive(Clone, Copy, Debug)]
pub struct TimerConfig {
    /// Of INIT.
    pub max_t1_init_retrans: usize,
    /// Of COOKIE ECHO.
    pub max_t1_cookie_retrans: usize,
    /// Of SHUTDOWN and SHUTDOWN ACK.
    pub max_t2_shutdown_retrans: usize,
    /// Of data. Without a limit by default: whether the peer can still be reached is for the layers below to find out, and a
    /// link that comes back is to be used again.
    pub max_t3_rtx_retrans: usize,
    /// Of a request to reset streams.
    pub max_reconfig_retrans: usize,
}

impl Default for TimerConfig {
    fn default() -> Self {
        Self {
            max_t1_init_retrans: 8,
            max_t1_cookie_retrans: 8,
            max_t2_shutdown_retrans: 8,
            max_t3_rtx_retrans: usize::MAX,
            max_reconfig_retrans: usize::MAX,
        }
    }
}

/// Of one association.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    pub(crate) port: u16,
    pub(crate) receive_window: u32,
    pub(crate) max_message_size: u32,
    pub(crate) outbound_streams: u16,
    pub(crate) inbound_streams: u16,
    pub(crate) timers: TimerConfig,
    pub(crate) offers_zero_checksum: bool,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            port: 5_000,
            receive_window: 1 << 20,
            max_message_size: 262_144,
            outbound_streams: u16::MAX,
            inbound_streams: u16::MAX,
            timers: TimerConfig::default(),
            offers_zero_checksum: true,
        }
    }
}

impl TransportConfig {
    /// The port of both sides.
    #[must_use]
    pub fn with_sctp_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// What the peer may send before it was read, in bytes, at most: a quarter of that, or 1 MiB, until its reader has shown that it
    /// keeps up over a path of 20 ms or more.
    #[must_use]
    pub fn with_max_receive_buffer_size(mut self, bytes: u32) -> Self {
        self.receive_window = bytes;
        self
    }

    /// The longest message either side may send, in bytes.
    #[must_use]
    pub fn with_max_message_size(mut self, bytes: u32) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// How many streams this side wants to send on.
    #[must_use]
    pub fn with_max_num_outbound_streams(mut self, count: u16) -> Self {
        self.outbound_streams = count;
        self
    }

    /// How many streams the peer may send on.
    #[must_use]
    pub fn with_max_num_inbound_streams(mut self, count: u16) -> Self {
        self.inbound_streams = count;
        self
    }

    /// How often what is repeated.
    #[must_use]
    pub fn with_timer_config(mut self, timers: TimerConfig) -> Self {
        self.timers = timers;
        self
    }

    /// Whether to agree on packets without checksums with a peer that does (RFC 9653). Only for associations over DTLS, which
    /// notices every changed bit; that is the default.
    #[must_use]
    pub fn with_zero_checksum(mut self, is_offered: bool) -> Self {
        self.offers_zero_checksum = is_offered;
        self
    }

    /// What the peer may send before it was read, in bytes, at most.
    pub fn max_receive_buffer_size(&self) -> u32 {
        self.receive_window
    }

    /// The longest message either side may send, in bytes.
    pub fn max_message_size(&self) -> u32 {
        self.max_message_size
    }
}

/// Fills a buffer with bytes that nobody can guess.
type Entropy = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Of everything that one endpoint does.
#[derive(Clone)]
pub struct EndpointConfig {
    pub(crate) max_payload_size: u32,
    pub(crate) entropy: Entropy,
}

impl std::fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointConfig")
            .field("max_payload_size", &self.max_payload_size)
            .finish_non_exhaustive()
    }
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl EndpointConfig {
    /// Packets that every path carries, and numbers from the operating system.
    pub fn new() -> Self {
        Self { max_payload_size: max_payload_size_for_mtu(DEFAULT_MTU), entropy: Arc::new(from_system) }
    }

    /// How many bytes of a message go into one packet.
    pub fn max_payload_size(&mut self, bytes: u32) -> &mut Self {
        self.max_payload_size = bytes.max(4);
        self
    }

    /// Takes tags, first sequence numbers and cookies from `entropy`, so that a test can be repeated.
    pub fn entropy(&mut self, entropy: impl Fn(&mut [u8]) + Send + Sync + 'static) -> &mut Self {
        self.entropy = Arc::new(entropy);
        self
    }
}

/// A system that has no entropy to give leaves zeros: DTLS, underneath, could not have started on it.
fn from_system(buffer: &mut [u8]) {
    if let Err(error) = getrandom::fill(buffer) {
        tracing::error!(%error, "the system has no random numbers");
    }
}

/// Of an endpoint that takes associations.
#[derive(Clone, Debug, Default)]
pub struct ServerConfig {
    /// Of each association.
    pub transport: Arc<TransportConfig>,
}

impl ServerConfig {
    /// Takes associations with this configuration.
    pub fn new(transport: TransportConfig) -> Self {
        Self { transport: Arc::new(transport) }
    }
}

/// Of an association that this side starts.
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    /// Of the association.
    pub transport: Arc<TransportConfig>,
}

impl ClientConfig {
    /// Starts associations with this configuration.
    pub fn new(transport: TransportConfig) -> Self {
        Self { transport: Arc::new(transport) }
    }
}
