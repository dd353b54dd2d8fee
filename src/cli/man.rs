//! `lightclient man` prints or writes manual pages.

use super::{CliError, CommandContext};
use crate::config::{CONFIG_FILE, KEYS, VARIABLE_PREFIX};
use clap::Command;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const AFTER_HELP: &str = "\
Examples:
  lightclient man | man -l -            Read it now
  lightclient man sync | man -l -       The page of one command
  lightclient man proof verify          The page of a subcommand
  lightclient man --out man1            Write all pages into a folder";

/// The last sections of every page.
const FILES_AND_EXIT_STATUS: &str = "\
.SH FILES
The data folder is the platform's folder for an application's data (on Linux ~/.local/share/lightclient).
.TP
\\fIlightclient.toml\\fR
Settings, in the data folder: the options' long names, as \\fBmin\\-chain\\-work = \"0x1\"\\fR.
.TP
\\fImainnet/\\fR, \\fItestnet3/\\fR, \\fItestnet4/\\fR, \\fIsignet/\\fR, \\fIregtest/\\fR
The networks' own folders, in the data folder; another signet's is named after its magic.
.TP
\\fI*/headers/\\fR
The database of headers.
.TP
\\fI*/control.sock\\fR
The socket through which commands read while another one runs.
.SH \"EXIT STATUS\"
.TP
\\fB0\\fR
Done.
.TP
\\fB1\\fR
Failed.
.TP
\\fB2\\fR
Wrong usage.
.TP
\\fB3\\fR
No peer could be used.
.TP
\\fB4\\fR
Another process uses the data folder and does not answer.
.TP
\\fB5\\fR
Stored data is damaged.
.TP
\\fB6\\fR
Not found: no such header is stored, or no such transaction was found.
.TP
\\fB129\\fR, \\fB130\\fR, \\fB143\\fR
Interrupted by SIGHUP, SIGINT or SIGTERM.
";

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ManArgs {
    /// Print the page of this command instead of the program's
    command: Vec<String>,
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

/// Prints a page in roff, or writes all pages.
///
/// # Errors
/// JSON output was requested, there is no such command, or a page cannot be written.
pub(super) fn run(
    args: &ManArgs,
    program: Command,
    context: &mut CommandContext,
) -> Result<(), CliError> {
    if context.out.is_json() {
        return Err(CliError::Usage("a manual page is roff: leave --json out".to_owned()));
    }
    match &args.out {
        Some(folder) => write_all(program, folder, context),
        None => Ok(context.out.text(&page(find(program, &args.command)?)?)?),
    }
}

/// Writes a page for each command, and prints the names of the files.
fn write_all(
    program: Command,
    folder: &Path,
    context: &mut CommandContext,
) -> Result<(), CliError> {
    let error = |path: &Path| {
        let path = path.to_owned();
        |source| CliError::File { doing: "write", path, source }
    };
    fs::create_dir_all(folder).map_err(error(folder))?;
    for command in with_subcommands(&find(program, &[])?) {
        let path = folder.join(format!("{}.1", page_name(&command)));
        fs::write(&path, page(command)?).map_err(error(&path))?;
        context.out.line(&path.display().to_string())?;
    }
    Ok(())
}

/// Returns a command and all its subcommands except `help`.
fn with_subcommands(command: &Command) -> Vec<Command> {
    let inner = command.get_subcommands().filter(|inner| inner.get_name() != "help");
    let inner = inner.flat_map(with_subcommands);
    [without_help(command.clone())].into_iter().chain(inner).collect()
}

/// Returns the name of a command's page, such as `lightclient-proof-verify`.
fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).replace(' ', "-")
}

/// Renders the page of a command in roff.
fn page(command: Command) -> Result<String, CliError> {
    let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.after_help(""));
    man.source(concat!("lightclient ", env!("CARGO_PKG_VERSION"))).render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    // clap_mangen writes the heading EXTRA although the text below it is empty. The notes replace that heading.
    let notes = if notes.is_empty() { String::new() } else { section(&notes) };
    let notes = notes + &environment() + FILES_AND_EXIT_STATUS;
    Ok(page.replacen(".SH EXTRA\n", &notes, 1))
}

/// Returns the section on the environment variables: those that correspond to options, and `NO_COLOR`.
fn environment() -> String {
    let mut text = ".SH ENVIRONMENT\n".to_owned();
    let variables = KEYS.iter().chain(&["config"]).map(|key| {
        let variable = format!("{VARIABLE_PREFIX}{}", key.replace('-', "_").to_uppercase());
        (variable, format!("As \\-\\-{}.", key.replace('-', "\\-")))
    });
    let no_color = ("NO_COLOR".to_owned(), "If not empty, no colours by default.".to_owned());
    for (variable, meaning) in variables.chain([no_color]) {
        // Writing to a String cannot fail.
        let _ = write!(text, ".TP\n\\fB{variable}\\fR\n{meaning}\n");
    }
    let _ = writeln!(text, ".PP\nOptions override variables, which override {CONFIG_FILE}.");
    text
}

/// Returns the command with these names: a command, then its subcommand, and so on.
fn find(program: Command, names: &[String]) -> Result<Command, CliError> {
    let mut command = program;
    command.build();
    for name in names {
        command = command.find_subcommand(name).cloned().ok_or_else(|| {
            let name = names.join(" ");
            CliError::Usage(format!("there is no command {name:?}: see lightclient --help"))
        })?;
    }
    Ok(without_help(command))
}

/// Hides the subcommand `help`, so that no page refers to a page of `help`, which does not exist.
fn without_help(command: Command) -> Command {
    let has_help = command.find_subcommand("help").is_some();
    if has_help { command.mut_subcommand("help", |help| help.hide(true)) } else { command }
}

/// Returns the text after the options as a section of a page. Paragraphs are filled, and indented lines stay as they
/// are.
fn section(text: &str) -> String {
    let mut page = ".SH NOTES\n".to_owned();
    let mut is_verbatim = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let indented = line.starts_with(' ');
        if indented != is_verbatim {
            page.push_str(if indented { ".nf\n" } else { ".fi\n" });
            is_verbatim = indented;
        }
        if !indented {
            page.push_str(".PP\n");
        }
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        // A line that begins with one of these would be a roff request.
        if line.starts_with(['.', '\'']) {
            page.push_str("\\&");
        }
        page.push_str(&line);
        page.push('\n');
    }
    if is_verbatim {
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
