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
use crate::stun::{self, Elsewhere};

/// One bound socket. Nothing is answered until [`Responder::run`] does.
#[derive(Debug)]
pub(crate) struct Responder {
    socket: Bound,
    /// The other sockets of this server, for whoever wants its answer from one of them.
    others: Vec<Bound>,
}

/// A socket and where it is bound.
#[derive(Clone, Debug)]
struct Bound {
    socket: Arc<UdpSocket>,
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
        Ok(Self { socket: Bound { socket: Arc::new(socket), local_addr }, others: Vec::new() })
    }

    /// Makes known to each which others there are.
    pub(crate) fn introduce(responders: &mut [Self]) {
        let all: Vec<Bound> = responders.iter().map(|responder| responder.socket.clone()).collect();
        for responder in responders {
            let is_other = |bound: &&Bound| bound.local_addr != responder.socket.local_addr;
            responder.others = all.iter().filter(is_other).cloned().collect();
        }
    }

    /// Where it is bound; with the port that was given for port 0.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr
    }

    /// Answers for as long as it is polled. What cannot be sent at once is lost, as a datagram may be, so that nothing queues.
    pub(crate) async fn run(self, hub: Arc<Hub>) {
        let rate = hub.config.limits.stun;
        let mut slots = rate.map(|rate| Slots::new(rate, time::Instant::now().into_std()));
        // One byte more than is looked at: a longer datagram is seen to be one.
        let mut buffer = [0; stun::MAX_REQUEST_LEN + 1];
        loop {
            let Ok((len, from)) = self.socket.socket.recv_from(&mut buffer).await else {
                // Some systems report here that an earlier answer could not be delivered.
                time::sleep(PAUSE).await;
                continue;
            };
            let now = time::Instant::now().into_std();
            let has = |elsewhere| self.other(elsewhere).is_some();
            let answer = buffer.get(..len).and_then(|request| stun::answer(request, from, has));
            let outcome = match answer {
                None => Stun::Ignored,
                Some(_)
                    if slots.as_mut().is_some_and(|slots| !slots.take(ClientKey::new(from.ip()), now)) =>
                {
                    Stun::Limited
                }
                Some((answer, elsewhere)) => {
                    let at = self.other(elsewhere).unwrap_or(&self.socket);
                    let _ = at.socket.try_send_to(&answer, from);
                    Stun::Answered
                }
            };
            hub.metrics.count_stun(outcome);
        }
    }

    /// The socket that differs from this one in exactly this.
    fn other(&self, elsewhere: Elsewhere) -> Option<&Bound> {
        let own = self.socket.local_addr;
        self.others.iter().find(|Bound { local_addr, .. }| {
            let differs =
                Elsewhere { address: local_addr.ip() != own.ip(), port: local_addr.port() != own.port() };
            differs == elsewhere && local_addr.is_ipv4() == own.is_ipv4()
        })
    }
}

/// After an error, so that one that stays is no busy loop.
const PAUSE: Duration = Duration::from_millis(1);
