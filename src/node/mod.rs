//! Where it all meets: tasks, the clock, random numbers, shutdown.
//!
//! Everything above (command line, servers) speaks to this module only.

pub mod clock;
mod report;
mod writer;

pub use report::{Stopped, SyncReport};
pub use writer::{ChainError, ChainWriter, Joined};
