//! The texts of the operating system's errors.

use std::io;

/// Returns the text of an error, without the number that an error of the operating system has at its end.
pub(super) fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.find(" (os error")) {
        (Some(_), Some(end)) => text[..end].to_owned(),
        _ => text,
    }
}
