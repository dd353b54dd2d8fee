//! `lightclient completions` prints a completion script for a shell.

use super::{CliError, CommandContext};
use crate::files::FileFormat;
use clap::Command;
use clap_complete::Shell;

const AFTER_HELP: &str = "\
Examples:
  lightclient completions bash > lightclient.bash && . ./lightclient.bash
  lightclient completions zsh > ~/.zfunc/_lightclient
  lightclient completions fish > ~/.config/fish/completions/lightclient.fish

Bash finds the script by itself in ~/.local/share/bash-completion/completions/lightclient.";

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CompletionsArgs {
    /// The shell to print the script for
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// JSON output was requested, or standard output cannot be written to.
pub(super) fn run(
    args: &CompletionsArgs,
    mut program: Command,
    context: &mut CommandContext,
) -> Result<(), CliError> {
    if context.out.is_json() {
        let problem = "a completion script is for a shell: leave --json out";
        return Err(CliError::Usage(problem.to_owned()));
    }
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "lightclient", &mut script);
    let script = String::from_utf8_lossy(&script);
    match args.shell {
        Shell::Bash => context.out.text(&complete_words(&script))?,
        _ => context.out.text(&script)?,
    }
    Ok(())
}

/// Extends clap's script for bash. The extended script also completes file formats, `tip` and file names, and offers
/// options only after a `-`.
fn complete_words(script: &str) -> String {
    let formats = FileFormat::ALL.iter().filter(|format| **format != FileFormat::Hints);
    let formats: Vec<&str> = formats.map(|format| format.name()).collect();
    let words = include_str!("completions.bash").replace("FORMATS", &formats.join(" "));
    let (functions, registration) =
        script.split_once("\nif [[ \"${BASH_VERSINFO").unwrap_or((script, ""));
    let registration = registration.replace("-F _lightclient ", "-F _lightclient_words ");
    format!("{functions}{words}\nif [[ \"${{BASH_VERSINFO{registration}")
}
