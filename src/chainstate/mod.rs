//! The one writer of the stored chain: the header tree in memory with the store behind it, candidate branches, and headers
//! that come from a file.

mod clock;
mod import;
mod writer;

pub(crate) use clock::grouped;
pub use clock::{
    Clock, ClockBefore1970, ahead_of_clock, check_system_clock, span, unix_now, unix_now_millis,
    unix_now_secs,
};
pub use import::{Claim, ImportError, ImportOptions, Imported, Importer};
pub use writer::{ChainError, ChainWriter};
