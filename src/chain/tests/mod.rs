//! Tests of the consensus layer: real data, one wrong header of each kind, laws, and naive models.

mod bits;
mod fixtures;
mod memory;
mod model;
mod oracle;
mod resume;
mod rules;
mod synthetic;
mod testnets;
mod vectors;
