//! The context in which a command runs.

use super::color::has_color;
use super::error::CliError;
use super::global::GlobalArgs;
use crate::config::{AppConfig, LogFormat};
use crate::output::{Output, Wording, bars, start_log};
use crate::query::ChainReader;
use crate::store::SledStore;
use indicatif::MultiProgress;
use std::io;

/// The settings, the output and the progress bars of a command.
pub(crate) struct CommandContext {
    /// All settings.
    pub config: AppConfig,
    /// Where results go.
    pub out: Output,
    /// Progress bars on standard error. They are hidden with `-q`, and where standard error is no terminal, is a dumb
    /// one, or is too narrow.
    pub bars: MultiProgress,
    /// Whether only results and errors are printed (`-q`).
    pub quiet: bool,
}

impl CommandContext {
    /// Starts the log and opens standard output as the options say.
    pub(super) fn new(config: AppConfig, global: &GlobalArgs, wording: Wording) -> Self {
        let bars = bars(!global.quiet);
        let is_json = config.log_format == LogFormat::Json;
        let log = global.log(has_color(config.color, &io::stderr()), is_json);
        start_log(log, wording.clone(), &bars);
        let out = Output::stdout(global.json, has_color(config.color, &io::stdout()));
        let out = out.worded(wording);
        Self { config, out, bars, quiet: global.quiet }
    }

    /// Opens the stored chain for reading.
    ///
    /// # Errors
    /// Nothing is stored, or the folder is in use, damaged or unreadable.
    pub(super) fn open_chain(&self) -> Result<ChainReader, CliError> {
        Ok(ChainReader::open_folder(&self.config.folder(), self.config.params)?)
    }

    /// Opens the store for writing.
    ///
    /// # Errors
    /// The folder is in use, damaged or unusable.
    pub(super) fn open_store(&self) -> Result<SledStore, CliError> {
        Ok(SledStore::open_with_retry(&self.config.folder(), self.config.params)?)
    }
}
