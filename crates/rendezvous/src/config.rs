//! What an operator or an embedder can choose, and where the choice comes from.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;
use wire::code::Nameplate;
use wire::signaling::IceServer;

use crate::ice::{self, IceError};
use crate::redis_address::{AuthoritiesError, RedisAddress};

/// Everything about a rendezvous that is a matter of choice. [`Config::default`] serves the public.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where [`Server`](crate::Server) listens. Default `[::]:8080`, which takes IPv4 too; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where [`Server`](crate::Server) answers `/metrics`, `/stats`, `/healthz` and `/readyz` to its operator. Default:
    /// nowhere; the last two are also where everybody is served.
    pub metrics_listen: Option<SocketAddr>,
    /// The certificate with which [`Server`](crate::Server) speaks TLS. Default: none, plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Default: none.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may open sockets here, as `https://host[:port]`, besides the one that serves the page.
    /// Default: none.
    pub allowed_origins: Vec<String>,
    /// What a client must know to create a session. `None`, the default: anyone may.
    pub token: Option<Token>,
    /// STUN and TURN servers that a pair is told about. Default: none, which is enough on one network.
    pub ice_servers: Vec<IceServer>,
    /// Where [`Server`](crate::Server) answers STUN (Binding requests over UDP), at most 4 addresses. Pairs are told of it, at the
    /// name by which they came. Default: nowhere; 3478 is the usual port, and a second one shows a client how its router
    /// assigns ports, and whom it lets in.
    pub stun_listen: Vec<SocketAddr>,
    /// TURN servers, as `turn:host:port`, for which each side of a pair gets a credential of its own. Default: none.
    pub turn_urls: Vec<String>,
    /// The secret that those share with this server (coturn's `static-auth-secret`). Default: none.
    pub turn_secret: Option<Token>,
    /// The file in which it stands, for [`Config::load`]. Default: none.
    pub turn_secret_file: Option<PathBuf>,
    /// Whether sealed records are passed on for pairs that find no better path. Default: yes; between several instances only
    /// with a `relay_secret`.
    pub record_relay: bool,
    /// A secret that several instances share, so that what one gives a side for the relay holds at the others. Whatever stands
    /// before them has to lead equal addresses under `/v1/relay/` to one instance. Default: none.
    pub relay_secret: Option<Token>,
    /// The Redis or Valkey through which several instances share their sessions. Default: none, this is the only one.
    pub redis: Option<RedisAddress>,
    /// The file with the certificates of the authorities that may vouch for that Redis, in PEM, for [`Config::load`]. Default:
    /// none, the public ones may.
    pub redis_ca_file: Option<PathBuf>,
    /// Nameplates that are never assigned, because somebody else near by uses them. Default: none.
    pub avoid_nameplates: BTreeSet<Nameplate>,
    /// How long things may take.
    pub times: Times,
    /// How much one client, and all of them together, may ask for.
    pub limits: Limits,
}

/// A certificate and its key, in PEM. They are read again when they change.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate, and those between it and an authority behind it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How long things may take. All in seconds in a file; fractions are allowed.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Times {
    /// Life of a door that nobody confirmed, not extended by anything. Default 5 min.
    #[serde(deserialize_with = "seconds")]
    pub code_ttl: Duration,
    /// From pairing to the sender's word that the receiver knows the password. Default 10 s, at most 60 s.
    #[serde(deserialize_with = "seconds")]
    pub confirm: Duration,
    /// Pause between two attempts at a link door. Default 2 s.
    #[serde(deserialize_with = "seconds")]
    pub link_pause: Duration,
    /// How long a nameplate that was used stays out of circulation. Default 120 s.
    #[serde(deserialize_with = "seconds")]
    pub nameplate_rest: Duration,
    /// How long a meeting is remembered after its last socket left. Default 10 min.
    #[serde(deserialize_with = "seconds")]
    pub meeting_ttl: Duration,
    /// How long every refusal of a claim is held back, so that it says nothing by its timing. Default 0.3 s.
    #[serde(deserialize_with = "seconds")]
    pub refusal_delay: Duration,
    /// From connecting to the end of the request's head. Default 10 s.
    #[serde(deserialize_with = "seconds")]
    pub request_head: Duration,
    /// From the upgrade to the first message that makes sense. Default 5 s.
    #[serde(deserialize_with = "seconds")]
    pub first_message: Duration,
    /// From connecting to the end of the TLS handshake, where this server does that itself. Default 10 s.
    #[serde(deserialize_with = "seconds")]
    pub tls_handshake: Duration,
    /// How long a client may work for a door while the guard is up. Default 60 s.
    #[serde(deserialize_with = "seconds")]
    pub search: Duration,
    /// How long it has to be calm before the guard comes down. Default 5 min.
    #[serde(deserialize_with = "seconds")]
    pub guard_calm: Duration,
    /// For how long a TURN server may be asked with one credential; what it then allows goes on. Default 10 min.
    #[serde(deserialize_with = "seconds")]
    pub turn_credential: Duration,
    /// For how long the relay may be joined with what came with a pairing; what is joined goes on. Default 10 min.
    #[serde(deserialize_with = "seconds")]
    pub relay_ticket: Duration,
    /// How long one side waits at the relay for the other. Default 30 s.
    #[serde(deserialize_with = "seconds")]
    pub relay_join: Duration,
    /// How long a side may say nothing there, or not take what it is sent. Default 30 s.
    #[serde(deserialize_with = "seconds")]
    pub relay_idle: Duration,
    /// Between two pings; a socket that left three unanswered is dropped. Default 30 s.
    #[serde(deserialize_with = "seconds")]
    pub heartbeat: Duration,
}

/// How much may be asked for. A rate that is `None` (`"off"` in a file) is not limited.
///
/// "Per client" is per IPv4 address or IPv6 /64; an IPv6 /48 as a whole may do five times as much.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Sockets, and HTTP connections beside them, in all. Default 40,000.
    pub sockets: usize,
    /// Sockets per client. Default 20.
    pub sockets_per_client: usize,
    /// HTTP connections per client, until they become sockets. Default 40; trusted proxies are exempt.
    pub connections_per_client: usize,
    /// New sockets in all, and new HTTP connections in all. Default 1000/s burst 1000 each.
    #[serde(deserialize_with = "optional_rate")]
    pub accepts: Option<Rate>,
    /// New sockets per client. Default 120/min burst 60.
    #[serde(deserialize_with = "optional_rate")]
    pub connects: Option<Rate>,
    /// New sessions per client. Default 20/min burst 20.
    #[serde(deserialize_with = "optional_rate")]
    pub creates: Option<Rate>,
    /// New sessions per client in the long run. Default 120/h burst 120.
    #[serde(deserialize_with = "optional_rate")]
    pub creates_hourly: Option<Rate>,
    /// Claims per client, good or bad. Default 10/min burst 5.
    #[serde(deserialize_with = "optional_rate")]
    pub claims: Option<Rate>,
    /// Meetings joined per client. Default 30/min burst 30.
    #[serde(deserialize_with = "optional_rate")]
    pub meets: Option<Rate>,
    /// Frames per socket. Default 20/s burst 40.
    #[serde(deserialize_with = "optional_rate")]
    pub messages: Option<Rate>,
    /// STUN requests per client. Default 20/s burst 100.
    #[serde(deserialize_with = "optional_rate")]
    pub stun: Option<Rate>,
    /// Failed claims per client within any 10 minutes. Default 5.
    pub failed_claims: u32,
    /// Failed claims per client within any hour; then it waits an hour. Default 20.
    pub failed_claims_hourly: u32,
    /// Sessions that wait or pair, in all. Default 20,000.
    pub sessions: usize,
    /// Sessions that wait or pair, per client. Default 20.
    pub sessions_per_client: usize,
    /// Frames that one side of a pairing may send the other; at a meeting again after 5 s. Default 64.
    pub relayed_frames: u32,
    /// Bytes of them. Default 131,072.
    pub relayed_bytes: usize,
    /// Sessions at the record relay at a time; each costs at most 768 KiB of memory. Default 200.
    pub relays: usize,
    /// Bytes that it carries for one session, both ways, in all. Default 21,474,836,480.
    pub relay_session_bytes: u64,
    /// Bytes per second that it carries for one session, both ways. Default 8388608/s burst 4194304.
    #[serde(deserialize_with = "optional_rate")]
    pub relay_session_rate: Option<Rate>,
    /// Bytes per second that it carries for all. Default 67108864/s burst 16777216.
    #[serde(deserialize_with = "optional_rate")]
    pub relay_total_rate: Option<Rate>,
    /// Frames that may wait for a socket that does not read. Default 32.
    pub queued_frames: usize,
    /// Bytes of them. Default 65,536.
    pub queued_bytes: usize,
    /// Failed claims of all clients within a minute above which the guard goes up. Default 60.
    pub guard_failures: u32,
    /// Percentage of attempts within a minute that end with a wrong code, of at least 20, above which it does. Default 50.
    pub guard_burnt: u32,
    /// Zero bits that a client has to find while the guard is up, and up to two more, at most 22. Default 18.
    pub guard_bits: u8,
    /// Meetings that are remembered. Default 40,000.
    pub meetings: usize,
    /// Clients that are remembered per limit; beyond, claims are refused. Default 100,000.
    pub clients: usize,
}

/// `count` per `per`, of which `burst` may come at once: `20/min burst 40`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many, in the long run.
    pub count: NonZeroU32,
    /// In which time.
    pub per: Duration,
    /// How many at once.
    pub burst: NonZeroU32,
}

/// A secret of the operator. Its `Debug` output does not show it.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Token(String);

impl Config {
    /// Reads a configuration: later `flags` win over earlier ones, those over the environment, that over the file, and
    /// that over the default. What is not named stays.
    ///
    /// `RENDEZVOUS_TIMES__CODE_TTL=60` in `environment` is `code_ttl = 60` in the table `times` of the file; a value
    /// that is not TOML is taken as a string, and a secret as it is.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read, or a name or a value is not one of these.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = toml::Table>,
    ) -> Result<Self, ConfigError> {
        let mut table = file.map_or_else(|| Ok(toml::Table::new()), read)?;
        for (name, text) in environment {
            if let Some(key) = setting_of(&name) {
                let value = if is_secret(&key) { toml::Value::String(text) } else { parse_value(&text) };
                overlay(&mut table, &key, value);
            }
        }
        for flag in flags {
            merge(&mut table, flag);
        }
        let mut config: Self = toml::Value::Table(table).try_into()?;
        // A variable that is there and empty, as compose files make them, asks for no token.
        config.token = config.token.filter(|token| !token.0.is_empty());
        if let Some(path) = &config.turn_secret_file {
            config.turn_secret = Some(Token::from(read_text(path)?.trim().to_owned()));
        }
        config.turn_secret = config.turn_secret.filter(|secret| !secret.0.is_empty());
        if let (Some(redis), Some(path)) = (&config.redis, &config.redis_ca_file) {
            config.redis = Some(redis.clone().with_authorities(read_text(path)?.as_bytes())?);
        }
        config.relay_secret = config.relay_secret.filter(|secret| !secret.0.is_empty());
        config.check_servers()?;
        Ok(config)
    }

    /// Checks the servers that pairs are told about.
    ///
    /// # Errors
    /// [`IceError`], of the first that is of no use.
    pub(crate) fn check_servers(&self) -> Result<(), IceError> {
        ice::check(&self.ice_servers)?;
        ice::check_turn(&self.turn_urls, self.turn_secret.is_some())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080)),
            metrics_listen: None,
            tls: None,
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            token: None,
            ice_servers: Vec::new(),
            stun_listen: Vec::new(),
            turn_urls: Vec::new(),
            turn_secret: None,
            turn_secret_file: None,
            record_relay: true,
            relay_secret: None,
            redis: None,
            redis_ca_file: None,
            avoid_nameplates: BTreeSet::new(),
            times: Times::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            code_ttl: Duration::from_mins(5),
            confirm: Duration::from_secs(10),
            link_pause: Duration::from_secs(2),
            nameplate_rest: Duration::from_mins(2),
            meeting_ttl: Duration::from_mins(10),
            refusal_delay: Duration::from_millis(300),
            request_head: Duration::from_secs(10),
            first_message: Duration::from_secs(5),
            tls_handshake: Duration::from_secs(10),
            search: Duration::from_mins(1),
            guard_calm: Duration::from_mins(5),
            turn_credential: Duration::from_mins(10),
            relay_ticket: Duration::from_mins(10),
            relay_join: Duration::from_secs(30),
            relay_idle: Duration::from_secs(30),
            heartbeat: Duration::from_secs(30),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sockets: 40_000,
            sockets_per_client: 20,
            connections_per_client: 40,
            accepts: Rate::new(1000, SECOND, 1000),
            connects: Rate::new(120, MINUTE, 60),
            creates: Rate::new(20, MINUTE, 20),
            creates_hourly: Rate::new(120, HOUR, 120),
            claims: Rate::new(10, MINUTE, 5),
            meets: Rate::new(30, MINUTE, 30),
            messages: Rate::new(20, SECOND, 40),
            stun: Rate::new(20, SECOND, 100),
            failed_claims: 5,
            failed_claims_hourly: 20,
            relayed_frames: 64,
            relayed_bytes: 128 * 1024,
            relays: 200,
            relay_session_bytes: 20 * 1024 * 1024 * 1024,
            relay_session_rate: Rate::new(8 * MIB, SECOND, 4 * MIB),
            relay_total_rate: Rate::new(64 * MIB, SECOND, 16 * MIB),
            queued_frames: 32,
            queued_bytes: 64 * 1024,
            guard_failures: 60,
            guard_burnt: 50,
            guard_bits: 18,
            sessions: 20_000,
            sessions_per_client: 20,
            meetings: 40_000,
            clients: 100_000,
        }
    }
}

impl Rate {
    /// `count` per `per` with a burst, or `None` (no limit) when one of them is zero.
    pub fn new(count: u32, per: Duration, burst: u32) -> Option<Self> {
        let (count, burst) = (NonZeroU32::new(count)?, NonZeroU32::new(burst)?);
        (!per.is_zero()).then_some(Self { count, per, burst })
    }
}

impl FromStr for Rate {
    type Err = ParseRateError;

    /// Parses `COUNT/UNIT [burst COUNT]`, UNIT being `s`, `min` or `h`; without a burst it is the count.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace();
        let (count, unit) = words.next().and_then(|rate| rate.split_once('/')).ok_or(ParseRateError)?;
        let per = match unit {
            "s" => SECOND,
            "min" => MINUTE,
            "h" => HOUR,
            _ => return Err(ParseRateError),
        };
        let burst = match (words.next(), words.next(), words.next()) {
            (None, None, None) => count,
            (Some("burst"), Some(burst), None) => burst,
            _ => return Err(ParseRateError),
        };
        let number = |digits: &str| digits.parse().map_err(|_| ParseRateError);
        Self::new(number(count)?, per, number(burst)?).ok_or(ParseRateError)
    }
}

impl Token {
    /// Whether `offered` is this token, in a time that does not depend on where they differ.
    pub(crate) fn admits(&self, offered: &str) -> bool {
        let differing =
            self.0.bytes().zip(offered.bytes()).fold(0, |sum, (ours, theirs)| sum | (ours ^ theirs));
        self.0.len() == offered.len() && differing == 0
    }

    /// The secret itself, for computing with it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// Why there is no configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not TOML, or not a setting, or not a value for it.
    #[error("the configuration is not valid")]
    Invalid(#[from] toml::de::Error),
    /// The list of STUN and TURN servers.
    #[error("the STUN and TURN servers are not valid")]
    Ice(#[from] IceError),
    /// The authorities of the Redis.
    #[error("`redis_ca_file` is of no use")]
    Redis(#[from] AuthoritiesError),
}

/// A text that is not a rate.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a rate looks like `20/min burst 40`, with `s`, `min` or `h`")]
pub struct ParseRateError;

fn read(path: &Path) -> Result<toml::Table, ConfigError> {
    Ok(read_text(path)?.parse()?)
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

/// The path of the setting that an environment variable names, if it names one.
fn setting_of(variable: &str) -> Option<Vec<String>> {
    let name = variable.strip_prefix("RENDEZVOUS_")?;
    // Kubernetes tells every container where a service called `rendezvous` is, by variables of these names.
    let service_link = name.starts_with("SERVICE_") || name == "PORT" || name.starts_with("PORT_");
    let elsewhere = service_link || name == "CONFIG";
    (!elsewhere).then(|| name.to_ascii_lowercase().split("__").map(str::to_owned).collect())
}

/// Whether a setting is text that nobody writes as TOML: one of digits alone is no number.
fn is_secret(key: &[String]) -> bool {
    matches!(key, [name] if name == "token" || name == "turn_secret" || name == "relay_secret")
}

fn parse_value(text: &str) -> toml::Value {
    text.parse().unwrap_or_else(|_| toml::Value::String(text.to_owned()))
}

/// Sets what `path` names.
fn overlay(table: &mut toml::Table, path: &[String], value: toml::Value) {
    let nested =
        path.iter().rev().fold(value, |inner, name| toml::Table::from_iter([(name.clone(), inner)]).into());
    if let toml::Value::Table(setting) = nested {
        merge(table, setting);
    }
}

/// Adds `more` to `table`, table by table; what is in both is taken from `more`.
fn merge(table: &mut toml::Table, more: toml::Table) {
    for (key, value) in more {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(deeper)) => merge(inner, deeper),
            (_, other) => {
                table.insert(key, other);
            }
        }
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Whole(u32),
        Fraction(f64),
    }
    match Seconds::deserialize(deserializer)? {
        Seconds::Whole(whole) => Ok(Duration::from_secs(whole.into())),
        Seconds::Fraction(fraction) => Duration::try_from_secs_f64(fraction).map_err(de::Error::custom),
    }
}

fn optional_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Rate>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "off" { Ok(None) } else { text.parse().map(Some).map_err(de::Error::custom) }
}

const MIB: u32 = 1024 * 1024;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn load(environment: &[(&str, &str)], flags: &str) -> Result<Config, ConfigError> {
        let owned = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(None, owned, [flags.parse().unwrap()])
    }

    #[test]
    fn a_secret_in_the_environment_is_taken_as_it_is() {
        for secret in ["12345678", "1_000", "true", "5e4", "[a]", "\"quoted\"", "0x10"] {
            let names = ["RENDEZVOUS_TOKEN", "RENDEZVOUS_TURN_SECRET", "RENDEZVOUS_RELAY_SECRET"];
            let config = load(&names.map(|name| (name, secret)), "").unwrap();
            let secrets = [config.token, config.turn_secret, config.relay_secret];
            assert!(secrets.into_iter().all(|told| told.unwrap().admits(secret)), "{secret}");
        }
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_default() {
        let environment = [("RENDEZVOUS_LISTEN", "127.0.0.1:1"), ("RENDEZVOUS_TIMES__CODE_TTL", "0.5")];
        let config = load(&environment, "listen = '127.0.0.1:2'").unwrap();
        assert_eq!(config.listen, "127.0.0.1:2".parse().unwrap());
        assert_eq!(config.times.code_ttl, Duration::from_millis(500));
        assert_eq!(config.times.confirm, Duration::from_secs(10));
    }

    #[test]
    fn a_file_sets_what_nothing_else_does() {
        let directory = std::env::temp_dir().join(format!("rendezvous-config-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("rendezvous.toml");
        let text = "listen = '127.0.0.1:3'\ntrusted_proxies = ['10.0.0.0/8']\n[limits]\nclaims = '1/h burst 2'\n\
                    [[ice_servers]]\nurls = ['stun:stun.example.org']\n";
        std::fs::write(&path, text).unwrap();
        let environment = [("RENDEZVOUS_LISTEN".to_owned(), "127.0.0.1:4".to_owned())];
        let config = Config::load(Some(&path), environment, ["limits.meets = 'off'".parse().unwrap()]);
        std::fs::remove_dir_all(&directory).unwrap();
        let config = config.unwrap();
        assert_eq!(config.listen.port(), 4);
        assert_eq!(config.limits.claims, Rate::new(1, HOUR, 2), "a flag replaces its setting, not the table");
        assert_eq!(config.limits.meets, None);
        assert_eq!(config.trusted_proxies.len(), 1);
        assert_eq!(config.ice_servers.len(), 1);
    }

    #[test]
    fn a_setting_that_does_not_exist_is_an_error() {
        assert!(matches!(load(&[("RENDEZVOUS_LISTNE", "x")], ""), Err(ConfigError::Invalid(_))));
        assert!(matches!(load(&[], "listne = 'x'"), Err(ConfigError::Invalid(_))));
        let ice = "ice_servers = [{ urls = ['http://x'] }]";
        assert!(matches!(load(&[], ice), Err(ConfigError::Ice(_))));
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        let environment = [
            ("PATH", "/bin"),
            ("RENDEZVOUS_CONFIG", "/etc/rendezvous.toml"),
            ("RENDEZVOUS_PORT", "tcp://10.0.0.1:80"),
            ("RENDEZVOUS_SERVICE_HOST", "10.0.0.1"),
        ];
        assert!(load(&environment, "").is_ok());
    }

    #[test]
    fn a_rate_is_read_as_it_is_documented() {
        assert_eq!("20/min burst 40".parse().ok(), Rate::new(20, MINUTE, 40));
        assert_eq!("5/h".parse().ok(), Rate::new(5, HOUR, 5));
        for text in ["", "5", "5/day", "0/s", "5/s burst", "5/s burst 0", "5/s burst 1 x", "-1/s"] {
            assert_eq!(text.parse::<Rate>(), Err(ParseRateError), "{text}");
        }
        assert_eq!(load(&[("RENDEZVOUS_LIMITS__CLAIMS", "off")], "").unwrap().limits.claims, None);
    }

    #[test]
    fn an_empty_token_is_none() {
        assert!(load(&[("RENDEZVOUS_TOKEN", "")], "").unwrap().token.is_none());
        assert!(load(&[("RENDEZVOUS_TOKEN", "x")], "").unwrap().token.is_some());
    }

    #[test]
    fn a_token_admits_itself_only_and_is_not_shown() {
        let token = Token::from("correct horse".to_owned());
        assert!(token.admits("correct horse"));
        for wrong in ["", "correct", "correct horsf", "correct horse "] {
            assert!(!token.admits(wrong), "{wrong}");
        }
        assert!(!format!("{:?}", Config { token: Some(token), ..Config::default() }).contains("horse"));
    }
}
