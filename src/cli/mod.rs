//! The command line: what is accepted, and one file for each command.
//!
//! A command's file has its arguments, its result as a serde struct, and `run`, which gets a [`Context`].

mod advice;
mod args;
pub(crate) mod block;
mod completions;
mod context;
mod error;
pub(crate) mod export;
mod follow;
mod global;
mod heights;
pub(crate) mod import;
mod interrupt;
mod limits;
mod man;
pub(crate) mod mempool;
mod moment;
mod network_args;
mod no_peer;
mod panics;
pub(crate) mod peers;
pub(crate) mod ping;
pub(crate) mod proof;
pub(crate) mod query;
mod request;
mod runtime;
mod span;
mod spelling;
pub(crate) mod status;
mod stored;
pub(crate) mod sync;
pub(crate) mod tx;
mod tx_text;
pub(crate) mod verify;
mod what;
mod wrong_clock;

pub(crate) use args::{ChainArgs, PeerArgs};
pub(crate) use context::Context;
pub(crate) use error::CliError;
pub(crate) use global::GlobalArgs;

use crate::chainstate::{check_system_clock, unix_now_secs};
use crate::config::{self, ColorChoice, Layer, Sources};
use crate::output::{Wording, is_dumb};
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
  lightclient status --testnet4    Where another network's stored chain stands
  lightclient peers                Peers that can be reached, and what they say
  lightclient export headers.csv   All stored headers as a table
  lightclient block 840000         A block, checked against its stored header

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no peer could be used, 4 the data folder is in use, \
5 stored data is damaged, 6 not found, 130 and 143 interrupted.";

/// A Bitcoin light client that downloads and verifies block headers only: it finds peers, checks every header since
/// genesis, stores them, and answers questions from them. It is no wallet.
#[derive(Debug, Parser)]
#[command(name = "lightclient", version = env!("LIGHTCLIENT_VERSION"), after_help = AFTER_HELP, max_term_width = 110)]
#[command(propagate_version = true)]
pub(crate) struct Cli {
    /// Options that every command knows.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Download and verify headers up to the network's tip
    Sync(sync::Args),
    /// Print stored headers: by height, hash, range or time
    Query(query::Args),
    /// Show where the stored chain stands
    Status(status::Args),
    /// Check every stored header again, from genesis, offline
    Verify(verify::Args),
    /// Write stored headers to a file: raw, CSV, JSON Lines, or hints
    Export(export::Args),
    /// Take headers from a file, checked as if a peer had sent them
    Import(import::Args),
    /// Find peers, ask them for addresses, and print them
    Peers(peers::Args),
    /// Ping a peer: the round-trip times of its answers
    Ping(ping::Args),
    /// Download a block and check it against its stored header
    Block(block::Args),
    /// Get a transaction, from peers or from its block
    Tx(tx::Args),
    /// Check or make merkle proofs of transactions
    Proof(proof::Args),
    /// Watch transactions as peers announce them
    Mempool(mempool::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print a manual page, or write all of them
    Man(man::Args),
}

impl Command {
    /// What the command's own options say of the settings.
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
            Self::Query(_)
            | Self::Status(_)
            | Self::Verify(_)
            | Self::Export(_)
            | Self::Completions(_)
            | Self::Man(_) => Layer::default(),
        }
    }

    /// Its name, for those who find the data folder in use.
    fn name(&self) -> &'static str {
        match self {
            Self::Sync(_) => "sync",
            Self::Query(_) => "query",
            Self::Status(_) => "status",
            Self::Verify(_) => "verify",
            Self::Export(_) => "export",
            Self::Import(_) => "import",
            Self::Peers(_) => "peers",
            Self::Ping(_) => "ping",
            Self::Block(_) => "block",
            Self::Tx(_) => "tx",
            Self::Proof(_) => "proof",
            Self::Mempool(_) => "mempool",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }

    fn run(self, context: &mut Context) -> Result<(), CliError> {
        match self {
            Self::Query(args) => query::run(&args, context),
            Self::Status(args) => status::run(&args, context),
            Self::Sync(args) => sync::run(&args, context),
            Self::Verify(args) => verify::run(&args, context),
            Self::Export(args) => export::run(&args, context),
            Self::Import(args) => import::run(&args, context),
            Self::Peers(args) => peers::run(&args, context),
            Self::Ping(args) => ping::run(&args, context),
            Self::Block(args) => block::run(&args, context),
            Self::Tx(args) => tx::run(&args, context),
            Self::Proof(args) => proof::run(&args, context),
            Self::Mempool(args) => mempool::run(&args, context),
            Self::Completions(args) => completions::run(&args, context),
            Self::Man(args) => man::run(&args, context),
        }
    }
}

/// Parses the arguments, runs the command, prints what went wrong, and gives the exit code.
pub fn main() -> ExitCode {
    limits::save_address_space();
    let args: Vec<OsString> = env::args_os().collect();
    let mut color = context::color_before_parsing(&args);
    let mut wording = Wording::default();
    let result =
        panics::caught(|| parse(args, color).and_then(|cli| run(cli, &mut color, &mut wording)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error::report(&error, color, &wording),
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
    let matches = command.try_get_matches_from(spelling::understood(args));
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

/// clap's explanation repeats the value that it refuses: that of `--proxy` may have a password.
fn without_password(mut error: clap::Error) -> clap::Error {
    let is_proxy = matches!(error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(name)) if name.starts_with("--proxy"));
    if let (true, Some(ContextValue::String(value))) =
        (is_proxy, error.get(ContextKind::InvalidValue))
        && let Some((_, address)) = value.rsplit_once('@')
    {
        let masked = ContextValue::String(format!("…@{address}"));
        error.insert(ContextKind::InvalidValue, masked);
    }
    error
}

/// `--trace hex` is taken for `--trace` and something else.
fn trace_hint(args: &[OsString]) -> &'static str {
    let apart = |pair: &[OsString]| pair[0] == "--trace" && (pair[1] == "hex" || pair[1] == "text");
    if args.windows(2).any(apart) {
        "; a format of --trace follows a =, as --trace=hex"
    } else {
        ""
    }
}

/// Runs the command; `color` and `wording` become what the settings say, for an error's line.
fn run(cli: Cli, color: &mut ColorChoice, wording: &mut Wording) -> Result<(), CliError> {
    // The database cannot be opened at such a time.
    check_system_clock().map_err(|error| CliError::Failed(error.to_string()))?;
    set_command(cli.command.name(), unix_now_secs());
    let flags = cli.command.layer().over(cli.global.layer()?);
    let file = cli.global.config.clone();
    let sources = Sources { flags: flags.clone(), file, variable: &|name| env::var_os(name) };
    let config = config::load(sources)?;
    *color = config.color;
    *wording = advice::wording(&config, &flags);
    let mut context = Context::new(config, &cli.global, wording.clone());
    let result = cli.command.run(&mut context);
    // What was written before a failure is a result all the same.
    let flushed = context.out.flush();
    result?;
    Ok(flushed?)
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    /// A command with all commands in it, whatever they are called.
    fn with_all(command: &clap::Command) -> Vec<clap::Command> {
        let inner = command.get_subcommands().flat_map(with_all);
        [command.clone()].into_iter().chain(inner).collect()
    }

    #[test]
    fn notes_are_wrapped_by_the_terminal_alone_and_their_examples_fit_in_one_of_80_columns() {
        const COLUMNS: usize = 80;
        let mut commands = 0;
        for command in with_all(&Cli::command()) {
            let Some(notes) = command.get_after_help() else { continue };
            commands += 1;
            let notes = notes.to_string();
            let lines: Vec<&str> = notes.lines().collect();
            let is_filled = |line: &str| !line.is_empty() && !line.starts_with(' ');
            for pair in lines.windows(2) {
                assert!(!is_filled(pair[0]) || !is_filled(pair[1]), "{pair:?} are one paragraph");
            }
            let long = lines.iter().find(|line| !is_filled(line) && line.chars().count() > COLUMNS);
            assert_eq!(long, None, "{}", command.get_name());
        }
        assert!(commands > 12, "{commands}");
    }

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
