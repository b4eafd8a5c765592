//! The record relay, over real sockets: what it carries, whom it refuses, and what those cost who mean no good.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::time::{Duration, Instant};

use common::{Client, TestServer, get};
use futures_util::{SinkExt, StreamExt};
use rendezvous::{Config, Rate};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use wire::signaling::{CloseReason, Door, Join, Role, ServerMessage, Slot, Ticket, relay_name};

/// Ten times what anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A record of the longest kind.
const LONG: usize = 66_066;

type Socket = Client<TcpStream>;

/// What both sides of a new pairing are given.
async fn tickets(server: &TestServer) -> Option<(Ticket, Ticket)> {
    let (mut sender, mut receiver) = (server.connect().await, server.connect().await);
    let nameplate = sender.create().await;
    receiver.claim(nameplate).await;
    let mut given = Vec::new();
    for side in [&mut sender, &mut receiver] {
        let ServerMessage::Paired { door: Door::Typed, relay, .. } = side.hear().await else { panic!() };
        given.extend(relay);
    }
    Some((given.pop()?, given.pop()?))
}

fn slot(byte: u8) -> Slot {
    Slot::new([byte; 16])
}

async fn open(server: &TestServer, byte: u8) -> Socket {
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let url = format!("ws://{}/v1/relay/{}", server.addr, relay_name(&slot(byte)));
    Client::upgrade(stream, &url, &[]).await.unwrap()
}

async fn join(server: &TestServer, (byte, role): (u8, Role), generation: u32, ticket: Ticket) -> Socket {
    let mut socket = open(server, byte).await;
    let join = Join { v: 1, slot: slot(byte), role, generation, ticket };
    socket.socket.send(Message::text(join.to_frame())).await.unwrap();
    socket
}

/// Both sides of a session at the relay.
async fn pair(server: &TestServer, byte: u8) -> (Socket, Socket) {
    let (one, other) = tickets(server).await.unwrap();
    let sender = join(server, (byte, Role::Sender), 2, one).await;
    (sender, join(server, (byte, Role::Receiver), 2, other).await)
}

async fn put(side: &mut Socket, record: Vec<u8>) {
    timeout(PATIENCE, side.socket.send(Message::binary(record))).await.unwrap().unwrap();
}

async fn take(side: &mut Socket) -> Vec<u8> {
    loop {
        match timeout(PATIENCE, side.socket.next()).await.expect("nothing came") {
            Some(Ok(Message::Binary(record))) => return record.to_vec(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn number(server: &TestServer, name: &str) -> u64 {
    let (_, text) = get(server.metrics_addr.unwrap(), "/metrics").await;
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn config() -> Config {
    let mut config = Config::default();
    config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    config
}

#[tokio::test]
async fn records_pass_both_ways_in_order_and_a_goodbye_comes_last() {
    let server = TestServer::start(config()).await;
    let (one, other) = tickets(&server).await.unwrap();
    let mut receiver = join(&server, (1, Role::Receiver), 2, other).await;
    put(&mut receiver, b"before anybody is here".to_vec()).await;
    let mut sender = join(&server, (1, Role::Sender), 2, one).await;
    assert_eq!(take(&mut sender).await, b"before anybody is here");
    for count in 0..100 {
        put(&mut sender, vec![count; LONG]).await;
        put(&mut receiver, vec![count; 1]).await;
        assert_eq!(take(&mut receiver).await, vec![count; LONG]);
        assert_eq!(take(&mut sender).await, [count]);
    }
    assert_eq!(number(&server, "rendezvous_relay_sessions").await, 1);
    for count in 0..3 {
        put(&mut sender, vec![count; LONG]).await;
    }
    sender.socket.close(None).await.unwrap();
    for count in 0..3 {
        assert_eq!(take(&mut receiver).await, vec![count; LONG]);
    }
    assert_eq!(receiver.ended().await, Some(CloseReason::Gone.code()));
    let bytes = 103 * LONG as u64 + 100 + 22;
    assert_eq!(number(&server, "rendezvous_relay_bytes_total").await, bytes);
}

#[tokio::test]
async fn who_was_not_paired_here_gets_nothing() {
    let server = TestServer::start(config()).await;
    let elsewhere = TestServer::start(config()).await;
    let (foreign, _) = tickets(&elsewhere).await.unwrap();
    let forged = Ticket::try_from("AAAAAGVT8QAAAAAA".to_owned()).unwrap();
    for ticket in [foreign, forged] {
        let mut stranger = join(&server, (1, Role::Sender), 2, ticket).await;
        assert_eq!(stranger.ended().await, Some(CloseReason::TokenRequired.code()));
    }
    let bad = CloseReason::BadMessage.code();
    for frame in [Message::text("{}"), Message::binary(vec![0; 10]), Message::text("x".repeat(20_000))] {
        let mut stranger = open(&server, 1).await;
        stranger.socket.send(frame).await.unwrap();
        assert_eq!(stranger.ended().await, Some(bad));
    }
    let (mut sender, mut receiver) = pair(&server, 1).await;
    put(&mut sender, vec![1]).await;
    assert_eq!(take(&mut receiver).await, [1]);
    sender.socket.send(Message::text("more")).await.unwrap();
    assert_eq!(sender.ended().await, Some(bad));
    assert_eq!(receiver.ended().await, Some(CloseReason::Gone.code()));
}

#[tokio::test]
async fn a_frame_longer_than_a_record_ends_the_session_it_came_by_and_no_other() {
    let server = TestServer::start(config()).await;
    let (mut sender, mut receiver) = pair(&server, 1).await;
    let (mut other, mut peer) = pair(&server, 2).await;
    put(&mut sender, vec![0; LONG + 1]).await;
    assert_eq!(receiver.ended().await, Some(CloseReason::Gone.code()));
    put(&mut other, vec![0; LONG]).await;
    assert_eq!(take(&mut peer).await.len(), LONG);
}

/// Sends until the relay takes no more; how many bytes it took.
async fn flood(side: &mut Socket) -> usize {
    let mut len = 0;
    while let Ok(sent) =
        timeout(Duration::from_millis(500), side.socket.send(Message::binary(vec![7; LONG]))).await
    {
        if sent.is_err() {
            break;
        }
        len += LONG;
        assert!(len < 64 * 1024 * 1024, "it is not held up");
    }
    len
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_its_writer_up_and_nobody_else() {
    let mut config = config();
    config.times.relay_idle = Duration::from_secs(2);
    config.limits.relay_session_rate = None;
    config.limits.relay_total_rate = None;
    let server = TestServer::start(config).await;
    let (mut sender, receiver) = pair(&server, 1).await;
    let (mut other, mut peer) = pair(&server, 2).await;
    let sent = flood(&mut sender).await;
    // What the relay has taken waits there, or in the kernel on its way to the reader.
    let taken = number(&server, "rendezvous_relay_bytes_total").await;
    assert!(
        taken < 16 * 1024 * 1024,
        "{taken} of {sent} bytes were taken in for a reader that does not read"
    );
    for _ in 0..20 {
        let since = Instant::now();
        put(&mut other, vec![1; LONG]).await;
        assert_eq!(take(&mut peer).await.len(), LONG);
        assert!(since.elapsed() < Duration::from_secs(1));
    }
    // Nor does its writer wait for ever.
    assert_eq!(sender.ended().await, Some(CloseReason::Gone.code()));
    drop(receiver);
}

#[tokio::test]
async fn a_session_that_has_used_what_it_may_ends_and_does_not_come_back() {
    let mut config = config();
    config.limits.relay_session_bytes = 1_000_000;
    let server = TestServer::start(config).await;
    let (one, other) = tickets(&server).await.unwrap();
    let (mut sender, mut receiver) = pair(&server, 1).await;
    let (mut neighbour, mut peer) = pair(&server, 2).await;
    for _ in 0..16 {
        put(&mut sender, vec![0; LONG]).await;
    }
    let quota = Some(CloseReason::Quota.code());
    assert_eq!((sender.ended().await, receiver.ended().await), (quota, quota));
    for (role, ticket) in [(Role::Sender, one), (Role::Receiver, other)] {
        assert_eq!(join(&server, (1, role), 4, ticket).await.ended().await, quota);
    }
    put(&mut neighbour, vec![0; LONG]).await;
    assert_eq!(take(&mut peer).await.len(), LONG);
}

#[tokio::test]
async fn records_pass_at_the_rate_that_is_set() {
    let mut config = config();
    config.limits.relay_session_rate = Rate::new(1_000_000, Duration::from_secs(1), 100_000);
    let server = TestServer::start(config).await;
    let (mut sender, mut receiver) = pair(&server, 1).await;
    let since = Instant::now();
    let reading = async {
        for _ in 0..20 {
            take(&mut receiver).await;
        }
    };
    let writing = async {
        for _ in 0..20 {
            put(&mut sender, vec![0; 60_000]).await;
        }
    };
    tokio::join!(reading, writing);
    assert!(since.elapsed() >= Duration::from_millis(1_050), "{:?}", since.elapsed());
}

#[tokio::test]
async fn who_joins_a_second_time_ends_what_there_was_and_repeats_nothing() {
    let server = TestServer::start(config()).await;
    let (ticket, _) = tickets(&server).await.unwrap();
    let (mut sender, mut receiver) = pair(&server, 1).await;
    put(&mut sender, vec![1]).await;
    assert_eq!(take(&mut receiver).await, [1]);
    let mut thief = join(&server, (1, Role::Receiver), 2, ticket.clone()).await;
    let replaced = Some(CloseReason::Replaced.code());
    assert_eq!((sender.ended().await, receiver.ended().await), (replaced, replaced));
    let mut again = join(&server, (1, Role::Sender), 2, ticket.clone()).await;
    put(&mut again, vec![2]).await;
    assert_eq!(take(&mut thief).await, [2]);
    let mut late = join(&server, (1, Role::Sender), 1, ticket).await;
    assert_eq!(late.ended().await, replaced);
}

#[tokio::test]
async fn so_many_sessions_at_a_time_and_nobody_waits_for_ever() {
    let mut config = config();
    config.limits.relays = 1;
    config.times.relay_join = Duration::from_millis(300);
    let server = TestServer::start(config).await;
    let (ticket, _) = tickets(&server).await.unwrap();
    let mut alone = join(&server, (1, Role::Sender), 2, ticket.clone()).await;
    put(&mut alone, vec![0; LONG]).await;
    assert_eq!(
        join(&server, (2, Role::Sender), 2, ticket.clone()).await.ended().await,
        Some(CloseReason::Busy.code())
    );
    assert_eq!(alone.ended().await, Some(CloseReason::IdleTimeout.code()));
    let mut next = join(&server, (2, Role::Sender), 2, ticket.clone()).await;
    let mut other = join(&server, (2, Role::Receiver), 2, ticket).await;
    put(&mut next, vec![9]).await;
    assert_eq!(take(&mut other).await, [9]);
}

#[tokio::test]
async fn switched_off_it_is_not_offered_and_not_there() {
    let mut config = config();
    config.record_relay = false;
    let server = TestServer::start(config).await;
    assert_eq!(tickets(&server).await, None);
    let (status, _) = get(server.addr, &format!("/v1/relay/{}", relay_name(&slot(1)))).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_server_that_goes_away_says_so() {
    let server = TestServer::start(config()).await;
    let (mut sender, mut receiver) = pair(&server, 1).await;
    let handle = server.handle.clone();
    let stopping = tokio::spawn(async move { handle.shutdown(PATIENCE).await });
    let away = Some(CloseReason::GoingAway.code());
    assert_eq!((sender.ended().await, receiver.ended().await), (away, away));
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
}
