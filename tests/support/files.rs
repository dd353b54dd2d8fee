//! Imports files of headers into the program.

use super::chain::fixture;
use super::run::{Finished, Program};
use lightclient::testing::SyncReport;
use std::path::Path;

/// Returns a path as text for an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// Runs `import --json` on a file, without a minimum chain work.
pub fn import(program: &Program, file: &Path, more: &[&str]) -> Finished {
    let args = ["import", text(file), "--json", "--min-chain-work", "0"];
    program.run(&[&args[..], more].concat())
}

/// Parses the report that `import` or `sync` prints at its end with `--json`.
pub fn report(finished: &Finished) -> SyncReport {
    serde_json::from_str(&finished.stdout).expect("the report object")
}

/// Makes a program with a new data folder, and imports mainnet's headers up to height 32,259.
pub fn mainnet(binary: &str) -> Program {
    let program = Program::new(binary);
    let _ = import(&program, &fixture("mainnet-0000000-0032259.bin"), &[]).expect_success();
    program
}
