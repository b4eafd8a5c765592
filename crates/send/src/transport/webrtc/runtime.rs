//! The tokio runtime that `webrtc` comes with, with socket buffers that hold a burst, and a driver that sleeps less before a relay.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::SockRef;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime,
};

/// Requested for each direction of a socket, in bytes. With the system's default of about 200 KiB a burst overflows the
/// socket, and SCTP answers each overflow with a retransmission timeout of a second: 42 MB/s on loopback instead of 408.
/// The system may grant less (`net.core.rmem_max` on Linux).
const SOCKET_BUFFER_LEN: usize = 4 << 20;

/// [`TokioRuntime`] in all but the sockets and the sleep.
#[derive(Debug)]
pub(super) struct BufferedRuntime {
    tokio: TokioRuntime,
    alertness: Alertness,
}

/// Whether the crate's driver is kept from sleeping long. Clones are about the same driver.
///
/// What goes out through a TURN allocation of this side is wrapped in one round of the driver and sent in the next, which may be
/// hundreds of milliseconds later, when a timer of another layer wakes it: measured, 0.2 to 0.4 s for every flight of the
/// handshake, and for every acknowledgement at the end of a burst.
#[derive(Clone, Debug, Default)]
pub(super) struct Alertness(Arc<AtomicBool>);

impl Alertness {
    /// From now on, or no more.
    pub(super) fn set(&self, is_alert: bool) {
        self.0.store(is_alert, Ordering::Relaxed);
    }
}

/// The longest sleep of an alert driver: a twentieth of the time over most paths on which a relay is needed.
const NAP: Duration = Duration::from_millis(2);

impl BufferedRuntime {
    /// A runtime whose driver is as alert as `alertness` says.
    pub(super) fn new(alertness: Alertness) -> Self {
        Self { tokio: TokioRuntime, alertness }
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Runtime for BufferedRuntime {
    fn spawn(&self, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        self.tokio.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let options = SockRef::from(&socket);
        // A smaller buffer is slower, not wrong.
        for outcome in
            [options.set_recv_buffer_size(SOCKET_BUFFER_LEN), options.set_send_buffer_size(SOCKET_BUFFER_LEN)]
        {
            if let Err(error) = outcome {
                tracing::debug!(%error, "socket buffers keep their size");
            }
        }
        self.tokio.wrap_udp_socket(socket)
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.tokio.wrap_tcp_listener(listener)
    }

    fn connect_tcp(&self, remote: SocketAddr) -> Boxed<'_, io::Result<Arc<dyn AsyncTcpStream>>> {
        self.tokio.connect_tcp(remote)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        match ipv6_literal(host) {
            Some(address) => Box::pin(std::future::ready(Ok(vec![address]))),
            None => self.tokio.resolve_host(host),
        }
    }

    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        let is_alert = self.alertness.0.load(Ordering::Relaxed);
        self.tokio.sleep(if is_alert { duration.min(NAP) } else { duration })
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.tokio.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.tokio.block_on(future);
    }

    fn name(&self) -> &'static str {
        "tokio with larger socket buffers"
    }
}

/// An IPv6 address and a port without the brackets between them, as the crate asks for TURN servers; the system knows no host
/// of such a name.
fn ipv6_literal(host: &str) -> Option<SocketAddr> {
    let (address, port) = host.rsplit_once(':')?;
    Some(SocketAddr::new(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_server_at_an_ipv6_address_is_found() {
        assert_eq!(ipv6_literal("2001:db8::1:3478"), "[2001:db8::1]:3478".parse().ok());
        for other in ["192.0.2.1:3478", "[2001:db8::1]:3478", "drop.example.org:3478", "2001:db8::1", ""] {
            assert_eq!(ipv6_literal(other), None, "{other}");
        }
    }
}
