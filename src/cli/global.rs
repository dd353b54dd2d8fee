//! Options for every command, which may stand before or after the command's name.

use super::error::CliError;
use super::value_parsers;
use crate::config::{ColorChoice, Layer, LogFormat, SignetChallenge};
use crate::output::{LogLevel, LogSettings};
use crate::primitives::Network;
use std::path::PathBuf;
use tracing::Level;

const NETWORK: &str = "Network (mainnet by default)";
const GLOBAL: &str = "Options for every command";

/// The `tracing` target under which P2P messages are logged.
pub(super) const TRACE_TARGET: &str = "p2p";

/// Options for every command.
#[derive(Clone, Debug, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct GlobalArgs {
    /// The main network
    #[arg(long, global = true, help_heading = NETWORK)]
    mainnet: bool,
    /// The old test network
    #[arg(long, alias = "testnet", global = true, help_heading = NETWORK)]
    testnet3: bool,
    /// The current test network
    #[arg(long, global = true, help_heading = NETWORK)]
    testnet4: bool,
    /// The signed test network
    #[arg(long, global = true, help_heading = NETWORK)]
    signet: bool,
    /// A private network for tests
    #[arg(long, global = true, help_heading = NETWORK)]
    regtest: bool,
    /// A network by its name: mainnet, testnet3, testnet4, signet, regtest, or Bitcoin Core's main or test
    /// [env: LIGHTCLIENT_NETWORK]
    #[arg(long, visible_alias = "chain", value_name = "NAME", global = true, help_heading = NETWORK)]
    #[arg(value_parser = value_parsers::network(), hide_possible_values = true)]
    network: Option<Network>,
    /// The signet with this challenge script, with a subfolder of its own
    /// [env: LIGHTCLIENT_SIGNET_CHALLENGE]
    #[arg(long, alias = "signetchallenge", value_name = "HEX", global = true, help_heading = NETWORK)]
    signet_challenge: Option<SignetChallenge>,

    /// Folder for the stored chains, with a subfolder for each network [env: LIGHTCLIENT_DATA_DIR] [default: the
    /// platform's folder for an application's data]
    #[arg(long, value_name = "DIR", global = true, help_heading = GLOBAL)]
    data_dir: Option<PathBuf>,
    /// Settings file [env: LIGHTCLIENT_CONFIG] [default: lightclient.toml in the data folder]
    #[arg(long, value_name = "FILE", global = true, help_heading = GLOBAL)]
    pub(super) config: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(super) json: bool,
    /// Log more: -v for what happens, -vv for details
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = GLOBAL)]
    verbose: u8,
    /// Log nothing, show no progress
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    pub(super) quiet: bool,
    /// Colours: auto (on a terminal, unless NO_COLOR is set), always or never [env: LIGHTCLIENT_COLOR]
    #[arg(long, value_name = "WHEN", global = true, help_heading = GLOBAL)]
    #[arg(value_parser = value_parsers::color(), hide_possible_values = true)]
    color: Option<ColorChoice>,
    /// How lines of the log are written: text, or json for one object a line [env: LIGHTCLIENT_LOG_FORMAT]
    /// [default: text]
    #[arg(long, value_name = "FORMAT", global = true, help_heading = GLOBAL)]
    #[arg(value_parser = value_parsers::log_format(), hide_possible_values = true)]
    log_format: Option<LogFormat>,
    /// Log every P2P message; --trace=hex adds its bytes
    #[arg(long, value_name = "FORMAT", global = true, help_heading = GLOBAL)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    #[arg(value_parser = ["text", "hex"], hide_possible_values = true)]
    trace: Option<String>,
}

impl GlobalArgs {
    /// Returns the settings that these options set.
    ///
    /// # Errors
    /// More than one network is chosen.
    pub(super) fn layer(&self) -> Result<Layer, CliError> {
        Ok(Layer {
            network: self.network()?,
            signet_challenge: self.signet_challenge.clone(),
            data_dir: self.data_dir.clone(),
            color: self.color,
            log_format: self.log_format,
            ..Layer::default()
        })
    }

    fn network(&self) -> Result<Option<Network>, CliError> {
        let flags = [self.mainnet, self.testnet3, self.testnet4, self.signet, self.regtest];
        let flagged = Network::ALL.into_iter().zip(flags).filter_map(|(n, set)| set.then_some(n));
        // clap does not detect a conflict between an option before the command's name and one after it.
        let mut chosen: Vec<Network> = flagged.chain(self.network).collect();
        chosen.dedup();
        match chosen[..] {
            [] => Ok(None),
            [network] => Ok(Some(network)),
            [first, second, ..] => Err(CliError::Usage(format!(
                "{first} and {second} are both chosen: a command works on one network, choose one"
            ))),
        }
    }

    /// Returns the settings of the log.
    pub(super) fn log(&self, color: bool, json: bool) -> LogSettings {
        let level = match self.verbose {
            _ if self.quiet => LogLevel::Off,
            0 => LogLevel::Warn,
            1 => LogLevel::Info,
            _ => LogLevel::Debug,
        };
        let traced = self.trace.as_deref().map(|format| {
            (TRACE_TARGET, if format == "hex" { Level::TRACE } else { Level::DEBUG })
        });
        LogSettings { level, traced, color, json }
    }
}
