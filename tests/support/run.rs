//! Runs the program in a process of its own, with a data folder of its own and a deadline.

use super::wait::{PATIENCE, Watched, poll_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program with a data folder.
#[derive(Debug)]
pub struct Program {
    binary: PathBuf,
    data_dir: PathBuf,
    /// Removes the folder when dropped, if it was made for this program.
    _temporary: Option<TempDir>,
    flags: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl Program {
    /// Makes a program from the path of its binary (in integration tests and benches
    /// `env!("CARGO_BIN_EXE_lightclient")`), with a new data folder. Dropping the program removes
    /// the folder.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let temporary = TempDir::with_prefix("lightclient-").expect("a folder for temporary files");
        let data_dir = temporary.path().join("data");
        Self { _temporary: Some(temporary), ..Self::at(binary, data_dir) }
    }

    /// Makes a program with an existing data folder.
    pub fn at(binary: impl Into<PathBuf>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            data_dir: data_dir.into(),
            _temporary: None,
            flags: Vec::new(),
            env: Vec::new(),
        }
    }

    /// Adds a flag to every command, such as `--regtest`.
    #[must_use]
    pub fn with(mut self, flag: impl Into<OsString>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Sets an environment variable. The program gets none of the tests' own variables that begin with `LIGHTCLIENT_`.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Returns the data folder.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Returns the command that [`Program::start`] runs: the subcommand, then the data folder and flags, then the other
    /// arguments.
    pub fn command<S: AsRef<str>>(&self, args: &[S]) -> Command {
        let mut command = command(&self.binary);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let (sub_command, rest) = args.split_at(args.len().min(1));
        command.args(sub_command.iter().map(AsRef::as_ref));
        command.arg("--data-dir").arg(&self.data_dir).args(&self.flags);
        command.args(rest.iter().map(AsRef::as_ref));
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// If the command does not end within [`PATIENCE`].
    pub fn run<S: AsRef<str>>(&self, args: &[S]) -> Finished {
        self.start(args).wait(PATIENCE)
    }

    /// Runs a command to its end with this text on its standard input.
    pub fn run_with_input<S: AsRef<str>>(&self, args: &[S], input: &[u8]) -> Finished {
        let mut running = Running::start(self.command(args), Stdio::piped());
        let stdin = running.child.stdin.take().expect("it was piped");
        let feeding = feed(stdin, input.to_vec());
        let finished = running.wait(PATIENCE);
        feeding.join().expect("feeding does not panic");
        finished
    }

    /// Starts a command and leaves it running.
    pub fn start<S: AsRef<str>>(&self, args: &[S]) -> Running {
        Running::start(self.command(args), Stdio::null())
    }
}

/// Returns a command for the program, without settings from the environment of the tests.
pub fn command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    let ours = |name: &OsString| name.to_string_lossy().starts_with("LIGHTCLIENT_");
    for (name, _) in env::vars_os().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command
}

fn feed(mut stdin: ChildStdin, input: Vec<u8>) -> JoinHandle<()> {
    // The program may stop reading.
    thread::spawn(move || drop(stdin.write_all(&input)))
}

/// A command that was started, and that is killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    started: Instant,
    stdout: Captured,
    stderr: Captured,
}

impl Running {
    /// Starts a command whose outputs are captured.
    pub fn start(mut command: Command, stdin: Stdio) -> Self {
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Captured::new(child.stdout.take().expect("it was piped"));
        let stderr = Captured::new(child.stderr.take().expect("it was piped"));
        Self { child, started, stdout, stderr }
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&mut self) {
        self.signal(Signal::INT);
    }

    /// Sends SIGTERM, as `kill` does.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGKILL, as `kill -9` does.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&mut self, signal: Signal) {
        // No other process gets the process number until this one has been waited for.
        if self.has_ended().is_none() {
            let id = Pid::from_child(&self.child);
            kill_process(id, signal).expect("a child may be signalled");
        }
    }

    fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Returns the number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether the process is still running.
    pub fn is_running(&mut self) -> bool {
        self.has_ended().is_none()
    }

    /// Waits until standard output contains a text, and returns the output so far.
    ///
    /// # Panics
    /// If the deadline passes or the output ends before.
    pub fn wait_for_stdout(&self, text: &str, patience: Duration) -> String {
        self.stdout
            .wait_for(text, patience)
            .unwrap_or_else(|| self.give_up("output", text, patience))
    }

    /// Waits until standard error contains a text, like [`Running::wait_for_stdout`].
    pub fn wait_for_stderr(&self, text: &str, patience: Duration) -> String {
        self.stderr
            .wait_for(text, patience)
            .unwrap_or_else(|| self.give_up("error", text, patience))
    }

    fn give_up(&self, stream: &str, text: &str, patience: Duration) -> ! {
        panic!("no {text:?} on standard {stream} within {patience:?}\n{}", self.said())
    }

    fn said(&self) -> String {
        outputs(&self.stdout.text(), &self.stderr.text())
    }

    /// Waits until the process ends.
    ///
    /// # Panics
    /// If the process has not ended within `patience` from its start. The process is then killed.
    pub fn wait(mut self, patience: Duration) -> Finished {
        let deadline = self.started + patience;
        let mut overdue = false;
        let status = poll_for("the program's end", patience + PATIENCE, || {
            if !overdue && Instant::now() > deadline {
                overdue = true;
                self.child.kill().ok();
            }
            self.has_ended()
        });
        let elapsed = self.started.elapsed();
        self.stdout.finish();
        self.stderr.finish();
        assert!(!overdue, "not ended after {patience:?}\n{}", self.said());
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        Finished { code: status.code(), signal: status.signal(), stdout, stderr, elapsed }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exit code, unless a signal ended the process.
    pub code: Option<i32>,
    /// The signal that ended the process.
    pub signal: Option<i32>,
    /// The text on standard output.
    pub stdout: String,
    /// The text on standard error.
    pub stderr: String,
    /// The time from start to end.
    pub elapsed: Duration,
}

impl Finished {
    /// Checks the exit code, and returns the command.
    ///
    /// # Panics
    /// If the exit code is another one. The message has all output.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        let ended = (self.code, self.signal);
        assert!(ended.0 == Some(code), "expected exit code {code}, got {ended:?}\n{}", self.said());
        self
    }

    /// Checks that the exit code is 0, and returns the command.
    ///
    /// # Panics
    /// If the exit code is another one. The message has all output.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        self.expect_code(0)
    }

    /// Returns standard output as one JSON value.
    ///
    /// # Panics
    /// If the output is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("no JSON: {error}\n{}", self.said()),
        }
    }

    /// Returns each line of standard output as a JSON value.
    ///
    /// # Panics
    /// If a line is not JSON.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => panic!("no JSON: {error}: {line}\n{}", self.said()),
        };
        self.stdout.lines().map(parse).collect()
    }

    fn said(&self) -> String {
        outputs(&self.stdout, &self.stderr)
    }
}

fn outputs(stdout: &dyn Display, stderr: &dyn Display) -> String {
    format!("--- standard output\n{stdout}\n--- standard error\n{stderr}\n---")
}

/// A stream that a thread of its own reads.
#[derive(Debug)]
struct Captured {
    read: Arc<Watched<ReadSoFar>>,
    reading: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct ReadSoFar {
    bytes: Vec<u8>,
    ended: bool,
}

impl Captured {
    fn new(mut stream: impl Read + Send + 'static) -> Self {
        let read: Arc<Watched<ReadSoFar>> = Arc::default();
        let shared = Arc::clone(&read);
        let reading = Some(thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                shared.change(|read| read.bytes.extend_from_slice(&buffer[..length]));
            }
            shared.change(|read| read.ended = true);
        }));
        Self { read, reading }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read.lock().bytes).into_owned()
    }

    /// Waits until the text contains `wanted`, and returns the text, or `None` if it never does.
    fn wait_for(&self, wanted: &str, patience: Duration) -> Option<String> {
        let found = self.read.wait_until(Instant::now() + patience, |read| {
            let text = String::from_utf8_lossy(&read.bytes);
            let found = text.contains(wanted);
            (found || read.ended).then(|| found.then(|| text.into_owned()))
        });
        found.flatten()
    }

    fn finish(&mut self) {
        if let Some(reading) = self.reading.take() {
            reading.join().expect("reading does not panic");
        }
    }
}
