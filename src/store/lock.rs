//! One process at a time: files that are locked, and the one beside the database.
//!
//! sled has a lock of its own, but says nothing useful when it is taken.

use super::error::StoreError;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::process;

/// A file that only one process is to use.
#[derive(Debug)]
pub enum Exclusive {
    /// This process has it, until the file is dropped (or until the process ends, however it ends).
    Ours(File),
    /// Another one has it; what it has written can be read.
    Taken(File),
}

impl Exclusive {
    /// Opens a file, which is made where it is missing, and locks it unless it is locked. Nothing is waited for.
    ///
    /// # Errors
    /// The system refuses.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        let file = options.create(true).truncate(false).read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self::Ours(file)),
            Err(TryLockError::WouldBlock) => Ok(Self::Taken(file)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The right to use a network's folder, held until dropped (or until the process ends, however it ends).
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the lock of a folder, which is created where it is missing.
    ///
    /// # Errors
    /// Another process has it, or the folder cannot be written.
    pub fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let io = |source| StoreError::Io { path: path.clone(), source };
        fs::create_dir_all(folder)
            .map_err(|source| StoreError::Io { path: folder.to_owned(), source })?;
        let mut file = match Exclusive::open(&path).map_err(io)? {
            Exclusive::Ours(file) => file,
            Exclusive::Taken(mut file) => {
                let mut text = String::new();
                // Who has it is a courtesy: without it the message is only shorter.
                let holder =
                    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(StoreError::InUse { folder: folder.to_owned(), holder });
            }
        };
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}
