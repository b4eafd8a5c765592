//! Addresses of servers as users write them.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;
use url::Url;

/// The address of a rendezvous: scheme, host, port and, behind a proxy, a path that ends in `/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ServerUrl(Url);

impl ServerUrl {
    /// The address, `http` or `https`; its path ends in `/`, so that relative addresses join it.
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for ServerUrl {
    type Err = ParseServerUrlError;

    /// `https://drop.example.org`, `http://192.168.1.7:8080`, or a host alone, which means https.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let mut url = Url::parse(&full)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ParseServerUrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ParseServerUrlError::Login);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ParseServerUrlError::Link);
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self(url))
    }
}

impl TryFrom<String> for ServerUrl {
    type Error = ParseServerUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Why a text is not the address of a rendezvous.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseServerUrlError {
    /// Not an address at all.
    #[error("not an address like https://drop.example.org: {0}")]
    Malformed(#[from] url::ParseError),
    /// Another scheme than http and https.
    #[error("the address of a server begins with https:// or http://")]
    Scheme,
    /// A name or password in it.
    #[error("the address of a server holds no user name")]
    Login,
    /// A query or fragment in it.
    #[error("this looks like a link somebody shared, not like the address of a server")]
    Link,
}

/// The address of a STUN server: `stun:host` or `stun:host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StunUrl(String);

impl StunUrl {
    /// The address, `stun:` included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StunUrl {
    type Err = ParseStunUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.trim();
        let host = host.strip_prefix("stun:").unwrap_or(host);
        let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
        if host.is_empty() || !plain { Err(ParseStunUrlError) } else { Ok(Self(format!("stun:{host}"))) }
    }
}

impl TryFrom<String> for StunUrl {
    type Error = ParseStunUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A text that is not the address of a STUN server.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a STUN server like stun:stun.example.org:3478")]
pub struct ParseStunUrlError;
