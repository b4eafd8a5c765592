//! Which pages may open sockets here: a page elsewhere could use its visitors' addresses to guess codes.

use axum::http::{HeaderMap, header};

use crate::client_ip::Via;

/// How the client reached us, as far as anyone told who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// A trusted proxy said so.
    Http,
    /// A trusted proxy said so.
    Https,
    /// Nobody said anything: there may be a proxy that takes the TLS off or none.
    Unknown,
}

impl Scheme {
    /// Reads it from what a trusted proxy says; nobody else is asked.
    pub(crate) fn of(via: Via, headers: &HeaderMap) -> Self {
        if via != Via::TrustedProxy {
            return Self::Unknown;
        }
        match headers.get("x-forwarded-proto").map(axum::http::HeaderValue::as_bytes) {
            Some(b"http") => Self::Http,
            Some(b"https") => Self::Https,
            _ => Self::Unknown,
        }
    }

    fn permits(self, scheme: &str) -> bool {
        match self {
            Self::Http => scheme == "http",
            Self::Https => scheme == "https",
            Self::Unknown => matches!(scheme, "http" | "https"),
        }
    }
}

/// Whether a request may open a socket: from a terminal, which sends no Origin, from the page served under the same
/// host and scheme, or from one of `allowed`. `null` never may.
pub(crate) fn is_allowed(headers: &HeaderMap, scheme: Scheme, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    let Some(origin) = origin.to_str().ok().filter(|_| origins.next().is_none()) else { return false };
    if allowed.iter().any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let (Some(host), Some((origin_scheme, authority))) = (host, origin.split_once("://")) else {
        return false;
    };
    let default_port = if origin_scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(default_port).unwrap_or(host);
    scheme.permits(origin_scheme) && !host.is_empty() && host.eq_ignore_ascii_case(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str, origin: Option<&str>, scheme: Scheme) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        is_allowed(&headers, scheme, &["https://app.example/".to_owned()])
    }

    #[test]
    fn the_origin_matrix_is_decided_as_documented() {
        let cases = [
            (None, true),
            (Some("null"), false),
            (Some(""), false),
            (Some("https://drop.example"), true),
            (Some("https://DROP.example"), true),
            (Some("https://drop.example:8443"), false),
            (Some("https://evil.example"), false),
            (Some("https://drop.example.evil.example"), false),
            (Some("https://evil-drop.example"), false),
            (Some("https://drop.example@evil.example"), false),
            (Some("https://192.0.2.1"), false),
            (Some("file://"), false),
            (Some("chrome-extension://drop.example"), false),
            (Some("drop.example"), false),
            (Some("https://app.example"), true),
            (Some("http://app.example"), false),
        ];
        for (origin, expected) in cases {
            assert_eq!(allowed("drop.example", origin, Scheme::Unknown), expected, "{origin:?}");
        }
    }

    #[test]
    fn the_scheme_must_match_where_a_trusted_proxy_told_it() {
        for (scheme, http, https) in
            [(Scheme::Unknown, true, true), (Scheme::Http, true, false), (Scheme::Https, false, true)]
        {
            assert_eq!(allowed("drop.example", Some("http://drop.example"), scheme), http, "{scheme:?}");
            assert_eq!(allowed("drop.example", Some("https://drop.example"), scheme), https, "{scheme:?}");
        }
    }

    #[test]
    fn ports_are_part_of_an_origin_and_default_ports_are_not_written() {
        assert!(allowed("192.168.1.5:9473", Some("http://192.168.1.5:9473"), Scheme::Unknown));
        assert!(!allowed("192.168.1.5:9473", Some("http://192.168.1.5"), Scheme::Unknown));
        assert!(allowed("drop.example:443", Some("https://drop.example"), Scheme::Unknown));
        assert!(!allowed("drop.example:443", Some("http://drop.example"), Scheme::Unknown));
        assert!(allowed("[2001:db8::1]:80", Some("http://[2001:db8::1]"), Scheme::Unknown));
    }

    #[test]
    fn two_origins_are_one_too_many() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "drop.example".parse().unwrap());
        headers.append(header::ORIGIN, "https://drop.example".parse().unwrap());
        headers.append(header::ORIGIN, "https://evil.example".parse().unwrap());
        assert!(!is_allowed(&headers, Scheme::Unknown, &[]));
    }

    #[test]
    fn the_scheme_is_taken_from_a_trusted_proxy_only() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        assert_eq!(Scheme::of(Via::TrustedProxy, &headers), Scheme::Https);
        assert_eq!(Scheme::of(Via::Direct, &headers), Scheme::Unknown);
        assert_eq!(Scheme::of(Via::UntrustedProxy, &headers), Scheme::Unknown);
    }
}
