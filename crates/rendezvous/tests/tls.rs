//! A server that speaks TLS itself.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

mod common;

use std::time::Duration;

use common::{Client, TestServer, certificate, encrypted, get_over};
use rendezvous::{Config, TlsFiles};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

async fn start(files: &TlsFiles) -> TestServer {
    let mut config = Config::default();
    config.tls = Some(files.clone());
    TestServer::start(config).await
}

async fn connect(server: &TestServer, files: &TlsFiles) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(server.addr).await.unwrap();
    encrypted(stream, files).await.unwrap()
}

#[tokio::test]
async fn a_session_is_created_over_tls() {
    let (_directory, files) = certificate();
    let server = start(&files).await;
    let own = [("origin", "https://localhost")];
    let encrypted = connect(&server, &files).await;
    let mut sender = Client::upgrade(encrypted, "wss://localhost/v1/socket", &own).await.unwrap();
    sender.create().await;
    let other = [("origin", "http://localhost")];
    let plain = Client::upgrade(connect(&server, &files).await, "wss://localhost/v1/socket", &other).await;
    assert_eq!(plain.map(|_| ()), Err(403), "a page without TLS is another origin");
}

#[tokio::test]
async fn it_is_well_for_whoever_asks_over_tls() {
    let (_directory, files) = certificate();
    let server = start(&files).await;
    assert_eq!(get_over(connect(&server, &files).await, "/healthz").await, (200, "ok\n".to_owned()));
    let mut config = Config::default();
    (config.listen, config.tls) = (server.addr, Some(files));
    tokio::task::spawn_blocking(move || rendezvous::healthcheck(&config)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_ended() {
    let (_directory, files) = certificate();
    let mut config = Config::default();
    config.tls = Some(files);
    config.times.tls_handshake = Duration::from_millis(200);
    let server = TestServer::start(config).await;
    let mut silent = TcpStream::connect(server.addr).await.unwrap();
    let read = timeout(Duration::from_secs(10), silent.read(&mut [0; 1])).await;
    assert_eq!(read.expect("the connection stays open").unwrap_or(0), 0);
}
