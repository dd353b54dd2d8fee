//! Where it all meets: tasks, the clock, random numbers, shutdown.
//!
//! Everything above (command line, servers) speaks to this module only.

pub mod clock;
mod session;
pub mod shipped;
mod writer;

pub use session::{Live, Phase, Session, Stopped, SyncError, SyncOptions, SyncOutcome};
pub use writer::{ChainError, ChainWriter, Joined};
