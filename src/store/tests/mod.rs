//! The store against its model, against damage, against misuse.

mod concurrent;
mod damage;
mod faults;
mod lookup;
mod mine;
mod model;
mod open;
mod repair;
mod sides;
