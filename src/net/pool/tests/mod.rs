//! The pool among simulated nodes and clocks.

mod bench;
mod cases;
mod population;
mod proxied;
mod start;
mod week;
mod world;
