//! What a command may fail with, and the exit code it means.

use super::context::has_color;
use super::runtime::no_threads;
use crate::chainstate::ChainError;
use crate::client::ClientError;
use crate::config::{ColorChoice, ConfigError};
use crate::files::{FileError, advice};
use crate::node::shutdown::Ending;
use crate::node::{FetchError, JournalError, SyncError};
use crate::output::Wording;
use crate::query::ReadError;
use crate::spv::NotInBlock;
use crate::store::StoreError;
use crate::store::Trouble;
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a command failed: what, with what, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Help or the version was asked for: no failure, unless a command is missing.
    #[error("help was asked for")]
    Help(Box<clap::Error>),
    /// The command line cannot be understood.
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
    /// Headers could not be judged or stored.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A sync could not go on.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A crawl could not be kept or gone on with.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Peers were asked for one thing in vain.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A block does not have the transaction that was wanted of it.
    #[error(transparent)]
    NotInBlock(#[from] NotInBlock),
    /// A signal ended it; its summary has been printed.
    #[error("interrupted")]
    Interrupted(Ending),
    /// It did not work, for a reason of no other kind.
    #[error("{0}")]
    Failed(String),
    /// No peer could be used.
    #[error("{0}")]
    NoPeer(String),
    /// What was asked for is not stored.
    #[error("{0}")]
    NotFound(String),
    /// A check found stored data damaged.
    #[error("{0}")]
    Damaged(String),
    /// A file the user named could not be read or written.
    #[error("cannot {doing} {}: {source}: {}", path.display(), advice(source.kind()))]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Standard output does not take the results.
    #[error("cannot write to standard output: {0}: check where it goes")]
    Output(#[from] io::Error),
}

impl CliError {
    /// The exit code, as the manual lists them.
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
            Self::Read(error) => code_of(error.trouble()),
            Self::Store(error) => code_of(error.trouble()),
            Self::Chain(error) => code_of(error.trouble()),
            Self::Journal(error) => code_of(error.trouble()),
            Self::Fetch(FetchError::NoPeers { .. }) => 3,
            Self::Fetch(FetchError::Undelivered { .. } | FetchError::Check(_)) => 1,
            Self::Sync(SyncError::Chain(error)) => code_of(error.trouble()),
            Self::Sync(SyncError::Thread(_)) => 1,
        })
    }

    /// Whether the reader of the results went away, as `head` does when it has enough.
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
            ClientError::Thread(error) => no_threads(&error),
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

fn code_of(trouble: Trouble) -> u8 {
    match trouble {
        Trouble::Failed => 1,
        Trouble::InUse => 4,
        Trouble::Damaged => 5,
        Trouble::NotFound => 6,
    }
}

/// Tells the user, on standard error; help that was asked for goes to standard output. What the exit
/// code is.
pub(super) fn report(error: &CliError, color: ColorChoice, wording: &Wording) -> ExitCode {
    if let CliError::Help(help) = error {
        // What is not ended by a newline is not written before.
        return match help.print().and_then(|()| io::stdout().flush()) {
            Ok(()) => error.exit_code(),
            Err(failed) => report(&CliError::Output(failed), color, wording),
        };
    }
    if !error.is_broken_pipe() && !matches!(error, CliError::Interrupted(_)) {
        // Where standard error itself is gone, nobody is left to tell.
        let _ = print(error, &wording.apply(&error.to_string()), has_color(color, &io::stderr()));
    }
    error.exit_code()
}

fn print(error: &CliError, message: &str, color: bool) -> io::Result<()> {
    let style = if color {
        Style::new().bold().fg_color(Some(AnsiColor::Red.into()))
    } else {
        Style::new()
    };
    let text = match error {
        // It is the one that is made of lines.
        CliError::NoPeer(_) => message.lines().map(harmless).collect::<Vec<_>>().join("\n"),
        _ => harmless(message),
    };
    writeln!(io::stderr(), "{style}error{style:#}: {text}")
}

/// A text on one line, with what a terminal would obey written out: it may repeat what came from elsewhere.
fn harmless(text: &str) -> String {
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

/// clap's explanation without its usage paragraph, on one line.
pub(super) fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let told = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let told: Vec<&str> = told
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .map(|line| line.strip_prefix("error: ").unwrap_or(line))
        .collect();
    format!("{}; see --help", told.join("; ")).replace(":; ", ": ")
}
