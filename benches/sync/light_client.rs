//! Runs of `lightclient`.

use crate::support::measure::{disk_usage, wait_and_measure};
use crate::support::run::Program;
use crate::table::Sample;
use crate::world::{Chain, World};
use serde_json::Value;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;
use tempfile::TempDir;

/// A finished `sync`.
pub(crate) struct Synced {
    pub(crate) sample: Sample,
    /// What it said on standard error.
    pub(crate) log: String,
    /// Its data folder.
    pub(crate) data: TempDir,
}

/// Which hints the program is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hints {
    /// `--hints none`.
    None,
    /// The chain's own, from a file.
    File,
    /// The same up to 40,000 headers before the chain's end.
    Short,
}

/// Syncs into a new data folder; the time is from the start of the process to its end.
///
/// # Panics
/// If it does not end well with the whole chain.
pub(crate) fn sync(world: &World, chain: &Chain, peers: &[String], hints: Hints) -> Synced {
    let hints = match hints {
        Hints::None => "none".to_owned(),
        Hints::File => chain.hints.display().to_string(),
        Hints::Short => chain.short_hints.display().to_string(),
    };
    sync_chain(world, &chain.tip(), peers, &["--hints", &hints])
}

/// As [`sync`], of any chain that ends in that hash.
///
/// # Panics
/// If it does not end well with the whole chain.
pub(crate) fn sync_chain(world: &World, tip: &str, peers: &[String], more: &[&str]) -> Synced {
    let data = TempDir::new_in(world.folder.path()).expect("the folder is writable");
    let program = Program::at(&world.options.binary, data.path()).with("--regtest");
    let mut args = vec!["sync".to_owned(), "--json".to_owned()];
    for peer in peers {
        args.extend(["--connect".to_owned(), peer.clone()]);
    }
    args.extend(["--peers".to_owned(), peers.len().to_string()]);
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    let (usage, stdout, log) = measured(program.command(&args));
    assert!(usage.success, "lightclient {args:?} failed: {log}");
    let result: Value = serde_json::from_str(&stdout).expect("sync --json prints JSON");
    assert_eq!(result["hash"], tip, "it ended elsewhere: {stdout}");
    let disk = disk_usage(data.path());
    let sample = Sample { elapsed: usage.elapsed, cpu: usage.cpu, peak: usage.peak, disk };
    Synced { sample, log, data }
}

/// Runs `query` on that data, as a process of its own.
pub(crate) fn query(world: &World, data: &TempDir, what: &str) -> Sample {
    let program = Program::at(&world.options.binary, data.path()).with("--regtest");
    let (usage, stdout, log) = measured(program.command(&["query", what, "--json"]));
    assert!(usage.success && stdout.contains("chainwork"), "query {what} failed: {log}");
    let disk = disk_usage(data.path());
    Sample { elapsed: usage.elapsed, cpu: usage.cpu, peak: usage.peak, disk }
}

fn measured(mut command: Command) -> (crate::support::measure::Usage, String, String) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let read = |stream: Option<Box<dyn Read + Send>>| {
        let mut stream = stream.expect("it was piped");
        thread::spawn(move || {
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("the program writes UTF-8");
            text
        })
    };
    let stdout = read(child.stdout.take().map(|stream| Box::new(stream) as _));
    let stderr = read(child.stderr.take().map(|stream| Box::new(stream) as _));
    let usage = wait_and_measure(child, started);
    let text =
        |reading: thread::JoinHandle<String>| reading.join().expect("reading does not panic");
    (usage, text(stdout), text(stderr))
}
