//! What an operator and their tools ask for: is it alive, can it serve, what has it done.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::hub::Hub;

/// `/healthz` and `/readyz`, which say nothing that a visitor may not know.
pub(crate) fn probes() -> Router<Arc<Hub>> {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(readiness))
}

/// Those and `/metrics` and `/stats`, which are nobody else's business.
pub(crate) fn routes() -> Router<Arc<Hub>> {
    probes().route("/metrics", get(metrics)).route("/stats", get(stats))
}

async fn readiness(State(hub): State<Arc<Hub>>) -> Response {
    match hub.readiness() {
        Ok(()) => "ready\n".into_response(),
        Err(unready) => (StatusCode::SERVICE_UNAVAILABLE, format!("{unready}\n")).into_response(),
    }
}

async fn metrics(State(hub): State<Arc<Hub>>) -> Response {
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], hub.metrics_text()).into_response()
}

async fn stats(State(hub): State<Arc<Hub>>) -> Response {
    axum::Json(hub.stats()).into_response()
}

/// The format that every version of Prometheus reads.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
