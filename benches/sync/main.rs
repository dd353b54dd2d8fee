//! Whole runs of the program, from process start to its end, over loopback, beside a bitcoind that syncs the same
//! headers from the same peer: `benches/run`, `benches/run --list`, `benches/run --case NAME`.
//!
//! The peers are threads of this process and every measured program is a process of its own, so nothing of the peers
//! counts in its memory; they do share the machine's cores with it.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod bitcoin_node;
mod case;
mod light_client;
mod peer_alone;
mod serve_p2p;
mod table;
mod world;

// By its path, since support is no crate of its own.
#[allow(dead_code, reason = "a part of what the tests use is enough for this bench")]
#[path = "../../tests/support/mod.rs"]
mod support;

use case::{CASES, Case, Options};
use std::env;
use std::process::ExitCode;
use support::other;
use table::Table;
use world::World;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        // `cargo test --all-targets` starts benches too: figures of an unoptimised build would mean nothing.
        println!("whole-run figures: benches/run, or cargo bench --bench sync");
        return ExitCode::SUCCESS;
    }
    match parse(args) {
        Ok(Request::List) => list(),
        Ok(Request::Run(cases, options)) => return run(&cases, options),
        Err(problem) => {
            eprintln!(
                "{problem}\nusage: benches/run [--case NAME]... [--runs N] [--binary PATH] \
                 [--no-bitcoind | --only-bitcoind] [--list]"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

enum Request {
    List,
    Run(Vec<&'static Case>, Options),
}

fn parse(args: Vec<String>) -> Result<Request, String> {
    let mut cases = Vec::new();
    let mut options = Options {
        runs: 5,
        binary: env!("CARGO_BIN_EXE_lightclient").into(),
        bitcoind: other::find("BITCOIND", "bitcoind"),
        only_bitcoind: false,
    };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--bench" => {}
            "--list" => return Ok(Request::List),
            "--no-bitcoind" => options.bitcoind = None,
            "--only-bitcoind" => options.only_bitcoind = true,
            "--binary" => options.binary = value()?.into(),
            "--runs" => {
                options.runs = value()?
                    .parse()
                    .ok()
                    .filter(|runs| *runs > 0)
                    .ok_or("--runs needs a number")?;
            }
            "--case" => {
                let name = value()?;
                let found = CASES.iter().find(|case| case.name == name);
                cases.push(found.ok_or_else(|| format!("no case is called {name:?}: see --list"))?);
            }
            other => return Err(format!("unknown argument {other:?}")),
        }
    }
    if cases.is_empty() {
        cases = CASES.iter().filter(|case| case.by_default).collect();
    }
    Ok(Request::Run(cases, options))
}

fn list() {
    for case in &CASES {
        let extra = if case.by_default { "" } else { " (only when named)" };
        println!("{:16} {}{extra}", case.name, case.about);
    }
}

/// Fails if a measured program did what no figure shows.
fn run(cases: &[&'static Case], options: Options) -> ExitCode {
    if options.bitcoind.is_none() {
        eprintln!("no bitcoind to compare with: set BITCOIND, or run .ci/install-bitcoind");
    }
    let mut world = World::new(options);
    let mut table = Table::default();
    for case in cases {
        eprintln!("{}: {}", case.name, case.about);
        case.run(&mut world, &mut table);
    }
    println!("{table}");
    for fault in table.faults() {
        eprintln!("{fault}");
    }
    if table.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
