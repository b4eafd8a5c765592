//! Answers STUN over UDP, on sockets of the server's own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time;

use crate::client_ip::ClientKey;
use crate::hub::Hub;
use crate::limits::slots::Slots;
use crate::metrics::Stun;
use crate::stun;

/// One bound socket. Nothing is answered until [`Responder::run`] does.
#[derive(Debug)]
pub(crate) struct Responder {
    socket: UdpSocket,
    local_addr: SocketAddr,
}

impl Responder {
    /// Binds to `address`. Where the machine has no IPv6, `[::]` means `0.0.0.0`.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let mut bound = UdpSocket::bind(address).await;
        if bound.is_err() && address.ip() == Ipv6Addr::UNSPECIFIED {
            bound = UdpSocket::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port())).await;
        }
        let socket = bound?;
        let local_addr = socket.local_addr()?;
        Ok(Self { socket, local_addr })
    }

    /// Where it is bound; with the port that was given for port 0.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers for as long as it is polled. What cannot be sent at once is lost, as a datagram may be, so that nothing queues.
    pub(crate) async fn run(self, hub: Arc<Hub>) {
        let rate = hub.config.limits.stun;
        let mut slots = rate.map(|rate| Slots::new(rate, time::Instant::now().into_std()));
        // One byte more than is looked at: a longer datagram is seen to be one.
        let mut buffer = [0; stun::MAX_REQUEST_LEN + 1];
        loop {
            let Ok((len, from)) = self.socket.recv_from(&mut buffer).await else {
                // Some systems report here that an earlier answer could not be delivered.
                time::sleep(PAUSE).await;
                continue;
            };
            let now = time::Instant::now().into_std();
            let answer = buffer.get(..len).and_then(|request| stun::answer(request, from));
            let outcome = match answer {
                None => Stun::Ignored,
                Some(_)
                    if slots.as_mut().is_some_and(|slots| !slots.take(ClientKey::new(from.ip()), now)) =>
                {
                    Stun::Limited
                }
                Some(answer) => {
                    let _ = self.socket.try_send_to(&answer, from);
                    Stun::Answered
                }
            };
            hub.metrics.count_stun(outcome);
        }
    }
}

/// After an error, so that one that stays is no busy loop.
const PAUSE: Duration = Duration::from_millis(1);
