//! `lightclient man`.

use super::{Cli, CliError, Context};
use clap::CommandFactory;

const AFTER_HELP: &str = "\
Examples:
  lightclient man | man -l -            Read it now
  lightclient man sync | man -l -       The page of one command
  lightclient man > lightclient.1       Install it";

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The command whose page is wanted instead of the program's
    command: Option<String>,
}

/// Prints the page in roff.
///
/// # Errors
/// There is no such command.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<(), CliError> {
    let mut cli = Cli::command();
    cli.build();
    let command = match &args.command {
        None => cli,
        Some(name) => cli.find_subcommand(name).cloned().ok_or_else(|| {
            CliError::Usage(format!("there is no command {name:?}: see lightclient --help"))
        })?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(context.out.text(&String::from_utf8_lossy(&page))?)
}
