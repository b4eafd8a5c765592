//! What one source of settings says.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wire::code::Password;

use super::environment::Environment;
use super::{ConfigError, Format, Origin, ServerUrl, StunUrl, Token, Typed};
use crate::policy::{Family, Relay};
#[cfg(doc)]
use {
    super::{Config, Existing, Symlinks},
    crate::policy::Policy,
};

/// What one source says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Layer {
    /// [`Config::output`].
    pub output: Option<PathBuf>,
    /// [`Config::server`].
    pub server: Option<ServerUrl>,
    /// [`Config::token`].
    pub token: Option<Token>,
    /// [`Typed::Digits`].
    pub digits: Option<usize>,
    /// [`Typed::Words`].
    pub words: Option<usize>,
    /// [`Typed::LinkOnly`].
    pub link_only: Option<bool>,
    /// [`Config::yes`].
    pub yes: Option<bool>,
    /// [`Config::restart`].
    pub restart: Option<bool>,
    /// [`Existing::Overwrite`].
    pub overwrite: Option<bool>,
    /// [`Symlinks::Keep`].
    pub symlinks: Option<bool>,
    /// The opposite of [`Config::qr`].
    pub no_qr: Option<bool>,
    /// [`Format::Quiet`].
    pub quiet: Option<bool>,
    /// [`Format::Json`].
    pub json: Option<bool>,
    /// [`Config::verbosity`].
    pub verbose: Option<u8>,
    /// [`Config::port`].
    pub port: Option<u16>,
    /// [`Config::stun`].
    pub stun: Option<Vec<StunUrl>>,
    /// [`Relay::Only`].
    pub relay_only: Option<bool>,
    /// [`Relay::Never`].
    pub no_relay: Option<bool>,
    /// [`Policy::interfaces`].
    pub interface: Option<Vec<String>>,
    /// [`Family::V4`].
    pub ipv4: Option<bool>,
    /// [`Family::V6`].
    pub ipv6: Option<bool>,
    /// [`Config::listen`].
    pub listen: Option<SocketAddr>,
}

impl Layer {
    /// What the environment says: `SEND_OUTPUT`, `SEND_SERVER`, … An empty variable says nothing.
    ///
    /// # Errors
    /// [`ConfigError::Variable`] for a value that cannot be used.
    pub fn from_environment(var: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let environment = Environment(var);
        Ok(Self {
            output: environment.path("SEND_OUTPUT"),
            server: environment.parse("SEND_SERVER")?,
            token: environment.parse("SEND_TOKEN")?,
            digits: environment.parse("SEND_DIGITS")?,
            words: environment.parse("SEND_WORDS")?,
            link_only: environment.switch("SEND_LINK_ONLY")?,
            yes: environment.switch("SEND_YES")?,
            restart: environment.switch("SEND_RESTART")?,
            overwrite: environment.switch("SEND_OVERWRITE")?,
            symlinks: environment.switch("SEND_SYMLINKS")?,
            no_qr: environment.switch("SEND_NO_QR")?,
            quiet: environment.switch("SEND_QUIET")?,
            json: environment.switch("SEND_JSON")?,
            verbose: environment.parse("SEND_VERBOSE")?,
            port: environment.parse("SEND_PORT")?,
            stun: environment.list("SEND_STUN")?,
            relay_only: environment.switch("SEND_RELAY_ONLY")?,
            no_relay: environment.switch("SEND_NO_RELAY")?,
            interface: environment.list("SEND_INTERFACE")?,
            ipv4: environment.switch("SEND_IPV4")?,
            ipv6: environment.switch("SEND_IPV6")?,
            listen: environment.parse("SEND_LISTEN")?,
        })
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] and, for bad TOML, unknown keys and unusable values, [`ConfigError::File`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            ConfigError::File {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                message: error.message().to_owned(),
            }
        })
    }

    /// What either layer says, this one first.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            output: self.output.or(below.output),
            server: self.server.or(below.server),
            token: self.token.or(below.token),
            digits: self.digits.or(below.digits),
            words: self.words.or(below.words),
            link_only: self.link_only.or(below.link_only),
            yes: self.yes.or(below.yes),
            restart: self.restart.or(below.restart),
            overwrite: self.overwrite.or(below.overwrite),
            symlinks: self.symlinks.or(below.symlinks),
            no_qr: self.no_qr.or(below.no_qr),
            quiet: self.quiet.or(below.quiet),
            json: self.json.or(below.json),
            verbose: self.verbose.or(below.verbose),
            port: self.port.or(below.port),
            stun: self.stun.or(below.stun),
            relay_only: self.relay_only.or(below.relay_only),
            no_relay: self.no_relay.or(below.no_relay),
            interface: self.interface.or(below.interface),
            ipv4: self.ipv4.or(below.ipv4),
            ipv6: self.ipv6.or(below.ipv6),
            listen: self.listen.or(below.listen),
        }
    }

    pub(super) fn typed(&self, origin: Origin) -> Result<Option<Typed>, ConfigError> {
        let digits = in_range(origin, "digits", self.digits, Password::MIN_DIGITS, Password::MAX_DIGITS)?;
        let words = in_range(origin, "words", self.words, Password::MIN_WORDS, Password::MAX_WORDS)?;
        match (digits, words, self.link_only) {
            (Some(_), Some(_), _) => Err(ConfigError::Conflict { origin, keys: ["digits", "words"] }),
            (Some(_), None, Some(true)) => {
                Err(ConfigError::Conflict { origin, keys: ["digits", "link-only"] })
            }
            (None, Some(_), Some(true)) => {
                Err(ConfigError::Conflict { origin, keys: ["words", "link-only"] })
            }
            (Some(count), None, _) => Ok(Some(Typed::Digits(count))),
            (None, Some(count), _) => Ok(Some(Typed::Words(count))),
            (None, None, Some(true)) => Ok(Some(Typed::LinkOnly)),
            (None, None, Some(false)) => Ok(Some(Typed::Digits(Password::MIN_DIGITS))),
            (None, None, None) => Ok(None),
        }
    }

    pub(super) fn relay(&self, origin: Origin) -> Result<Option<Relay>, ConfigError> {
        let only = ("relay-only", self.relay_only, Relay::Only);
        either(origin, [only, ("no-relay", self.no_relay, Relay::Never)], Relay::Allowed)
    }

    pub(super) fn family(&self, origin: Origin) -> Result<Option<Family>, ConfigError> {
        let v4 = ("ipv4", self.ipv4, Family::V4);
        either(origin, [v4, ("ipv6", self.ipv6, Family::V6)], Family::Both)
    }

    pub(super) fn format(&self, origin: Origin) -> Result<Option<Format>, ConfigError> {
        let quiet = ("quiet", self.quiet, Format::Quiet);
        either(origin, [quiet, ("json", self.json, Format::Json)], Format::Human)
    }
}

/// What two switches that exclude each other say, by their names; `neither` when one was switched off and none on.
fn either<T>(
    origin: Origin,
    [(first, is_first, one), (second, is_second, other)]: [(&'static str, Option<bool>, T); 2],
    neither: T,
) -> Result<Option<T>, ConfigError> {
    match (is_first, is_second) {
        (Some(true), Some(true)) => Err(ConfigError::Conflict { origin, keys: [first, second] }),
        (Some(true), _) => Ok(Some(one)),
        (_, Some(true)) => Ok(Some(other)),
        (None, None) => Ok(None),
        (Some(false) | None, Some(false) | None) => Ok(Some(neither)),
    }
}

fn in_range(
    origin: Origin,
    key: &'static str,
    value: Option<usize>,
    min: usize,
    max: usize,
) -> Result<Option<usize>, ConfigError> {
    match value {
        Some(value) if !(min..=max).contains(&value) => {
            Err(ConfigError::OutOfRange { origin, key, value, min, max })
        }
        _ => Ok(value),
    }
}
