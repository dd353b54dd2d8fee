//! The system's errors as text.

use std::io;

/// What the system says, without its number.
pub(super) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.find(" (os error")) {
        (Some(_), Some(end)) => text[..end].to_owned(),
        _ => text,
    }
}
