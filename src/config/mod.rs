//! Settings: flags > environment > file > defaults.
//!
//! Every setting has one name (`min-chain-work`), from which the flag (`--min-chain-work`), the variable
//! (`LIGHTCLIENT_MIN_CHAIN_WORK`) and the key in the file (`min-chain-work = …`) follow, and one way to be read.

mod endpoint;
mod error;
#[cfg(feature = "cli")]
mod layer;
#[cfg(feature = "cli")]
mod load;
mod proxy;
#[cfg(feature = "cli")]
mod values;

pub(crate) use endpoint::Endpoint;
pub(crate) use error::ConfigError;
#[cfg(feature = "cli")]
pub(crate) use layer::{KEYS, Layer};
#[cfg(feature = "cli")]
pub(crate) use load::{CONFIG_FILE, Config, Sources, VARIABLE_PREFIX, load, read_text};
#[cfg(feature = "cli")]
pub(crate) use values::{
    ColorChoice, DnsServer, HintsSource, MinChainWork, PeerCount, SignetChallenge, seconds,
};

use directories::ProjectDirs;
use std::path::PathBuf;

/// The platform's folder for the data of applications; `None` where it has none.
pub(crate) fn default_data_dir() -> Option<PathBuf> {
    ProjectDirs::from("", "", "lightclient").map(|dirs| dirs.data_dir().to_owned())
}
