//! What one client may ask for, seen from outside.

mod common;

use common::{MemoryServer, TestServer, unknown_nameplate};
use futures_util::StreamExt;
use rendezvous::{Config, Token};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use wire::signaling::{ClientMessage, CloseReason, Door, Outcome, ServerMessage};

#[tokio::test(start_paused = true)]
async fn connecting_again_does_not_reset_the_failures() {
    let server = MemoryServer::new(Config::default());
    for _ in 0..5 {
        let mut guesser = server.connect().await;
        guesser.claim(unknown_nameplate()).await;
        guesser.refused(CloseReason::NoSuchCode).await;
    }
    let mut again = server.connect().await;
    again.claim(unknown_nameplate()).await;
    let retry_after = again.refused(CloseReason::RateLimited).await.unwrap();
    assert!((590..=601).contains(&retry_after), "{retry_after}");
    let mut neighbour = server.connect_from("192.0.2.2").await;
    neighbour.claim(unknown_nameplate()).await;
    neighbour.refused(CloseReason::NoSuchCode).await;
}

#[tokio::test(start_paused = true)]
async fn all_addresses_of_an_ipv6_64_share_their_failures() {
    let server = MemoryServer::new(Config::default());
    for host in 0..5 {
        let mut guesser = server.connect_from(&format!("2001:db8::{host:x}:1")).await;
        guesser.claim(unknown_nameplate()).await;
        guesser.refused(CloseReason::NoSuchCode).await;
    }
    let mut sixth = server.connect_from("2001:db8::ffff:1").await;
    sixth.claim(unknown_nameplate()).await;
    sixth.refused(CloseReason::RateLimited).await;
}

#[tokio::test(start_paused = true)]
async fn claims_of_unknown_used_expired_and_own_nameplates_look_the_same_on_the_wire() {
    let mut config = Config::default();
    config.limits.failed_claims = 100;
    config.limits.failed_claims_hourly = 100;
    let server = MemoryServer::new(config);
    let mut forgotten = server.connect().await;
    let expired = forgotten.create().await;
    // Its pings are read, so that it is its time and not its socket that ends.
    while let Some(Ok(_)) = forgotten.socket.next().await {}
    let (mut sender, mut receiver) = (server.connect().await, server.connect().await);
    let used = sender.create().await;
    receiver.claim(used).await;
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;
    let outcome = Outcome::WrongCode;
    sender.say(ClientMessage::Result { door: Door::Typed, attempt: 1, outcome }).await;
    sender.hear().await;
    let mut own = server.connect().await;
    let own_nameplate = own.create().await;

    let mut answers = Vec::new();
    let mut claims = vec![(own, own_nameplate)];
    for nameplate in [unknown_nameplate(), used, expired] {
        claims.push((server.connect().await, nameplate));
    }
    for (mut client, nameplate) in claims {
        let start = Instant::now();
        client.claim(nameplate).await;
        answers.push((client.hear_text().await, start.elapsed().as_millis(), client.ended().await));
    }
    let expected = r#"{"type":"refused","reason":"no_such_code"}"#.to_owned();
    for answer in answers {
        assert!((300..=302).contains(&answer.1), "after {} ms", answer.1);
        assert_eq!((answer.0, answer.2), (expected.clone(), Some(4001)));
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_beyond_the_burst_are_told_when_to_come_back() {
    let mut config = Config::default();
    config.limits.sockets_per_client = 100;
    config.limits.sessions_per_client = 100;
    let server = MemoryServer::new(config);
    let mut senders = Vec::new();
    for _ in 0..20 {
        let mut sender = server.connect().await;
        sender.create().await;
        senders.push(sender);
    }
    let mut late = server.connect().await;
    late.say(ClientMessage::Create { v: 1, typed: true, link_slot: None, token: None, return_slot: None })
        .await;
    let retry_after = late.refused(CloseReason::RateLimited).await.unwrap();
    assert!((1..=4).contains(&retry_after), "{retry_after}");
}

#[tokio::test(start_paused = true)]
async fn whoever_knows_the_token_has_no_limit_on_codes_but_everybodys() {
    let mut config = Config::default();
    config.token = Some(Token::from("correct horse".to_owned()));
    config.limits.sockets_per_client = 200;
    config.limits.connects = None;
    config.limits.sessions = 130;
    let server = MemoryServer::new(config);
    let create = || {
        let token = Some("correct horse".to_owned());
        ClientMessage::Create { v: 1, typed: true, link_slot: None, token, return_slot: None }
    };
    let mut senders = Vec::new();
    for _ in 0..130 {
        let mut sender = server.connect().await;
        sender.say(create()).await;
        assert!(matches!(sender.hear().await, ServerMessage::Created { .. }));
        senders.push(sender);
    }
    let mut late = server.connect().await;
    late.say(create()).await;
    late.refused(CloseReason::Busy).await;
}

#[tokio::test]
async fn a_client_has_twenty_sockets() {
    let server = TestServer::start(Config::default()).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(server.connect().await);
    }
    assert_eq!(server.connect_with(&[]).await.map(|_| ()), Err(429));
}

#[tokio::test]
async fn forged_headers_do_not_make_another_client() {
    let mut config = Config::default();
    config.limits.sockets_per_client = 1;
    let server = TestServer::start(config).await;
    let _only = server.connect().await;
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"] {
        let forged = server.connect_with(&[(name, "198.51.100.7")]).await;
        assert_eq!(forged.map(|_| ()), Err(429), "{name}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_its_clients_and_they_cannot_speak_for_themselves() {
    let mut config = Config::default();
    config.limits.sockets_per_client = 1;
    config.trusted_proxies.push("127.0.0.0/8".parse().unwrap());
    let server = TestServer::start(config).await;
    let _first = server.connect_with(&[("x-forwarded-for", "198.51.100.1")]).await.unwrap();
    let _second = server.connect_with(&[("x-forwarded-for", "198.51.100.2")]).await.unwrap();
    let forged = server.connect_with(&[("x-forwarded-for", "203.0.113.9, 198.51.100.1")]).await;
    assert_eq!(forged.map(|_| ()), Err(429), "only what the proxy wrote counts");
}

#[tokio::test]
async fn connections_that_are_no_sockets_are_counted_too() {
    let mut config = Config::default();
    config.limits.connections_per_client = 2;
    let server = TestServer::start(config).await;
    let _held =
        (TcpStream::connect(server.addr).await.unwrap(), TcpStream::connect(server.addr).await.unwrap());
    let mut third = TcpStream::connect(server.addr).await.unwrap();
    assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed without a word");
}

#[tokio::test(start_paused = true)]
async fn a_private_rendezvous_wants_its_token_for_sessions_only() {
    let mut config = Config::default();
    config.token = Some(Token::from("correct horse".to_owned()));
    let server = MemoryServer::new(config);
    for token in [None, Some("wrong".to_owned())] {
        let mut stranger = server.connect().await;
        stranger
            .say(ClientMessage::Create { v: 1, typed: true, link_slot: None, token, return_slot: None })
            .await;
        stranger.refused(CloseReason::TokenRequired).await;
    }
    let mut friend = server.connect().await;
    let token = Some("correct horse".to_owned());
    friend.say(ClientMessage::Create { v: 1, typed: true, link_slot: None, token, return_slot: None }).await;
    friend.hear().await;
    let mut receiver = server.connect().await;
    receiver.claim(unknown_nameplate()).await;
    receiver.refused(CloseReason::NoSuchCode).await;
}
