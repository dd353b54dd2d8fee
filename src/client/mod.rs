//! A running light client: it keeps the stored chain at the network's tip, and answers queries from it.
//!
//! [`Client`] hides the store, the threads and the async runtime. That runtime has threads of its own, so a client
//! works in programs with any runtime and in programs with none. A method that takes time returns an [`Answer`]: a
//! future that blocking code can wait for as well.

mod answer;
mod builder;
mod error;
mod events;
mod handle;
mod sync;

pub use crate::node::{Broadcast, Event};
pub use answer::Answer;
pub use builder::ClientBuilder;
pub use error::ClientError;
pub use events::Events;
pub use handle::Client;
