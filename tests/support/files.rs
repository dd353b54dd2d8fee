//! Chains that go out of the program and into it as files.

use super::chain::fixture;
use super::run::{Finished, Program};
use lightclient::testing::SyncReport;
use std::path::Path;

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// `import` of a file, whatever the work of its chain.
pub fn import(program: &Program, file: &Path, more: &[&str]) -> Finished {
    let args = ["import", text(file), "--json", "--min-chain-work", "0"];
    program.run(&[&args[..], more].concat())
}

/// What `import` or `sync` says at its end.
pub fn report(finished: &Finished) -> SyncReport {
    serde_json::from_str(&finished.stdout).expect("the report object")
}

/// The program at that path with mainnet's headers up to 32,259.
pub fn mainnet(binary: &str) -> Program {
    let program = Program::new(binary);
    let _ = import(&program, &fixture("mainnet-0000000-0032259.bin"), &[]).expect_success();
    program
}
