//! Parts of a session by themselves.

mod presync;
mod staged;
