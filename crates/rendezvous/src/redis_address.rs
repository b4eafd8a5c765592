//! Where the shared Redis is.

use std::fmt;
use std::str::FromStr;

use redis::{Client, IntoConnectionInfo};
use serde::Deserialize;
use thiserror::Error;

/// The address of a Redis or Valkey: `redis://`, `rediss://` (TLS) or `unix://`. Its `Debug` output shows no password.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct RedisAddress(Client);

/// A text that is not the address of a Redis.
#[derive(Debug, Error)]
#[error(
    "`redis` is not an address such as redis://user:password@host:6379, rediss://host or unix:///run/redis.sock"
)]
pub struct ParseRedisAddressError;

impl RedisAddress {
    pub(crate) fn client(&self) -> Client {
        self.0.clone()
    }
}

impl FromStr for RedisAddress {
    type Err = ParseRedisAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.into_connection_info().map_err(|_| ParseRedisAddressError)?;
        // One command less that an operator has to allow.
        let settings = address.redis_settings().clone().set_skip_set_lib_name();
        Client::open(address.set_redis_settings(settings)).map(Self).map_err(|_| ParseRedisAddressError)
    }
}

impl TryFrom<String> for RedisAddress {
    type Error = ParseRedisAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({})", self.0.get_connection_info().addr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_its_password_is_not_shown() {
        for text in [
            "redis://user:hunter2@127.0.0.1:6379/0",
            "rediss://:hunter2@redis.example.org",
            "unix:///run/r.sock?pass=hunter2",
        ] {
            let address: RedisAddress = text.parse().unwrap();
            assert!(!format!("{address:?}").contains("hunter2"), "{address:?}");
        }
        for text in ["", "http://127.0.0.1", "127.0.0.1:6379"] {
            assert!(text.parse::<RedisAddress>().is_err(), "{text}");
        }
    }
}
