//! Runs programs whose calls on the files of a folder fail with EIO, as calls on a broken disk do.

use super::disk::skip;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::{TempDir, tempdir};

/// Which calls fail.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// Reads fail that touch the block of 4096 bytes that begins at this byte of the file `db`. Once the program has
    /// written to the block, reads succeed, because the system then has the data in memory.
    Block(u64),
    /// Calls of one kind fail.
    Calls {
        /// The kind: `w` for writes, `s` for syncs.
        kind: char,
        /// The first call that fails, from 1; 0 to only count calls.
        from: u64,
        /// How many calls fail; 0 if all that follow fail.
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
    /// Builds the library. Without a C compiler, prints what is skipped and returns `None`.
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

    /// Returns the words to put before a command so that its calls on the files of a folder fail.
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

    /// Returns how many counted calls the last program made. A killed program leaves the count of the one before.
    pub fn calls(&self) -> u64 {
        fs::read_to_string(&self.log)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or_default()
    }
}
