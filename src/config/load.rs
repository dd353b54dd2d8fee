//! Loads the settings from all sources.

use super::default_data_dir;
use super::error::{ConfigError, ValueError};
use super::file::file_layer;
use super::host_port::HostPort;
use super::layer::{KEYS, Layer};
use super::paths::{expand_home, expand_homes};
use super::serve::ServeLayer;
use super::values::{
    ColorChoice, DnsServer, HintsSource, LogFormat, MinChainWork, PeerCount, SignetChallenge,
};
use crate::chain::{Params, params};
use crate::net::Proxy;
use crate::primitives::Network;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Name of the settings file in the data folder. The file is read if it exists and no other settings file is named.
pub(crate) const CONFIG_FILE: &str = "lightclient.toml";

/// The prefix of the environment variables that set settings.
pub(crate) const VARIABLE_PREFIX: &str = "LIGHTCLIENT_";

/// All settings. A setting that no source sets has its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppConfig {
    /// The network.
    pub network: Network,
    /// The network's parameters, which differ between signets.
    pub params: &'static Params,
    /// The challenge script, if a custom signet is chosen.
    pub signet_challenge: Option<SignetChallenge>,
    /// The data folder. Each network has a subfolder with its name. The subfolder of a custom signet is named after
    /// its magic.
    pub data_dir: PathBuf,
    /// If not empty, the only peers to connect to.
    pub connect: Vec<HostPort>,
    /// Peers to connect to in addition to those that are found.
    pub add_peers: Vec<HostPort>,
    /// How many peers to connect to at once.
    pub peers: PeerCount,
    /// Where hints come from.
    pub hints: HintsSource,
    /// The minimum chain work, if it is not the network's own.
    pub min_chain_work: Option<MinChainWork>,
    /// How long to wait. The meaning depends on the command.
    pub timeout: Option<Duration>,
    /// Whether to ask the network's DNS seeds.
    pub dns: bool,
    /// The DNS server to use instead of the system's resolver.
    pub dns_server: Option<DnsServer>,
    /// A SOCKS5 proxy for every connection.
    pub proxy: Option<Proxy>,
    /// When to colour output.
    pub color: ColorChoice,
    /// How the lines of the log are written.
    pub log_format: LogFormat,
    /// The settings of `serve`.
    pub serve: ServeLayer,
    /// The settings that the user has chosen and that advised commands repeat.
    pub chosen: ChosenSettings,
}

/// The user's choices that advised commands repeat. A choice may come from a flag, the environment or the settings
/// file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChosenSettings {
    /// Whether a network was chosen.
    pub network: bool,
    /// Whether a data folder was chosen.
    pub data_dir: bool,
    /// The settings file, if the user named it.
    pub file: Option<PathBuf>,
}

impl AppConfig {
    /// Returns the folder of the network, which has the database and the socket.
    pub(crate) fn folder(&self) -> PathBuf {
        self.data_dir.join(self.params.folder_name())
    }
}

/// The sources of settings.
pub(crate) struct Sources<'a> {
    /// The settings from flags.
    pub flags: Layer,
    /// The file named with `--config`.
    pub file: Option<PathBuf>,
    /// Returns the value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
}

/// Loads the settings from all sources.
///
/// # Errors
/// A settings file cannot be read or is not TOML, a key or value is not valid, one source chooses a signet challenge
/// and another network, or the home or data folder is not known.
pub(crate) fn load(sources: Sources<'_>) -> Result<AppConfig, ConfigError> {
    let variable = |name: &str| {
        let value = (sources.variable)(&format!("{VARIABLE_PREFIX}{name}"));
        // An empty variable counts as unset, because people write `NAME= command` to unset it for one command.
        value.filter(|value| !value.is_empty())
    };
    let home = (sources.variable)("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let environment =
        environment(&variable, &sources.flags)?.with_signet().map_err(ConfigError::TwoNetworks)?;
    let flags = sources.flags.with_signet().map_err(ConfigError::TwoNetworks)?;
    let above = expand_homes(flags.over(environment), home.as_deref())?;
    let named = sources.file.or_else(|| variable("CONFIG").map(PathBuf::from));
    let named = named.map(|path| expand_home(path, home.as_deref())).transpose()?;
    let file = match named.clone() {
        Some(path) => Some(path),
        None => match above.data_dir.clone().or_else(default_data_dir) {
            Some(folder) => Some(folder.join(CONFIG_FILE)).filter(|path| path.exists()),
            None => None,
        },
    };
    let below = file.map(|path| file_layer(&path, home.as_deref())).transpose()?;
    complete(above.over(below.unwrap_or_default()), named)
}

/// Returns the settings for a command that reads no settings but its flags, and has no use for a data folder.
///
/// # Errors
/// None. The data folder is the only setting that may lack a default, and this function sets it.
pub(crate) fn only_flags(flags: Layer) -> Result<AppConfig, ConfigError> {
    let data_dir = flags.data_dir.clone().or_else(|| Some(PathBuf::new()));
    complete(Layer { data_dir, ..flags }, None)
}

/// Fills in the defaults.
fn complete(layer: Layer, file: Option<PathBuf>) -> Result<AppConfig, ConfigError> {
    let network = layer.network.unwrap_or(Network::Mainnet);
    let chosen = ChosenSettings {
        network: layer.network.is_some(),
        data_dir: layer.data_dir.is_some(),
        file,
    };
    let challenge = layer.signet_challenge.filter(|_| network == Network::Signet);
    Ok(AppConfig {
        network,
        // The parameters are leaked because a process loads its settings once and needs the parameters until it ends.
        params: challenge.as_ref().map_or_else(
            || params(network),
            |script| Box::leak(Box::new(Params::signet(&script.0))),
        ),
        data_dir: layer.data_dir.or_else(default_data_dir).ok_or(ConfigError::NoDataFolder)?,
        connect: layer.connect.unwrap_or_default(),
        add_peers: layer.add_peer.unwrap_or_default(),
        peers: layer.peers.unwrap_or_default(),
        hints: layer.hints.unwrap_or_default(),
        min_chain_work: layer.min_chain_work,
        timeout: layer.timeout,
        dns: !layer.no_dns.unwrap_or(false),
        dns_server: layer.dns_server,
        proxy: layer.proxy,
        color: layer.color.unwrap_or_default(),
        log_format: layer.log_format.unwrap_or_default(),
        serve: layer.serve,
        signet_challenge: challenge,
        chosen,
    })
}

/// Returns the settings from the environment, except those that flags set: a wrong variable is no error if a flag
/// overrides it.
fn environment(
    variable: &dyn Fn(&str) -> Option<OsString>,
    flags: &Layer,
) -> Result<Layer, ConfigError> {
    let mut layer = Layer::default();
    let name_of = |name: &str| format!("{VARIABLE_PREFIX}{name}");
    for key in KEYS.iter().filter(|key| !flags.has(key)) {
        let name = key.replace('-', "_").to_uppercase();
        let Some(value) = variable(&name) else { continue };
        let Some(text) = value.to_str() else {
            // A path need not be valid UTF-8.
            let path = PathBuf::from(&value);
            match *key {
                "data-dir" => layer.data_dir = Some(path),
                "hints" => layer.hints = Some(HintsSource::File(path)),
                "rpc-cookie-file" => layer.serve.rpc_cookie_file = Some(path),
                _ => {
                    let source = ValueError::new("text in UTF-8", &value.to_string_lossy());
                    return Err(ConfigError::Environment { variable: name_of(&name), source });
                }
            }
            continue;
        };
        let values: Vec<String> = match *key {
            "connect" | "add-peer" | "rpc-bind" | "rpc-allow-host" | "rpc-auth" => {
                text.split(',').map(|item| item.trim().to_owned()).collect()
            }
            _ => vec![text.to_owned()],
        };
        let wrong = |source| ConfigError::Environment { variable: name_of(&name), source };
        layer.set(key, &values).map_err(wrong)?;
    }
    Ok(layer)
}

#[cfg(test)]
mod tests {
    use super::{AppConfig, CONFIG_FILE, ConfigError, Layer, Sources, load};
    use crate::config::{HintsSource, PeerCount};
    use crate::primitives::Network;
    use std::ffi::OsString;
    use std::fs;
    use std::path::Path;

    fn loaded(
        folder: &Path,
        flags: Layer,
        variables: &[(&str, &str)],
    ) -> Result<AppConfig, ConfigError> {
        let flags = Layer { data_dir: Some(folder.to_owned()), ..flags };
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        load(Sources { flags, file: None, variable: &variable })
    }

    #[test]
    fn flags_override_the_environment_which_overrides_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let network = |flags: Layer, variables: &[(&str, &str)]| {
            loaded(folder.path(), flags, variables).unwrap().network
        };
        let flags = || Layer { network: Some(Network::Testnet4), ..Layer::default() };
        let variables = [("LIGHTCLIENT_NETWORK", "signet")];
        assert_eq!(network(Layer::default(), &[]), Network::Mainnet);
        fs::write(folder.path().join(CONFIG_FILE), "network = \"regtest\"\npeers = 3").unwrap();
        assert_eq!(network(Layer::default(), &[]), Network::Regtest);
        assert_eq!(network(Layer::default(), &variables), Network::Signet);
        assert_eq!(network(Layer::default(), &[("LIGHTCLIENT_NETWORK", "")]), Network::Regtest);
        assert_eq!(network(flags(), &variables), Network::Testnet4);
        let config = loaded(folder.path(), flags(), &variables).unwrap();
        assert_eq!(config.peers, PeerCount(3));
        assert_eq!(config.folder(), folder.path().join("testnet4"));
    }

    #[test]
    fn a_wrong_variable_is_no_error_if_a_flag_overrides_it() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = [("LIGHTCLIENT_PEERS", "abc")];
        let flags = Layer { peers: Some(PeerCount(3)), ..Layer::default() };
        assert_eq!(loaded(folder.path(), flags, &wrong).unwrap().peers, PeerCount(3));
        assert!(loaded(folder.path(), Layer::default(), &wrong).is_err());
    }

    #[test]
    fn a_signet_challenge_chooses_its_signet_unless_a_flag_names_another_network() {
        let folder = tempfile::tempdir().unwrap();
        let challenge = || Layer { signet_challenge: "51".parse().ok(), ..Layer::default() };
        let on = |network| Layer { network: Some(network), ..Layer::default() };
        let name = |flags: Layer, variables: &[(&str, &str)]| {
            loaded(folder.path(), flags, variables).map(|config| config.params.folder_name())
        };
        let variable = [("LIGHTCLIENT_SIGNET_CHALLENGE", "51")];
        assert_eq!(name(challenge(), &[]).unwrap(), "signet-54d26fbd");
        assert_eq!(
            name(challenge(), &[("LIGHTCLIENT_NETWORK", "main")]).unwrap(),
            "signet-54d26fbd"
        );
        assert_eq!(name(Layer::default(), &variable).unwrap(), "signet-54d26fbd");
        assert_eq!(name(on(Network::Testnet4), &variable).unwrap(), "testnet4");
        let both = Layer { network: Some(Network::Testnet4), ..challenge() };
        assert!(matches!(name(both, &[]), Err(ConfigError::TwoNetworks(Network::Testnet4))));
        fs::write(folder.path().join(CONFIG_FILE), "signet-challenge = \"0x51\"").unwrap();
        assert_eq!(name(Layer::default(), &[]).unwrap(), "signet-54d26fbd");
        assert_eq!(name(on(Network::Signet), &[]).unwrap(), "signet-54d26fbd");
        assert_eq!(name(on(Network::Mainnet), &[]).unwrap(), "mainnet");
    }

    #[test]
    fn errors_name_the_mistake_in_the_file_or_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let message = |text: &str| {
            fs::write(folder.path().join(CONFIG_FILE), text).unwrap();
            loaded(folder.path(), Layer::default(), &[]).unwrap_err().to_string()
        };
        assert!(message("peer = 3").contains("unknown key \"peer\": the keys are network"));
        assert!(message("peers = 0").contains("peers: expected a number from 1 to 125, got \"0\""));
        for (text, got) in [("100", "100"), ("0x100", "256")] {
            let told = message(&format!("min-chain-work = {text}"));
            let said = format!("expected hex digits in quotes, as \"0x100\", got \"{got}\"");
            assert!(told.contains(&said), "{told}");
        }
        assert!(message("peers = 3\n= 4").contains("line 2"));
        assert!(!message("peers = 3\n= 4").contains('\n'));
        assert!(
            message("[hints]\nfile = \"x\"").contains("hints: expected a value, got \"a table\"")
        );
        assert!(
            message("data-dir = 2026-11-27").contains("data-dir: expected a value, got \"a date\"")
        );
        let error = loaded(folder.path(), Layer::default(), &[("LIGHTCLIENT_PEERS", "x")]);
        assert!(error.unwrap_err().to_string().contains("variable LIGHTCLIENT_PEERS: expected"));
    }

    #[test]
    fn a_tilde_means_the_home_folder() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = |path: &str, variables: &[(&str, &str)]| {
            let flags = Layer { data_dir: Some(path.into()), ..Layer::default() };
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            };
            let file = folder.path().join("settings.toml");
            fs::write(&file, format!("data-dir = {path:?}")).unwrap();
            let loaded = |flags, file| load(Sources { flags, file, variable: &variable });
            (loaded(flags, None), loaded(Layer::default(), Some(file)))
        };
        let home = [("HOME", "/Users/satoshi")];
        for (path, meant) in [("~/chain", "/Users/satoshi/chain"), ("/a/~/b", "/a/~/b")] {
            let (flag, file) = data_dir(path, &home);
            assert_eq!(flag.unwrap().data_dir, Path::new(meant), "{path}");
            assert_eq!(file.unwrap().data_dir, Path::new(meant), "{path}");
        }
        for (path, variables) in [("~/chain", &[][..]), ("~hal/chain", &home)] {
            let (flag, file) = data_dir(path, variables);
            assert!(matches!(flag, Err(ConfigError::Home { .. })), "{path}: {flag:?}");
            assert!(matches!(file, Err(ConfigError::Home { .. })), "{path}: {file:?}");
        }
    }

    #[test]
    fn lists_and_relative_paths_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let text = "connect = [\"a:1\", \"b\"]\nhints = \"my.hints\"\nno-dns = true";
        fs::write(folder.path().join(CONFIG_FILE), text).unwrap();
        let config = loaded(folder.path(), Layer::default(), &[]).unwrap();
        assert_eq!(config.connect.len(), 2);
        assert_eq!(config.hints, HintsSource::File(folder.path().join("my.hints")));
        assert!(!config.dns);
        let config =
            loaded(folder.path(), Layer::default(), &[("LIGHTCLIENT_CONNECT", "c, d, e:5")]);
        assert_eq!(config.unwrap().connect[2].port, Some(5));
    }
}
