//! The address manager's file.

use super::codec::AddrManError;
use super::routable::Scope;
use super::{AddrMan, CAPACITY};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tracing::warn;

/// The name of the address manager's file in the network's data folder.
pub const FILE_NAME: &str = "addresses.dat";

/// The name of a new file until it replaces the old one.
const UNFINISHED: &str = "addresses.dat.new";
/// The new name of a file that could not be read.
const DAMAGED: &str = "addresses.dat.damaged";

/// Most bytes of a file that are read: 256 for each address, which is more than an address takes.
const MAX_BYTES: usize = CAPACITY * 256;

/// Why an address manager could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("address manager {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file's content is not an address manager of this network.
    #[error("address manager {}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: AddrManError,
    },
}

/// Reads the address manager from a network's data folder; `None` if there is no file. `magic` is the network's, in
/// wire order.
///
/// # Errors
/// The file cannot be read, or its content is not an address manager of this network.
pub fn load(folder: &Path, magic: [u8; 4], scope: Scope) -> Result<Option<AddrMan>, LoadError> {
    let path = folder.join(FILE_NAME);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened,
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    file.and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| LoadError::Read { path: path.clone(), source })?;
    let addrman = AddrMan::decode(&bytes, magic, scope);
    addrman.map(Some).map_err(|source| LoadError::Damaged { path, source })
}

/// Reads the address manager from a network's data folder, or creates an empty one with this key. If [`load`] fails,
/// this logs a warning and renames the file: a sync can do without old addresses.
///
/// Only the process that holds the folder's lock may call this.
pub fn load_or_new(folder: &Path, magic: [u8; 4], scope: Scope, key: [u8; 32]) -> AddrMan {
    match load(folder, magic, scope) {
        Ok(Some(addrman)) => return addrman,
        Ok(None) => {}
        Err(error) => {
            let aside = folder.join(DAMAGED);
            match fs::rename(folder.join(FILE_NAME), &aside) {
                Ok(()) => {
                    warn!("{error}: starting an empty one; the old file is now {}", aside.display())
                }
                Err(failed) => {
                    warn!("{error}: starting an empty one; cannot rename the old file: {failed}")
                }
            }
        }
    }
    AddrMan::new(key, scope)
}

/// Replaces the address manager's file. At any moment there is a complete file, either the old or the new one.
///
/// Only the process that holds the folder's lock may call this.
///
/// # Errors
/// The file system's errors. The file is then still a complete one, the old or the new.
pub fn save(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&unfinished, folder.join(FILE_NAME))?;
    // The new name is durable only once the folder is synced, too.
    File::open(folder)?.sync_all()
}
