//! STUN as a client and as an attacker sees it, and what pairs are told of it and of TURN servers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helper fails as its test does")]

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rendezvous::{Config, Rate};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use wire::signaling::{Door, IceServer, ServerMessage};

use self::common::TestServer;

/// A socket that asks one STUN server.
struct Asker(UdpSocket);

impl Asker {
    async fn at(address: [u8; 4], server: SocketAddr) -> Self {
        let socket = UdpSocket::bind(SocketAddr::from((address, 0))).await.unwrap();
        socket.connect(server).await.unwrap();
        Self(socket)
    }

    /// Sends a Binding request with a number of its own.
    async fn ask(&self, number: u8) {
        self.0.send(&request(number)).await.unwrap();
    }

    /// The number of the next answer and the port it tells of.
    async fn hear(&self) -> (u8, u16) {
        let mut answer = [0; 600];
        let len = timeout(Duration::from_secs(10), self.0.recv(&mut answer)).await.unwrap().unwrap();
        assert_eq!((len, &answer[..2]), (32, &[1, 1][..]), "a success with an IPv4 address");
        (answer[8], u16::from_be_bytes([answer[26] ^ 0x21, answer[27] ^ 0x12]))
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}

fn request(number: u8) -> Vec<u8> {
    [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[number; 12]].concat()
}

fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// What both sides of a pair are told.
async fn told(server: &TestServer) -> [Vec<IceServer>; 2] {
    let mut sender = server.connect().await;
    let nameplate = sender.create().await;
    let mut receiver = server.connect().await;
    receiver.claim(nameplate).await;
    let mut told = [Vec::new(), Vec::new()];
    for (client, servers) in [&mut sender, &mut receiver].into_iter().zip(&mut told) {
        let message = client.hear().await;
        let ServerMessage::Paired { door: Door::Typed, ice_servers, .. } = message else {
            panic!("not paired: {message:?}");
        };
        *servers = ice_servers;
    }
    told
}

#[tokio::test]
async fn a_client_learns_its_address_at_two_ports_and_pairs_are_told_of_both() {
    let mut config = Config::default();
    config.stun_listen = vec![anywhere(), anywhere()];
    let server = TestServer::start(config).await;
    for &address in &server.stun_addrs {
        let asker = Asker::at([127, 0, 0, 1], address).await;
        asker.ask(7).await;
        assert_eq!(asker.hear().await, (7, asker.port()));
    }
    let urls = server.stun_addrs.iter().map(|address| format!("stun:127.0.0.1:{}", address.port()));
    let expected = vec![IceServer { urls: urls.collect(), username: None, credential: None }];
    assert_eq!(told(&server).await, [expected.clone(), expected]);
}

#[tokio::test]
async fn who_asks_for_an_answer_from_another_port_gets_it_from_there() {
    let mut config = Config::default();
    config.stun_listen = vec![anywhere(), anywhere()];
    let server = TestServer::start(config).await;
    let [first, second] = [0, 1].map(|index| server.stun_addrs[index]);
    let asker = UdpSocket::bind(anywhere()).await.unwrap();
    let mut heard = [0; 600];
    for (flags, expected, from) in [(0, 1, first), (2, 1, second), (4, 0x11, first)] {
        // CHANGE-REQUEST (RFC 5780 §7.2): nothing, the port, the address, of which there is one.
        let wish = [0, 3, 0, 4, 0, 0, 0, flags];
        let mut asked = [request(7), wish.to_vec()].concat();
        asked[3] = 8;
        asker.send_to(&asked, first).await.unwrap();
        let hearing = timeout(Duration::from_secs(10), asker.recv_from(&mut heard));
        let (_, heard_from) = hearing.await.unwrap().unwrap();
        assert_eq!((&heard[..2], heard_from), (&[1, expected][..], from), "{flags}");
    }
}

#[tokio::test]
async fn garbage_is_not_answered_and_holds_nobody_up() {
    let mut config = Config::default();
    config.stun_listen = vec![anywhere()];
    let server = TestServer::start(config).await;
    let asker = Asker::at([127, 0, 0, 1], server.stun_addrs[0]).await;
    let long = [request(1), vec![0; 40_000]].concat();
    for garbage in
        [&[][..], &[0], &[0xff; 600], &request(1)[..19], &long, &[1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]]
    {
        asker.0.send(garbage).await.unwrap();
    }
    asker.ask(9).await;
    assert_eq!(asker.hear().await.0, 9, "the first answer is to the first request");
}

#[tokio::test]
async fn who_asks_too_often_is_not_answered_and_others_are() {
    let mut config = Config::default();
    config.stun_listen = vec![anywhere()];
    config.limits.stun = Rate::new(1, Duration::from_hours(1), 3);
    let server = TestServer::start(config).await;
    let greedy = Asker::at([127, 0, 0, 1], server.stun_addrs[0]).await;
    for number in 1..=50 {
        greedy.ask(number).await;
    }
    // Datagrams are taken one after the other.
    let other = Asker::at([127, 0, 0, 2], server.stun_addrs[0]).await;
    other.ask(99).await;
    assert_eq!(other.hear().await.0, 99);
    for number in 1..=3 {
        assert_eq!(greedy.hear().await.0, number);
    }
    assert!(greedy.0.try_recv(&mut [0; 600]).is_err(), "the other 47 got nothing");
}

#[tokio::test]
async fn each_side_of_a_pair_gets_a_turn_credential_of_its_own() {
    let mut config = Config::default();
    config.turn_urls = vec!["turn:turn.example.org:3478".to_owned()];
    config.turn_secret = Some("north".to_owned().into());
    let server = TestServer::start(config).await;
    let [sender, receiver] = told(&server).await;
    let credential = |servers: &[IceServer]| {
        assert_eq!((servers.len(), &servers[0].urls), (1, &vec!["turn:turn.example.org:3478".to_owned()]));
        (servers[0].username.clone().unwrap(), servers[0].credential.clone().unwrap())
    };
    let (sender, receiver) = (credential(&sender), credential(&receiver));
    assert!(sender.0 != receiver.0 && sender.1 != receiver.1);
    assert_eq!(sender.1.len(), 28, "20 bytes as base64");
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_and_not_a_server_without_stun() {
    let taken = UdpSocket::bind(anywhere()).await.unwrap();
    let mut config = Config::default();
    config.listen = anywhere();
    config.stun_listen = vec![taken.local_addr().unwrap()];
    let error = rendezvous::Server::bind(config).await.unwrap_err();
    assert!(error.to_string().contains(&taken.local_addr().unwrap().to_string()), "{error}");
}

#[tokio::test]
async fn a_wildcard_socket_tells_ipv4_clients_their_ipv4_address() {
    let mut config = Config::default();
    config.stun_listen = vec!["[::]:0".parse().unwrap()];
    let server = TestServer::start(config).await;
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), server.stun_addrs[0].port());
    let asker = Asker::at([127, 0, 0, 1], address).await;
    asker.ask(1).await;
    assert_eq!(asker.hear().await, (1, asker.port()));
}
