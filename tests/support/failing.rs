//! Programs whose calls on the files of a folder fail with EIO, as those on a broken disk do.

use super::disk::skip;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::{TempDir, tempdir};

/// Which calls fail.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// Reads of the block of the file `db` that begins at this byte, until the program has written it: from then on the
    /// system has it in memory, as it has what was read before.
    Block(u64),
    /// Writes (`w`) or syncs (`s`).
    Calls {
        /// The kind.
        kind: char,
        /// The first one that fails, or 0 to only count them.
        from: u64,
        /// How many fail, or 0 for all that follow.
        count: u64,
    },
}

/// The library that makes calls fail. It is removed when dropped.
#[derive(Debug)]
pub struct FailingCalls {
    library: PathBuf,
    log: PathBuf,
    _files: TempDir,
}

impl FailingCalls {
    /// Builds the library; says what is skipped where there is no C compiler.
    pub fn build_or_skip_loudly(skipped: &str) -> Option<Self> {
        let files = tempdir().expect("a folder");
        let (library, log) = (files.path().join("failing.so"), files.path().join("log"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/failing.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .output();
        match built {
            Ok(output) if output.status.success() => Some(Self { library, log, _files: files }),
            failed => {
                skip(&format!("{skipped} (a C compiler): {failed:?}"));
                None
            }
        }
    }

    /// Returns what to put before a command so that calls on the files of a folder fail.
    pub fn prefix(&self, folder: &Path, failure: Failure) -> Vec<String> {
        let set = |name: &str, value: &dyn Display| format!("{name}={value}");
        let mut prefix = vec![
            "env".to_owned(),
            set("LD_PRELOAD", &self.library.display()),
            set("FAILING_FOLDER", &folder.display()),
            set("FAILING_LOG", &self.log.display()),
        ];
        match failure {
            Failure::Block(at) => prefix.push(set("FAILING_BLOCK", &at)),
            Failure::Calls { kind, from, count } => prefix.extend([
                set("FAILING_CALLS", &kind),
                set("FAILING_FROM", &from),
                set("FAILING_COUNT", &count),
            ]),
        }
        prefix
    }

    /// Returns how many calls the last program that ended by itself had made.
    pub fn calls(&self) -> u64 {
        fs::read_to_string(&self.log)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or_default()
    }
}
