//! What a command works with: flag, else `SEND_*` environment, else configuration file, else default.
//!
//! Each of the three sources is read into a [`Layer`]; [`Config::resolve`] lays them over each other. The key of a
//! setting is the name of its flag everywhere: `--link-only`, `SEND_LINK_ONLY`, `link-only = true`.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;
use url::Url;
use wire::code::Password;

use crate::policy::{Family, Policy, Relay};

pub use wire::doors::Typed;

/// Everything that can be set, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Directory received files go to. Default: the working directory.
    pub output: PathBuf,
    /// The rendezvous to use. `None`: one of our own on the local network, found by mDNS.
    pub server: Option<ServerUrl>,
    /// What a private rendezvous asks for before it lets anyone send. Default: none.
    pub token: Option<Token>,
    /// What the typed part of a code is made of. Default: four digits.
    pub typed: Typed,
    /// Receive without asking. Default: ask.
    pub yes: bool,
    /// Whether what an earlier attempt left is received again from its first byte. Default: no.
    pub restart: bool,
    /// What happens to files that exist. Default: they stay.
    pub existing: Existing,
    /// What happens to symbolic links. Default: they are left out.
    pub symlinks: Symlinks,
    /// Whether a QR code may be drawn. Default: yes.
    pub qr: bool,
    /// Who reads the output. Default: a person.
    pub format: Format,
    /// How much is logged to standard error: 0 nothing, 1 what happens, 2 details, 3 every frame. Default: 0.
    pub verbosity: u8,
    /// Port of the rendezvous in this process. `None`: [`Config::PREFERRED_PORT`], or any when that is taken.
    pub port: Option<u16>,
    /// STUN servers for finding a path through routers, as `stun:host:port`. Default: none.
    pub stun: Vec<StunUrl>,
    /// Which ways to the other side may be tried. Default: all.
    pub policy: Policy,
    /// Where `send serve` listens. Default: `[::]:8080`.
    pub listen: SocketAddr,
}

/// What happens to files that exist where one is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They stay; the new one becomes `name (1)`.
    KeepBoth,
    /// They are replaced when the new one is complete.
    Overwrite,
}

/// What happens to symbolic links, on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symlinks {
    /// They are neither sent nor created.
    Skip,
    /// They are sent as links, and created where they stay inside what is received.
    Keep,
}

/// Who reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A person: text and progress on standard error.
    Human,
    /// A script: the code alone on standard output, errors on standard error.
    Quiet,
    /// A program: one JSON object per line on standard output.
    Json,
}

impl Config {
    /// The port the rendezvous in this process takes when it is free.
    pub const PREFERRED_PORT: u16 = 9473;

    /// Reads environment and configuration file and lays the flags over them.
    ///
    /// `named` is the path given by `--config`; `var` looks up an environment variable.
    ///
    /// # Errors
    /// [`ConfigError`] when a value cannot be used, or when the file was named and cannot be read. A file that nobody
    /// named need not exist.
    pub fn load(
        flags: Layer,
        named: Option<&Path>,
        var: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigError> {
        let environment = Layer::from_environment(var)?;
        let named = named.map(Path::to_owned).or_else(|| Environment(var).path("SEND_CONFIG"));
        let file = match named.or_else(|| default_path().filter(|path| path.exists())) {
            Some(path) => Layer::read(&path)?,
            None => Layer::default(),
        };
        Self::resolve(flags, environment, file)
    }

    /// Lays flags over environment over file over defaults.
    ///
    /// Settings that exclude each other (`digits`, `words`, `link-only`; `quiet`, `json`; `relay-only`, `no-relay`; `ipv4`, `ipv6`) count as one: the first layer
    /// that has any of them decides.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] and [`ConfigError::Conflict`].
    pub fn resolve(flags: Layer, environment: Layer, file: Layer) -> Result<Self, ConfigError> {
        let typed =
            [flags.typed(Origin::Flag)?, environment.typed(Origin::Environment)?, file.typed(Origin::File)?];
        let format = [
            flags.format(Origin::Flag)?,
            environment.format(Origin::Environment)?,
            file.format(Origin::File)?,
        ];
        let relay =
            [flags.relay(Origin::Flag)?, environment.relay(Origin::Environment)?, file.relay(Origin::File)?];
        let family = [
            flags.family(Origin::Flag)?,
            environment.family(Origin::Environment)?,
            file.family(Origin::File)?,
        ];
        let layer = flags.over(environment).over(file);
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080));
        Ok(Self {
            output: layer.output.unwrap_or_else(|| PathBuf::from(".")),
            server: layer.server,
            token: layer.token,
            typed: typed.into_iter().flatten().next().unwrap_or(Typed::Digits(Password::MIN_DIGITS)),
            yes: layer.yes.unwrap_or(false),
            restart: layer.restart.unwrap_or(false),
            existing: if layer.overwrite == Some(true) { Existing::Overwrite } else { Existing::KeepBoth },
            symlinks: if layer.symlinks == Some(true) { Symlinks::Keep } else { Symlinks::Skip },
            qr: layer.no_qr != Some(true),
            format: format.into_iter().flatten().next().unwrap_or(Format::Human),
            verbosity: layer.verbose.unwrap_or(0),
            port: layer.port,
            stun: layer.stun.unwrap_or_default(),
            policy: Policy {
                relay: relay.into_iter().flatten().next().unwrap_or_default(),
                interfaces: layer.interface.unwrap_or_default(),
                family: family.into_iter().flatten().next().unwrap_or_default(),
            },
            listen: layer.listen.unwrap_or(any),
        })
    }
}

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
    fn over(self, below: Self) -> Self {
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

    fn typed(&self, origin: Origin) -> Result<Option<Typed>, ConfigError> {
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

    fn relay(&self, origin: Origin) -> Result<Option<Relay>, ConfigError> {
        let only = ("relay-only", self.relay_only, Relay::Only);
        either(origin, [only, ("no-relay", self.no_relay, Relay::Never)], Relay::Allowed)
    }

    fn family(&self, origin: Origin) -> Result<Option<Family>, ConfigError> {
        let v4 = ("ipv4", self.ipv4, Family::V4);
        either(origin, [v4, ("ipv6", self.ipv6, Family::V6)], Family::Both)
    }

    fn format(&self, origin: Origin) -> Result<Option<Format>, ConfigError> {
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

/// What a private rendezvous lets its users send with. Its `Debug` output does not show it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// The text, for the rendezvous.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
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

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration file says something that is not understood.
    #[error("{}, line {line}: {message}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// An environment variable has a value that cannot be used.
    #[error("{name} has a value that cannot be used: {message}")]
    Variable {
        /// Which variable.
        name: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A number is too small or too large.
    #[error("{} must be {min} to {max}, not {value}", origin.name(key))]
    OutOfRange {
        /// Who said it.
        origin: Origin,
        /// Which setting.
        key: &'static str,
        /// What was said.
        value: usize,
        /// The least it may be.
        min: usize,
        /// The most it may be.
        max: usize,
    },
    /// Two settings contradict each other.
    #[error("{} and {} exclude each other", origin.name(keys[0]), origin.name(keys[1]))]
    Conflict {
        /// Who said them.
        origin: Origin,
        /// Which settings.
        keys: [&'static str; 2],
    },
}

/// Who said what a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line.
    Flag,
    /// An environment variable.
    Environment,
    /// The configuration file.
    File,
}

impl Origin {
    /// What the user wrote to set `key`: `--link-only`, `SEND_LINK_ONLY`, or the key in the file.
    fn name(self, key: &str) -> String {
        match self {
            Self::Flag => format!("--{key}"),
            Self::Environment => format!("SEND_{}", key.to_ascii_uppercase().replace('-', "_")),
            Self::File => format!("`{key}` in the configuration file"),
        }
    }
}

/// Reads typed values from environment variables.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    fn path(&self, name: &str) -> Option<PathBuf> {
        (self.0)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let value = (self.0)(name).filter(|value| !value.is_empty());
        let text = value.map(OsString::into_string).transpose();
        text.map_err(|_| ConfigError::Variable { name, message: "it is not UTF-8".to_owned() })
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&self, name: &'static str) -> Result<Option<T>, ConfigError> {
        let value = self.text(name)?.map(|text| text.trim().parse()).transpose();
        value.map_err(|error: T::Err| ConfigError::Variable { name, message: error.to_string() })
    }

    fn list<T: FromStr<Err: fmt::Display>>(&self, name: &'static str) -> Result<Option<Vec<T>>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let items = text.split(',').map(|item| item.trim().parse()).collect::<Result<_, T::Err>>();
        items.map(Some).map_err(|error| ConfigError::Variable { name, message: error.to_string() })
    }

    fn switch(&self, name: &'static str) -> Result<Option<bool>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Some(true)),
            "0" | "false" | "no" | "off" => Ok(Some(false)),
            _ => Err(ConfigError::Variable { name, message: "say true or false".to_owned() }),
        }
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

/// Where the configuration file is when nobody says: `$XDG_CONFIG_HOME/send/config.toml` and its like.
pub fn default_path() -> Option<PathBuf> {
    let directories = directories::ProjectDirs::from("", "", "send")?;
    Some(directories.config_dir().join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<Layer, ConfigError> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Layer::from_environment(&lookup)
    }

    fn file(text: &str) -> Result<Layer, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        Layer::read(&path)
    }

    fn server(text: &str) -> ServerUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
        let resolve = |flag: Option<&str>, variable: &str, key: &str| {
            let flags = Layer { server: flag.map(server), ..Layer::default() };
            let environment = environment(&[("SEND_SERVER", variable)]).unwrap();
            Config::resolve(flags, environment, file(key).unwrap()).unwrap().server
        };
        let key = "server = 'https://file.example'";
        assert_eq!(resolve(Some("flag.example"), "env.example", key), Some(server("flag.example")));
        assert_eq!(resolve(None, "env.example", key), Some(server("env.example")));
        assert_eq!(resolve(None, "", key), Some(server("file.example")));
        assert_eq!(resolve(None, "", ""), None);
    }

    #[test]
    fn the_defaults_are_safe_ones() {
        let config = Config::resolve(Layer::default(), Layer::default(), Layer::default()).unwrap();
        assert_eq!(config.typed, Typed::Digits(4));
        assert_eq!(config.existing, Existing::KeepBoth);
        assert_eq!(config.symlinks, Symlinks::Skip);
        assert!(!config.yes);
        assert_eq!(config.stun, []);
    }

    #[test]
    fn an_unknown_key_in_the_file_is_an_error_that_names_it_and_its_line() {
        let error = file("yes = true\nsever = 'https://drop.example.org'\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("`sever`"), "{error}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_an_error_that_names_its_line() {
        let port = file("\n\nport = 'high'\n").unwrap_err().to_string();
        assert!(port.contains("line 3"), "{port}");
        let server = file("server = 'ftp://drop.example.org'").unwrap_err().to_string();
        assert!(server.contains("https://"), "{server}");
    }

    #[test]
    fn a_named_file_must_exist() {
        let missing = Path::new("/nonexistent/config.toml");
        let by_variable = |name: &str| (name == "SEND_CONFIG").then(|| OsString::from(missing));
        for result in [
            Config::load(Layer::default(), Some(missing), &|_| None),
            Config::load(Layer::default(), None, &by_variable),
        ] {
            assert!(matches!(result, Err(ConfigError::Unreadable { .. })), "{result:?}");
        }
    }

    #[test]
    fn a_switch_in_the_environment_can_be_turned_off() {
        let file = file("yes = true").unwrap();
        let config = Config::resolve(Layer::default(), environment(&[("SEND_YES", "0")]).unwrap(), file);
        assert!(!config.unwrap().yes);
        let error = environment(&[("SEND_YES", "maybe")]).unwrap_err().to_string();
        assert!(error.contains("SEND_YES"), "{error}");
    }

    #[test]
    fn a_code_of_less_than_four_digits_or_two_words_cannot_be_asked_for() {
        let three_digits = Layer { digits: Some(3), ..Layer::default() };
        let one_word = environment(&[("SEND_WORDS", "1")]).unwrap();
        let refused = |flags, environment| {
            Config::resolve(flags, environment, Layer::default()).unwrap_err().to_string()
        };
        assert_eq!(refused(three_digits, Layer::default()), "--digits must be 4 to 12, not 3");
        assert_eq!(refused(Layer::default(), one_word), "SEND_WORDS must be 2 to 8, not 1");
    }

    #[test]
    fn words_asked_for_by_flag_win_over_digits_of_the_file_but_not_beside_them() {
        let words = Layer { words: Some(3), ..Layer::default() };
        let config = Config::resolve(words, Layer::default(), file("digits = 6").unwrap());
        assert_eq!(config.unwrap().typed, Typed::Words(3));
        let both = file("digits = 6\nwords = 3").unwrap();
        let error = Config::resolve(Layer::default(), Layer::default(), both).unwrap_err().to_string();
        assert_eq!(
            error,
            "`digits` in the configuration file and `words` in the configuration file exclude each other"
        );
    }

    #[test]
    fn json_by_flag_wins_over_quiet_of_the_environment() {
        let json = Layer { json: Some(true), ..Layer::default() };
        let quiet = environment(&[("SEND_QUIET", "1")]).unwrap();
        assert_eq!(Config::resolve(json, quiet, Layer::default()).unwrap().format, Format::Json);
    }

    #[test]
    fn server_addresses_are_completed_and_others_refused() {
        let cases = [
            ("drop.example.org", Some("https://drop.example.org/")),
            ("http://192.168.1.7:8080", Some("http://192.168.1.7:8080/")),
            ("https://example.org/send", Some("https://example.org/send/")),
            ("wss://drop.example.org", None),
            ("https://me:secret@drop.example.org", None),
            ("https://drop.example.org/#k2v", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let parsed = text.parse::<ServerUrl>().ok();
            assert_eq!(parsed.as_ref().map(|server| server.as_url().as_str()), expected, "{text}");
        }
    }

    #[test]
    fn several_stun_servers_fit_into_one_variable() {
        let layer = environment(&[("SEND_STUN", "stun:a.example:3478, b.example")]).unwrap();
        let urls: Vec<_> = layer.stun.iter().flatten().map(StunUrl::as_str).collect();
        assert_eq!(urls, ["stun:a.example:3478", "stun:b.example"]);
        assert!(environment(&[("SEND_STUN", "https://a.example/")]).is_err());
    }
}
