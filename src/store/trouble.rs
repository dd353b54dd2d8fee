//! Kinds of failure that whoever called has to tell apart.

use super::error::StoreError;

/// What kind of trouble an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Any other kind: the system, a file, a rule.
    Failed,
    /// Another process has the data folder.
    InUse,
    /// Stored data is damaged.
    Damaged,
    /// What was asked for is not stored.
    NotFound,
}

impl StoreError {
    /// What kind of trouble it is.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::InUse { .. } => Trouble::InUse,
            _ if self.is_damage() => Trouble::Damaged,
            _ => Trouble::Failed,
        }
    }
}
