//! Kinds of failure that whoever called has to tell apart.

use super::error::StoreError;

/// The kind of trouble that an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Any other kind: the system, a file, a rule.
    Failed,
    /// Another process has the data folder.
    InUse,
    /// Stored data is damaged.
    Damaged,
    /// The requested data is not stored.
    NotFound,
}

impl StoreError {
    /// Returns the kind of trouble.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::InUse { .. } => Trouble::InUse,
            _ if self.is_damage() => Trouble::Damaged,
            _ => Trouble::Failed,
        }
    }
}
