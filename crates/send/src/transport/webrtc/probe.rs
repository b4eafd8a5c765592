//! Asks STUN and TURN servers, to learn how the network treats UDP; no connection is made.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout_at};

pub use super::servers::{Endpoint, endpoints};
pub use super::stun::Origin;
use super::stun::{Answer, Login, Refusal, Request};

/// A socket to ask from. Its router keeps what it learnt from one question for the next.
#[derive(Debug)]
pub struct Probe {
    socket: UdpSocket,
}

/// What a STUN server saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which server.
    pub server: SocketAddr,
    /// From where the question came to it.
    pub mapped: SocketAddr,
    /// From the first question to the answer.
    pub took: Duration,
}

/// Whether an answer from elsewhere got in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetIn {
    /// It did.
    Yes,
    /// It did not come, although the server answers.
    No,
    /// The server cannot answer from there.
    Unknown,
}

/// Why a TURN server gave no address.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AllocationError {
    /// Nothing came back.
    #[error("no answer")]
    Silent,
    /// It does not want this client.
    #[error("refused with {code} {reason}")]
    Refused {
        /// RFC 8656 §19, such as 401 for a credential that is not good; 0 when it does not say.
        code: u16,
        /// In its own words.
        reason: String,
    },
    /// There is nothing to ask with.
    #[error("no question can be made")]
    Question(#[source] Box<dyn StdError + Send + Sync>),
}

/// When a question is repeated, after the one before; the last is how long an answer to the last question may take. As RFC
/// 8489 §6.2.1 doubles, with a shorter end: somebody looks on.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_200),
];

/// Longest answer that is looked at, in bytes: one of TURN has a few hundred.
const ANSWER_LEN: usize = 1_500;

impl Probe {
    /// A socket at `address`; port 0 for any.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { socket: UdpSocket::bind(address).await? })
    }

    /// Its port on this machine.
    ///
    /// # Errors
    /// What the system says.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Asks `servers`, all at once, from where they see this socket; those that answer are in the result.
    pub async fn survey(&self, servers: &[SocketAddr]) -> Vec<Seen> {
        let request = |&server| Some((server, Request::binding(Origin::Asked).ok()?));
        let questions: Vec<_> = servers.iter().filter_map(request).collect();
        let answers = self.ask(&questions).await;
        let seen = answers.into_iter().zip(&questions).filter_map(|(answer, &(server, _))| {
            let (answer, took) = answer?;
            Some(Seen { server, mapped: answer.mapped().ok()?, took })
        });
        seen.collect()
    }

    /// Whether an answer that `server` gives from elsewhere gets in. To be asked from a socket that has sent nothing there.
    pub async fn lets_in(&self, server: SocketAddr, origin: Origin) -> LetIn {
        let Ok(request) = Request::binding(origin) else { return LetIn::Unknown };
        match self.ask(&[(server, request)]).await.pop().flatten() {
            Some((answer, _)) if answer.mapped().is_ok() => LetIn::Yes,
            Some(_) => LetIn::Unknown,
            None => LetIn::No,
        }
    }

    /// Gets an address at the TURN server `server`, and gives it back; how long getting it took.
    ///
    /// # Errors
    /// [`AllocationError`].
    pub async fn allocate(
        &self,
        server: SocketAddr,
        username: &str,
        credential: &str,
    ) -> Result<(SocketAddr, Duration), AllocationError> {
        let login = Login { username, credential };
        let since = Instant::now();
        let challenge = self.ask_once(server, Request::allocate(None)).await?;
        // A server that asks for no proof has answered.
        if !challenge.is_challenge() {
            return Ok((challenge.relayed()?, since.elapsed()));
        }
        let proven = self.ask_once(server, Request::allocate(Some((login, &challenge)))).await?;
        let relayed = proven.relayed()?;
        let took = since.elapsed();
        // It would be kept for ten minutes, and there are few for each client.
        let _ = self.ask_once(server, Request::release(login, &challenge)).await;
        Ok((relayed, took))
    }

    async fn ask_once(
        &self,
        server: SocketAddr,
        request: Result<Request, Box<dyn StdError + Send + Sync>>,
    ) -> Result<Answer, AllocationError> {
        let question = (server, request.map_err(AllocationError::Question)?);
        let answer = self.ask(&[question]).await.pop().flatten();
        answer.map(|(answer, _)| answer).ok_or(AllocationError::Silent)
    }

    /// Asks until everybody has answered or had the time to.
    async fn ask(&self, questions: &[(SocketAddr, Request)]) -> Vec<Option<(Answer, Duration)>> {
        let mut answers: Vec<Option<(Answer, Duration)>> = vec![None; questions.len()];
        let since = Instant::now();
        let mut deadline = since;
        for pause in PAUSES {
            deadline += pause;
            for ((server, request), answer) in questions.iter().zip(&answers) {
                // What cannot be sent is not answered: an address of a family that there is not here.
                if answer.is_none() {
                    let _ = self.socket.send_to(request.bytes(), server).await;
                }
            }
            while answers.iter().any(Option::is_none) {
                let Ok(datagram) = timeout_at(deadline, self.hear()).await else { break };
                for ((_, request), answer) in questions.iter().zip(&mut answers) {
                    if answer.is_none() {
                        *answer = request.answer(&datagram).map(|heard| (heard, since.elapsed()));
                    }
                }
            }
        }
        answers
    }

    async fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; ANSWER_LEN];
        loop {
            if let Ok((len, _)) = self.socket.recv_from(&mut buffer).await {
                buffer.truncate(len);
                return buffer;
            }
            // Some systems report here that an earlier question could not be delivered.
            sleep(Duration::from_millis(1)).await;
        }
    }
}

impl From<Refusal> for AllocationError {
    fn from(Refusal { code, reason }: Refusal) -> Self {
        Self::Refused { code, reason }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    async fn server(stun: usize) -> (rendezvous::ServerHandle, Vec<SocketAddr>) {
        let mut config = rendezvous::Config::default();
        config.listen = ANYWHERE;
        config.stun_listen = vec![ANYWHERE; stun];
        let server = rendezvous::Server::bind(config).await.unwrap();
        let (handle, addresses) = (server.handle(), server.stun_addrs());
        tokio::spawn(server.serve());
        (handle, addresses)
    }

    #[tokio::test]
    async fn servers_that_answer_are_told_from_those_that_do_not() {
        let (_handle, addresses) = server(2).await;
        let silent = UdpSocket::bind(ANYWHERE).await.unwrap();
        let probe = Probe::bind(ANYWHERE).await.unwrap();
        let own = SocketAddr::new(ANYWHERE.ip(), probe.port().unwrap());
        let servers = [addresses[0], silent.local_addr().unwrap(), addresses[1]];
        let seen = probe.survey(&servers).await;
        let told: Vec<_> = seen.iter().map(|seen| (seen.server, seen.mapped)).collect();
        assert_eq!(told, [(addresses[0], own), (addresses[1], own)]);
    }

    #[tokio::test]
    async fn an_answer_from_another_port_is_asked_for() {
        let (_two, two) = server(2).await;
        let (_one, one) = server(1).await;
        let probe = Probe::bind(ANYWHERE).await.unwrap();
        assert_eq!(probe.lets_in(two[0], Origin::OtherPort).await, LetIn::Yes);
        assert_eq!(probe.lets_in(two[0], Origin::OtherAddress).await, LetIn::Unknown);
        assert_eq!(probe.lets_in(one[0], Origin::OtherPort).await, LetIn::Unknown);
    }

    #[tokio::test]
    async fn a_server_that_is_no_relay_gives_no_address() {
        let (_handle, addresses) = server(1).await;
        let probe = Probe::bind(ANYWHERE).await.unwrap();
        let outcome = probe.allocate(addresses[0], "x", "y").await;
        assert!(matches!(outcome, Err(AllocationError::Silent)), "{outcome:?}");
    }
}
