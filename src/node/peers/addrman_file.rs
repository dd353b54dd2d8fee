//! Reads and writes the address manager's file, for a process that holds the folder's lock, or for one that takes the
//! lock only to write.

use super::policy::AddrManUse;
use crate::chain::Params;
use crate::net::addrman::{AddrMan, load, save};
use crate::node::addresses::{open_addrman, scope_of};
use crate::store::StoreLock;
use std::path::Path;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{debug, warn};

/// The outcome of saving the address manager in its file.
#[derive(Debug)]
pub(super) enum SaveOutcome {
    /// The file was written, and now holds this address manager.
    Saved(AddrMan),
    /// Nothing was written: the lock could not be taken, the folder is missing, or the file cannot be read. A later
    /// attempt may succeed.
    Postponed,
    /// Another process has replaced the file since we last read or wrote it; this is what the file holds now.
    Replaced(AddrMan),
    /// Writing failed. A warning has been logged, unless the thread that wrote panicked.
    Failed,
}

/// The address manager's file, and its content when this process last read or wrote it.
#[derive(Debug)]
pub(super) struct AddrManFile {
    params: &'static Params,
    usage: AddrManUse,
    /// The content of the file when this process last read or wrote it; `None` if there was none. Only
    /// [`AddrManUse::Shared`] needs this, since other processes may replace a shared file.
    base: Option<AddrMan>,
}

impl AddrManFile {
    /// Opens the file. Also returns the address manager in the file, or an empty one if there is none or it cannot be
    /// read. Blocks on the file system.
    pub(super) fn open(params: &'static Params, usage: AddrManUse) -> (Self, AddrMan) {
        let (base, addrman) = match &usage {
            AddrManUse::None => (None, open_addrman(params, None)),
            AddrManUse::Held(folder) => (None, open_addrman(params, Some(folder))),
            AddrManUse::Shared(folder) => {
                let base = read(params, folder).unwrap_or_default();
                let addrman = base.clone().unwrap_or_else(|| open_addrman(params, None));
                (base, addrman)
            }
        };
        (Self { params, usage, base }, addrman)
    }

    /// Writes an address manager on another thread, if there is a file for it.
    pub(super) fn write(&self, addrman: AddrMan) -> Option<JoinHandle<SaveOutcome>> {
        let (params, base) = (self.params, self.base.clone());
        match self.usage.clone() {
            AddrManUse::None => None,
            AddrManUse::Held(folder) => {
                Some(spawn_blocking(move || replace(params, &folder, addrman)))
            }
            AddrManUse::Shared(folder) => {
                Some(spawn_blocking(move || replace_if_same(params, &folder, base, addrman)))
            }
        }
    }

    /// Records what the file holds now, so that the next write can tell whether another process has replaced it.
    pub(super) fn holds(&mut self, addrman: AddrMan) {
        if matches!(self.usage, AddrManUse::Shared(_)) {
            self.base = Some(addrman);
        }
    }
}

/// Returns the address manager in a folder: `Some(None)` if there is no file, `None` if the file cannot be read.
fn read(params: &Params, folder: &Path) -> Option<Option<AddrMan>> {
    let read = load(folder, params.magic, scope_of(params.network));
    // The process that holds the lock reports the damage, and renames the file.
    read.inspect_err(|error| debug!("continuing without the address manager: {error}")).ok()
}

fn replace(params: &Params, folder: &Path, addrman: AddrMan) -> SaveOutcome {
    match save(folder, &addrman.encode(params.magic)) {
        Ok(()) => SaveOutcome::Saved(addrman),
        Err(error) => {
            warn!("the address manager could not be written: {}: {error}", folder.display());
            SaveOutcome::Failed
        }
    }
}

/// Writes the file unless another process has replaced it. Holds the folder's lock only during this call. Other
/// processes wait for the lock longer than the call takes.
fn replace_if_same(
    params: &Params,
    folder: &Path,
    base: Option<AddrMan>,
    addrman: AddrMan,
) -> SaveOutcome {
    // The folder is created by the process that stores headers in it, not here.
    let lock = folder.is_dir().then(|| StoreLock::take(folder));
    let Some(Ok(_lock)) = lock else { return SaveOutcome::Postponed };
    match read(params, folder) {
        Some(Some(other)) if base.as_ref() != Some(&other) => SaveOutcome::Replaced(other),
        Some(_) => match replace(params, folder, addrman) {
            // Latencies are rounded in the file, so the file is read back: the next comparison must use its true
            // content.
            SaveOutcome::Saved(addrman) => {
                SaveOutcome::Saved(read(params, folder).flatten().unwrap_or(addrman))
            }
            other => other,
        },
        None => SaveOutcome::Postponed,
    }
}

#[cfg(test)]
mod tests {
    use super::{AddrMan, AddrManFile, AddrManUse, SaveOutcome, StoreLock, read};
    use crate::chain::{Params, params};
    use crate::net::addrman::{AdvertisedAddress, NetGroup, save};
    use crate::primitives::Network;
    use crate::wire::ServiceFlags;
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    fn regtest() -> &'static Params {
        params(Network::Regtest)
    }

    fn with(addrman: &AddrMan, address: &str) -> AddrMan {
        let mut addrman = addrman.clone();
        let services = ServiceFlags::NETWORK;
        let claim =
            AdvertisedAddress { address: address.parse().unwrap(), services, time: 1_800_000_000 };
        assert_eq!(addrman.add(&[claim], NetGroup::DNS, 1_800_000_000), 1);
        let latency = Duration::from_nanos(1_234_567);
        addrman.answered(&claim.address, services, latency, 1_800_000_000);
        addrman
    }

    fn shared(folder: &Path) -> (AddrManFile, AddrMan) {
        AddrManFile::open(regtest(), AddrManUse::Shared(folder.to_owned()))
    }

    async fn written(file: &AddrManFile, addrman: &AddrMan) -> SaveOutcome {
        file.write(addrman.clone()).unwrap().await.unwrap()
    }

    fn on_disk(folder: &Path) -> Option<AddrMan> {
        read(regtest(), folder).expect("no damage")
    }

    #[tokio::test]
    async fn a_shared_file_is_replaced_only_if_the_lock_is_free_and_no_one_else_changed_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, empty) = shared(folder.path());
        let one = with(&empty, "127.0.0.1:18444");
        let lock = StoreLock::take(folder.path()).unwrap();
        assert!(matches!(written(&file, &one).await, SaveOutcome::Postponed));
        assert_eq!(on_disk(folder.path()), None);
        drop(lock);
        let SaveOutcome::Saved(addrman) = written(&file, &one).await else {
            panic!("nobody has the lock")
        };
        assert_eq!(on_disk(folder.path()), Some(addrman.clone()));
        StoreLock::take(folder.path()).expect("the lock is free again");
        file.holds(addrman);
        let two = with(&one, "127.0.0.2:18444");
        let SaveOutcome::Saved(addrman) = written(&file, &two).await else {
            panic!("nobody else wrote")
        };
        file.holds(addrman);

        // Another process, which held the lock, has written the file since.
        let other = with(&empty, "127.0.0.9:18444");
        save(folder.path(), &other.encode(regtest().magic)).unwrap();
        let SaveOutcome::Replaced(taken) = written(&file, &two).await else {
            panic!("overwritten")
        };
        assert_eq!(on_disk(folder.path()), Some(taken.clone()));
        assert_eq!((taken.len(), taken.tried_len()), (1, 1));
        let both = with(&taken, "127.0.0.1:18444");
        file.holds(taken);
        assert!(matches!(written(&file, &both).await, SaveOutcome::Saved(_)));
        assert_eq!(shared(folder.path()).1.len(), 2);
    }

    #[tokio::test]
    async fn a_shared_file_is_not_written_if_the_folder_is_missing_or_the_file_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none");
        let (file, empty) = shared(&missing);
        assert!(matches!(written(&file, &empty).await, SaveOutcome::Postponed));
        assert!(!missing.exists());
        let path = folder.path().join(crate::net::addrman::FILE_NAME);
        fs::write(&path, b"no addrman").unwrap();
        let (file, empty) = shared(folder.path());
        assert!(empty.is_empty());
        assert!(matches!(written(&file, &empty).await, SaveOutcome::Postponed));
        assert_eq!(fs::read(&path).unwrap(), b"no addrman");
        assert!(AddrManFile::open(regtest(), AddrManUse::None).0.write(empty).is_none());
    }
}
