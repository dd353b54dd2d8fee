//! The address manager's file.

use super::codec::AddrManError;
use super::routable::Scope;
use super::{AddrMan, CAPACITY};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tracing::warn;

/// The address manager's file in the network's data folder.
pub const FILE_NAME: &str = "addresses.dat";

/// Where it is written before it takes that name.
const UNFINISHED: &str = "addresses.dat.new";
/// What a file that could not be read is called from then on.
const DAMAGED: &str = "addresses.dat.damaged";

/// More bytes than any addrman has: 256 for each address.
const MAX_BYTES: usize = CAPACITY * 256;

/// Why an address manager could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("address book {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("address book {}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: AddrManError,
    },
}

/// Reads the address manager in a network's data folder; `None` if there is none. `magic` is the network's, wire order.
///
/// # Errors
/// The file cannot be read, or is damaged.
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

/// Reads the address manager in a network's data folder, or starts an empty one with this key: a sync does not fail for
/// want of old addresses. A damaged file is named in the log and kept aside.
///
/// Only for the process that holds the folder's lock.
pub fn load_or_new(folder: &Path, magic: [u8; 4], scope: Scope, key: [u8; 32]) -> AddrMan {
    match load(folder, magic, scope) {
        Ok(Some(addrman)) => return addrman,
        Ok(None) => {}
        Err(error) => {
            let aside = folder.join(DAMAGED);
            match fs::rename(folder.join(FILE_NAME), &aside) {
                Ok(()) => warn!("{error}: starting an empty one, kept it as {}", aside.display()),
                Err(failed) => warn!("{error}: starting an empty one; keeping it aside: {failed}"),
            }
        }
    }
    AddrMan::new(key, scope)
}

/// Writes an address manager's bytes so that at any moment either the old or the new one is there as a whole.
///
/// Only for the process that holds the folder's lock.
///
/// # Errors
/// Those of the file system; the old addrman is still there.
pub fn save(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&unfinished, folder.join(FILE_NAME))?;
    // The new name is durable only with its folder.
    File::open(folder)?.sync_all()
}
