//! The command line, with one file for each command.
//!
//! The file of a command has its arguments, its result as a serde struct, and `run`, which gets a [`CommandContext`].

mod advice;
mod args;
pub(crate) mod block;
mod block_id;
mod chart;
mod color;
mod completions;
mod context;
mod error;
pub(crate) mod export;
mod follow;
mod global;
mod heights;
mod hex_arg;
mod http_server;
pub(crate) mod import;
mod interrupt;
mod limits;
mod man;
pub(crate) mod mempool;
mod network_args;
mod no_peer;
mod panics;
mod peer_server;
pub(crate) mod peers;
pub(crate) mod ping;
pub(crate) mod proof;
pub(crate) mod query;
mod request;
mod runtime;
pub(crate) mod serve;
mod servers;
mod span;
mod spelling;
pub(crate) mod status;
mod stored;
pub(crate) mod sync;
mod time_arg;
pub(crate) mod tx;
mod tx_send;
mod tx_text;
mod value_parsers;
pub(crate) mod verify;
mod wrong_clock;

pub(crate) use args::{ChainArgs, PeerPoolArgs};
pub(crate) use context::CommandContext;
pub(crate) use error::CliError;
use error::ErrorForm;
pub(crate) use global::GlobalArgs;

use crate::chainstate::{check_system_clock, unix_now_secs};
use crate::config::{self, ColorChoice, Layer, LogFormat, Sources, without_login};
use crate::output::is_dumb;
use crate::store::set_command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Examples:
  lightclient sync                 Download and verify every header of mainnet
  lightclient query tip            The newest header that is stored
  lightclient query 840000 --json  The keys of bitcoin-cli getblockheader
  lightclient status --testnet4    The state of another network's stored chain
  lightclient peers                Peers that can be reached, and their versions
  lightclient export headers.csv   All stored headers as a table
  lightclient block 840000         A block, checked against its stored header
  lightclient serve                Answer JSON-RPC and REST, and show a web page

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no peer could be used, 4 the data folder is in use, \
5 stored data is damaged, 6 not found, 129, 130 and 143 interrupted.";

/// A Bitcoin light client that downloads and verifies block headers only
///
/// It finds peers, checks every header since genesis, stores the headers, and answers questions about them. It is not a
/// wallet.
#[derive(Debug, Parser)]
#[command(name = "lightclient", version = env!("LIGHTCLIENT_VERSION"), after_help = AFTER_HELP, max_term_width = 110)]
#[command(propagate_version = true)]
pub(crate) struct Cli {
    /// Options for every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The command.
    #[command(subcommand)]
    pub command: CliCommand,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Download and verify headers up to the network's tip
    Sync(sync::SyncArgs),
    /// Print stored headers: by height, hash, range or time
    Query(query::QueryArgs),
    /// Show the state of the stored chain
    Status(status::StatusArgs),
    /// Check every stored header again, from genesis, offline
    Verify(verify::VerifyArgs),
    /// Write stored headers to a file: CSV, JSON Lines, raw or another format
    Export(export::ExportArgs),
    /// Draw the stored chain: difficulty, hash rate, intervals or versions
    Chart(chart::ChartArgs),
    /// Import headers from a file, checked as if a peer had sent them
    Import(import::ImportArgs),
    /// Find peers, ask them for addresses, and print the peers
    Peers(peers::PeersArgs),
    /// Ping a peer and show the round-trip times
    Ping(ping::PingArgs),
    /// Download a block and check it against its stored header
    Block(block::BlockArgs),
    /// Get a transaction, from peers or from its block, or send one
    Tx(tx::TxArgs),
    /// Check or make merkle proofs of transactions
    Proof(proof::ProofArgs),
    /// Watch transactions as peers announce them
    Mempool(mempool::MempoolArgs),
    /// Follow the chain, answer JSON-RPC and REST requests, and show a web page
    Serve(serve::ServeArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print a manual page, or write all of them
    Man(man::ManArgs),
}

impl CliCommand {
    /// Returns the settings that the command's own options set.
    fn layer(&self) -> Layer {
        match self {
            Self::Sync(args) => args.layer(),
            Self::Import(args) => args.layer(),
            Self::Peers(args) => args.layer(),
            Self::Ping(args) => args.layer(),
            Self::Block(args) => args.layer(),
            Self::Tx(args) => args.layer(),
            Self::Proof(args) => args.layer(),
            Self::Mempool(args) => args.layer(),
            Self::Serve(args) => args.layer(),
            Self::Query(_)
            | Self::Status(_)
            | Self::Verify(_)
            | Self::Export(_)
            | Self::Chart(_)
            | Self::Completions(_)
            | Self::Man(_) => Layer::default(),
        }
    }

    /// Returns the name, which other processes see while this one uses the data folder.
    fn name(&self) -> &'static str {
        match self {
            Self::Sync(_) => "sync",
            Self::Query(_) => "query",
            Self::Status(_) => "status",
            Self::Verify(_) => "verify",
            Self::Export(_) => "export",
            Self::Chart(_) => "chart",
            Self::Import(_) => "import",
            Self::Peers(_) => "peers",
            Self::Ping(_) => "ping",
            Self::Block(_) => "block",
            Self::Tx(_) => "tx",
            Self::Proof(_) => "proof",
            Self::Mempool(_) => "mempool",
            Self::Serve(_) => "serve",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }

    /// Returns whether the command reads the environment and a settings file. `completions` and `man` do not: packages
    /// run them while they are built, and a builder's settings must not matter.
    fn reads_settings(&self) -> bool {
        !matches!(self, Self::Completions(_) | Self::Man(_))
    }

    fn run(self, context: &mut CommandContext) -> Result<(), CliError> {
        match self {
            Self::Query(args) => query::run(&args, context),
            Self::Status(args) => status::run(&args, context),
            Self::Sync(args) => sync::run(&args, context),
            Self::Verify(args) => verify::run(&args, context),
            Self::Export(args) => export::run(&args, context),
            Self::Chart(args) => chart::run(&args, context),
            Self::Import(args) => import::run(&args, context),
            Self::Peers(args) => peers::run(&args, context),
            Self::Ping(args) => ping::run(&args, context),
            Self::Block(args) => block::run(&args, context),
            Self::Tx(args) => tx::run(&args, context),
            Self::Proof(args) => proof::run(&args, context),
            Self::Mempool(args) => mempool::run(&args, context),
            Self::Serve(_) => serve::run(context),
            Self::Completions(args) => completions::run(&args, Cli::command(), context),
            Self::Man(args) => man::run(&args, Cli::command(), context),
        }
    }
}

/// Parses the arguments and runs the command. Prints the error if there is one, and returns the exit code.
pub fn main() -> ExitCode {
    limits::save_address_space();
    let args: Vec<OsString> = env::args_os().collect();
    let color = color::color_before_parsing(&args);
    let mut form = ErrorForm { color, ..ErrorForm::default() };
    let result = panics::catch_panic(|| parse(args, color).and_then(|cli| run(cli, &mut form)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error::report(&error, &form),
    }
}

fn parse(args: Vec<OsString>, color: ColorChoice) -> Result<Cli, CliError> {
    let command = Cli::command().color(match color {
        ColorChoice::Auto if is_dumb() => clap::ColorChoice::Never,
        ColorChoice::Auto => clap::ColorChoice::Auto,
        ColorChoice::Always => clap::ColorChoice::Always,
        ColorChoice::Never => clap::ColorChoice::Never,
    });
    let hint = trace_hint(&args);
    let matches = command.try_get_matches_from(spelling::normalize(args));
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
        let error = without_password(error);
        match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                CliError::Help(Box::new(error))
            }
            _ => CliError::Usage(error::one_line(&error) + hint),
        }
    })
}

/// Masks the login in an error about `--proxy`: clap repeats the value that it refuses, which may contain a password.
fn without_password(mut error: clap::Error) -> clap::Error {
    let is_proxy = matches!(error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(name)) if name.starts_with("--proxy"));
    if let (true, Some(ContextValue::String(value))) =
        (is_proxy, error.get(ContextKind::InvalidValue))
    {
        let masked = ContextValue::String(without_login(value));
        error.insert(ContextKind::InvalidValue, masked);
    }
    error
}

/// Returns a hint for `--trace hex`, which clap reads as `--trace` followed by another argument.
fn trace_hint(args: &[OsString]) -> &'static str {
    let is_trace_format =
        |pair: &[OsString]| pair[0] == "--trace" && (pair[1] == "hex" || pair[1] == "text");
    if args.windows(2).any(is_trace_format) {
        "; a format of --trace follows a =, as --trace=hex"
    } else {
        ""
    }
}

/// Loads the settings and runs the command. Sets `form` as soon as the settings are known.
fn run(cli: Cli, form: &mut ErrorForm) -> Result<(), CliError> {
    if matches!(cli.command, CliCommand::Serve(_)) {
        limits::share_heaps();
    }
    // With a clock before 1970 the database cannot be opened.
    check_system_clock().map_err(|error| CliError::Failed(error.to_string()))?;
    set_command(cli.command.name(), unix_now_secs());
    let flags = cli.command.layer().over(cli.global.layer()?);
    let file = cli.global.config.clone();
    let sources = Sources { flags: flags.clone(), file, variable: &|name| env::var_os(name) };
    let config = if cli.command.reads_settings() {
        config::load(sources)?
    } else {
        config::only_flags(flags.clone())?
    };
    let wording = advice::wording(&config, &flags);
    *form = ErrorForm {
        color: config.color,
        is_json: config.log_format == LogFormat::Json,
        wording: wording.clone(),
    };
    let mut context = CommandContext::new(config, &cli.global, wording);
    let result = cli.command.run(&mut context);
    // What the command printed before it failed is a result too.
    let flushed = context.out.flush();
    result?;
    Ok(flushed?)
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    /// Returns a command and all its subcommands.
    fn with_all(command: &clap::Command) -> Vec<clap::Command> {
        let inner = command.get_subcommands().flat_map(with_all);
        [command.clone()].into_iter().chain(inner).collect()
    }

    #[test]
    fn notes_have_one_line_per_paragraph_and_examples_fit_in_80_columns() {
        const COLUMNS: usize = 80;
        let mut commands = 0;
        for command in with_all(&Cli::command()) {
            let Some(notes) = command.get_after_help() else { continue };
            commands += 1;
            let notes = notes.to_string();
            let lines: Vec<&str> = notes.lines().collect();
            let is_paragraph = |line: &str| !line.is_empty() && !line.starts_with(' ');
            for pair in lines.windows(2) {
                assert!(
                    !is_paragraph(pair[0]) || !is_paragraph(pair[1]),
                    "{pair:?} are one paragraph"
                );
            }
            let long =
                lines.iter().find(|line| !is_paragraph(line) && line.chars().count() > COLUMNS);
            assert_eq!(long, None, "{}", command.get_name());
        }
        assert!(commands > 12, "{commands}");
    }

    #[test]
    fn claps_own_checks_of_the_command_line_pass() {
        Cli::command().debug_assert();
    }
}
