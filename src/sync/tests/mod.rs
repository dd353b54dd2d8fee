//! The state machine against a simulated network, in single cases by hand, and under the fuzzer.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod caught_up;
mod chains;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod events;
mod fuzz;
mod fuzz_branches;
mod fuzz_laws;
#[cfg(test)]
mod heights;
#[cfg(test)]
mod hints;
#[cfg(test)]
mod history;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod low_work;
#[cfg(test)]
#[allow(dead_code, reason = "descriptions are for docs/faults.md alone")]
#[path = "../../../tests/support/misbehaviour.rs"]
mod misbehaviour;
#[cfg(test)]
mod prefetch;
#[cfg(test)]
mod sim;
mod sim_chain;
#[cfg(test)]
mod sim_peer;
#[cfg(test)]
mod sleep;
#[cfg(test)]
mod withheld;
#[cfg(test)]
mod world;

pub(crate) use fuzz::fuzz;
