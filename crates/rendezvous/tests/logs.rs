//! What the logs may hold. Alone in its process, because the subscriber is the process's.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

mod common;

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use common::{MemoryServer, unknown_nameplate};
use rendezvous::Config;
use wire::signaling::{ClientMessage, CloseReason};

#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything this process has logged.
fn logs() -> Logs {
    static LOGS: OnceLock<Logs> = OnceLock::new();
    let logs = LOGS.get_or_init(|| {
        let logs = Logs::default();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        logs
    });
    logs.clone()
}

impl Logs {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn logs_hold_no_address_and_no_nameplate() {
    let logs = logs();
    let server = MemoryServer::new(Config::default());
    let mut sender = server.connect_from("203.0.113.77").await;
    let nameplate = sender.create().await;
    let mut receiver = server.connect_from("203.0.113.78").await;
    receiver.claim(unknown_nameplate()).await;
    receiver.refused(CloseReason::NoSuchCode).await;
    sender.say(ClientMessage::OpenDoor).await;
    sender.refused(CloseReason::BadMessage).await;
    let text = logs.text();
    assert!(text.contains("reason=NoSuchCode"), "{text}");
    for secret in ["203.0.113", "999999", &format!("nameplate={nameplate}")] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_is_not_trusted_is_warned_of_once() {
    let logs = logs();
    let server = MemoryServer::new(Config::default());
    let forwarded = [("x-forwarded-for", "198.51.100.1")];
    for _ in 0..3 {
        assert!(server.connect_with("127.0.0.1", &forwarded).await.is_ok());
    }
    let text = logs.text();
    let warnings: Vec<_> = text.lines().filter(|line| line.contains("trusted_proxies")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings.iter().all(|line| line.starts_with(" WARN") && !line.contains("198.51")),
        "{warnings:?}"
    );
}
