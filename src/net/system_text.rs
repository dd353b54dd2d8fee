//! The texts of the operating system's errors.

use std::io;

/// Returns the text of an error without the ` (os error N)` that Rust appends to errors of the operating system.
pub(super) fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.find(" (os error")) {
        (Some(_), Some(end)) => text[..end].to_owned(),
        _ => text,
    }
}
