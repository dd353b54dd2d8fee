//! One trial: a command in a data folder, and something that happens at some moment of it.

use super::{
    LastEnd, SPACING, STORED, acknowledged, binary, copy, network_folder, program, regtest,
    template,
};
use crate::support::chain::{extend_chain, fork_chain, regtest_chain};
use crate::support::invariant::assert_invariant;
use crate::support::peer::ScriptedPeer;
use crate::support::run::{Finished, Program, Running};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::on_network;
use crate::support::wait::PATIENCE;
use lightclient::chain::ChainPoint;
use lightclient::primitives::{Header, Network};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::{TempDir, tempdir};

/// Headers that a command adds.
const ADDED: u32 = 12_000;
/// Bytes per second of a peer: the 1 MB that is missing takes some 80 ms.
const RATE: f64 = 12e6;

/// What runs when something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    Create,
    Sync,
    Reorganise,
    Import,
    Repair,
    Serve,
    Read,
}

impl Task {
    pub(super) const ALL: [Self; 7] = [
        Self::Sync,
        Self::Reorganise,
        Self::Import,
        Self::Repair,
        Self::Serve,
        Self::Read,
        Self::Create,
    ];
}

/// Commands that only read, with what they need of the command line besides.
const READERS: [&[&str]; 10] = [
    &["status", "--json"],
    &["query", "tip", "--json"],
    &["query", "9000..15000", "--raw"],
    &["query", "--at", "2011-02-05", "--json"],
    &["verify", "--json"],
    &["export", "csv", "-"],
    &["export", "bin", "-", "--from", "500"],
    &["chart", "difficulty"],
    &["chart", "interval"],
    &["query", "-7", "--json"],
];

/// What all trials of a test share: chains, peers, files and data folders to copy.
pub(super) struct World {
    pub(super) random: StdRng,
    chain: Vec<Header>,
    fork: Vec<Header>,
    longer: ScriptedPeer,
    forked: ScriptedPeer,
    /// The program that is tried.
    pub(super) binary: PathBuf,
    /// What is imported.
    pub(super) file: PathBuf,
    templates: [TempDir; 2],
    damaged: TempDir,
    /// How long each task takes if nothing happens.
    durations: BTreeMap<Task, Duration>,
    /// How the trials ended.
    pub(super) ends: BTreeMap<String, u32>,
    _files: TempDir,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let stored = regtest_chain(STORED, 1, SPACING);
        let chain = extend_chain(&stored, ADDED, 2, SPACING);
        let fork = fork_chain(&stored, STORED - 3000, ADDED, 3);
        let files = tempdir().expect("a folder");
        let file = files.path().join("chain.bin");
        let bytes: Vec<u8> = chain.iter().flat_map(Header::encode).collect();
        fs::write(&file, bytes).expect("a file");
        let peer = |headers: &[Header]| {
            Script::honest().rate(RATE).start(&SharedChain::new(Network::Regtest, headers))
        };
        let (longer, forked) = (peer(&chain), peer(&fork));
        let templates = [template(LastEnd::Closed), template(LastEnd::Killed)];
        let damaged = super::copy_of(&templates[0]);
        super::damage::make_hole(&network_folder(damaged.path()).join("headers/db"), 0.5, 64);
        Self {
            random: StdRng::seed_from_u64(seed),
            chain,
            fork,
            longer,
            forked,
            binary: binary(),
            file,
            templates,
            damaged,
            durations: BTreeMap::new(),
            ends: BTreeMap::new(),
            _files: files,
        }
    }

    /// The task of a round, each in its turn.
    pub(super) fn task(round: u32) -> Task {
        Task::ALL[round as usize % Task::ALL.len()]
    }

    /// Fills an empty data folder with what the task finds there.
    pub(super) fn prepare(&mut self, task: Task, data_dir: &Path) {
        let template = match task {
            Task::Create => return fs::create_dir_all(data_dir).expect("a folder"),
            Task::Repair => &self.damaged,
            _ => &self.templates[self.random.random_range(0..2)],
        };
        copy(template.path(), data_dir);
    }

    /// Fills a data folder with what a sync that ended by itself leaves.
    pub(super) fn prepare_intact(&self, data_dir: &Path) {
        copy(self.templates[0].path(), data_dir);
    }

    /// Starts the task, behind a command that runs another one.
    pub(super) fn start(&mut self, task: Task, data_dir: &Path, prefix: &[String]) -> Running {
        let sync = ["--no-dns", "--min-chain-work", "0", "--connect"];
        let peer = if task == Task::Reorganise { &self.forked } else { &self.longer }.connect();
        let file = self.file.to_str().expect("the path is text");
        let args: Vec<&str> = match task {
            Task::Create | Task::Sync | Task::Reorganise => {
                [&["sync", "--json"], &sync[..], &[&peer]].concat()
            }
            Task::Serve => [&["serve", "--rpc-bind", "127.0.0.1:0"], &sync[..], &[&peer]].concat(),
            Task::Import => vec!["import", file, "--json", "--min-chain-work", "0"],
            Task::Repair => vec!["verify", "--repair", "--json"],
            Task::Read => READERS[self.random.random_range(0..READERS.len())].to_vec(),
        };
        let program = on_network(Program::at(&self.binary, data_dir), Network::Regtest);
        Running::start(behind(prefix, &program.command(&args)), Stdio::null())
    }

    /// How long the task takes undisturbed; a server is given the time of a sync.
    pub(super) fn duration(&mut self, task: Task) -> Duration {
        let measured = if task == Task::Serve { Task::Sync } else { task };
        if let Some(duration) = self.durations.get(&measured) {
            return *duration;
        }
        let folder = tempdir().expect("a folder");
        self.prepare(measured, folder.path());
        let ended = self.start(measured, folder.path(), &[]).wait(PATIENCE).expect_success();
        self.durations.insert(measured, ended.elapsed);
        ended.elapsed
    }

    /// Waits for a random moment of the task, up to a fifth longer than it takes.
    pub(super) fn wait_for_a_moment(&mut self, task: Task) {
        let duration = self.duration(task).mul_f64(1.2);
        let duration = duration.mul_f64(self.random.random());
        // The moment is what the trial is about.
        thread::sleep(duration);
    }

    /// Waits for the end of a task, which a server has only if it is asked to.
    pub(super) fn wait_for_end(&mut self, task: Task, mut running: Running) -> Finished {
        if task == Task::Serve {
            let ended = self.duration(task) * 2;
            let deadline = Instant::now() + ended;
            while running.is_running() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(2));
            }
            running.terminate();
        }
        running.wait(PATIENCE)
    }

    /// Checks how a process ended, and then the invariant.
    pub(super) fn check(&mut self, task: Task, ended: &Finished, data_dir: &Path, what: &str) {
        let how = match (ended.code, ended.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, signal) => format!("signal {}", signal.unwrap_or_default()),
        };
        let what = format!("{what}: {task:?}, {how} {}", ended.stderr);
        *self.ends.entry(how).or_default() += 1;
        assert_no_panic(ended, &what);
        if task == Task::Repair {
            // What it finds is damaged until one of them has ended.
            program(data_dir).run(&["verify", "--repair", "--json"]).expect_success();
        }
        let base = ChainPoint { height: STORED, hash: self.chain[STORED as usize].hash() };
        let mut stored = vec![base];
        if task == Task::Create {
            stored.clear();
        }
        stored.extend(acknowledged(&ended.stdout));
        let kept = assert_invariant(&network_folder(data_dir), regtest(), &stored, &what);
        let truth =
            if task == Task::Reorganise { [&self.chain, &self.fork] } else { [&self.chain; 2] };
        assert!(truth.iter().any(|chain| chain.starts_with(&kept.headers)), "{what}: {kept:?}");
    }

    /// Prints what came of the trials.
    pub(super) fn tell(&self, what: &str) {
        let count: u32 = self.ends.values().sum();
        super::say(&format!(
            "{what}: {count} trials, the invariant held after each; {:?}",
            self.ends
        ));
    }
}

/// The same command behind another one, such as `env` or `prlimit`.
fn behind(prefix: &[String], command: &Command) -> Command {
    let mut words = prefix.iter().map(OsString::from).chain([command.get_program().to_owned()]);
    let mut behind = Command::new(words.next().expect("a program"));
    behind.args(words).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => behind.env(name, value),
            None => behind.env_remove(name),
        };
    }
    // With it, a panic would be more than the line that is looked for.
    behind.env_remove("RUST_BACKTRACE");
    behind
}

fn assert_no_panic(ended: &Finished, what: &str) {
    let stderr = &ended.stderr;
    assert!(!stderr.contains("panicked") && !stderr.contains("RUST_BACKTRACE"), "{what}");
    // Without memory for its own objects, a Rust program can only abort.
    let no_memory = ended.signal == Some(6) && stderr.contains("memory allocation of");
    // Before it can catch signals, the system's way of ending it is as good: shells show the same code.
    let fine = matches!(
        (ended.code, ended.signal),
        (Some(0 | 1 | 3 | 130 | 143), _) | (_, Some(2 | 9 | 15))
    );
    assert!(fine || no_memory, "{what}");
}
