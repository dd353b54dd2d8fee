//! Programs that see another time than the computer's, by Debian's faketime.

use super::run::Program;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;

/// The library that fakes the time; says what is skipped where there is none.
///
/// # Panics
/// If there is none and `CI` is `true`: there a skipped test would look like a passed one.
pub fn library(skipped: &str) -> Option<OsString> {
    // The command names its library to whatever it runs.
    let output =
        Command::new("faketime").args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let library = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    if library.is_none() {
        let message = format!("SKIPPED, no faketime: {skipped}\n");
        assert!(env::var("CI").as_deref() != Ok("true"), "{message}");
        // Past the test harness, which keeps what `eprintln` says in tests that pass to itself.
        io::stderr().write_all(message.as_bytes()).ok();
    }
    library.map(|name| OsString::from_vec(name.trim_ascii_end().to_vec()))
}

/// The program with a wall clock that shows `time`: `-3h` from now, or `@2009-06-01 00:00:00` in UTC, from where it
/// goes on. Time spans are measured as ever.
#[must_use]
pub fn with_clock(program: Program, library: &OsString, time: &str) -> Program {
    faked(program, library).env("FAKETIME", time)
}

/// The same with a clock that can be set while the program runs: the file holds what [`with_clock`] takes.
#[must_use]
pub fn with_clock_in(program: Program, library: &OsString, file: &Path) -> Program {
    faked(program, library).env("FAKETIME_TIMESTAMP_FILE", file).env("FAKETIME_NO_CACHE", "1")
}

fn faked(program: Program, library: &OsString) -> Program {
    let program = program.env("LD_PRELOAD", library).env("TZ", "UTC");
    program.env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1")
}
