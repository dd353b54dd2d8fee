//! Catches Ctrl-C, SIGTERM and SIGHUP for commands that block, and that have something to finish before they end.

use super::CliError;
use crate::node::shutdown::{EndSignal, signals};
use std::io;
use std::process;
use std::sync::{Arc, OnceLock};
use std::thread;
use tokio::runtime::Builder;
use tracing::info;

/// Records the first signal for a command that checks for it now and then. The second signal ends the process at once.
#[derive(Clone, Debug)]
pub(super) struct Interrupt(Arc<OnceLock<EndSignal>>);

impl Interrupt {
    /// Starts to listen for signals.
    ///
    /// # Errors
    /// The system does not let the process catch signals.
    pub(super) fn listen() -> Result<Self, CliError> {
        Self::listen_and(|| ())
    }

    /// Starts to listen for signals, and calls `on_first` at the first one.
    ///
    /// # Errors
    /// The system does not let the process catch signals.
    pub(super) fn listen_and(on_first: impl FnOnce() + Send + 'static) -> Result<Self, CliError> {
        Self::start(on_first)
            .map_err(|error| CliError::Failed(format!("cannot catch signals: {error}")))
    }

    fn start(on_first: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let caught = Arc::new(OnceLock::new());
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let mut next = {
            let _inside = runtime.enter();
            signals()?
        };
        let recorded = Arc::clone(&caught);
        let listen = move || {
            runtime.block_on(async move {
                if recorded.set(next().await).is_ok() {
                    info!("finishing; press Ctrl-C again to stop at once");
                    on_first();
                    next().await;
                }
                let code = recorded.get().map_or(1, |ending| ending.exit_code());
                process::exit(i32::from(code));
            });
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listen)?;
        Ok(Self(caught))
    }

    /// Returns the first signal, if one has come.
    pub(super) fn caught(&self) -> Option<EndSignal> {
        self.0.get().copied()
    }
}
