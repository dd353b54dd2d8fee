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

pub use bar::{aside, bar, bytes_bar, bytes_spinner, waiting};
pub use log::{LogLevel, LogSettings, start_log};
pub use out::{JsonArray, Output, escaped, json_text};
pub use progress::{Standing, SyncBar, SyncStage};
pub use status::StatusLine;
pub use table::{Align, Column, Fields, at, fitting, header_line, row_line};
pub use terminal::{bars, is_dumb};
pub use wording::{Wording, shell_quoted};
