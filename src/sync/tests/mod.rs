//! The state machine against a simulated network, and single cases by hand.

mod cases;
mod caught_up;
mod chains;
mod clock;
mod events;
mod hints;
mod hostile;
mod low_work;
mod prefetch;
mod sim;
mod sim_chain;
mod sim_peer;
mod world;
