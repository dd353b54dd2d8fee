//! Tests of the consensus layer: real data, one wrong header of each kind, laws, and naive models.

mod fixtures;
mod forks;
mod hints;
mod memory;
mod miner;
mod model;
mod oracle;
mod resume;
mod rules;
mod sides;
mod survey;
mod synthetic;
mod testnets;
mod transition;
mod tree_model;
mod vectors;
