//! Tests of the pool with simulated nodes and clocks.

mod bench;
mod cases;
mod clocks;
mod control;
mod eclipse;
mod expects;
mod outage;
mod population;
mod proxied;
mod request;
mod start;
mod tips;
mod week;
mod world;
