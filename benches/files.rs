//! Files at speed: `verify`, `export` and `import` of 930,000 headers in each format, whole processes on loopback's disk.
//! `cargo bench --bench files`, or with `-- --binary PATH` for another build, `-- --runs N`.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

#[allow(dead_code, reason = "a part of what the tests use is enough for this bench")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Stdio, exit};
use std::time::Instant;
use support::chain::{regtest_chain, spacing_for};
use support::measure::{Usage, wait_and_measure};
use support::run::Program;
use tempfile::TempDir;

/// Headers after genesis, as in the other whole-run benches.
const HEADERS: u32 = 930_000;

/// Seed of the chain; any number would do.
const SEED: u64 = 20_260_830;

struct Options {
    binary: PathBuf,
    runs: usize,
}

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    if !args.iter().any(|arg| arg == "--bench") {
        // `cargo test --all-targets` starts benches too: figures of an unoptimised build would mean nothing.
        println!("files of headers: cargo bench --bench files");
        return;
    }
    let Some(options) = parse(args) else {
        eprintln!("usage: cargo bench --bench files [-- [--binary PATH] [--runs N]]");
        exit(2);
    };
    let folder = TempDir::with_prefix("lightclient-bench-").expect("a folder for temporary files");
    let raw = folder.path().join("chain.bin");
    write_chain(&raw);
    println!("command           median s   best s  CPU s  peak MiB  file MB");
    let source = Program::at(&options.binary, folder.path().join("source")).with("--regtest");
    measure(&options, "import bin", &raw, || import(&options, folder.path(), &raw));
    run(&source, &["import", text(&raw)]);
    measure(&options, "verify", &raw, || run(&source, &["verify"]));
    for format in ["bin", "csv", "jsonl", "hex", "parquet"] {
        let file = folder.path().join(format!("out.{format}"));
        measure(&options, &format!("export {format}"), &file, || {
            fs::remove_file(&file).ok();
            run(&source, &["export", text(&file)])
        });
        if !["bin", "parquet"].contains(&format) {
            measure(&options, &format!("import {format}"), &file, || {
                import(&options, folder.path(), &file)
            });
        }
    }
}

fn parse(args: Vec<String>) -> Option<Options> {
    let mut options = Options { binary: env!("CARGO_BIN_EXE_lightclient").into(), runs: 5 };
    let mut args = args.into_iter().filter(|arg| arg != "--bench");
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--binary" => options.binary = args.next()?.into(),
            "--runs" => options.runs = args.next()?.parse().ok().filter(|runs| *runs > 0)?,
            _ => return None,
        }
    }
    Some(options)
}

fn write_chain(file: &Path) {
    let mut out = BufWriter::new(File::create(file).expect("the folder is writable"));
    for header in regtest_chain(HEADERS, SEED, spacing_for(HEADERS)) {
        out.write_all(&header.encode()).expect("the folder is writable");
    }
    out.flush().expect("the folder is writable");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder's name is text")
}

/// Imports into a new data folder.
fn import(options: &Options, folder: &Path, file: &Path) -> Usage {
    let data = TempDir::new_in(folder).expect("the folder is writable");
    let target = Program::at(&options.binary, data.path()).with("--regtest");
    run(&target, &["import", text(file)])
}

fn run(program: &Program, args: &[&str]) -> Usage {
    let mut command = program.command(args);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    wait_and_measure(child, started)
}

/// Runs something often enough and prints its figures.
fn measure(options: &Options, name: &str, file: &Path, mut step: impl FnMut() -> Usage) {
    let mut usages: Vec<Usage> = (0..options.runs).map(|_| step()).collect();
    if usages.iter().any(|usage| !usage.success) {
        println!("{name:16}  failed");
        return;
    }
    usages.sort_by_key(|usage| usage.elapsed);
    let median = &usages[usages.len() / 2];
    let peak = usages.iter().map(|usage| usage.peak).max().unwrap_or(0) >> 20;
    let size = fs::metadata(file).map_or(0, |metadata| metadata.len()) / 1_000_000;
    println!(
        "{name:16} {:9.3} {:8.3} {:6.2} {peak:9} {size:8}",
        median.elapsed.as_secs_f64(),
        usages[0].elapsed.as_secs_f64(),
        median.cpu.as_secs_f64()
    );
}
