//! `lightclient completions SHELL`.

use super::{Cli, CliError, Context};
use clap::CommandFactory;
use clap_complete::Shell;

const AFTER_HELP: &str = "\
Examples:
  lightclient completions bash > lightclient.bash && . ./lightclient.bash
  lightclient completions zsh > ~/.zfunc/_lightclient
  lightclient completions fish > ~/.config/fish/completions/lightclient.fish

Where bash looks by itself: ~/.local/share/bash-completion/completions/lightclient.";

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The shell that the script is for
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// Standard output does not take it.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<(), CliError> {
    if context.out.is_json() {
        let what = "a completion script is for a shell: leave --json out";
        return Err(CliError::Usage(what.to_owned()));
    }
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lightclient", &mut script);
    Ok(context.out.text(&String::from_utf8_lossy(&script))?)
}
