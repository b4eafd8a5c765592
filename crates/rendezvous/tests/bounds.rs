//! Clients that mean harm, and what they cost: a bound on memory and on time for each, and whether others are served
//! meanwhile. The program runs by itself, so that its memory is its own.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]
#![allow(clippy::print_stdout, reason = "what an attack costs is worth knowing")]
#![cfg(target_os = "linux")]

mod common;
mod redis_server;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Client, get, relay, unknown_nameplate};
use futures_util::SinkExt;
use redis_server::Redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use wire::code::Nameplate;
use wire::signaling::{ClientMessage, CloseReason, Door, Role, ServerMessage, Slot};

/// What an attack may add to the server's memory: its own limits, and what the allocator keeps.
const MOST_MEMORY: u64 = 16 << 20;

/// What an attack may take until the server is rid of it, with deadlines of half a second.
const MOST_TIME: Duration = Duration::from_secs(20);

/// A server in a process of its own, and what it was when it began.
struct Attacked {
    process: Child,
    address: SocketAddr,
    memory: u64,
    began: Instant,
}

impl Attacked {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same, with further flags.
    async fn with(flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rendezvous"));
        for setting in [
            "times.request_head=0.5",
            "times.first_message=0.5",
            "limits.sockets_per_client=1000",
            "limits.connections_per_client=1000",
            "limits.accepts='off'",
            "limits.connects='off'",
            "limits.creates='off'",
            "limits.claims='off'",
            "limits.meets='off'",
        ] {
            command.args(["--set", setting]);
        }
        let mut process = command
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().parse().unwrap();
        let mut attacked = Self { process, address, memory: 0, began: Instant::now() };
        while get(address, "/readyz").await.0 != 200 {
            assert!(attacked.began.elapsed() < MOST_TIME, "it does not get ready");
        }
        // What it allocates once for everybody does not count.
        for _ in 0..20 {
            attacked.connect().await.create().await;
        }
        attacked.memory = attacked.peak();
        attacked
    }

    async fn connect(&self) -> Client<TcpStream> {
        self.connect_with(&[]).await.unwrap()
    }

    /// Connects with more headers, or tells the status of the refusal.
    async fn connect_with(&self, headers: &[(&'static str, &str)]) -> Result<Client<TcpStream>, u16> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        Client::upgrade(stream, &format!("ws://{}/v1/socket", self.address), headers).await
    }

    /// The most memory it ever had, in bytes.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Somebody else gets a code, and the attack has cost no more than it may.
    async fn survived(&self, what: &str) {
        let mut served = self.connect_with(&[]).await;
        while served.is_err() && self.began.elapsed() < MOST_TIME {
            served = self.connect_with(&[]).await;
        }
        served.expect("somebody else is not served").create().await;
        let grown = self.peak().saturating_sub(self.memory);
        println!("{what}: {} KiB, {:?}", grown >> 10, self.began.elapsed());
        assert!(grown <= MOST_MEMORY, "{what} took {grown} bytes");
        assert!(self.began.elapsed() <= MOST_TIME, "{what} took {:?}", self.began.elapsed());
    }
}

impl Drop for Attacked {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until the server has closed a connection.
async fn closed(stream: &mut TcpStream) {
    let mut rest = [0; 4096];
    let end = async { while stream.read(&mut rest).await.is_ok_and(|len| len > 0) {} };
    timeout(MOST_TIME, end).await.expect("the connection stays open");
}

#[tokio::test]
async fn three_hundred_that_say_nothing_or_half_a_head_are_gone_in_time() {
    let server = Attacked::new().await;
    let mut held = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let said: &[u8] = if number % 2 == 0 { b"" } else { b"GET /v1/socket HTTP/1.1\r\nHost: a\r\nX: " };
        stream.write_all(said).await.unwrap();
        held.push(stream);
    }
    server.connect().await.create().await;
    for mut stream in held {
        closed(&mut stream).await;
    }
    server.survived("slow heads").await;
}

#[tokio::test]
async fn a_hundred_sockets_that_never_speak_are_gone_in_time() {
    let server = Attacked::new().await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(server.connect().await);
    }
    for mut client in held {
        client.ended().await;
    }
    server.survived("silent sockets").await;
}

#[tokio::test]
async fn giant_frames_and_messages_without_end_are_not_kept() {
    let server = Attacked::new().await;
    let mut giants = Vec::new();
    for number in 0..50 {
        let mut stream = server.connect().await.socket.into_inner();
        // One frame of 64 MiB, or fragments of 8 KiB that never end; masked by zeros.
        let fragment = |opcode: u8| [&[opcode, 0xfe, 0x20, 0, 0, 0, 0, 0][..], &[b'x'; 8192]].concat();
        let said = if number % 2 == 0 {
            let mut giant = vec![0x81, 0xff];
            giant.extend((64_u64 << 20).to_be_bytes());
            giant.extend([0; 4]);
            giant.resize(giant.len() + 65_536, b'x');
            giant
        } else {
            (0..64).flat_map(|part| fragment(u8::from(part == 0))).collect()
        };
        // It may be cut off before all of it is out.
        let _ = stream.write_all(&said).await;
        giants.push(stream);
    }
    for mut stream in giants {
        closed(&mut stream).await;
    }
    server.survived("giant frames").await;
}

#[tokio::test]
async fn a_flood_of_tiny_frames_ends_with_its_socket() {
    let server = Attacked::new().await;
    let mut flood = server.connect().await;
    flood.meet(Role::Sender).await;
    let frame = Message::text(relay(Door::Meeting, 1).to_frame());
    let mut sent = 0_u32;
    while sent < 1_000_000 && flood.socket.feed(frame.clone()).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 1_000_000, "all of them were taken");
    server.survived("tiny frames").await;
}

#[tokio::test]
async fn fifty_that_never_read_cost_their_queues_and_no_more() {
    let server = Attacked::new().await;
    let mut deaf = Vec::new();
    for number in 0..50_u8 {
        let slot = Slot::new([number; 16]);
        let (mut reader, mut writer) = (server.connect().await, server.connect().await);
        reader.say(ClientMessage::Meet { v: 1, slot, role: Role::Receiver }).await;
        writer.say(ClientMessage::Meet { v: 1, slot, role: Role::Sender }).await;
        writer.paired(Door::Meeting).await;
        for _ in 0..12 {
            // The allowance of a pairing may end it before the queue is full.
            let frame = Message::text(relay(Door::Meeting, 10_000).to_frame());
            if writer.socket.send(frame).await.is_err() {
                break;
            }
        }
        deaf.push((reader, writer));
    }
    server.survived("deaf readers").await;
}

#[tokio::test]
async fn whoever_makes_up_addresses_stays_one_client_and_gets_no_more_than_one() {
    let server = Attacked::with(&["--set", "limits.sockets_per_client=25"]).await;
    let mut held = Vec::new();
    let mut refused = 0;
    for number in 0..2_000 {
        let address = format!("203.0.113.{}", number % 250);
        let headers =
            [("x-forwarded-for", &*address), ("forwarded", "for=192.0.2.1"), ("cf-connecting-ip", &address)];
        match server.connect_with(&headers).await {
            Ok(client) => held.push(client),
            Err(status) => {
                assert_eq!(status, 429);
                refused += 1;
            }
        }
    }
    assert!(held.len() <= 25 && refused >= 1_975, "{} got in", held.len());
    drop(held);
    server.survived("made up addresses").await;
}

#[tokio::test]
async fn a_network_that_is_swept_is_one_client_and_many_networks_are_a_bounded_table() {
    let flags = [
        "--trusted-proxy",
        "127.0.0.1/32",
        "--set",
        "limits.creates_hourly='off'",
        "--set",
        "limits.clients=1000",
        "--set",
        "limits.guard_failures=1000000",
    ];
    let server = Attacked::with(&flags).await;
    let mut refused = 0;
    for number in 0..1_000 {
        let address = format!("2001:db8:0:1::{number:x}");
        let mut guesser = server.connect_with(&[("x-forwarded-for", &address)]).await.unwrap();
        guesser.claim(unknown_nameplate()).await;
        refused += u32::from(matches!(
            guesser.hear().await,
            ServerMessage::Refused { reason: CloseReason::RateLimited, .. }
        ));
    }
    assert!(refused >= 950, "{refused} of a thousand guesses from one /64 were refused");
    for number in 0..3_000 {
        let address = format!("2001:db8:{number:x}::1");
        let mut guesser = server.connect_with(&[("x-forwarded-for", &address)]).await.unwrap();
        guesser.claim(unknown_nameplate()).await;
    }
    server.survived("swept networks").await;
}

#[tokio::test]
async fn a_code_that_hundreds_claim_at_once_has_one_receiver() {
    let flags = ["--set", "limits.failed_claims=1000000", "--set", "limits.failed_claims_hourly=1000000"];
    let server = Attacked::with(&[&flags[..], &["--set", "limits.guard_failures=1000000"]].concat()).await;
    for _ in 0..3 {
        let mut sender = server.connect().await;
        let nameplate = sender.create().await;
        let mut racers = Vec::new();
        for _ in 0..300 {
            racers.push(server.connect().await);
        }
        for racer in &mut racers {
            racer.claim(nameplate).await;
        }
        let mut winners = 0;
        for racer in &mut racers {
            winners += u32::from(matches!(racer.hear().await, ServerMessage::Paired { .. }));
        }
        assert_eq!(winners, 1);
    }
    server.survived("racing claims").await;
}

#[tokio::test]
async fn pages_of_others_are_turned_away_however_many_they_are() {
    let server = Attacked::new().await;
    for number in 0..2_000 {
        let origin =
            ["null", "https://evil.example", "http://evil.example:8080", "https://192.0.2.1"][number % 4];
        assert_eq!(server.connect_with(&[("origin", origin)]).await.map(|_| ()), Err(403), "{origin}");
    }
    server.survived("pages of others").await;
}

#[tokio::test]
async fn garbage_in_redis_costs_what_it_is_long_and_no_more() {
    let redis = Redis::start();
    let address = redis.url();
    let server = Attacked::with(&["--redis", &address, "--set", "limits.failed_claims=1000"]).await;
    for number in 50..60 {
        redis.feed(&["set", &format!("send:n:{number}")], &vec![b'x'; 1 << 20]);
    }
    let channels = redis.run(&["pubsub", "channels", "send:i:*"]);
    for channel in channels.lines() {
        for len in [0, 1, 30, 1_000, 100_000, 1 << 20] {
            for _ in 0..10 {
                redis.feed(&["publish", channel], &vec![b's'; len]);
            }
        }
    }
    for number in 50..60 {
        let mut receiver = server.connect().await;
        receiver.claim(Nameplate::new(number).unwrap()).await;
        receiver.refused(CloseReason::NoSuchCode).await;
    }
    server.survived("garbage in Redis").await;
}
