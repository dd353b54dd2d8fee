//! `lightclient completions SHELL`.

use super::{Cli, CliError, Context};
use crate::files::FileFormat;
use clap::CommandFactory;
use clap::builder::{TypedValueParser, ValueParserFactory};
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
pub(crate) struct Args {
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
    let script = String::from_utf8_lossy(&script);
    match args.shell {
        Shell::Bash => context.out.text(&with_words(&script))?,
        _ => context.out.text(&script)?,
    }
    Ok(())
}

/// The script for bash with words and files for arguments, for which clap offers options only.
fn with_words(script: &str) -> String {
    let parser = FileFormat::value_parser();
    let formats = parser.possible_values().into_iter().flatten();
    let formats: Vec<String> = formats.map(|value| value.get_name().to_owned()).collect();
    let formats: Vec<&str> = formats.iter().map(String::as_str).filter(|f| *f != "hints").collect();
    let words = include_str!("completions.bash").replace("FORMATS", &formats.join(" "));
    let (functions, registration) =
        script.split_once("\nif [[ \"${BASH_VERSINFO").unwrap_or((script, ""));
    let registration = registration.replace("-F _lightclient ", "-F _lightclient_words ");
    format!("{functions}{words}\nif [[ \"${{BASH_VERSINFO{registration}")
}
