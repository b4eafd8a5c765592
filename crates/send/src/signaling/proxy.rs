//! The way to a rendezvous through a proxy, as the environment names one: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, and
//! `NO_PROXY` for the servers that need none, read as curl reads them.
//!
//! Only the rendezvous is reached through it. What the two sides send each other is UDP, which no such proxy passes on.

use std::error::Error as StdError;
use std::net::IpAddr;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use thiserror::Error;
use tokio::net::TcpStream;
use tower::ServiceExt;
use url::{Host, Url};

use crate::interfaces;

/// Why a proxy does not lead to the server.
#[derive(Debug, Error)]
#[error("the proxy {proxy} does not lead there")]
pub struct ProxyError {
    /// Its address, without user name and password.
    pub proxy: String,
    #[source]
    source: Box<dyn StdError + Send + Sync>,
}

/// A connection to `server` through the proxy that the environment names for it; `None` where it is to be reached without.
///
/// # Errors
/// [`ProxyError`] when the proxy cannot be reached, refuses, or is of a kind that is not supported.
pub(super) async fn dial(server: &Url) -> Result<Option<TcpStream>, ProxyError> {
    dial_as(&Matcher::from_env(), server).await
}

/// The address, without user name and password, of the proxy through which `server` is reached, if through any.
pub fn proxy_for(server: &Url) -> Option<String> {
    choose(&Matcher::from_env(), server).map(|(_, proxy)| name(&proxy))
}

async fn dial_as(rules: &Matcher, server: &Url) -> Result<Option<TcpStream>, ProxyError> {
    let Some((target, proxy)) = choose(rules, server) else { return Ok(None) };
    let address = name(&proxy);
    tracing::info!(proxy = %address, "connecting through a proxy");
    connect(&proxy, target).await.map(Some).map_err(|source| ProxyError { proxy: address, source })
}

/// Where the proxy is to lead, and which one it is. What is on this machine or its network needs none, as a proxy elsewhere
/// could not reach it.
fn choose(rules: &Matcher, server: &Url) -> Option<(Uri, Intercept)> {
    let near = match server.host()? {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => interfaces::is_on_this_network(IpAddr::V4(address)),
        Host::Ipv6(address) => interfaces::is_on_this_network(IpAddr::V6(address)),
    };
    if near {
        return None;
    }
    let (host, port) = (server.host_str()?, server.port_or_known_default()?);
    let target: Uri = format!("{}://{host}:{port}/", server.scheme()).parse().ok()?;
    let proxy = rules.intercept(&target)?;
    Some((target, proxy))
}

async fn connect(proxy: &Intercept, target: Uri) -> Result<TcpStream, Box<dyn StdError + Send + Sync>> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    let at: Uri = format!("http://{}/", authority(proxy)).parse()?;
    match proxy.uri().scheme_str() {
        Some("http") => {
            let mut tunnel = Tunnel::new(at, connector);
            if let Some(login) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(login.clone());
            }
            Ok(tunnel.oneshot(target).await?.into_inner())
        }
        Some(scheme @ ("socks5" | "socks5h")) => {
            let mut socks = SocksV5::new(at, connector).local_dns(scheme == "socks5");
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            Ok(socks.oneshot(target).await?.into_inner())
        }
        _ => Err("only http://, socks5:// and socks5h:// proxies are supported".into()),
    }
}

fn name(proxy: &Intercept) -> String {
    format!("{}://{}", proxy.uri().scheme_str().unwrap_or("http"), authority(proxy))
}

/// Host and port of a proxy.
fn authority(proxy: &Intercept) -> String {
    let usual = if proxy.uri().scheme_str() == Some("http") { 80 } else { 1080 };
    let port = proxy.uri().port_u16().unwrap_or(usual);
    format!("{}:{port}", proxy.uri().host().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    /// A proxy that hears `expected` bytes, answers, and so on; it tells what it heard.
    async fn proxy(script: &'static [(usize, &'static [u8])]) -> (String, tokio::task::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let hearing = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            for (len, answer) in script {
                let mut bytes = vec![0; *len];
                stream.read_exact(&mut bytes).await.unwrap();
                heard.extend(bytes);
                stream.write_all(answer).await.unwrap();
            }
            heard
        });
        (address, hearing)
    }

    #[test]
    fn the_environment_decides_and_what_is_near_needs_none() {
        let rules = Matcher::builder()
            .https("http://proxy.example:3128")
            .all("socks5h://socks.example")
            .no("intern.example,203.0.113.0/24")
            .build();
        let chosen = |server: &str| {
            choose(&rules, &url(server)).map(|(target, proxy)| (target.to_string(), authority(&proxy)))
        };
        let through = |target: &str, proxy: &str| Some((target.to_owned(), proxy.to_owned()));
        assert_eq!(
            chosen("https://drop.example"),
            through("https://drop.example:443/", "proxy.example:3128")
        );
        assert_eq!(chosen("http://drop.example/x"), through("http://drop.example:80/", "socks.example:1080"));
        for near in [
            "https://drop.intern.example",
            "https://203.0.113.9:8443",
            "http://127.0.0.1:9473",
            "http://[::1]:9473",
            "http://localhost:9473",
        ] {
            assert_eq!(chosen(near), None, "{near}");
        }
        let nothing = Matcher::builder().build();
        assert!(choose(&nothing, &url("https://drop.example")).is_none());
    }

    #[tokio::test]
    async fn an_http_proxy_is_asked_for_a_tunnel_with_the_login_of_its_address() {
        const REQUEST: &str = "CONNECT drop.example:443 HTTP/1.1\r\nHost: drop.example:443\r\n\
                               Proxy-Authorization: Basic am9lOnAmcQ==\r\n\r\n";
        const SCRIPT: &[(usize, &[u8])] = &[(REQUEST.len(), b"HTTP/1.1 200 OK\r\n\r\nhello")];
        let (address, hearing) = proxy(SCRIPT).await;
        let rules = Matcher::builder().all(format!("http://joe:p%26q@{address}")).build();
        let mut stream = dial_as(&rules, &url("https://drop.example")).await.unwrap().unwrap();
        assert_eq!(hearing.await.unwrap(), REQUEST.as_bytes());
        drop(stream.shutdown().await);
    }

    #[tokio::test]
    async fn a_socks_proxy_looks_the_name_up() {
        const SCRIPT: &[(usize, &[u8])] = &[
            (3, &[5, 0]),
            // Version, connect, reserved, a name of 12 bytes, a port.
            (4 + 1 + 12 + 2, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        ];
        let (address, hearing) = proxy(SCRIPT).await;
        let rules = Matcher::builder().all(format!("socks5h://{address}")).build();
        assert!(dial_as(&rules, &url("https://drop.example:8443")).await.unwrap().is_some());
        let heard = hearing.await.unwrap();
        assert_eq!(&heard[3..], [&[5, 1, 0, 3, 12][..], b"drop.example", &8443_u16.to_be_bytes()].concat());
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_is_named_without_its_password() {
        const SCRIPT: &[(usize, &[u8])] =
            &[(20, b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")];
        let (address, _hearing) = proxy(SCRIPT).await;
        let rules = Matcher::builder().all(format!("http://joe:secret@{address}")).build();
        let error = dial_as(&rules, &url("https://drop.example")).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the proxy http://{address} does not lead there"));
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains("authorization required") && !cause.contains("secret"), "{cause}");
    }

    #[tokio::test]
    async fn a_proxy_of_another_kind_is_not_passed_by() {
        for kind in ["https://proxy.example", "socks4://proxy.example"] {
            let rules = Matcher::builder().all(kind.to_owned()).build();
            let error = dial_as(&rules, &url("https://drop.example")).await.unwrap_err();
            assert!(error.source().unwrap().to_string().contains("supported"), "{kind}");
        }
    }
}
