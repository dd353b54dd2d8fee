//! Locks that keep other processes from using a file or a network's folder.
//!
//! sled has a lock of its own, but its error does not say who holds it.

use super::error::StoreError;
use super::holder::Holder;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;

/// A file that only one process may use.
#[derive(Debug)]
pub enum FileLock {
    /// This process holds the lock, until the file is dropped or the process ends.
    Acquired(File),
    /// Another process holds the lock; the file can be read.
    HeldByOther(File),
}

impl FileLock {
    /// Opens a file, creating it if it is missing, and tries to lock it without waiting.
    ///
    /// # Errors
    /// The system cannot open, create or lock the file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        let file = options.create(true).truncate(false).read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self::Acquired(file)),
            Err(TryLockError::WouldBlock) => Ok(Self::HeldByOther(file)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

static COMMAND: OnceLock<(String, u64)> = OnceLock::new();

/// Sets the command that this process runs and its start in Unix seconds. A process that finds a folder in use by this
/// process shows both to its user. Only the first call has an effect.
pub fn set_command(name: &str, since: u64) {
    COMMAND.get_or_init(|| (name.to_owned(), since));
}

/// The lock of a network's folder, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct StoreLock {
    folder: PathBuf,
    /// `None` if a reader can neither open nor create the lock file, or the system cannot lock it: then the folder is
    /// taken to be read-only.
    file: Option<File>,
}

const LOCK: &str = "lock";

/// Creates a data folder and its missing parents with access for the user alone, as Bitcoin Core does by its umask.
/// Existing folders keep their mode.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

impl StoreLock {
    /// Locks a folder for writing, and creates it if it does not exist.
    ///
    /// # Errors
    /// Another process has locked the folder, or the folder cannot be written.
    pub fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(LOCK);
        let io = |source| StoreError::Io { path: path.clone(), source };
        create_folder(folder)
            .map_err(|source| StoreError::Io { path: folder.to_owned(), source })?;
        let mut file = match FileLock::open(&path).map_err(io)? {
            FileLock::Acquired(file) => file,
            FileLock::HeldByOther(file) => return Err(in_use(folder, file)),
        };
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        let command = COMMAND.get().map(|(name, since)| format!(" {name} {since}"));
        writeln!(file, "{}{}", process::id(), command.unwrap_or_default()).map_err(io)?;
        Ok(Self { folder: folder.to_owned(), file: Some(file) })
    }

    /// Locks a folder for reading: others may read it at the same time, but not write. The only thing written is a
    /// missing lock file.
    ///
    /// # Errors
    /// Another process has locked the folder for writing.
    pub fn share(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(LOCK);
        let made = || File::options().create(true).append(true).open(&path);
        // The lock file may be missing in a copy of a folder. If it cannot be created, the folder is taken to be
        // read-only.
        let Ok(file) = File::open(&path).or_else(|_| made()) else {
            return Ok(Self { folder: folder.to_owned(), file: None });
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(in_use(folder, file)),
            // Some read-only file systems have no locks.
            Err(TryLockError::Error(_)) => Ok(Self { folder: folder.to_owned(), file: None }),
        }
    }

    /// Checks that the folder still has the lock file that was locked. A reader without a lock file checks nothing.
    ///
    /// # Errors
    /// The lock file was removed or replaced, or cannot be examined.
    pub fn check(&self) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        let removed = || StoreError::Removed { folder: self.folder.clone() };
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let ours = file.metadata().map(identity).map_err(|_| removed())?;
        let there = fs::metadata(self.folder.join(LOCK)).map(identity);
        if there.is_ok_and(|there| there == ours) { Ok(()) } else { Err(removed()) }
    }
}

impl Drop for StoreLock {
    /// Unlocks the file instead of only closing it: between fork and exec, a child process shares all open files, and
    /// would keep the lock.
    fn drop(&mut self) {
        // Whatever fails here, the lock ends with the process at the latest.
        let _ = self.file.as_ref().map(File::unlock);
    }
}

fn in_use(folder: &Path, mut file: File) -> StoreError {
    // Readers share the lock and do not write their names: the file still names the last writer.
    let is_read = file.try_lock_shared().is_ok();
    let mut text = String::new();
    // An unreadable name only shortens the message.
    let said = file.read_to_string(&mut text).ok().filter(|_| !is_read);
    let holder = said.and_then(|_| Holder::parse(&text));
    StoreError::InUse { folder: folder.to_owned(), holder }
}

#[cfg(test)]
mod tests {
    use super::StoreLock;
    use crate::store::StoreError;
    use std::fs;
    use tempfile::tempdir;

    #[test]
    fn readers_share_a_folder_and_keep_writers_out() {
        let folder = tempdir().unwrap();
        let readers = [(); 2].map(|()| StoreLock::share(folder.path()).unwrap());
        let writer = StoreLock::take(folder.path());
        assert!(matches!(writer, Err(StoreError::InUse { holder: None, .. })), "{writer:?}");
        drop(readers);
        let writer = StoreLock::take(folder.path()).unwrap();
        let reader = StoreLock::share(folder.path());
        assert!(matches!(reader, Err(StoreError::InUse { holder: Some(_), .. })), "{reader:?}");
        drop(writer);
    }

    #[test]
    fn a_dropped_lock_frees_the_folder_even_while_a_child_process_has_the_lock_file_open() {
        let folder = tempdir().unwrap();
        let lock = StoreLock::take(folder.path()).unwrap();
        // Shares the lock, as a child process does between fork and exec.
        let forked = lock.file.as_ref().unwrap().try_clone().unwrap();
        drop(lock);
        StoreLock::take(folder.path()).unwrap();
        drop(forked);
    }

    #[test]
    fn a_folder_that_was_removed_or_replaced_is_noticed() {
        let parent = tempdir().unwrap();
        let folder = parent.path().join("regtest");
        let lock = StoreLock::take(&folder).unwrap();
        lock.check().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(lock.check(), Err(StoreError::Removed { .. })));
        let other = StoreLock::take(&folder).unwrap();
        assert!(matches!(lock.check(), Err(StoreError::Removed { .. })));
        other.check().unwrap();
    }
}
