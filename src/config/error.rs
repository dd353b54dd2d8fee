//! What can be wrong with settings.

use crate::primitives::Network;
use std::io;
use std::path::PathBuf;

/// A value that does not fit its setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got:?}")]
#[allow(unreachable_pub, reason = "reading a `Proxy` fails with it, which is `pub` in its module")]
pub struct ValueError {
    /// What the setting takes.
    pub expected: &'static str,
    /// What it was given.
    pub got: String,
}

impl ValueError {
    pub(super) fn new(expected: &'static str, got: &str) -> Self {
        Self { expected, got: got.to_owned() }
    }
}

/// Why settings could not be used; each is the user's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file that was named cannot be read.
    #[error("configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("configuration file {}, line {line}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
    /// A key that is none of ours.
    #[error("configuration file {}: unknown key {key:?}: the keys are {}",
        path.display(), known.join(", "))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The keys there are.
        known: &'static [&'static str],
    },
    /// A value in the file that does not fit its key.
    #[error("configuration file {}: {key}: {source}", path.display())]
    FileValue {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong.
        source: ValueError,
    },
    /// A value in the environment that does not fit its variable.
    #[error("environment variable {variable}: {source}")]
    Environment {
        /// The variable.
        variable: String,
        /// What is wrong.
        source: ValueError,
    },
    /// A signet's challenge beside another network.
    #[error(
        "a signet challenge and {0} are both chosen: a command works on one network, choose one"
    )]
    ChallengeOf(Network),
    /// A path in somebody's home folder that is not known here.
    #[error("{}: ~ is your home folder as ~/…, and where HOME is set: write the path in full", path.display())]
    Home {
        /// The path.
        path: PathBuf,
    },
    /// The platform names no folder for data.
    #[error("no folder for data is known here (HOME is not set): choose one with --data-dir DIR")]
    NoDataFolder,
}
