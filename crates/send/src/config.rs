//! What a command works with: flag, else `SEND_*` environment, else configuration file, else default.
//!
//! Each of the three sources is read into a [`Layer`]; [`Config::resolve`] lays them over each other. The key of a
//! setting is the name of its flag everywhere: `--link-only`, `SEND_LINK_ONLY`, `link-only = true`.

mod addresses;
mod environment;
mod error;
mod layer;
mod token;

use std::ffi::OsString;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use wire::code::Password;

use self::environment::Environment;
use crate::policy::Policy;

pub use self::addresses::{ParseServerUrlError, ParseStunUrlError, ServerUrl, StunUrl};
pub use self::error::{ConfigError, Origin};
pub use self::layer::Layer;
pub use self::token::Token;
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

/// Where the configuration file is when nobody says: `$XDG_CONFIG_HOME/send/config.toml` and its like.
pub fn default_path() -> Option<PathBuf> {
    let directories = directories::ProjectDirs::from("", "", "send")?;
    Some(directories.config_dir().join("config.toml"))
}

#[cfg(test)]
mod tests;
