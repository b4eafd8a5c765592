//! What everybody has to do while somebody guesses codes at large.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

mod common;

use std::time::Duration;

use common::{Client, MemoryServer, unknown_nameplate};
use futures_util::StreamExt;
use rendezvous::{Config, Token};
use tokio::io::DuplexStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use wire::pow::Search;
use wire::signaling::{Challenge, Claim, ClientMessage, CloseReason, Role, ServerMessage};

/// A server that asks for as little work as is still work.
fn config() -> Config {
    let mut config = Config::default();
    config.limits.guard_bits = 8;
    config
}

/// A server under attack.
async fn attacked(config: Config) -> MemoryServer {
    let server = MemoryServer::new(config);
    for host in 0..61 {
        let mut guesser = server.connect_from(&format!("198.51.100.{host}")).await;
        guesser.claim(unknown_nameplate()).await;
        guesser.refused(CloseReason::NoSuchCode).await;
    }
    server
}

fn create() -> ClientMessage {
    ClientMessage::Create { v: 1, typed: true, link_slot: None, token: None, return_slot: None }
}

async fn challenged(client: &mut Client<DuplexStream>, message: ClientMessage) -> Challenge {
    client.say(message).await;
    let heard = client.hear().await;
    let ServerMessage::Challenge(challenge) = heard else { panic!("{heard:?}") };
    challenge
}

fn solved(challenge: &Challenge) -> ClientMessage {
    let counter = Search::new(challenge.clone()).unwrap().step(u32::MAX).unwrap();
    ClientMessage::Stamp { counter }
}

#[tokio::test(start_paused = true)]
async fn sixty_failed_claims_a_minute_ask_nobody_for_work() {
    let server = MemoryServer::new(config());
    for host in 0..60 {
        let mut guesser = server.connect_from(&format!("198.51.100.{host}")).await;
        guesser.claim(unknown_nameplate()).await;
        guesser.refused(CloseReason::NoSuchCode).await;
    }
    assert_eq!(server.connect().await.create().await.digits(), 2);
}

#[tokio::test(start_paused = true)]
async fn under_attack_a_door_costs_work_and_its_nameplate_is_a_digit_longer() {
    let server = attacked(config()).await;
    let mut sender = server.connect().await;
    let challenge = challenged(&mut sender, create()).await;
    assert_eq!(challenge.bits, 8);
    sender.say(solved(&challenge)).await;
    let heard = sender.hear().await;
    let ServerMessage::Created { nameplate: Some(nameplate), .. } = heard else { panic!("{heard:?}") };
    assert_eq!(nameplate.digits(), 3);

    let mut receiver = server.connect_from("192.0.2.2").await;
    let claim = ClientMessage::Claim { v: 1, at: Claim::Nameplate(nameplate) };
    let theirs = challenged(&mut receiver, claim).await;
    assert_ne!(theirs.seed, challenge.seed);
    receiver.say(solved(&theirs)).await;
    assert!(matches!(receiver.hear().await, ServerMessage::Paired { .. }));
    assert!(matches!(sender.hear().await, ServerMessage::Paired { .. }));
}

#[tokio::test(start_paused = true)]
async fn the_default_is_eighteen_bits() {
    let server = attacked(Config::default()).await;
    let challenge = challenged(&mut server.connect().await, create()).await;
    assert_eq!(challenge.bits, 18);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_wrong_or_of_another_socket_or_given_twice_is_refused() {
    let server = attacked(config()).await;
    let mut one = server.connect().await;
    let challenge = challenged(&mut one, create()).await;
    let right = solved(&challenge);
    let mut other = server.connect().await;
    let theirs = challenged(&mut other, create()).await;
    let wrong = (0..1_000).find(|counter| !theirs.is_met_by(*counter)).unwrap();
    other.say(ClientMessage::Stamp { counter: wrong }).await;
    other.refused(CloseReason::BadMessage).await;
    one.say(right.clone()).await;
    one.hear().await;
    one.say(right.clone()).await;
    one.refused(CloseReason::BadMessage).await;
    let mut unasked = server.connect().await;
    unasked.say(right).await;
    unasked.refused(CloseReason::BadMessage).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_owes_work_says_nothing_else_and_has_a_minute() {
    let server = attacked(config()).await;
    let mut eager = server.connect().await;
    challenged(&mut eager, create()).await;
    eager.say(create()).await;
    eager.refused(CloseReason::BadMessage).await;
    let mut idle = server.connect().await;
    challenged(&mut idle, create()).await;
    let start = Instant::now();
    // Pings come meanwhile.
    while !matches!(idle.socket.next().await, Some(Ok(Message::Text(_)))) {}
    assert_eq!(idle.ended().await, Some(CloseReason::IdleTimeout.code()));
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn meetings_and_whoever_knows_the_token_need_no_work() {
    let mut private = config();
    private.token = Some(Token::from("correct horse".to_owned()));
    let server = attacked(private).await;
    let mut friend = server.connect().await;
    let token = Some("correct horse".to_owned());
    friend.say(ClientMessage::Create { v: 1, typed: true, link_slot: None, token, return_slot: None }).await;
    assert!(matches!(friend.hear().await, ServerMessage::Created { .. }));
    let (mut sender, mut receiver) = (server.connect().await, server.connect().await);
    sender.meet(Role::Sender).await;
    receiver.meet(Role::Receiver).await;
    assert!(matches!(sender.hear().await, ServerMessage::Paired { .. }));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_locked_out_is_told_before_it_works() {
    let server = MemoryServer::new(config());
    for _ in 0..5 {
        let mut guesser = server.connect().await;
        guesser.claim(unknown_nameplate()).await;
        guesser.refused(CloseReason::NoSuchCode).await;
    }
    for host in 0..61 {
        let mut guesser = server.connect_from(&format!("198.51.100.{host}")).await;
        guesser.claim(unknown_nameplate()).await;
        guesser.hear().await;
    }
    let mut again = server.connect().await;
    again.claim(unknown_nameplate()).await;
    again.refused(CloseReason::RateLimited).await;
}

#[tokio::test(start_paused = true)]
async fn a_while_after_the_attack_nobody_works_any_more() {
    let server = attacked(config()).await;
    tokio::time::sleep(Duration::from_mins(8)).await;
    assert_eq!(server.connect().await.create().await.digits(), 2);
}
