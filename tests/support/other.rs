//! Programs of others that tests run: named by a variable of the environment, or in `PATH`.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;

/// The program that the variable names, else the one in `PATH`.
///
/// # Panics
/// If the variable names none: then something is set up wrongly, and skipping would hide it.
pub fn find(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable).filter(|named| !named.is_empty()) {
        let path = PathBuf::from(named);
        assert!(path.is_file(), "{variable} is {}, which is no file", path.display());
        return Some(path);
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The program to use, or `None` after saying what is skipped without it.
///
/// # Panics
/// If there is none and `CI` is `true`: there a skipped test would look like a passed one.
pub fn or_skip_loudly(variable: &str, name: &str, what: &str) -> Option<PathBuf> {
    let found = find(variable, name);
    if found.is_none() {
        let message = format!("SKIPPED, no {name} (set {variable} or PATH): {what}\n");
        assert!(env::var("CI").as_deref() != Ok("true"), "{message}");
        // Past the test harness, which keeps what `eprintln` says in tests that pass to itself.
        io::stderr().write_all(message.as_bytes()).ok();
    }
    found
}
