//! The kinds of errors that a caller has to tell apart.

use super::error::StoreError;

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Any other error, such as one of the system or of a file, or a broken rule.
    Failed,
    /// Another process uses the data folder.
    InUse,
    /// Stored data is damaged.
    Damaged,
    /// The requested data is not stored.
    NotFound,
}

impl StoreError {
    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InUse { .. } => ErrorKind::InUse,
            _ if self.is_damage() => ErrorKind::Damaged,
            _ => ErrorKind::Failed,
        }
    }
}
