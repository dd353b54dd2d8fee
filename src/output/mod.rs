//! The output for people and programs: aligned text, tables, JSON, progress bars, plots, and the log.
//!
//! This layer is given names, numbers and text. It uses no other layer except `format`, so it has no types of Bitcoin.

mod bar;
mod line;
mod log;
mod out;
pub(crate) mod plot;
mod progress;
mod status;
mod table;
mod terminal;
mod wording;

pub(crate) use bar::{bar, bytes_bar, bytes_spinner, waiting, write_beside_bars};
pub(crate) use log::{LogLevel, LogSettings, json_error_line, start_log};
pub(crate) use out::{JsonArray, Output, escaped, json_text};
pub(crate) use progress::{SyncBar, SyncProgress, SyncStage};
pub(crate) use status::StatusLine;
pub(crate) use table::{Align, Column, FieldList, columns_that_fit, header_line, pick, row_line};
pub(crate) use terminal::{bars, is_dumb, is_utf8};
pub(crate) use wording::{Wording, shell_quoted};
