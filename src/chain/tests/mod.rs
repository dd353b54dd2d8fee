//! Tests of the consensus layer: real data, one wrong header of each kind, laws, and naive models.

mod bits;
mod fixtures;
mod memory;
mod oracle;
mod vectors;
