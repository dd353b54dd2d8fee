//! Gives libFuzzer's inputs to the target that `FUZZ_TARGET` names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lightclient::testing::{FUZZ_TARGETS, FuzzTarget};
use std::env;
use std::sync::LazyLock;

static TARGET: LazyLock<FuzzTarget> = LazyLock::new(|| {
    let names: Vec<&str> = FUZZ_TARGETS.iter().map(|(name, _)| *name).collect();
    let wanted = env::var("FUZZ_TARGET").unwrap_or_default();
    let found = FUZZ_TARGETS.into_iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET={wanted}: expected one of {names:?}"))
});

fuzz_target!(|bytes: &[u8]| (TARGET.1)(bytes));
