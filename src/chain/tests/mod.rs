//! Tests of the consensus layer: real data, one wrong header of each kind, laws, and naive models.

mod fixtures;
mod memory;
mod vectors;
