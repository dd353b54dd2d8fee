//! The pool among simulated nodes and clocks.

mod cases;
mod start;
mod week;
mod world;
