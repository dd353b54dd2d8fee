//! What README says can be done as it says.

use crate::support::files::mainnet;
use crate::support::run::command;
use lightclient::primitives::sha256d;
use std::fs;
use std::path::Path;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

const README: &str = include_str!("../../README.md");

/// The arguments of each `lightclient` command in README's console blocks, without what follows in a pipe or a file.
fn commands() -> Vec<Vec<String>> {
    let lines = README.lines().filter_map(|line| line.strip_prefix("$ lightclient "));
    let words = lines.map(|line| line.split([' ']).take_while(|word| !["|", ">"].contains(word)));
    words.map(|words| words.map(str::to_owned).collect()).collect()
}

#[test]
fn every_command_in_the_readme_is_valid() {
    assert!(commands().len() >= 6, "{:?}", commands());
    for args in commands() {
        let run = command(Path::new(BINARY)).args(&args).arg("--help").output().expect("it runs");
        assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn every_option_in_the_readme_belongs_to_its_command() {
    let rows = README.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut seen = 0;
    for row in rows.filter(|row| row.contains("--")) {
        let sub_command = row.split([' ', '`']).next().expect("a command");
        let help = command(Path::new(BINARY)).args([sub_command, "--help"]).output().expect("it");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        for option in row.split("`--").skip(1) {
            let name: String =
                option.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            assert!(help.contains(&format!("--{name}")), "{sub_command} --{name}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_block_that_attests_the_genesis_coinbase_has_the_merkle_root_that_its_timestamp_names() {
    let coinbase = fs::read(crate::support::chain::fixture("mainnet-coinbase-0.bin")).expect("it");
    let mut root = sha256d(&coinbase);
    root.reverse();
    let root: String = root.iter().map(|byte| format!("{byte:02x}")).collect();
    let header = mainnet(BINARY).run(&["query", "0", "--json"]).expect_success().json();
    assert_eq!(header["merkleroot"], root.as_str());
    assert!(README.contains(&root));
}
