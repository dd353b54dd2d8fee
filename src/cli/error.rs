//! The errors of commands, and their exit codes.

use super::color::has_color;
use crate::chainstate::ChainError;
use crate::client::ClientError;
use crate::config::{ColorChoice, ConfigError};
use crate::files::{FileError, advice};
use crate::node::shutdown::EndSignal;
use crate::node::{FetchError, JournalError, SyncError};
use crate::output::{Wording, json_error_line};
use crate::query::ReadError;
use crate::spv::NotInBlock;
use crate::store::{ErrorKind, StoreError};
use anstyle::{AnsiColor, Style};
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a command failed. The text says what failed, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The user asked for help or the version, or named no command.
    #[error("help was asked for")]
    Help(Box<clap::Error>),
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The stored chain could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Headers could not be checked or stored.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A sync could not go on.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The journal of a crawl could not be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A request to peers failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A block does not contain the transaction.
    #[error(transparent)]
    NotInBlock(#[from] NotInBlock),
    /// A signal ended the command. No message is printed for this error.
    #[error("interrupted")]
    Interrupted(EndSignal),
    /// The command failed for any other reason.
    #[error("{0}")]
    Failed(String),
    /// No peer could be used.
    #[error("{0}")]
    NoPeer(String),
    /// The header or transaction was not found.
    #[error("{0}")]
    NotFound(String),
    /// A check found damage in stored data.
    #[error("{0}")]
    Damaged(String),
    /// A file that the user named could not be read or written.
    #[error("cannot {doing} {}: {source}: {}", path.display(), advice(source.kind()))]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Standard output cannot be written to.
    #[error("cannot write to standard output: {0}: check where it goes")]
    Output(#[from] io::Error),
}

impl CliError {
    /// Returns the exit code, one of those that the manual lists.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Help(error) => u8::try_from(error.exit_code()).unwrap_or(2),
            _ if self.is_broken_pipe() => 0,
            Self::Failed(_) | Self::File { .. } | Self::Output(_) => 1,
            Self::Usage(_) | Self::Config(_) => 2,
            Self::NoPeer(_) => 3,
            Self::Damaged(_) => 5,
            Self::NotFound(_) | Self::NotInBlock(_) => 6,
            Self::Interrupted(ending) => ending.exit_code(),
            Self::Read(error) => code_of(error.kind()),
            Self::Store(error) => code_of(error.kind()),
            Self::Chain(error) => code_of(error.kind()),
            Self::Journal(error) => code_of(error.kind()),
            Self::Fetch(FetchError::NoPeers { .. }) => 3,
            Self::Fetch(FetchError::Undelivered { .. } | FetchError::Check(_)) => 1,
            Self::Sync(SyncError::Chain(error)) => code_of(error.kind()),
            Self::Sync(SyncError::Thread(_)) => 1,
        })
    }

    /// Returns the error for a thread that the system did not start.
    pub(super) fn no_threads(error: &impl Display) -> Self {
        Self::Failed(format!(
            "cannot start threads: {error}: allow more processes or more memory (`ulimit -a`)"
        ))
    }

    /// Returns whether the reader of standard output closed the pipe, as `head` does when it has enough.
    fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Store(error) => error.into(),
            ClientError::Read(error) => error.into(),
            ClientError::Sync(error) => error.into(),
            ClientError::Fetch(error) => error.into(),
            ClientError::Thread(error) => Self::no_threads(&error),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Usage(text) => Self::Usage(text),
            FileError::Io { doing, path, source } => Self::File { doing, path, source },
            FileError::Output(source) => Self::Output(source),
            FileError::Read(error) => Self::Read(error),
        }
    }
}

fn code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Failed => 1,
        ErrorKind::InUse => 4,
        ErrorKind::Damaged => 5,
        ErrorKind::NotFound => 6,
    }
}

/// How an error is printed.
#[derive(Debug, Default)]
pub(super) struct ErrorForm {
    /// When to use color.
    pub color: ColorChoice,
    /// Whether the error is an object of JSON, as the lines of the log are.
    pub is_json: bool,
    /// The wording of its text.
    pub wording: Wording,
}

/// Prints the error on standard error, or the help that clap has made, and returns the exit code. Prints nothing for a
/// closed pipe or a signal.
pub(super) fn report(error: &CliError, form: &ErrorForm) -> ExitCode {
    if let CliError::Help(help) = error {
        // Standard output is flushed here because a last line without a newline is still in its buffer.
        return match help.print().and_then(|()| io::stdout().flush()) {
            Ok(()) => error.exit_code(),
            Err(error) => report(&CliError::Output(error), form),
        };
    }
    if !error.is_broken_pipe() && !matches!(error, CliError::Interrupted(_)) {
        // If standard error cannot be written to, there is nowhere left to report the error.
        let message = form.wording.apply(&error.to_string());
        let _ = match form.is_json {
            true => writeln!(io::stderr(), "{}", json_error_line(&message)),
            false => print(&message, has_color(form.color, &io::stderr())),
        };
    }
    error.exit_code()
}

fn print(message: &str, color: bool) -> io::Result<()> {
    let style = if color {
        Style::new().bold().fg_color(Some(AnsiColor::Red.into()))
    } else {
        Style::new()
    };
    writeln!(io::stderr(), "{style}error{style:#}: {}", one_safe_line(message))
}

/// Puts a text on one line and escapes control characters, since the text may repeat data from a peer or a file.
fn one_safe_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(' '),
            c if c.is_control() => out.extend(c.escape_debug()),
            c => out.push(c),
        }
    }
    out
}

/// Returns the text of an error of clap on one line, with a reference to `--help` in place of the usage paragraph.
pub(super) fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .map(|line| line.strip_prefix("error: ").unwrap_or(line))
        .collect();
    format!("{}; see --help", lines.join("; ")).replace(":; ", ": ")
}
