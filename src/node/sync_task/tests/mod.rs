//! Tests of the connect thread.

mod candidate;
mod clock;
mod presync;
