//! Credentials for a TURN server that shares a secret with this one: `use-auth-secret` of coturn, as the draft "A REST API For
//! Access To TURN Services" has it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Encoding};
use ring::hmac;
use wire::signaling::IceServer;

use crate::config::Config;

/// What is needed to let somebody use the TURN servers for a while.
#[derive(Debug)]
pub(super) struct Turn {
    urls: Vec<String>,
    key: hmac::Key,
    ttl: Duration,
}

impl Turn {
    /// `None` where no such server is configured.
    pub(super) fn new(config: &Config) -> Option<Self> {
        let secret = config.turn_secret.as_ref().filter(|_| !config.turn_urls.is_empty())?;
        // The algorithm is the draft's. What is known against SHA-1 does not concern HMAC.
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        Some(Self { urls: config.turn_urls.clone(), key, ttl: config.times.turn_credential })
    }

    /// `username = expiry ":" name`, `credential = base64(HMAC-SHA1(secret, username))`, the expiry in seconds since 1970.
    ///
    /// The server counts allocations by `name`. It looks at the expiry when an allocation is made, not while it is used.
    pub(super) fn admit(&self, name: &str, now: SystemTime) -> IceServer {
        let expiry = now.duration_since(UNIX_EPOCH).unwrap_or_default() + self.ttl;
        let username = format!("{}:{name}", expiry.as_secs());
        let credential = Base64::encode_string(hmac::sign(&self.key, username.as_bytes()).as_ref());
        IceServer { urls: self.urls.clone(), username: Some(username), credential: Some(credential) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_what_the_turn_server_computes() {
        let mut config = Config { turn_urls: vec!["turn:turn.example.org".to_owned()], ..Config::default() };
        assert!(Turn::new(&config).is_none(), "without a secret");
        config.turn_secret = Some("north".to_owned().into());
        let turn = Turn::new(&config).unwrap();
        let server = turn.admit("c0ffee", UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert_eq!(server.username.as_deref(), Some("1700000600:c0ffee"));
        // printf 1700000600:c0ffee | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(server.credential.as_deref(), Some("OgNcTNVKjCtCa+8erA7WOc/kWHs="));
        assert_eq!(server.urls, config.turn_urls);
        assert!(!format!("{turn:?}").contains("north"));
    }
}
