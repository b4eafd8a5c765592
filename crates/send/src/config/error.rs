//! Why a configuration cannot be used, and who said what is wrong in it.

use std::path::PathBuf;

use thiserror::Error;

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
    pub(super) fn name(self, key: &str) -> String {
        match self {
            Self::Flag => format!("--{key}"),
            Self::Environment => format!("SEND_{}", key.to_ascii_uppercase().replace('-', "_")),
            Self::File => format!("`{key}` in the configuration file"),
        }
    }
}
