//! Settings: flags > environment > file > defaults.
//!
//! Every setting has one name (`min-chain-work`), from which the flag (`--min-chain-work`), the variable
//! (`LIGHTCLIENT_MIN_CHAIN_WORK`) and the key in the file (`min-chain-work = …`) follow, and one way to be read.

mod endpoint;
mod error;
mod layer;
mod load;
mod proxy;
mod values;

pub use endpoint::Endpoint;
pub use error::{ConfigError, ValueError};
pub use layer::{KEYS, Layer};
pub use load::{CONFIG_FILE, Config, Given, Sources, VARIABLE_PREFIX, load, read_text};
pub use proxy::{ProxyPlace, ProxyUrl};
pub use values::{
    ColorChoice, DnsServer, HintsSource, MAX_PEERS, MinChainWork, PeerCount, SignetChallenge,
    seconds,
};
