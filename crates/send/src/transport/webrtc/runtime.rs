//! The tokio runtime that `webrtc` comes with, with socket buffers that hold a burst.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime,
};

/// Requested for each direction of a socket, in bytes. With the system's default of about 200 KiB a burst overflows the
/// socket, and SCTP answers each overflow with a retransmission timeout of a second: 42 MB/s on loopback instead of 408.
/// The system may grant less (`net.core.rmem_max` on Linux).
const SOCKET_BUFFER_LEN: usize = 4 << 20;

/// [`TokioRuntime`] in all but the sockets.
#[derive(Debug)]
pub(super) struct BufferedRuntime(pub(super) TokioRuntime);

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Runtime for BufferedRuntime {
    fn spawn(&self, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        self.0.spawn(future)
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
        self.0.wrap_udp_socket(socket)
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.0.wrap_tcp_listener(listener)
    }

    fn connect_tcp(&self, remote: SocketAddr) -> Boxed<'_, io::Result<Arc<dyn AsyncTcpStream>>> {
        self.0.connect_tcp(remote)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        match ipv6_literal(host) {
            Some(address) => Box::pin(std::future::ready(Ok(vec![address]))),
            None => self.0.resolve_host(host),
        }
    }

    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        self.0.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.0.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.0.block_on(future);
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
