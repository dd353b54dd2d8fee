//! The engine against a simulated network, and single cases by hand.

mod cases;
mod hints;
mod sim;
mod world;
