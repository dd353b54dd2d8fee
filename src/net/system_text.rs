//! Texts of the system's errors.

use std::io;

/// Returns the text of a system error without its number.
pub(super) fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.find(" (os error")) {
        (Some(_), Some(end)) => text[..end].to_owned(),
        _ => text,
    }
}
