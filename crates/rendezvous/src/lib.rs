//! The meeting point of `send`: a sender and a receiver, each on a WebSocket, find each other here by a nameplate or a
//! link's slot, and what they say to each other is passed on unread (`wire`'s PROTOCOL.md §4).
//!
//! It keeps nothing on disk and never sees a password, a key, a file name or an address that the peers exchange. It is
//! a library first. As a server of its own:
//!
//! ```
//! use std::time::Duration;
//!
//! use rendezvous::{Config, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = Config::default();
//! config.listen = "127.0.0.1:0".parse()?;
//!
//! let server = Server::bind(config).await?;
//! println!("listening on {}", server.local_addr());
//! let handle = server.handle();
//! let serving = tokio::spawn(server.serve());
//!
//! handle.shutdown(Duration::from_secs(1)).await;
//! serving.await?;
//! # Ok(())
//! # }
//! ```
//!
//! Inside somebody else's application, under any path that ends in a slash:
//!
//! ```no_run
//! use std::net::SocketAddr;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = axum::Router::new().nest("/drop/", rendezvous::router(rendezvous::Config::default()));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Layers, from the top: configuration and client addresses; the registry, which decides, and the limits; the mesh, which
//! knows where else sessions are; the hub, which performs; the way of what a socket says to where its place is; sockets;
//! HTTP; the listener.

mod client_ip;
mod ice;
mod redis_address;
mod shrink;
mod stun;

mod config;

mod handout;

mod registry;

mod guard;
mod limits;
mod metrics;
mod outbox;

mod mesh;

mod relay;

mod hub;

mod routing;
mod toll;

mod carrier;
mod origin;
mod page;
mod socket;

mod operations;

mod http;

mod health;
mod responder;
mod tls;

mod server;

pub use config::{Config, ConfigError, Limits, ParseRateError, Rate, Times, TlsFiles, Token};
pub use health::check as healthcheck;
pub use http::{Rendezvous, router};
pub use ice::IceError;
pub use redis_address::{AuthoritiesError, ParseRedisAddressError, RedisAddress};
pub use server::{BindError, Server, ServerHandle};
pub use tls::TlsError;
