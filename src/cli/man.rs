//! `lightclient man`.

use super::{Cli, CliError, Context};
use clap::{Command, CommandFactory};

const AFTER_HELP: &str = "\
Examples:
  lightclient man | man -l -            Read it now
  lightclient man sync | man -l -       The page of one command
  lightclient man proof verify          A page of a command's command
  lightclient man > lightclient.1       Install it";

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The command whose page is wanted instead of the program's
    command: Vec<String>,
}

/// Prints the page in roff.
///
/// # Errors
/// There is no such command.
pub(super) fn run(args: &Args, context: &mut Context) -> Result<(), CliError> {
    if context.out.is_json() {
        return Err(CliError::Usage("a manual page is roff: leave --json out".to_owned()));
    }
    let command = find(&args.command)?;
    let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.after_help(""));
    man.source(concat!("lightclient ", env!("CARGO_PKG_VERSION"))).render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    // An empty text leaves its heading behind; the notes take its place.
    let notes = if notes.is_empty() { String::new() } else { section(&notes) };
    Ok(context.out.text(&page.replacen(".SH EXTRA\n", &notes, 1))?)
}

/// The command of that name, of that command's command, and so on.
fn find(names: &[String]) -> Result<Command, CliError> {
    let mut command = Cli::command();
    command.build();
    for name in names {
        command = command.find_subcommand(name).cloned().ok_or_else(|| {
            let name = names.join(" ");
            CliError::Usage(format!("there is no command {name:?}: see lightclient --help"))
        })?;
    }
    // `help` has no page of its own that a reader could be sent to.
    let has_help = command.find_subcommand("help").is_some();
    Ok(if has_help { command.mut_subcommand("help", |help| help.hide(true)) } else { command })
}

/// The text after the options as a section: paragraphs are filled, indented lines stay as they are.
fn section(text: &str) -> String {
    let mut page = ".SH NOTES\n".to_owned();
    let mut kept = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let indented = line.starts_with(' ');
        if indented != kept {
            page.push_str(if indented { ".nf\n" } else { ".fi\n" });
            kept = indented;
        }
        if !indented {
            page.push_str(".PP\n");
        }
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        // A line that begins so would be a command.
        if line.starts_with(['.', '\'']) {
            page.push_str("\\&");
        }
        page.push_str(&line);
        page.push('\n');
    }
    if kept {
        page.push_str(".fi\n");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn paragraphs_are_filled_and_indented_lines_are_not() {
        let text = "One --flag.\n\nExamples:\n  a  b\n  c\n.dot";
        let page = ".SH NOTES\n.PP\nOne \\-\\-flag.\n.PP\nExamples:\n.nf\n  a  b\n  c\n.fi\n.PP\n\\&.dot\n";
        assert_eq!(section(text), page);
    }
}
