//! The engine against a simulated network, and single cases by hand.

mod ahead;
mod cases;
mod caught_up;
mod chains;
mod hints;
mod hostile;
mod low_work;
mod sim;
mod world;
