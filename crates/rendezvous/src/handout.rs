//! The servers that one client is told when it is paired, beside those that everybody is: where this server itself answers
//! STUN, at the name by which the client came, TURN servers with a credential of its own, and what it joins the record relay
//! with.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::time::SystemTime;

use wire::signaling::{IceServer, ServerMessage, Ticket};

use self::ticket::Tickets;
use self::turn::Turn;
use crate::config::Config;

mod ticket;
mod turn;

/// What there is to hand out.
#[derive(Debug)]
pub(crate) struct Handout {
    turn: Option<Turn>,
    /// For the record relay, where it is offered.
    tickets: Option<Tickets>,
    /// On which ports this server answers STUN, once it does.
    stun_ports: OnceLock<Vec<u16>>,
    /// By which a socket gets a name at the TURN server that tells nothing of it here.
    salt: RandomState,
}

impl Handout {
    /// What `config` says, without STUN of this server's own.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            turn: Turn::new(config),
            tickets: Tickets::new(config),
            stun_ports: OnceLock::new(),
            salt: RandomState::new(),
        }
    }

    /// Whether the record relay is offered.
    pub(crate) fn offers_relay(&self) -> bool {
        self.tickets.is_some()
    }

    /// Whether whoever shows this may join the record relay.
    pub(crate) fn admits(&self, ticket: &Ticket, now: SystemTime) -> bool {
        self.tickets.as_ref().is_some_and(|tickets| tickets.admits(ticket, now))
    }

    /// From now on this server answers STUN on `ports`. Only the first call counts.
    pub(crate) fn set_stun_ports(&self, ports: Vec<u16>) {
        let _ = self.stun_ports.set(ports);
    }

    /// Adds to a `paired` what is this client's alone; every other message stays as it is. `host` is by which name or address
    /// the client came, `socket` the number of its socket.
    pub(crate) fn complete(
        &self,
        message: &mut ServerMessage,
        socket: u64,
        host: Option<&str>,
        now: SystemTime,
    ) {
        let ServerMessage::Paired { ice_servers, relay, .. } = message else { return };
        *relay = self.tickets.as_ref().map(|tickets| tickets.issue(now));
        let ports = self.stun_ports.get().filter(|ports| !ports.is_empty());
        if let (Some(host), Some(ports)) = (host, ports) {
            let urls = ports.iter().map(|port| format!("stun:{host}:{port}")).collect();
            ice_servers.push(IceServer { urls, username: None, credential: None });
        }
        if let Some(turn) = &self.turn {
            let name = format!("{:016x}", self.salt.hash_one(socket));
            ice_servers.push(turn.admit(&name, now));
        }
    }
}

/// The name or address in a Host header, without the port: `[2001:db8::1]:8080` → `[2001:db8::1]`. `None` for what cannot
/// stand in an address of RFC 7064.
pub(crate) fn host_name(header: &str) -> Option<&str> {
    let bare = match header.strip_prefix('[').and_then(|rest| rest.find(']')) {
        Some(end) => header.get(..end + 2)?,
        None => header.split(':').next()?,
    };
    let is_plain = bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    let is_name = is_plain && !bare.is_empty() && bare.len() <= MAX_HOST_LEN;
    is_name.then_some(bare)
}

/// Longest name of a host, in bytes (RFC 1035 §2.3.4).
const MAX_HOST_LEN: usize = 253;

#[cfg(test)]
mod tests {
    use wire::signaling::Door;

    use super::*;

    fn paired(handout: &Handout, socket: u64, host: Option<&str>) -> Vec<IceServer> {
        let mut message =
            ServerMessage::Paired { door: Door::Typed, attempt: 1, ice_servers: Vec::new(), relay: None };
        handout.complete(&mut message, socket, host, SystemTime::now());
        let ServerMessage::Paired { ice_servers, .. } = message else { unreachable!() };
        ice_servers
    }

    #[test]
    fn a_client_is_told_of_stun_where_it_found_the_server() {
        let handout = Handout::new(&Config::default());
        assert!(paired(&handout, 1, Some("drop.example.org")).is_empty(), "nobody answers yet");
        handout.set_stun_ports(vec![3478, 3479]);
        let told = paired(&handout, 1, Some("drop.example.org"));
        assert_eq!(told[0].urls, ["stun:drop.example.org:3478", "stun:drop.example.org:3479"]);
        assert!(paired(&handout, 1, None).is_empty());
    }

    #[test]
    fn every_socket_has_a_turn_credential_of_its_own() {
        let handout = Handout::new(&Config {
            turn_urls: vec!["turn:turn.example.org".to_owned()],
            turn_secret: Some("north".to_owned().into()),
            ..Config::default()
        });
        let name = |socket| {
            let username = paired(&handout, socket, None)[0].username.clone().unwrap();
            username.split_once(':').unwrap().1.to_owned()
        };
        assert_eq!(name(1), name(1), "so that its quota is one");
        assert_ne!(name(1), name(2));
    }

    #[test]
    fn nothing_but_a_paired_is_touched() {
        let handout = Handout::new(&Config::default());
        handout.set_stun_ports(vec![3478]);
        let mut message = ServerMessage::Created { nameplate: None, ttl: 1 };
        handout.complete(&mut message, 1, Some("a"), SystemTime::now());
        assert_eq!(message, ServerMessage::Created { nameplate: None, ttl: 1 });
    }

    #[test]
    fn a_host_header_is_a_name_or_nothing() {
        for (header, name) in [
            ("drop.example.org", Some("drop.example.org")),
            ("drop.example.org:8080", Some("drop.example.org")),
            ("10.0.0.1:8080", Some("10.0.0.1")),
            ("[2001:db8::1]:8080", Some("[2001:db8::1]")),
            ("[2001:db8::1]", Some("[2001:db8::1]")),
            ("", None),
            (":8080", None),
            ("a b", None),
            ("a?transport=tcp", None),
            ("a/b", None),
        ] {
            assert_eq!(host_name(header), name, "{header}");
        }
        assert_eq!(host_name(&"a".repeat(254)), None);
    }
}
