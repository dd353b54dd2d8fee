//! Parts of a session by themselves.

mod candidate;
mod clock;
mod presync;
