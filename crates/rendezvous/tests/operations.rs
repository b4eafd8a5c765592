//! What an operator and their tools see.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{MemoryServer, TestServer, get, relay, unknown_nameplate};
use rendezvous::Config;
use tower::ServiceExt;
use wire::signaling::{ClientMessage, CloseReason, Door, Outcome, ReportedPath, Role, ServerMessage};

async fn operated() -> TestServer {
    let mut config = Config::default();
    config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    TestServer::start(config).await
}

async fn metrics(server: &TestServer) -> String {
    let (status, text) = get(server.metrics_addr.unwrap(), "/metrics").await;
    assert_eq!(status, 200);
    text
}

fn number(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).trim().parse().unwrap()
}

#[tokio::test]
async fn only_the_operators_address_tells_what_is_counted() {
    let server = operated().await;
    for path in ["/metrics", "/stats"] {
        assert_eq!(get(server.addr, path).await.0, 404, "{path} for everybody");
        assert_eq!(get(server.metrics_addr.unwrap(), path).await.0, 200, "{path} for the operator");
    }
    for address in [server.addr, server.metrics_addr.unwrap()] {
        assert_eq!(get(address, "/healthz").await, (200, "ok\n".to_owned()));
        assert_eq!(get(address, "/readyz").await, (200, "ready\n".to_owned()));
    }
    assert_eq!(get(server.metrics_addr.unwrap(), "/").await.0, 404, "it serves no page");
}

#[tokio::test]
async fn a_session_is_counted_from_its_code_to_its_report() {
    let server = operated().await;
    let (mut sender, mut receiver) = (server.connect().await, server.connect().await);
    let nameplate = sender.create().await;
    receiver.claim(nameplate).await;
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;
    receiver.say(relay(Door::Typed, 300)).await;
    sender.hear().await;
    assert_eq!(number(&metrics(&server).await, "rendezvous_sessions{state=\"pairing\"}"), 1);
    let outcome = Outcome::Confirmed;
    sender.say(ClientMessage::Result { door: Door::Typed, attempt: 1, outcome }).await;
    sender.say(ClientMessage::Report { path: ReportedPath::Direct, ok: true }).await;
    // What follows is answered after it was counted.
    sender.meet(Role::Sender).await;
    receiver.meet(Role::Receiver).await;
    sender.paired(Door::Meeting).await;

    let text = metrics(&server).await;
    for (name, count) in [
        ("rendezvous_sockets", 2),
        ("rendezvous_meetings", 1),
        ("rendezvous_sessions_created_total", 1),
        ("rendezvous_pairings_total{door=\"typed\"}", 1),
        ("rendezvous_pairings_total{door=\"meeting\"}", 1),
        ("rendezvous_attempts_total{door=\"typed\",outcome=\"confirmed\"}", 1),
        ("rendezvous_transfers_reported_total{outcome=\"complete\",path=\"direct\"}", 1),
        ("rendezvous_relayed_frames_total", 1),
        ("rendezvous_relayed_bytes_total", 400),
    ] {
        assert_eq!(number(&text, name), count, "{name}");
    }
    assert!(number(&text, "rendezvous_delivery_seconds_count") >= 4);
}

#[tokio::test]
async fn whoever_has_no_session_behind_them_reports_nothing() {
    let server = operated().await;
    let mut stranger = server.connect().await;
    stranger.say(ClientMessage::Report { path: ReportedPath::Direct, ok: true }).await;
    stranger.refused(CloseReason::BadMessage).await;
    let mut waiting = server.connect().await;
    waiting.create().await;
    waiting.say(ClientMessage::Report { path: ReportedPath::Direct, ok: true }).await;
    waiting.refused(CloseReason::BadMessage).await;
    let text = metrics(&server).await;
    assert_eq!(number(&text, "rendezvous_transfers_reported_total{outcome=\"complete\",path=\"direct\"}"), 0);
}

#[tokio::test]
async fn no_number_says_who_or_which() {
    let server = operated().await;
    let mut sender = server.connect().await;
    let nameplate = sender.create().await;
    let mut guesser = server.connect().await;
    guesser.claim(unknown_nameplate()).await;
    guesser.refused(CloseReason::NoSuchCode).await;
    let text = metrics(&server).await + &get(server.metrics_addr.unwrap(), "/stats").await.1;
    assert!(text.contains("rendezvous_refusals_total{reason=\"no_such_code\"} 1"), "{text}");
    // As somebody's label; a measured time may have any digits.
    for secret in ["127.0.0.1".to_owned(), unknown_nameplate().to_string(), nameplate.to_string()] {
        assert!(!text.contains(&format!("\"{secret}")), "{secret} in {text}");
    }
}

#[tokio::test]
async fn promtool_finds_nothing_to_say_about_the_metrics() {
    if Command::new("promtool").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
    {
        assert!(std::env::var("CI").is_err(), "promtool (Debian's prometheus) is missing");
        eprintln!("skipped: promtool is missing");
        return;
    }
    let server = operated().await;
    let mut sender = server.connect().await;
    sender.create().await;
    let text = metrics(&server).await;
    let check = tokio::task::spawn_blocking(move || {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        promtool.wait_with_output().unwrap()
    });
    let output = check.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_away_says_so_to_the_balancer_and_to_every_client() {
    let server = MemoryServer::new(Config::default());
    let mut client = server.connect().await;
    client.create().await;
    let rendezvous = server.rendezvous.clone();
    let draining = tokio::spawn(async move { rendezvous.drain(Duration::from_secs(8)).await });
    let heard = client.hear().await;
    assert_eq!(heard, ServerMessage::Refused { reason: CloseReason::GoingAway, retry_after: None });
    let request = axum::http::Request::builder().uri("/readyz").body(axum::body::Body::empty()).unwrap();
    let answer = server.rendezvous.operator_router().oneshot(request).await.unwrap();
    assert_eq!(answer.status().as_u16(), 503);
    drop(client);
    draining.await.unwrap();
}
