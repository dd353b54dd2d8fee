//! Settings. Flags override the environment, which overrides the settings file, which overrides the defaults.
//!
//! The name of a setting (`min-chain-work`) determines its flag (`--min-chain-work`), its variable
//! (`LIGHTCLIENT_MIN_CHAIN_WORK`) and its key in the file (`min-chain-work = …`). The text of a value means the same in
//! all three.

mod error;
#[cfg(feature = "cli")]
mod file;
#[cfg(all(feature = "cli", any(test, feature = "fuzzing")))]
#[allow(clippy::unwrap_used, reason = "all of it is a test")]
mod fuzz;
mod host_port;
#[cfg(feature = "cli")]
mod layer;
#[cfg(feature = "cli")]
mod load;
#[cfg(feature = "cli")]
mod paths;
mod proxy;
#[cfg(feature = "cli")]
mod serve;
#[cfg(feature = "cli")]
mod values;

pub(crate) use error::ConfigError;
#[cfg(feature = "cli")]
pub(crate) use file::read_text;
#[cfg(all(feature = "cli", any(test, feature = "fuzzing")))]
pub(crate) use fuzz::fuzz;
pub(crate) use host_port::HostPort;
#[cfg(feature = "cli")]
pub(crate) use layer::{KEYS, Layer};
#[cfg(feature = "cli")]
pub(crate) use load::{AppConfig, CONFIG_FILE, Sources, VARIABLE_PREFIX, load, only_flags};
#[cfg(feature = "cli")]
pub(crate) use proxy::without_login;
#[cfg(feature = "cli")]
pub(crate) use serve::{BindAddress, Listen, RpcAuth, ServeLayer, ServiceBits, on_or_off, port};
#[cfg(feature = "cli")]
pub(crate) use values::{
    ColorChoice, DnsServer, HintsSource, LogFormat, MinChainWork, PeerCount, SignetChallenge,
    seconds,
};

use directories::ProjectDirs;
use std::path::PathBuf;

/// Returns the platform's folder for application data, if it has one.
pub(crate) fn default_data_dir() -> Option<PathBuf> {
    ProjectDirs::from("", "", "lightclient").map(|dirs| dirs.data_dir().to_owned())
}
