//! Ctrl-C and SIGTERM for commands that block, and have something to finish first.

use super::CliError;
use crate::node::shutdown::{Ending, signals};
use std::io;
use std::process;
use std::sync::{Arc, OnceLock};
use std::thread;
use tokio::runtime::Builder;
use tracing::info;

/// Notes the first signal, for a command that looks now and then; the second ends the process at once.
#[derive(Clone, Debug)]
pub(super) struct Interrupt(Arc<OnceLock<Ending>>);

impl Interrupt {
    /// Starts to listen.
    ///
    /// # Errors
    /// The system does not let it.
    pub(super) fn listen() -> Result<Self, CliError> {
        Self::listen_and(|| ())
    }

    /// Starts to listen, and does this at the first signal.
    ///
    /// # Errors
    /// The system does not let it.
    pub(super) fn listen_and(first: impl FnOnce() + Send + 'static) -> Result<Self, CliError> {
        Self::start(first)
            .map_err(|error| CliError::Failed(format!("cannot catch signals: {error}")))
    }

    fn start(first: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let caught = Arc::new(OnceLock::new());
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let mut next = {
            let _inside = runtime.enter();
            signals()?
        };
        let noted = Arc::clone(&caught);
        let listen = move || {
            runtime.block_on(async move {
                if noted.set(next().await).is_ok() {
                    info!("finishing; press Ctrl-C again to stop at once");
                    first();
                    next().await;
                }
                let code = noted.get().map_or(1, |ending| ending.exit_code());
                process::exit(i32::from(code));
            });
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listen)?;
        Ok(Self(caught))
    }

    /// The signal that came, if one did.
    pub(super) fn caught(&self) -> Option<Ending> {
        self.0.get().copied()
    }
}
