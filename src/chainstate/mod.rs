//! The one writer of the stored chain, with the header tree in memory and candidate branches; the import of headers
//! from a file; and the clock that header times are compared with.

mod clock;
mod import;
mod writer;

pub use clock::{Clock, unix_now_secs};
pub(crate) use clock::{ahead_of_clock, check_system_clock, unix_now, unix_now_millis};
pub(crate) use import::{Claim, ImportError, Imported};
pub use import::{ImportOptions, Importer};
pub(crate) use writer::{ChainError, ChainWriter};
