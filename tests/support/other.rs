//! Finds other programs that tests run, through an environment variable or in `PATH`.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;

/// Returns the program that the variable names, or else the one in `PATH`.
///
/// # Panics
/// If the variable names no file: skipping the test would hide the wrong setting.
pub fn find(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable).filter(|named| !named.is_empty()) {
        let path = PathBuf::from(named);
        assert!(path.is_file(), "{variable} is {}, which is no file", path.display());
        return Some(path);
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Returns the program to use. Without one, prints what is skipped and returns `None`.
///
/// # Panics
/// If there is none and `CI` is `true`: in CI, a skipped test would look like a passed one.
pub fn or_skip_loudly(variable: &str, name: &str, what: &str) -> Option<PathBuf> {
    let found = find(variable, name);
    if found.is_none() {
        let message = format!("SKIPPED, no {name} (set {variable} or PATH): {what}\n");
        assert!(env::var("CI").as_deref() != Ok("true"), "{message}");
        // Written directly, because the test harness hides what `eprintln` prints in tests that pass.
        io::stderr().write_all(message.as_bytes()).ok();
    }
    found
}
