//! The one writer of the stored chain: the header tree in memory with the store behind it, candidate branches, and headers
//! that come from a file.

mod clock;
mod import;
mod writer;

pub use clock::{
    Clock, ClockBefore1970, TooNew, ahead_of_clock, check_system_clock, unix_now, unix_now_millis,
    unix_now_secs,
};
pub use import::{Claim, ImportError, ImportOptions, Imported, Importer};
pub use writer::{ChainError, ChainWriter, Joined};
