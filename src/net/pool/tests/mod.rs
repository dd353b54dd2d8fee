//! The pool among simulated nodes and clocks.

mod bench;
mod cases;
mod expects;
mod outage;
mod population;
mod proxied;
mod request;
mod start;
mod tips;
mod week;
mod world;
