//! Tests of the consensus layer: real data, one bad header of each kind, laws, and naive models.

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod forks;
#[cfg(test)]
mod hints;
#[cfg(test)]
mod late_times;
mod memory;
mod miner;
#[cfg(test)]
mod model;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod sides;
#[cfg(test)]
mod survey;
#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod testnets;
#[cfg(test)]
mod transition;
mod tree_model;
#[cfg(test)]
mod vectors;

#[cfg(test)]
pub(crate) use miner::mine_run;
pub(crate) use tree_model::fuzz;
