//! Tests of the store: against a model, with damaged files, and with misuse.

#[cfg(test)]
mod concurrent;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod entries;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod lookup;
mod mine;
mod model;
#[cfg(test)]
mod open;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod repair;
#[cfg(test)]
mod sides;
#[cfg(test)]
mod unreadable;

pub(crate) use mine::regtest_database;
pub(crate) use model::fuzz;
