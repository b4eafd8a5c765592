//! A rendezvous under `/drop/` of an application that has routes and a state of its own.
//!
//! ```sh
//! cargo run -p rendezvous --example nested
//! ```
//!
//! Then `send --server http://127.0.0.1:3000/drop/ FILE`, and the page is at <http://127.0.0.1:3000/drop/>.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use rendezvous::{Config, Rendezvous};

/// What this application keeps; the rendezvous knows nothing of it.
#[derive(Debug, Default)]
pub(crate) struct Visits(AtomicU64);

/// The application's own page, and the rendezvous below a path that ends in a slash: its addresses are relative.
///
/// What only the operator should see is nested where only the operator comes; here that would be behind a login.
pub(crate) fn application(rendezvous: &Rendezvous, visits: Arc<Visits>) -> Router {
    Router::new()
        .route("/", get(home))
        .with_state(visits)
        .nest("/drop/", rendezvous.router())
        .nest("/operator/", rendezvous.operator_router())
}

async fn home(State(visits): State<Arc<Visits>>) -> String {
    let count = visits.0.fetch_add(1, Ordering::Relaxed) + 1;
    format!("visitor {count}: files go to and from /drop/\n")
}

#[tokio::main]
#[allow(dead_code, reason = "a test takes the rest of this file in")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::default();
    // Inside a larger application, one client should not take all of it.
    config.limits.sockets = 1_000;
    let rendezvous = Rendezvous::new(config);
    let app = application(&rendezvous, Arc::default());

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    // The limits count by address, so the addresses have to get here.
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let stopping = async move {
        // Without a signal to wait for, it goes on until it is ended.
        if tokio::signal::ctrl_c().await.is_ok() {
            // Clients are told, and meet again at the next instance.
            rendezvous.drain(Duration::from_secs(8)).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    axum::serve(listener, service).with_graceful_shutdown(stopping).await?;
    Ok(())
}
