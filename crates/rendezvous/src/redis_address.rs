//! Where the shared Redis is.

use std::fmt;
use std::str::FromStr;

use redis::{Client, ConnectionAddr, IntoConnectionInfo, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
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

/// Why a Redis cannot be checked against authorities of one's own.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthoritiesError {
    /// Its address is not one with TLS.
    #[error("authorities are of use for rediss:// only")]
    NotEncrypted,
    /// There is no certificate in the text, or one that is none.
    #[error("there are no certificates in PEM")]
    NoCertificates,
}

impl RedisAddress {
    /// The same Redis, whose certificate has to be of one of these authorities, in PEM, instead of a public one.
    ///
    /// # Errors
    /// [`AuthoritiesError`].
    pub fn with_authorities(self, pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let address = self.0.get_connection_info().clone();
        if !matches!(address.addr(), ConnectionAddr::TcpTls { .. }) {
            return Err(AuthoritiesError::NotEncrypted);
        }
        // A text without any would be a Redis that nobody vouches for.
        if CertificateDer::pem_slice_iter(pem).next().is_none() {
            return Err(AuthoritiesError::NoCertificates);
        }
        let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) };
        Client::build_with_tls(address, certificates).map(Self).map_err(|_| AuthoritiesError::NoCertificates)
    }

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

    #[test]
    fn authorities_are_for_an_address_with_tls_and_have_to_be_some() {
        let with = |text: &str, pem: &str| {
            let address: RedisAddress = text.parse().unwrap();
            address.with_authorities(pem.as_bytes()).map(|_| ())
        };
        let pem = rcgen::generate_simple_self_signed(vec!["redis".to_owned()]).unwrap().cert.pem();
        assert_eq!(with("rediss://redis.example.org", &pem), Ok(()));
        for none in ["", "hunter2", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(with("rediss://redis.example.org", none), Err(AuthoritiesError::NoCertificates));
        }
        for plain in ["redis://127.0.0.1", "unix:///run/r.sock"] {
            assert_eq!(with(plain, &pem), Err(AuthoritiesError::NotEncrypted));
        }
    }
}
