//! Parts of a session by themselves.

mod clock;
mod presync;
mod staged;
