//! The errors of settings.

use crate::primitives::Network;
use std::io;
use std::path::PathBuf;

/// A value that is not valid for its setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got:?}")]
#[allow(unreachable_pub, reason = "the error of parsing a `Proxy`, which is `pub` in its module")]
pub struct ValueError {
    /// What the setting accepts.
    pub expected: &'static str,
    /// The value.
    pub got: String,
}

impl ValueError {
    pub(super) fn new(expected: &'static str, got: &str) -> Self {
        Self { expected, got: got.to_owned() }
    }
}

/// Why settings cannot be used. The user can correct each of these errors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The settings file cannot be read.
    #[error("configuration file {}: {source}: check --config and the file's permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file {}, line {line}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// The parser's error.
        reason: String,
    },
    /// The file has an unknown key.
    #[error("configuration file {}: unknown key {key:?}: the keys are {}",
        path.display(), known.join(", "))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// All keys.
        known: &'static [&'static str],
    },
    /// A value in the file is not valid.
    #[error("configuration file {}: {key}: {source}", path.display())]
    FileValue {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Why the value is not valid.
        source: ValueError,
    },
    /// A value in the environment is not valid.
    #[error("environment variable {variable}: {source}")]
    Environment {
        /// The variable.
        variable: String,
        /// Why the value is not valid.
        source: ValueError,
    },
    /// A signet challenge and another network are both chosen.
    #[error(
        "a signet challenge and {0} are both chosen: a command works on one network, choose one"
    )]
    TwoNetworks(Network),
    /// A path begins with `~`, and the home folder that it means is not known.
    #[error(
        "{}: ~ stands for your home folder only in ~/…, and only if HOME is set: write the path in full",
        path.display()
    )]
    Home {
        /// The path.
        path: PathBuf,
    },
    /// The platform has no folder for application data.
    #[error("no folder for data is known here (HOME is not set): choose one with --data-dir DIR")]
    NoDataFolder,
}
