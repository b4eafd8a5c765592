//! The example that documents embedding, over a real socket.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

mod common;
#[path = "../examples/nested.rs"]
mod example;

use std::net::SocketAddr;
use std::sync::Arc;

use common::{Client, get};
use rendezvous::{Config, Rendezvous};
use tokio::net::{TcpListener, TcpStream};
use wire::signaling::Door;

#[tokio::test]
async fn a_session_goes_through_a_rendezvous_under_a_path_of_another_application() {
    let rendezvous = Rendezvous::new(Config::default());
    let app = example::application(&rendezvous, Arc::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });

    assert_eq!(get(address, "/").await.1, "visitor 1: files go to and from /drop/\n");
    assert_eq!(get(address, "/").await.1, "visitor 2: files go to and from /drop/\n");
    assert_eq!(get(address, "/drop/healthz").await.1, "ok\n");
    assert_eq!(get(address, "/drop/metrics").await.0, 404);
    let (status, page) = get(address, "/drop/").await;
    assert!(status == 200 && page.contains("<html"), "{status}");

    let url = format!("ws://{address}/drop/v1/socket");
    let connect =
        async || Client::upgrade(TcpStream::connect(address).await.unwrap(), &url, &[]).await.unwrap();
    let (mut sender, mut receiver) = (connect().await, connect().await);
    let nameplate = sender.create().await;
    receiver.claim(nameplate).await;
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;
    let stats = get(address, "/operator/stats").await.1;
    assert!(stats.contains("\"paired\":1") && stats.contains("\"sockets\":2"), "{stats}");
    serving.abort();
}
