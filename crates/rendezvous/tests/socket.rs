//! What a client sees on its socket: over TCP where bytes matter, in memory with a stopped clock where time does.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

mod common;

use std::time::Duration;

use common::{MemoryServer, TestServer, relay, unknown_nameplate};
use futures_util::{SinkExt, StreamExt};
use rendezvous::{Config, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use wire::signaling::{ClientMessage, CloseReason, Door, MAX_FRAME_LEN, Outcome, Role, ServerMessage, Slot};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_session_goes_from_its_code_to_its_meeting() {
    let server = TestServer::start(Config::default()).await;
    let (mut sender, mut receiver) = (server.connect().await, server.connect().await);
    let nameplate = sender.create().await;
    assert_eq!(nameplate.digits(), 2);
    receiver.claim(nameplate).await;
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;

    receiver.say(relay(Door::Typed, 1000)).await;
    let ClientMessage::Relay { door, attempt, body } = relay(Door::Typed, 1000) else { unreachable!() };
    assert_eq!(sender.hear().await, ServerMessage::Relay { door, attempt, body });

    let outcome = Outcome::Confirmed;
    sender.say(ClientMessage::Result { door: Door::Typed, attempt: 1, outcome }).await;
    sender.meet(Role::Sender).await;
    receiver.meet(Role::Receiver).await;
    sender.paired(Door::Meeting).await;
    receiver.paired(Door::Meeting).await;
    drop(sender);
    let left = ServerMessage::Left { door: Door::Meeting, attempt: 1, reason: CloseReason::Gone };
    assert_eq!(receiver.hear().await, left);
}

#[tokio::test]
async fn a_wrong_code_closes_the_receiver_with_its_reason() {
    let server = TestServer::start(Config::default()).await;
    let (mut sender, mut receiver) = (server.connect().await, server.connect().await);
    let nameplate = sender.create().await;
    receiver.claim(nameplate).await;
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;
    let outcome = Outcome::WrongCode;
    sender.say(ClientMessage::Result { door: Door::Typed, attempt: 1, outcome }).await;
    let left = ServerMessage::Left { door: Door::Typed, attempt: 1, reason: CloseReason::WrongCode };
    assert_eq!(receiver.hear().await, left);
    assert_eq!(receiver.ended().await, Some(CloseReason::WrongCode.code()));
    let closed = ServerMessage::DoorClosed { door: Door::Typed, reason: CloseReason::WrongCode };
    assert_eq!(sender.hear().await, closed);
}

#[tokio::test]
async fn what_is_not_a_message_is_refused() {
    let server = TestServer::start(Config::default()).await;
    let deep = format!(r#"{{"type":"open_door","x":{}{}}}"#, "[".repeat(4000), "]".repeat(4000));
    for frame in ["", "{}", "null", r#"{"type":"list"}"#, "\u{0}", &deep] {
        let mut client = server.connect().await;
        client.socket.send(Message::text(frame)).await.unwrap();
        client.refused(CloseReason::BadMessage).await;
    }
}

#[tokio::test]
async fn binary_frames_are_refused() {
    let server = TestServer::start(Config::default()).await;
    let mut client = server.connect().await;
    client.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    client.refused(CloseReason::BadMessage).await;
}

/// Sends the start of a frame as raw bytes and waits for the end of the socket.
async fn ends_after(server: &TestServer, frame: &[u8]) {
    let mut client = server.connect().await;
    client.socket.get_mut().write_all(frame).await.unwrap();
    client.ended().await;
}

#[tokio::test]
async fn a_frame_of_64_mib_is_refused_by_its_length_alone() {
    let server = TestServer::start(Config::default()).await;
    let mut frame = vec![0x81, 0xff];
    frame.extend((64_u64 << 20).to_be_bytes());
    frame.extend([0; 4]);
    ends_after(&server, &frame).await;
}

#[tokio::test]
async fn a_message_one_byte_too_long_is_refused_and_the_longest_is_not() {
    let server = TestServer::start(Config::default()).await;
    let padded = |len: usize| {
        let frame = r#"{"type":"meet","v":1,"slot":"AAAAAAAAAAAAAAAAAAAAAA","role":"sender","x":""}"#;
        frame.replace(r#""x":"""#, &format!(r#""x":"{}""#, "x".repeat(len - frame.len())))
    };
    let mut client = server.connect().await;
    client.socket.send(Message::text(padded(MAX_FRAME_LEN))).await.unwrap();
    client.say(ClientMessage::OpenDoor).await;
    client.refused(CloseReason::BadMessage).await;
    let mut late = server.connect().await;
    late.socket.send(Message::text(padded(MAX_FRAME_LEN + 1))).await.unwrap();
    late.ended().await;
}

#[tokio::test]
async fn fragmented_control_frames_are_refused() {
    let server = TestServer::start(Config::default()).await;
    ends_after(&server, &[0x09, 0x80, 0, 0, 0, 0]).await;
}

#[tokio::test]
async fn compression_is_neither_accepted_nor_understood() {
    let server = TestServer::start(Config::default()).await;
    let offer = [("sec-websocket-extensions", "permessage-deflate")];
    let client = server.connect_with(&offer).await.unwrap();
    assert!(!client.response.headers().contains_key("sec-websocket-extensions"));
    ends_after(&server, &[0xc1, 0x80, 0, 0, 0, 0]).await;
}

#[tokio::test]
async fn a_million_tiny_frames_are_cut_off_after_the_burst() {
    let server = TestServer::start(Config::default()).await;
    let (mut flood, mut other) = (server.connect().await, server.connect().await);
    other.meet(Role::Receiver).await;
    flood.meet(Role::Sender).await;
    flood.paired(Door::Meeting).await;
    other.paired(Door::Meeting).await;
    let frame = Message::text(relay(Door::Meeting, 1).to_frame());
    let mut sent = 0;
    while sent < 1_000_000 && flood.socket.feed(frame.clone()).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 1_000_000);
    let mut relayed = 0;
    while let ServerMessage::Relay { .. } = other.hear().await {
        relayed += 1;
    }
    assert!(relayed <= 60, "{relayed} frames passed");
}

#[tokio::test]
async fn a_request_head_of_20_mb_is_refused() {
    let server = TestServer::start(Config::default()).await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let flood = async {
        let mut sent = writer.write(b"GET /v1/socket HTTP/1.1\r\nX: ").await.unwrap();
        while sent < 20_000_000 {
            match writer.write(&[b'a'; 16_384]).await {
                Ok(len) => sent += len,
                Err(_) => break,
            }
        }
        sent
    };
    let answer = async {
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = reader.read_to_end(&mut answer).await;
        answer
    };
    let (sent, answer) = tokio::join!(flood, answer);
    assert!(sent < 20_000_000, "all of it was taken");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{answer:?}");
}

#[tokio::test]
async fn a_request_head_that_comes_byte_by_byte_is_cut_off() {
    let mut config = Config::default();
    config.times.request_head = Duration::from_millis(200);
    let server = TestServer::start(config).await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let trickle = async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        for byte in b"GET /healthz HTTP/1.1\r\n".iter().chain(std::iter::repeat(&b'a')) {
            pace.tick().await;
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = trickle => {}
        _ = reader.read_to_end(&mut answer) => {}
        () = tokio::time::sleep(10 * SECOND) => panic!("the connection stays open"),
    }
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let mut config = Config::default();
    config.times.request_head = Duration::from_millis(100);
    let server = TestServer::start(config).await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(10 * SECOND, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection stays open");
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_never_says_anything_is_closed_after_five_seconds() {
    let server = MemoryServer::new(Config::default());
    let mut client = server.connect().await;
    let start = Instant::now();
    client.refused(CloseReason::IdleTimeout).await;
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn pings_alone_do_not_count_as_a_first_message() {
    let server = MemoryServer::new(Config::default());
    let mut client = server.connect().await;
    client.socket.send(Message::Ping(Vec::new().into())).await.unwrap();
    client.refused(CloseReason::IdleTimeout).await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_never_pongs_is_dropped_after_three_missed_pings() {
    let server = MemoryServer::new(Config::default());
    let mut client = server.connect().await;
    client.meet(Role::Sender).await;
    let start = Instant::now();
    let mut raw = Vec::new();
    client.socket.get_mut().read_to_end(&mut raw).await.unwrap();
    let (pings, rest) = raw.split_at(6);
    assert_eq!(pings, [0x89, 0, 0x89, 0, 0x89, 0]);
    assert!(!rest.starts_with(&[0x89]), "a fourth ping");
    // The first comes after half a period to a whole one, so that sockets that came together do not ping together.
    assert!((105..=123).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_pongs_may_wait_for_hours() {
    let server = MemoryServer::new(Config::default());
    let mut client = server.connect().await;
    client.meet(Role::Sender).await;
    let quiet = timeout(3 * 3600 * SECOND, async {
        while let Some(Ok(Message::Ping(_))) = client.socket.next().await {}
    });
    assert!(quiet.await.is_err(), "something else than pings came");
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_never_reads_is_dropped_when_its_queue_is_full() {
    let server = MemoryServer::new(Config::default());
    let (mut deaf, mut other) = (server.connect().await, server.connect().await);
    deaf.meet(Role::Receiver).await;
    other.meet(Role::Sender).await;
    other.paired(Door::Meeting).await;
    for _ in 0..10 {
        other.say(relay(Door::Meeting, 9_000)).await;
    }
    let left = ServerMessage::Left { door: Door::Meeting, attempt: 1, reason: CloseReason::Gone };
    assert_eq!(other.hear().await, left);
}

#[tokio::test(start_paused = true)]
async fn an_expired_code_is_told_to_its_sender() {
    let server = MemoryServer::new(Config::default());
    let mut sender = server.connect().await;
    sender.create().await;
    let start = Instant::now();
    let expired = timeout(301 * SECOND, async {
        loop {
            if let Some(Ok(Message::Text(text))) = sender.socket.next().await {
                return text.to_string();
            }
        }
    });
    let closed = ServerMessage::DoorClosed { door: Door::Typed, reason: CloseReason::Expired };
    assert_eq!(ServerMessage::parse(&expired.await.unwrap()), Ok(closed));
    assert_eq!(start.elapsed().as_secs(), 300);
    assert_eq!(sender.ended().await, Some(CloseReason::Expired.code()));
}

#[tokio::test]
async fn a_sender_whose_connection_breaks_comes_back_to_its_doors_and_one_that_closes_it_does_not() {
    for is_broken in [true, false] {
        let server = TestServer::start(Config::default()).await;
        let (link_slot, return_slot) = (None, Slot::new([7; 16]));
        let mut sender = server.connect().await;
        let returnable = Some(return_slot);
        sender
            .say(ClientMessage::Create { v: 1, typed: true, link_slot, token: None, return_slot: returnable })
            .await;
        let opened = sender.hear().await;
        if !is_broken {
            sender.socket.close(None).await.unwrap();
        }
        drop(sender);
        timeout(10 * SECOND, async {
            while server.handle.rendezvous().socket_count() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        let mut again = server.connect().await;
        again.say(ClientMessage::Reopen { v: 1, return_slot, link_slot }).await;
        if is_broken {
            let (ServerMessage::Created { nameplate, .. }, ServerMessage::Created { nameplate: kept, .. }) =
                (opened, again.hear().await)
            else {
                panic!("it is not let in again");
            };
            assert!(nameplate.is_some() && kept == nameplate);
        } else {
            again.refused(CloseReason::NoSuchCode).await;
        }
    }
}

#[tokio::test]
async fn only_pages_of_this_host_and_terminals_may_connect() {
    let server = TestServer::start(Config::default()).await;
    let own = format!("http://{}", server.addr);
    let other_port = "http://127.0.0.1:1".to_owned();
    for (origin, expected) in [
        (own, Ok(())),
        ("null".to_owned(), Err(403)),
        ("https://evil.example".to_owned(), Err(403)),
        (other_port, Err(403)),
        ("http://127.0.0.1".to_owned(), Err(403)),
    ] {
        let connected = server.connect_with(&[("origin", &origin)]).await;
        assert_eq!(connected.map(|_| ()), expected, "{origin}");
    }
    assert!(server.connect_with(&[]).await.is_ok(), "a terminal sends no Origin");
}

#[tokio::test]
async fn a_shutdown_tells_every_client_and_ends_the_server() {
    let mut server = TestServer::start(Config::default()).await;
    let mut client = server.connect().await;
    client.create().await;
    let handle = server.handle.clone();
    let shutdown = tokio::spawn(async move { handle.shutdown(10 * SECOND).await });
    client.refused(CloseReason::GoingAway).await;
    drop(client);
    timeout(10 * SECOND, shutdown).await.unwrap().unwrap();
    timeout(10 * SECOND, &mut server.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.addr).await.is_err(), "it still listens");
}

#[tokio::test]
async fn a_client_that_ignores_the_shutdown_does_not_delay_it_beyond_the_deadline() {
    let mut server = TestServer::start(Config::default()).await;
    let mut client = server.connect().await;
    client.create().await;
    timeout(10 * SECOND, server.handle.shutdown(Duration::from_millis(50))).await.unwrap();
    timeout(10 * SECOND, &mut server.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn dropping_the_server_closes_its_sockets() {
    let server = TestServer::start(Config::default()).await;
    let mut client = server.connect().await;
    client.create().await;
    drop(server);
    client.ended().await;
}

#[tokio::test]
async fn a_drained_rendezvous_takes_no_new_sockets() {
    let server = MemoryServer::new(Config::default());
    server.rendezvous.drain(SECOND).await;
    assert_eq!(server.connect_with("192.0.2.1", &[]).await.map(|_| ()), Err(503));
}

#[tokio::test]
async fn a_server_that_never_served_can_be_shut_down() {
    let mut config = Config::default();
    config.listen = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(config).await.unwrap();
    let handle = server.handle();
    drop(server);
    timeout(10 * SECOND, handle.shutdown(SECOND)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_background_task_ends_with_the_last_handle() {
    let tasks = tokio::runtime::Handle::current();
    let server = MemoryServer::new(Config::default());
    assert_eq!(tasks.metrics().num_alive_tasks(), 0);
    let mut client = server.connect().await;
    client.meet(Role::Sender).await;
    drop(client);
    drop(server);
    timeout(10 * SECOND, async {
        while tasks.metrics().num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_goes_away_leaves_nothing_behind() {
    let server = MemoryServer::new(Config::default());
    let mut client = server.connect().await;
    client.claim(unknown_nameplate()).await;
    drop(client);
    timeout(10 * SECOND, async {
        while server.rendezvous.socket_count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}
