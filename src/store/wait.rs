//! Opens a store that another process may be using for a moment.

use super::error::{StoreError, holder_text};
use super::holder::Holder;
use super::open::SledStore;
use crate::chain::Params;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tracing::warn;

/// How long to wait for another process that uses the folder: a query, a start and a shutdown use it only briefly.
const OPEN_WAIT: Duration = Duration::from_secs(3);

/// How long to wait before a warning: a shorter wait is not worth one.
const WARN_AFTER: Duration = Duration::from_millis(400);

/// Time between two attempts to open the folder.
const OPEN_PAUSE: Duration = Duration::from_millis(30);

/// Paces the attempts to open a folder that another process uses.
pub(crate) struct OpenRetry {
    deadline: Instant,
    warned: bool,
}

impl OpenRetry {
    /// Starts the time limit of 3 seconds for all attempts together.
    pub(crate) fn start() -> Self {
        Self { deadline: Instant::now() + OPEN_WAIT, warned: false }
    }

    /// Pauses before the next attempt. Returns `false`, without a pause, once the time is over.
    ///
    /// The first pause after [`WARN_AFTER`] logs a warning, which names the other process if it is known.
    pub(crate) fn pause(&mut self, folder: &Path, holder: Option<&Holder>) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        if !self.warned && OPEN_WAIT.saturating_sub(left) >= WARN_AFTER {
            warn!("{} is in use by {}: waiting for it", folder.display(), holder_text(holder));
            self.warned = true;
        }
        sleep(OPEN_PAUSE);
        true
    }
}

impl SledStore {
    /// Opens the store as [`SledStore::open`] does, and waits up to 3 seconds while another process uses the folder.
    ///
    /// # Errors
    /// The folder is in use for longer, or its database cannot be opened.
    pub(crate) fn open_with_retry(
        folder: &Path,
        params: &'static Params,
    ) -> Result<Self, StoreError> {
        retry(|| Self::open(folder, params))
    }

    /// Opens the store as [`SledStore::open_to_read`] does, and waits up to 3 seconds while another process uses the
    /// folder.
    ///
    /// # Errors
    /// The folder is in use for longer, or its database cannot be read.
    pub(crate) fn open_to_read_with_retry(
        folder: &Path,
        params: &'static Params,
    ) -> Result<Self, StoreError> {
        retry(|| Self::open_to_read(folder, params))
    }
}

fn retry(open: impl Fn() -> Result<SledStore, StoreError>) -> Result<SledStore, StoreError> {
    let mut retry = OpenRetry::start();
    loop {
        match open() {
            Err(StoreError::InUse { folder, holder }) => {
                if !retry.pause(&folder, holder.as_ref()) {
                    return Err(StoreError::InUse { folder, holder });
                }
            }
            other => return other,
        }
    }
}
