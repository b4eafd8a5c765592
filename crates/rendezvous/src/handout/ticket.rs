//! What one side of a pairing shows at the record relay: that it was paired, here or at an instance that shares the secret, a
//! short while ago.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding};
use ring::hmac;
use ring::rand::SystemRandom;
use wire::signaling::Ticket;

use crate::config::Config;

/// Gives tickets and knows its own.
#[derive(Debug)]
pub(super) struct Tickets {
    key: hmac::Key,
    ttl: Duration,
}

/// Bytes of a ticket before its MAC: when it expires, in seconds since 1970.
const EXPIRY_LEN: usize = 8;

impl Tickets {
    /// `None` where the relay is not offered. That is also where several instances share no secret: what one gives would not
    /// hold at the next, and nobody has said that both sides of a session find the same.
    pub(super) fn new(config: &Config) -> Option<Self> {
        if !config.record_relay {
            return None;
        }
        let algorithm = hmac::HMAC_SHA256;
        let key = match &config.relay_secret {
            Some(secret) => Some(hmac::Key::new(algorithm, secret.as_bytes())),
            None if config.redis.is_some() => None,
            None => hmac::Key::generate(algorithm, &SystemRandom::new()).ok(),
        };
        Some(Self { key: key?, ttl: config.times.relay_ticket })
    }

    /// `base64url(expiry u64 || HMAC-SHA256(secret, expiry))`.
    pub(super) fn issue(&self, now: SystemTime) -> Ticket {
        let expiry = (now.duration_since(UNIX_EPOCH).unwrap_or_default() + self.ttl).as_secs().to_be_bytes();
        let mac = hmac::sign(&self.key, &expiry);
        let text = Base64UrlUnpadded::encode_string(&[expiry.as_slice(), mac.as_ref()].concat());
        Ticket::try_from(text).unwrap_or_else(|_| unreachable!("54 characters are a ticket"))
    }

    /// Whether this ticket came from here and still holds.
    pub(super) fn admits(&self, ticket: &Ticket, now: SystemTime) -> bool {
        let Ok(bytes) = Base64UrlUnpadded::decode_vec(ticket.as_str()) else { return false };
        let Some((expiry, mac)) = bytes.split_first_chunk::<EXPIRY_LEN>() else { return false };
        let until = UNIX_EPOCH.checked_add(Duration::from_secs(u64::from_be_bytes(*expiry)));
        hmac::verify(&self.key, expiry, mac).is_ok() && until.is_some_and(|until| now <= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> Config {
        Config { relay_secret: Some("north".to_owned().into()), ..Config::default() }
    }

    #[test]
    fn a_ticket_holds_for_ten_minutes_and_where_the_secret_is() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let tickets = Tickets::new(&shared()).unwrap();
        let ticket = tickets.issue(now);
        assert!(tickets.admits(&ticket, now + Duration::from_mins(10)));
        assert!(!tickets.admits(&ticket, now + Duration::from_secs(601)));
        assert!(Tickets::new(&shared()).unwrap().admits(&ticket, now), "another instance");
        assert!(!Tickets::new(&Config::default()).unwrap().admits(&ticket, now), "another server");
        for forged in ["x", "AAAA", "AAAAAGVT8QAAAAAA", &format!("{}A", ticket.as_str())] {
            let forged = Ticket::try_from(forged.to_owned()).unwrap();
            assert!(!tickets.admits(&forged, now), "{forged:?}");
        }
    }

    #[test]
    fn instances_that_share_no_secret_offer_no_relay() {
        let redis = || Some("redis://127.0.0.1:6379".parse().unwrap());
        assert!(Tickets::new(&Config { redis: redis(), ..Config::default() }).is_none());
        assert!(Tickets::new(&Config { redis: redis(), ..shared() }).is_some());
        assert!(Tickets::new(&Config { record_relay: false, ..shared() }).is_none());
    }
}
