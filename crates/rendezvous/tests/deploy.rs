//! What `deploy/` and the compose file say is what the program and the tools understand.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod common;
mod redis_server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rendezvous::Config;
use wire::signaling::Door;

use self::common::TestServer;
use self::redis_server::Redis;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap()
}

/// The settings of the service as environment, with the variables of the example put in.
fn environment(compose: &str) -> Vec<(String, String)> {
    let values = [
        ("${DOMAIN:?}", "drop.example.org"),
        ("${RENDEZVOUS_TOKEN:-}", ""),
        ("${REDIS_PASSWORD:?}", "secret"),
        ("${TURN_SECRET:?}", "5ec4e7"),
    ];
    let lines = compose.lines().filter_map(|line| line.trim().split_once(": "));
    let settings = lines.filter(|(name, _)| name.starts_with("RENDEZVOUS_"));
    settings
        .map(|(name, value)| {
            let bare = value.trim_matches(['\'', '"']);
            let filled =
                values.iter().fold(bare.to_owned(), |text, (variable, with)| text.replace(variable, with));
            (name.to_owned(), filled)
        })
        .collect()
}

#[test]
fn the_compose_file_sets_what_there_is() {
    let environment = environment(&read("docker-compose.yml"));
    assert!(environment.len() >= 5, "{environment:?}");
    let config = Config::load(None, environment, []).unwrap();
    assert_eq!(config.trusted_proxies.len(), 1);
    assert!(config.token.is_none() && config.metrics_listen.is_some());
    assert_eq!(config.ice_servers[0].urls, ["stun:drop.example.org:3478"]);
    assert_eq!(config.turn_urls.len(), 2);
    assert!(config.turn_secret.is_some());
}

#[tokio::test]
async fn the_redis_of_the_compose_file_is_all_that_a_rendezvous_needs() {
    let compose = read("docker-compose.yml");
    let service = compose.split_once("\n  redis:\n").unwrap().1;
    let command = service.split_once("command:\n").unwrap().1.lines();
    let words = command.map_while(|line| line.trim().strip_prefix(['-', '#']).map(|word| (line, word)));
    let words: Vec<String> = words
        .filter(|(line, _)| !line.trim().starts_with('#'))
        .map(|(_, word)| word.trim().trim_matches('"').replace("${REDIS_PASSWORD:?}", "secret"))
        .collect();
    assert_eq!(words[0], "redis-server");
    let redis = Redis::start_with(&words[1..], Some(("send", "secret")));
    let mut config = Config::default();
    config.redis = Some(redis.address_as("send", "secret"));
    let server = TestServer::start(config).await;
    redis_server::until(|| server.handle.rendezvous().is_ready()).await;
    let (mut sender, mut receiver) = (server.connect().await, server.connect().await);
    let nameplate = sender.create().await;
    receiver.claim(nameplate).await;
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;
    assert!(redis.run(&["keys", "*"]).contains("NOPERM"), "it may do no more");
}

#[test]
fn the_relay_denies_private_networks_in_every_form() {
    let denied = read("deploy/turnserver.conf");
    for range in [
        "10.0.0.0-10.255.255.255",
        "100.64.0.0-100.127.255.255",
        "127.0.0.0-127.255.255.255",
        "169.254.0.0-169.254.255.255",
        "172.16.0.0-172.31.255.255",
        "192.168.0.0-192.168.255.255",
        "::1-::ffff:ffff",
        "::ffff:0:0-::ffff:ffff:ffff",
        "64:ff9b::-64:ff9b::ffff:ffff",
        "2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ] {
        assert!(denied.lines().any(|line| line == format!("denied-peer-ip={range}")), "{range}");
    }
}

#[test]
fn systemd_understands_the_unit_and_finds_little_to_say_against_it() {
    let analyze =
        |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).stdin(Stdio::null()).output();
    if analyze(&["--version"]).is_err() {
        assert!(std::env::var("CI").is_err(), "systemd-analyze is missing");
        eprintln!("skipped: systemd-analyze is missing");
        return;
    }
    let directory = tempfile::TempDir::new().unwrap();
    let unit = directory.path().join("rendezvous.service");
    let text = read("deploy/rendezvous.service");
    assert!(text.contains("/usr/local/bin/rendezvous --config"));
    let program = env!("CARGO_BIN_EXE_rendezvous");
    fs::write(&unit, text.replace("/usr/local/bin/rendezvous --config", &format!("{program} --config")))
        .unwrap();
    let unit = unit.to_str().unwrap();
    let verified = analyze(&["verify", "--man=no", unit]).unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    // In tenths: 2.0 is better than most of what a distribution ships.
    let rated = analyze(&["security", "--offline=true", "--threshold=20", unit]).unwrap();
    assert!(rated.status.success(), "{}", String::from_utf8_lossy(&rated.stdout));
}
