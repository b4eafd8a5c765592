//! Several instances that share a Redis: whoever is where, it is as if there were one.

#![allow(clippy::shadow_unrelated, reason = "the sender is whoever speaks for it, on whatever socket")]

mod common;
mod redis_server;

use std::time::Duration;

use rendezvous::{Config, Rate};
use tokio::net::TcpStream;
use wire::code::Nameplate;
use wire::signaling::{Body, Claim, ClientMessage, CloseReason, Door, Outcome, Role, ServerMessage, Slot};

use self::common::{Client, TestServer, relay, unknown_nameplate};
use self::redis_server::Redis;

type Socket = Client<TcpStream>;

fn config(redis: &Redis) -> Config {
    let mut config = Config::default();
    config.redis = Some(redis.address());
    config.limits.claims = None;
    config.limits.meets = None;
    config.limits.creates = None;
    config.limits.creates_hourly = None;
    config.limits.connects = None;
    config.limits.failed_claims = 1_000_000;
    config.limits.failed_claims_hourly = 1_000_000;
    config.limits.sockets_per_client = 1_000;
    config.limits.connections_per_client = 1_000;
    config.limits.sessions_per_client = 1_000;
    config
}

async fn instances<const N: usize>(redis: &Redis) -> [TestServer; N] {
    instances_of(config(redis)).await
}

async fn instances_of<const N: usize>(config: Config) -> [TestServer; N] {
    let mut servers = Vec::new();
    for _ in 0..N {
        let server = TestServer::start(config.clone()).await;
        redis_server::until(|| server.handle.rendezvous().is_ready()).await;
        servers.push(server);
    }
    servers.try_into().unwrap_or_else(|_| unreachable!("as many as were asked for"))
}

fn return_slot() -> Slot {
    Slot::new([3; 16])
}

fn link_slot() -> Slot {
    Slot::new([4; 16])
}

/// Creates a session with both doors whose sender may come back.
async fn create_returnable(sender: &mut Socket) -> Nameplate {
    let (link_slot, return_slot) = (Some(link_slot()), Some(return_slot()));
    sender.say(ClientMessage::Create { v: 1, typed: true, link_slot, token: None, return_slot }).await;
    nameplate(sender).await
}

async fn reopen(sender: &mut Socket) {
    let link_slot = Some(link_slot());
    sender.say(ClientMessage::Reopen { v: 1, return_slot: return_slot(), link_slot }).await;
}

async fn nameplate(sender: &mut Socket) -> Nameplate {
    let heard = sender.hear().await;
    let ServerMessage::Created { nameplate: Some(nameplate), .. } = heard else { panic!("{heard:?}") };
    nameplate
}

async fn result(sender: &mut Socket, outcome: Outcome) {
    sender.say(ClientMessage::Result { door: Door::Typed, attempt: 1, outcome }).await;
}

#[tokio::test]
async fn each_side_is_told_of_the_stun_of_its_own_instance_and_gets_one_credential() {
    let redis = Redis::start();
    let mut config = config(&redis);
    config.stun_listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.turn_urls = vec!["turn:turn.example.org:3478".to_owned()];
    config.turn_secret = Some("north".to_owned().into());
    let [a, b] = instances_of(config).await;
    let (mut sender, mut receiver) = (a.connect().await, b.connect().await);
    let nameplate = sender.create().await;
    receiver.claim(nameplate).await;
    let mut names = Vec::new();
    for (client, server) in [(&mut sender, &a), (&mut receiver, &b)] {
        let heard = client.hear().await;
        let ServerMessage::Paired { ice_servers, .. } = heard else { panic!("{heard:?}") };
        let urls: Vec<_> = ice_servers.iter().flat_map(|server| server.urls.clone()).collect();
        let stun = format!("stun:127.0.0.1:{}", server.stun_addrs[0].port());
        assert_eq!(urls, [stun, "turn:turn.example.org:3478".to_owned()]);
        names.push(ice_servers[1].username.clone().unwrap());
    }
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn a_pair_on_two_instances_talks_through_both_and_meets_on_a_third() {
    let redis = Redis::start();
    let [a, b, c] = instances(&redis).await;
    let (mut sender, mut receiver) = (a.connect().await, b.connect().await);
    let nameplate = sender.create().await;
    receiver.claim(nameplate).await;
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;
    for count in 1..=20_u8 {
        let body = Body::from_bytes(&vec![count; 1000]);
        for (from, to) in [(&mut sender, &mut receiver)] {
            from.say(ClientMessage::Relay { door: Door::Typed, attempt: 1, body: body.clone() }).await;
            assert_eq!(
                to.hear().await,
                ServerMessage::Relay { door: Door::Typed, attempt: 1, body: body.clone() }
            );
            to.say(ClientMessage::Relay { door: Door::Typed, attempt: 1, body: body.clone() }).await;
            assert_eq!(
                from.hear().await,
                ServerMessage::Relay { door: Door::Typed, attempt: 1, body: body.clone() }
            );
        }
    }
    result(&mut sender, Outcome::Confirmed).await;
    receiver.meet(Role::Receiver).await;
    sender.meet(Role::Sender).await;
    receiver.paired(Door::Meeting).await;
    sender.paired(Door::Meeting).await;
    // One of them comes anew, elsewhere.
    let mut again = c.connect().await;
    again.meet(Role::Sender).await;
    assert!(matches!(receiver.hear().await, ServerMessage::Paired { attempt: 2, .. }));
    assert!(matches!(again.hear().await, ServerMessage::Paired { attempt: 2, .. }));
    sender.refused(CloseReason::Replaced).await;
    drop(again);
    assert!(matches!(receiver.hear().await, ServerMessage::Left { attempt: 2, .. }));
}

#[tokio::test]
async fn a_receiver_elsewhere_that_is_wrong_is_dismissed_and_the_code_is_burnt_everywhere() {
    let redis = Redis::start();
    let [a, b] = instances(&redis).await;
    let (mut sender, mut receiver) = (a.connect().await, b.connect().await);
    let nameplate = sender.create().await;
    receiver.claim(nameplate).await;
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;
    result(&mut sender, Outcome::WrongCode).await;
    assert!(matches!(receiver.hear().await, ServerMessage::Left { reason: CloseReason::WrongCode, .. }));
    assert_eq!(receiver.ended().await, Some(CloseReason::WrongCode.code()));
    for server in [&a, &b] {
        let mut late = server.connect().await;
        late.claim(nameplate).await;
        late.refused(CloseReason::NoSuchCode).await;
    }
    // The tombstone stands where all see it.
    redis_server::until(|| redis.value(&format!("send:n:{nameplate}")) == "resting").await;
}

#[tokio::test]
async fn of_two_who_claim_at_once_at_two_instances_one_wins() {
    let redis = Redis::start();
    let [a, b, c] = instances(&redis).await;
    for _ in 0..60 {
        let mut sender = a.connect().await;
        let nameplate = sender.create().await;
        let (mut first, mut second) = (b.connect().await, c.connect().await);
        tokio::join!(first.claim(nameplate), second.claim(nameplate));
        let heard = tokio::join!(first.hear(), second.hear());
        let heard = [heard.0, heard.1];
        let count = |wanted: fn(&ServerMessage) -> bool| heard.iter().filter(|heard| wanted(heard)).count();
        let paired =
            count(|heard| matches!(heard, ServerMessage::Paired { door: Door::Typed, attempt: 1, .. }));
        let refused =
            count(|heard| matches!(heard, ServerMessage::Refused { reason: CloseReason::NoSuchCode, .. }));
        assert_eq!((paired, refused), (1, 1), "{heard:?}");
        sender.paired(Door::Typed).await;
    }
}

#[tokio::test]
async fn no_nameplate_is_given_away_twice() {
    let redis = Redis::start();
    let [a, b] = instances(&redis).await;
    let mut given = std::collections::BTreeSet::new();
    let mut senders = Vec::new();
    for index in 0..120 {
        let mut sender = if index % 2 == 0 { a.connect().await } else { b.connect().await };
        assert!(given.insert(sender.create().await), "the {index}th was given away before");
        senders.push(sender);
    }
}

#[tokio::test]
async fn wrong_guesses_at_one_instance_count_at_all() {
    let redis = Redis::start();
    let mut config = config(&redis);
    config.limits.failed_claims = 4;
    let [a, b] = instances_of(config).await;
    for server in [&a, &b, &a, &b] {
        let mut guesser = server.connect().await;
        guesser.claim(unknown_nameplate()).await;
        guesser.refused(CloseReason::NoSuchCode).await;
    }
    for server in [&a, &b] {
        let mut sender = server.connect().await;
        let nameplate = sender.create().await;
        redis_server::until_refused(server, nameplate, CloseReason::RateLimited).await;
    }
}

#[tokio::test]
async fn guesses_that_are_spread_over_the_instances_raise_the_guard_of_all() {
    let redis = Redis::start();
    let mut config = config(&redis);
    (config.limits.guard_failures, config.limits.guard_bits) = (8, 4);
    let [a, b, c] = instances_of(config).await;
    // Five at each are too few for either alone.
    for server in [&a, &b].repeat(5) {
        let mut guesser = server.connect().await;
        guesser.claim(unknown_nameplate()).await;
        guesser.refused(CloseReason::NoSuchCode).await;
    }
    for server in [&a, &b, &c] {
        redis_server::until_guarded(server).await;
    }
}

#[tokio::test]
async fn sessions_opened_at_one_instance_count_at_all() {
    let redis = Redis::start();
    let mut config = config(&redis);
    config.limits.creates = Rate::new(1, Duration::from_hours(1), 3);
    let [a, b] = instances_of(config).await;
    let mut senders = Vec::new();
    for server in [&a, &b, &a, &b] {
        let mut sender = server.connect().await;
        sender.create().await;
        senders.push(sender);
    }
    let mut late = a.connect().await;
    late.say(ClientMessage::Create { v: 1, typed: true, link_slot: None, token: None, return_slot: None })
        .await;
    late.refused(CloseReason::RateLimited).await;
}

#[tokio::test]
async fn a_sender_keeps_its_code_when_its_instance_dies_and_its_receiver_waits_for_it() {
    let redis = Redis::start();
    let [a, b, c] = instances(&redis).await;
    let mut sender = a.connect().await;
    let nameplate = create_returnable(&mut sender).await;
    drop(a);
    assert_eq!(sender.ended().await, None);
    // It comes before the sender is back.
    let mut receiver = c.connect().await;
    receiver.claim(nameplate).await;
    let mut sender = b.connect().await;
    reopen(&mut sender).await;
    assert_eq!(self::nameplate(&mut sender).await, nameplate);
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;
    // The link leads there, too.
    let mut by_link = c.connect().await;
    by_link.say(ClientMessage::Claim { v: 1, at: Claim::Slot(link_slot()) }).await;
    by_link.paired(Door::Link).await;
}

#[tokio::test]
async fn a_sender_whose_instance_stops_keeps_its_code() {
    let redis = Redis::start();
    let [a, b] = instances(&redis).await;
    let mut sender = a.connect().await;
    let nameplate = create_returnable(&mut sender).await;
    let stopping = a.handle.clone();
    let stopped = tokio::spawn(async move { stopping.shutdown(Duration::from_secs(5)).await });
    sender.refused(CloseReason::GoingAway).await;
    drop(sender);
    stopped.await.unwrap();
    let mut sender = b.connect().await;
    reopen(&mut sender).await;
    assert_eq!(self::nameplate(&mut sender).await, nameplate);
}

#[tokio::test]
async fn of_two_instances_that_a_sender_comes_back_to_one_has_its_doors() {
    let redis = Redis::start();
    let [a, b, c] = instances(&redis).await;
    let mut sender = a.connect().await;
    let nameplate = create_returnable(&mut sender).await;
    let (mut first, mut second) = (b.connect().await, c.connect().await);
    tokio::join!(reopen(&mut first), reopen(&mut second));
    sender.refused(CloseReason::Replaced).await;
    let mut receiver = a.connect().await;
    receiver.claim(nameplate).await;
    receiver.paired(Door::Typed).await;
}

#[tokio::test]
async fn when_an_instance_dies_the_other_side_of_a_link_is_told_to_go_elsewhere() {
    let redis = Redis::start();
    let [a, b, c] = instances(&redis).await;
    let (mut sender, mut receiver) = (a.connect().await, b.connect().await);
    sender.meet(Role::Sender).await;
    receiver.meet(Role::Receiver).await;
    sender.paired(Door::Meeting).await;
    receiver.paired(Door::Meeting).await;
    drop(a);
    receiver.refused(CloseReason::GoingAway).await;
    // Both go on elsewhere.
    let (mut sender, mut receiver) = (c.connect().await, b.connect().await);
    sender.meet(Role::Sender).await;
    receiver.meet(Role::Receiver).await;
    sender.paired(Door::Meeting).await;
    receiver.paired(Door::Meeting).await;
}

#[tokio::test]
async fn when_the_instance_of_a_receiver_dies_its_sender_is_told() {
    let redis = Redis::start();
    let [a, b] = instances(&redis).await;
    let (mut sender, mut receiver) = (a.connect().await, b.connect().await);
    let nameplate = sender.create().await;
    receiver.claim(nameplate).await;
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;
    drop(b);
    let heard = sender.hear().await;
    assert!(matches!(heard, ServerMessage::Left { door: Door::Typed, attempt: 1, .. }), "{heard:?}");
}

#[tokio::test]
async fn a_redis_that_goes_away_stops_new_sessions_only_and_what_was_there_goes_on_after() {
    let mut redis = Redis::start();
    let [a, b] = instances(&redis).await;
    let (mut sender, mut receiver) = (a.connect().await, b.connect().await);
    let nameplate = sender.create().await;
    receiver.claim(nameplate).await;
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;
    let mut waiting = a.connect().await;
    let waiting_nameplate = create_returnable(&mut waiting).await;

    redis.stop();
    redis_server::until(|| ![&a, &b].iter().any(|server| server.handle.rendezvous().is_ready())).await;
    for server in [&a, &b] {
        let mut late = server.connect().await;
        late.say(ClientMessage::Create {
            v: 1,
            typed: true,
            link_slot: None,
            token: None,
            return_slot: None,
        })
        .await;
        assert!(late.refused(CloseReason::Unavailable).await.is_some(), "it says when to come back");
    }
    // What is said meanwhile is heard afterwards.
    receiver.say(relay(Door::Typed, 10)).await;

    redis.resume();
    redis_server::until(|| [&a, &b].iter().all(|server| server.handle.rendezvous().is_ready())).await;
    assert!(matches!(sender.hear().await, ServerMessage::Relay { .. }));
    sender.say(relay(Door::Typed, 10)).await;
    assert!(matches!(receiver.hear().await, ServerMessage::Relay { .. }));
    // It was empty when it came back; the instances have told it again.
    let mut late = b.connect().await;
    late.claim(waiting_nameplate).await;
    late.paired(Door::Typed).await;
    waiting.paired(Door::Typed).await;
}

#[tokio::test]
async fn garbage_in_redis_is_as_if_nothing_were_there() {
    let redis = Redis::start();
    let [a, b] = instances(&redis).await;
    let garbage: [&[&str]; 4] = [
        &["set", "send:n:48", "\u{1}not an instance"],
        &["set", "send:n:49", "-1"],
        &["hset", "send:n:50", "a", "b"],
        &["lpush", "send:n:51", "a"],
    ];
    for command in garbage {
        redis.run(command);
    }
    redis.feed(&["set", "send:n:52"], "x".repeat(1 << 20).as_bytes());
    for number in 48..=52 {
        let mut receiver = a.connect().await;
        receiver.claim(Nameplate::new(number).unwrap()).await;
        receiver.refused(CloseReason::NoSuchCode).await;
    }
    // Frames of nobody: cut short, too long, of links that never were, of an instance that is none.
    let channels = redis.run(&["pubsub", "channels", "send:i:*"]);
    for channel in channels.lines() {
        for frame in [
            "",
            "s1",
            "s1\u{2}",
            "s1\u{2}aaaaaaaaaaaaaaaabbbbbbbb\u{0}\u{0}\u{0}\u{1}\u{0}\u{0}\u{0}\u{0}{",
            &"x".repeat(1 << 20),
        ] {
            redis.feed(&["publish", channel], frame.as_bytes());
        }
    }
    // A session's record that is none.
    let mut sender = a.connect().await;
    let nameplate = create_returnable(&mut sender).await;
    let record = redis.run(&["keys", "send:s:*"]);
    redis.run(&["set", record.trim(), r#"{"owner":7}"#]);
    let mut again = b.connect().await;
    reopen(&mut again).await;
    again.refused(CloseReason::NoSuchCode).await;
    // And still, it works.
    let mut receiver = b.connect().await;
    receiver.claim(nameplate).await;
    receiver.paired(Door::Typed).await;
    sender.paired(Door::Typed).await;
}

#[tokio::test]
async fn an_operators_access_rules_are_enough_and_everything_lies_below_one_prefix() {
    let redis = Redis::start();
    let rules = "on >secret resetkeys ~send:* resetchannels &send:* -@all +get +getdel +set +del +incr +pexpire \
                 +publish +subscribe +unsubscribe +ping +hello";
    let rules: Vec<&str> = ["acl", "setuser", "send"].into_iter().chain(rules.split_whitespace()).collect();
    assert_eq!(redis.run(&rules).trim(), "OK");
    let mut config = config(&redis);
    config.redis = Some(redis.address_as("send", "secret"));
    let [a, b] = instances_of(config).await;
    let mut sender = a.connect().await;
    let nameplate = create_returnable(&mut sender).await;
    let mut guesser = b.connect().await;
    guesser.claim(unknown_nameplate()).await;
    guesser.refused(CloseReason::NoSuchCode).await;
    let mut sender = b.connect().await;
    reopen(&mut sender).await;
    assert_eq!(self::nameplate(&mut sender).await, nameplate);
    let mut receiver = a.connect().await;
    receiver.claim(nameplate).await;
    receiver.paired(Door::Typed).await;
    sender.paired(Door::Typed).await;
    result(&mut sender, Outcome::Confirmed).await;
    receiver.meet(Role::Receiver).await;
    sender.meet(Role::Sender).await;
    receiver.paired(Door::Meeting).await;
    assert_eq!(redis.run(&["acl", "log"]).trim(), "", "nothing was refused");
    for key in redis.run(&["keys", "*"]).lines() {
        assert!(key.starts_with("send:"), "{key}");
        if redis.run(&["type", key]).trim() == "string" {
            let value = redis.value(key);
            assert!(value.len() <= 512, "{key} {value}");
            assert!(redis.run(&["pttl", key]).trim() != "-1", "{key} never ends");
        }
    }
}

#[tokio::test]
async fn unknown_used_and_busy_codes_take_the_same_time_wherever_they_are() {
    let redis = Redis::start();
    let [a, b] = instances(&redis).await;
    let mut sender = a.connect().await;
    let busy = sender.create().await;
    let mut receiver = b.connect().await;
    receiver.claim(busy).await;
    receiver.paired(Door::Typed).await;
    let mut times = Vec::new();
    for nameplate in [unknown_nameplate(), busy] {
        for server in [&a, &b] {
            let mut quickest = Duration::MAX;
            for _ in 0..3 {
                let mut guesser = server.connect().await;
                let since = std::time::Instant::now();
                guesser.claim(nameplate).await;
                guesser.refused(CloseReason::NoSuchCode).await;
                quickest = quickest.min(since.elapsed());
            }
            times.push(quickest);
        }
    }
    let spread = times.iter().max().unwrap().saturating_sub(*times.iter().min().unwrap());
    assert!(spread < Duration::from_millis(30), "{times:?}");
}
