//! The state machine against a simulated network, and single cases by hand.

mod cases;
mod caught_up;
mod chains;
mod hints;
mod hostile;
mod low_work;
mod prefetch;
mod sim;
mod sim_chain;
mod world;
