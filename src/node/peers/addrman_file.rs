//! Reads and writes the address manager's file, with or without the folder's lock.

use super::policy::AddrManUse;
use crate::chain::Params;
use crate::net::addrman::{AddrMan, load, save};
use crate::node::addresses::{open_addrman, scope_of};
use crate::store::StoreLock;
use std::path::Path;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{debug, warn};

/// The outcome of writing the address manager's file.
#[derive(Debug)]
pub(super) enum Written {
    /// The file was written, and now holds this address manager.
    Whole(AddrMan),
    /// Nothing was written: another process holds the lock, the folder is missing, or the file cannot be read. A later attempt
    /// may succeed.
    NotNow,
    /// Another process has replaced the file since we last read or wrote it; this is what the file holds now.
    Replaced(AddrMan),
    /// Writing failed, and a warning has been logged.
    Failed,
}

/// The file, and what is known to be in it.
#[derive(Debug)]
pub(super) struct AddrManFile {
    params: &'static Params,
    usage: AddrManUse,
    /// What the file held when it was last read or written here, where others may replace it.
    base: Option<AddrMan>,
}

impl AddrManFile {
    /// The file and the address manager in it, or an empty one. Blocks on the file system.
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
    pub(super) fn write(&self, addrman: AddrMan) -> Option<JoinHandle<Written>> {
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
    // Who holds the lock will say so, and keep the file aside.
    read.inspect_err(|error| debug!("going on without the address book: {error}")).ok()
}

fn replace(params: &Params, folder: &Path, addrman: AddrMan) -> Written {
    match save(folder, &addrman.encode(params.magic)) {
        Ok(()) => Written::Whole(addrman),
        Err(error) => {
            warn!("the address book could not be written: {}: {error}", folder.display());
            Written::Failed
        }
    }
}

/// Holds the folder's lock only while it compares and writes: other processes wait longer than that before they give up.
fn replace_if_same(
    params: &Params,
    folder: &Path,
    base: Option<AddrMan>,
    addrman: AddrMan,
) -> Written {
    // The folder is created by the process that stores headers in it, not here.
    let lock = folder.is_dir().then(|| StoreLock::take(folder));
    let Some(Ok(_lock)) = lock else { return Written::NotNow };
    match read(params, folder) {
        Some(Some(other)) if base.as_ref() != Some(&other) => Written::Replaced(other),
        Some(_) => match replace(params, folder, addrman) {
            // The file rounds latencies, so it is read back: the next comparison must be with what it really holds.
            Written::Whole(addrman) => {
                Written::Whole(read(params, folder).flatten().unwrap_or(addrman))
            }
            other => other,
        },
        None => Written::NotNow,
    }
}

#[cfg(test)]
mod tests {
    use super::{AddrMan, AddrManFile, AddrManUse, StoreLock, Written, read};
    use crate::chain::{Params, params};
    use crate::net::addrman::{Claim, NetGroup, save};
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
        let claim = Claim { address: address.parse().unwrap(), services, time: 1_800_000_000 };
        assert_eq!(addrman.add(&[claim], NetGroup::DNS, 1_800_000_000), 1);
        let latency = Duration::from_nanos(1_234_567);
        addrman.answered(&claim.address, services, latency, 1_800_000_000);
        addrman
    }

    fn shared(folder: &Path) -> (AddrManFile, AddrMan) {
        AddrManFile::open(regtest(), AddrManUse::Shared(folder.to_owned()))
    }

    async fn written(file: &AddrManFile, addrman: &AddrMan) -> Written {
        file.write(addrman.clone()).unwrap().await.unwrap()
    }

    fn on_disk(folder: &Path) -> Option<AddrMan> {
        read(regtest(), folder).expect("no damage")
    }

    #[tokio::test]
    async fn who_has_not_the_lock_writes_only_while_nobody_has_it_and_over_nothing_unread() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, empty) = shared(folder.path());
        let one = with(&empty, "127.0.0.1:18444");
        let lock = StoreLock::take(folder.path()).unwrap();
        assert!(matches!(written(&file, &one).await, Written::NotNow));
        assert_eq!(on_disk(folder.path()), None);
        drop(lock);
        let Written::Whole(addrman) = written(&file, &one).await else { panic!("nobody has it") };
        assert_eq!(on_disk(folder.path()), Some(addrman.clone()));
        StoreLock::take(folder.path()).expect("it is free again");
        file.holds(addrman);
        let two = with(&one, "127.0.0.2:18444");
        let Written::Whole(addrman) = written(&file, &two).await else { panic!("nobody else") };
        file.holds(addrman);

        // Somebody who held the lock has written since.
        let other = with(&empty, "127.0.0.9:18444");
        save(folder.path(), &other.encode(regtest().magic)).unwrap();
        let Written::Replaced(taken) = written(&file, &two).await else { panic!("overwritten") };
        assert_eq!(on_disk(folder.path()), Some(taken.clone()));
        assert_eq!((taken.len(), taken.tried_len()), (1, 1));
        let both = with(&taken, "127.0.0.1:18444");
        file.holds(taken);
        assert!(matches!(written(&file, &both).await, Written::Whole(_)));
        assert_eq!(shared(folder.path()).1.len(), 2);
    }

    #[tokio::test]
    async fn no_folder_is_made_and_a_damaged_file_is_left_to_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none");
        let (file, empty) = shared(&missing);
        assert!(matches!(written(&file, &empty).await, Written::NotNow));
        assert!(!missing.exists());
        let path = folder.path().join(crate::net::addrman::FILE_NAME);
        fs::write(&path, b"no book").unwrap();
        let (file, empty) = shared(folder.path());
        assert!(empty.is_empty());
        assert!(matches!(written(&file, &empty).await, Written::NotNow));
        assert_eq!(fs::read(&path).unwrap(), b"no book");
        assert!(AddrManFile::open(regtest(), AddrManUse::None).0.write(empty).is_none());
    }
}
