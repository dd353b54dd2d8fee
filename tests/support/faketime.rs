//! Runs programs with another wall-clock time than the computer's, with Debian's faketime.

use super::run::Program;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;

/// Returns the path of the library that fakes the time. Without faketime, prints what is skipped and returns `None`.
///
/// # Panics
/// If there is no faketime and `CI` is `true`: in CI, a skipped test would look like a passed one.
pub fn library(skipped: &str) -> Option<OsString> {
    // `faketime` names its library in the environment of the command that it runs.
    let output =
        Command::new("faketime").args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let library = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    if library.is_none() {
        let message = format!("SKIPPED, no faketime: {skipped}\n");
        assert!(env::var("CI").as_deref() != Ok("true"), "{message}");
        // Written directly, because the test harness hides what `eprintln` prints in tests that pass.
        io::stderr().write_all(message.as_bytes()).ok();
    }
    library.map(|name| OsString::from_vec(name.trim_ascii_end().to_vec()))
}

/// Returns the program with a wall clock that starts at `time` and then runs on. `-3h` is three hours ago, and
/// `@2009-06-01 00:00:00` is a time in UTC. The monotonic clock is not faked.
#[must_use]
pub fn with_clock(program: Program, library: &OsString, time: &str) -> Program {
    faked(program, library).env("FAKETIME", time)
}

/// Works like [`with_clock`], but the program reads the time from a file, which a test can change meanwhile.
#[must_use]
pub fn with_clock_in(program: Program, library: &OsString, file: &Path) -> Program {
    faked(program, library).env("FAKETIME_TIMESTAMP_FILE", file).env("FAKETIME_NO_CACHE", "1")
}

fn faked(program: Program, library: &OsString) -> Program {
    let program = program.env("LD_PRELOAD", library).env("TZ", "UTC");
    program.env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1")
}
