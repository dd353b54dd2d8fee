//! What people and programs see: aligned text, tables, JSON, and the log.
//!
//! Knows rows, not the domain: it is handed names, numbers and text, and uses no other layer of this crate but `format`.

mod bar;
mod line;
mod log;
mod out;
mod progress;
mod status;
mod table;
mod terminal;
mod wording;

pub(crate) use bar::{aside, bar, bytes_bar, bytes_spinner, waiting};
pub(crate) use log::{LogLevel, LogSettings, start_log};
pub(crate) use out::{JsonArray, Output, escaped, json_text};
pub(crate) use progress::{Standing, SyncBar, SyncStage};
pub(crate) use status::StatusLine;
pub(crate) use table::{Align, Column, Fields, at, fitting, header_line, row_line};
pub(crate) use terminal::{bars, is_dumb};
pub(crate) use wording::{Wording, shell_quoted};
