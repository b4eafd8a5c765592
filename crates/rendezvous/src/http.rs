//! The HTTP side: the WebSocket's door, the page, and the headers that protect both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::ExtensionRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use crate::client_ip::{Client, Via};
use crate::config::Config;
use crate::hub::{Hub, Rejected};
use crate::limits::gate::Pass;
use crate::metrics::TurnedAway;
use crate::origin::{self, Scheme};
use crate::{carrier, handout, operations, page, routing, socket};

/// A rendezvous that any axum application can take in. Clones are handles on the same one.
///
/// Its background task starts with the first socket and ends with the last handle.
#[derive(Clone, Debug)]
pub struct Rendezvous {
    pub(crate) hub: Arc<Hub>,
    warned: Arc<Warned>,
}

/// What was already said once.
#[derive(Debug, Default)]
struct Warned {
    untrusted_proxy: AtomicBool,
    no_connect_info: AtomicBool,
}

impl Rendezvous {
    /// A rendezvous without sessions. Needs no runtime yet.
    ///
    /// `config.listen`, and the limits on plain HTTP connections, concern [`Server`](crate::Server) only.
    pub fn new(config: Config) -> Self {
        Self { hub: Arc::new(Hub::new(config)), warned: Arc::default() }
    }

    /// Its routes: `/v1/socket`, `/v1/relay/…` where the record relay is offered, `/healthz`, `/readyz`, and the page for everything else. May be nested under any path that
    /// ends in a slash: the page's addresses are relative.
    ///
    /// Requests must carry `ConnectInfo<SocketAddr>`; without it they are answered with 500, since nobody could be
    /// told from anybody else.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/socket", any(upgrade))
            .merge(self.relay_routes())
            .merge(operations::probes().with_state(Arc::clone(&self.hub)))
            .route("/", any(page::serve))
            .fallback(page::serve)
            .layer(middleware::from_fn_with_state(self.clone(), guard))
            .with_state(self.clone())
    }

    /// The record relay, where it is offered; without it its address is one of many at which there is nothing.
    fn relay_routes(&self) -> Router<Self> {
        if self.hub.handout.offers_relay() {
            Router::new().route("/v1/relay/{name}", any(upgrade_relay))
        } else {
            Router::new()
        }
    }

    /// What its operator asks for: `/metrics` (Prometheus), `/stats` (JSON), `/healthz`, `/readyz`. It names nobody, but what
    /// it counts is nobody else's business: not to be nested where the public comes.
    pub fn operator_router(&self) -> Router {
        operations::routes().with_state(Arc::clone(&self.hub))
    }

    /// Tells every client that this rendezvous goes away, and waits until they left, at most until `deadline`.
    /// New sockets are refused from now on.
    pub async fn drain(&self, deadline: Duration) {
        self.hub.drain(deadline).await;
    }

    /// Whether new sessions can be served: not after [`Rendezvous::drain`], nor while `config.redis` cannot be reached.
    pub fn is_ready(&self) -> bool {
        self.hub.readiness().is_ok()
    }

    /// How many sockets are open.
    pub fn socket_count(&self) -> usize {
        self.hub.socket_count()
    }

    fn config(&self) -> &Config {
        &self.hub.config
    }

    fn warn_of_untrusted_proxy(&self, peer: SocketAddr) {
        if !self.warned.untrusted_proxy.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                proxy = %peer.ip(),
                "a proxy forwards requests but is not in `trusted_proxies`: all clients behind it share one limit"
            );
        }
    }
}

/// The routes of a rendezvous of its own: [`Rendezvous::new`] and [`Rendezvous::router`] in one.
pub fn router(config: Config) -> Router {
    Rendezvous::new(config).router()
}

/// Marks a request that came through this server's own TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encrypted;

/// Wraps every request: finds its client, and puts the security headers on whatever is answered.
async fn guard(
    State(rendezvous): State<Rendezvous>,
    peer: Result<ConnectInfo<SocketAddr>, ExtensionRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    routing::start(&rendezvous.hub);
    let trusted = &rendezvous.config().trusted_proxies;
    let client = peer.as_ref().ok().map(|ConnectInfo(peer)| Client::of(*peer, request.headers(), trusted));
    let is_encrypted = request.extensions().get::<Encrypted>().is_some();
    let scheme = match client {
        _ if is_encrypted => Scheme::Https,
        Some(client) => Scheme::of(client.via, request.headers()),
        None => Scheme::Unknown,
    };
    let policy = content_security_policy(request.headers());
    let mut response = if let (Some(client), Ok(ConnectInfo(peer))) = (client, peer) {
        if client.via == Via::UntrustedProxy {
            rendezvous.warn_of_untrusted_proxy(peer);
        }
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(scheme);
        next.run(request).await
    } else {
        if !rendezvous.warned.no_connect_info.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "requests carry no client address: serve the application with \
                 `into_make_service_with_connect_info::<SocketAddr>()`"
            );
        }
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    if scheme == Scheme::Https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    }
    response
}

/// Opens a WebSocket: right origin first, then the limits, then the upgrade.
async fn upgrade(
    State(rendezvous): State<Rendezvous>,
    Extension(client): Extension<Client>,
    Extension(scheme): Extension<Scheme>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.and_then(handout::host_name).map(str::to_owned);
    let admitted = admit(&rendezvous, client, (scheme, &headers), upgrade);
    let (upgrade, pass) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal,
    };
    let hub = Arc::clone(&rendezvous.hub);
    socket::sized(upgrade).on_upgrade(async move |socket| {
        let connection = hub.connect(client.key, pass, host);
        // Boxed, or it would be in the task once for every future that holds it: 20 KiB instead of 5.
        hub.own(Box::pin(socket::run(socket, connection))).await;
    })
}

/// The same for the record relay.
async fn upgrade_relay(
    State(rendezvous): State<Rendezvous>,
    Extension(client): Extension<Client>,
    Extension(scheme): Extension<Scheme>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let admitted = admit(&rendezvous, client, (scheme, &headers), upgrade);
    let (upgrade, pass) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal,
    };
    let hub = Arc::clone(&rendezvous.hub);
    carrier::sized(upgrade).on_upgrade(async move |socket| {
        hub.own(Box::pin(carrier::run(socket, Arc::clone(&hub), pass))).await;
    })
}

/// Whether a WebSocket may be opened: what to open it with, or the answer that says why not.
#[expect(clippy::result_large_err, reason = "one of the two is answered at once")]
fn admit(
    rendezvous: &Rendezvous,
    client: Client,
    (scheme, headers): (Scheme, &HeaderMap),
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<(WebSocketUpgrade, Pass), Response> {
    let metrics = &rendezvous.hub.metrics;
    if !origin::is_allowed(headers, scheme, &rendezvous.config().allowed_origins) {
        metrics.count_turned_away(TurnedAway::Origin);
        return Err(StatusCode::FORBIDDEN.into_response());
    }
    let upgrade = upgrade.map_err(IntoResponse::into_response)?;
    match rendezvous.hub.admit(client.key) {
        Ok(pass) => Ok((upgrade, pass)),
        Err(Rejected::Client(denied)) => {
            metrics.count_turned_away(TurnedAway::Client);
            let seconds = denied.retry_after.map_or(1, |wait| wait.as_secs() + 1);
            let refusal = (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())]);
            Err(refusal.into_response())
        }
        Err(Rejected::Server) => {
            metrics.count_turned_away(TurnedAway::Server);
            let refusal = (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")]);
            Err(refusal.into_response())
        }
    }
}

/// The page's policy. Safari before 15.4 does not count sockets as `'self'`, so they are named when the host can be.
fn content_security_policy(request: &HeaderMap) -> HeaderValue {
    let host = request.get(header::HOST).and_then(|host| host.to_str().ok()).filter(|host| is_plain(host));
    let sockets = host.map_or_else(String::new, |host| format!(" ws://{host} wss://{host}"));
    let policy = format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; \
         media-src blob:; connect-src 'self'{sockets}; worker-src 'self'; frame-src 'self'; manifest-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types send"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Whether a Host header can stand in a policy without changing its meaning.
fn is_plain(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 260
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}

/// On every response, errors included.
const SECURITY_HEADERS: [(&str, &str); 5] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=(), screen-wake-lock=(self), \
         web-share=(self), clipboard-write=(self)",
    ),
];

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Method;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn answer(request: axum::http::request::Builder) -> Response {
        let peer = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711)));
        let request = request.extension(peer).body(Body::empty()).unwrap();
        router(Config::default()).oneshot(request).await.unwrap()
    }

    async fn text(response: Response) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn every_response_carries_the_security_headers() {
        for (method, path, status) in [
            (Method::GET, "/", 200),
            (Method::GET, "/healthz", 200),
            (Method::GET, "/nothing/here", 404),
            (Method::POST, "/", 405),
            (Method::POST, "/healthz", 405),
            (Method::GET, "/v1/socket", 400),
        ] {
            let response = answer(Request::builder().method(method.clone()).uri(path)).await;
            assert_eq!(response.status().as_u16(), status, "{method} {path}");
            for (name, value) in SECURITY_HEADERS {
                assert_eq!(response.headers().get(name).unwrap(), value, "{method} {path}");
            }
            let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap();
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!response.headers().contains_key("strict-transport-security"));
        }
    }

    #[tokio::test]
    async fn on_a_host_without_headers_the_page_brings_the_same_policy() {
        let response = answer(Request::builder().uri("/")).await;
        let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap().to_owned();
        // Browsers take this one from a header only; the page looks for itself whether it is framed.
        let policy = policy.replace("frame-ancestors 'none'; ", "");
        let meta = format!(r#"<meta http-equiv="Content-Security-Policy" content="{policy}">"#);
        assert!(text(response).await.contains(&meta), "{meta}");
    }

    #[tokio::test]
    async fn a_host_that_would_change_the_policy_is_left_out_of_it() {
        for host in ["a.example; script-src *", "a.example,b", "a b", "\"", "a.example'"] {
            let response = answer(Request::builder().uri("/").header("host", host)).await;
            let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap();
            assert!(policy.contains("connect-src 'self';"), "{policy}");
        }
        let response = answer(Request::builder().uri("/").header("host", "drop.example.org:8443")).await;
        let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap();
        assert!(
            policy.contains("connect-src 'self' ws://drop.example.org:8443 wss://drop.example.org:8443;")
        );
    }

    #[tokio::test]
    async fn without_a_client_address_every_request_is_an_error() {
        let request = Request::builder().uri("/healthz").body(Body::empty()).unwrap();
        let response = router(Config::default()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[tokio::test]
    async fn it_nests_under_any_path() {
        let app = Router::new().nest("/drop/", router(Config::default()));
        for (path, status) in [
            ("/drop/healthz", 200),
            ("/drop/", 200),
            ("/drop/style.css", 200),
            ("/drop/none", 404),
            ("/healthz", 404),
        ] {
            let peer = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711)));
            let request = Request::builder().uri(path).extension(peer).body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{path}");
        }
    }

    #[tokio::test]
    async fn a_trusted_proxy_that_speaks_https_gets_hsts() {
        let mut config = Config::default();
        config.trusted_proxies.push("192.0.2.0/24".parse().unwrap());
        let peer = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711)));
        let request = Request::builder().uri("/").extension(peer).header("x-forwarded-proto", "https");
        let response = router(config).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert!(response.headers().contains_key("strict-transport-security"));
        let untrusted = answer(Request::builder().uri("/").header("x-forwarded-proto", "https")).await;
        assert!(!untrusted.headers().contains_key("strict-transport-security"));
    }

    #[tokio::test]
    async fn the_health_check_says_ok() {
        assert_eq!(text(answer(Request::builder().uri("/healthz")).await).await, "ok\n");
    }
}
