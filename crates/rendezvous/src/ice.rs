//! The STUN and TURN servers that clients are told about, once they are paired and never before.

use thiserror::Error;
use wire::signaling::IceServer;

/// Checks a configured list.
///
/// # Errors
/// [`IceError`] naming the first entry that a browser would refuse, or a list that is too long for a frame.
pub(crate) fn check(servers: &[IceServer]) -> Result<(), IceError> {
    if servers.len() > MAX_SERVERS {
        return Err(IceError::TooMany { count: servers.len() });
    }
    for server in servers {
        if server.urls.is_empty() || server.urls.len() > MAX_SERVERS {
            return Err(IceError::Urls);
        }
        for url in &server.urls {
            check_url(url, server)?;
        }
    }
    Ok(())
}

/// Checks the TURN servers for which there will be credentials once somebody is paired.
///
/// # Errors
/// [`IceError`], as [`check`], and when there is no secret to make them with.
pub(crate) fn check_turn(urls: &[String], has_secret: bool) -> Result<(), IceError> {
    let Some(first) = urls.first() else { return Ok(()) };
    if !has_secret {
        return Err(IceError::NoSecret { url: first.clone() });
    }
    let credential = Some(String::new());
    check(&[IceServer { urls: urls.to_vec(), username: credential.clone(), credential }])
}

fn check_url(url: &str, server: &IceServer) -> Result<(), IceError> {
    let (scheme, rest) = url.split_once(':').unwrap_or_default();
    let plain = rest.bytes().all(|byte| byte.is_ascii_graphic());
    if rest.is_empty() || url.len() > MAX_URL_LEN || !plain {
        return Err(IceError::Address { url: url.to_owned() });
    }
    match scheme {
        "stun" | "stuns" => Ok(()),
        "turn" | "turns" if server.username.is_some() && server.credential.is_some() => Ok(()),
        "turn" | "turns" => Err(IceError::NoCredential { url: url.to_owned() }),
        _ => Err(IceError::Address { url: url.to_owned() }),
    }
}

/// Why a list of servers cannot be handed out.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum IceError {
    /// The list would not fit into a frame beside the rest.
    #[error("{count} servers are configured, at most {MAX_SERVERS} can be handed out")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// An entry without an address, or with too many.
    #[error("an entry needs 1 to {MAX_SERVERS} addresses")]
    Urls,
    /// Not an address of RFC 7064 or RFC 7065.
    #[error("`{url}` is not a stun: or turn: address")]
    Address {
        /// What was configured.
        url: String,
    },
    /// TURN never works without a user name and a credential.
    #[error("`{url}` needs a username and a credential")]
    NoCredential {
        /// What was configured.
        url: String,
    },
    /// Without the secret of the TURN servers there are no credentials for them.
    #[error("`{url}` needs `turn_secret`")]
    NoSecret {
        /// What was configured.
        url: String,
    },
}

/// Most entries, and most addresses per entry: browsers warn from five on, because each slows down the search.
const MAX_SERVERS: usize = 8;

/// Longest address, in bytes: a host name has at most 253 (RFC 1035 §2.3.4).
const MAX_URL_LEN: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str, credential: Option<&str>) -> IceServer {
        IceServer {
            urls: vec![url.to_owned()],
            username: credential.map(str::to_owned),
            credential: credential.map(str::to_owned),
        }
    }

    #[test]
    fn stun_needs_no_credential_and_turn_does() {
        assert_eq!(check(&[server("stun:stun.example.org:3478", None)]), Ok(()));
        assert_eq!(check(&[server("turns:turn.example.org?transport=tcp", Some("x"))]), Ok(()));
        let url = "turn:turn.example.org".to_owned();
        assert_eq!(check(&[server(&url, None)]), Err(IceError::NoCredential { url }));
    }

    #[test]
    fn turn_servers_need_a_secret_and_an_address() {
        let with = |url: &str, has_secret| check_turn(&[url.to_owned()], has_secret);
        let url = "turn:turn.example.org:3478".to_owned();
        assert_eq!(with(&url, true), Ok(()));
        assert_eq!(with(&url, false), Err(IceError::NoSecret { url }));
        assert!(matches!(with("turn.example.org", true), Err(IceError::Address { .. })));
    }

    #[test]
    fn what_is_not_an_ice_address_is_refused() {
        for url in ["https://example.org", "stun:", "", "example.org:3478", "stun:a b", "stun:\u{e9}"] {
            assert_eq!(check(&[server(url, None)]), Err(IceError::Address { url: url.to_owned() }));
        }
        assert_eq!(check(&vec![server("stun:a", None); 9]), Err(IceError::TooMany { count: 9 }));
    }
}
