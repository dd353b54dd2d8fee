//! Reading the stored chain: from the database itself, or from the process that has it open.

use super::lookup::{Located, SideSummary, locate, side_summaries};
use super::remote::{ClientError, ControlClient, MAX_RUN, StoreInfo};
use crate::chain::{ChainTip, Params, ResumeError, params};
use crate::primitives::{BlockHash, Network};
use crate::store::Trouble;
use crate::store::{HeaderStore, Holder, SledStore, StoreError, StoredRun, holder_text};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tracing::warn;

/// How long another process's short use of the folder (another query, a start, an end) is waited for.
pub(crate) const OPEN_WAIT: Duration = Duration::from_secs(3);

/// How long nothing is said of that.
const SAY_AFTER: Duration = Duration::from_millis(400);

/// Time between two attempts to open the folder.
const OPEN_PAUSE: Duration = Duration::from_millis(30);

/// Why the stored chain could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no database yet.
    #[error("nothing is stored yet for {network} in {}: run `lightclient sync` first, or choose \
        another network or --data-dir", folder.display())]
    NothingStored {
        /// The network asked for.
        network: Network,
        /// The network's folder.
        folder: PathBuf,
    },
    /// Another process has the folder, and cannot be asked.
    #[error("{} is in use by {}, which does not answer ({reason}): wait for it, end it, \
        or choose another --data-dir", folder.display(), holder_text(holder.as_ref()))]
    NoAnswer {
        /// The network's folder.
        folder: PathBuf,
        /// The other process, where it said.
        holder: Option<Holder>,
        /// What became of asking it.
        reason: String,
    },
    /// The process that has the folder could not read what it was asked for.
    #[error("{message}")]
    Told {
        /// Whether stored data is damaged.
        damaged: bool,
        /// What it says.
        message: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored chain is shorter than its tip says.
    #[error("stored data is damaged: {0}: run `lightclient verify --repair`")]
    Resume(#[from] ResumeError),
    /// A branch with more work took over between two reads of one range.
    #[error(
        "the chain was reorganised at height {height} while it was read: run the command again"
    )]
    Reorganised {
        /// The first height that no longer follows.
        height: u32,
    },
}

impl ReadError {
    /// What kind of trouble it is.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::NothingStored { .. } => Trouble::NotFound,
            Self::NoAnswer { .. } => Trouble::InUse,
            Self::Told { damaged: true, .. } | Self::Resume(_) => Trouble::Damaged,
            Self::Told { .. } | Self::Reorganised { .. } => Trouble::Failed,
            Self::Store(error) => error.trouble(),
        }
    }
}

/// The stored chain of one network, wherever it can be read.
#[derive(Debug)]
pub struct ChainReader {
    folder: PathBuf,
    params: &'static Params,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Local(Arc<SledStore>),
    Running(Box<ControlClient>),
}

impl ChainReader {
    /// Opens the chain of a network in a data folder, as the program and [`Client`](crate::Client) have it: by asking
    /// the process that has it open, or else by opening it.
    ///
    /// Blocks for up to 3 seconds while another process has the folder without answering.
    ///
    /// # Errors
    /// Nothing is stored, or the folder is in use, damaged or unreadable.
    pub fn open(data_dir: impl AsRef<Path>, network: Network) -> Result<Self, ReadError> {
        Self::open_folder(&data_dir.as_ref().join(params(network).folder_name()), network)
    }

    /// Opens the chain in a network's folder: by asking the process that has it open, or else by opening it.
    ///
    /// Blocks for up to [`OPEN_WAIT`] while another process has the folder without answering.
    ///
    /// # Errors
    /// Nothing is stored, or the folder is in use, damaged or unreadable.
    pub(crate) fn open_folder(folder: &Path, network: Network) -> Result<Self, ReadError> {
        if !SledStore::exists(folder)? {
            return Err(ReadError::NothingStored { network, folder: folder.to_owned() });
        }
        let params = params(network);
        let reader = |source| Self { folder: folder.to_owned(), params, source };
        let until = Instant::now() + OPEN_WAIT;
        let mut said = false;
        loop {
            let refusal = match ControlClient::connect(folder, network) {
                Ok(client) => return Ok(reader(Source::Running(Box::new(client)))),
                Err(error) => error,
            };
            match SledStore::open_to_read(folder, params) {
                Ok(store) => return Ok(reader(Source::Local(Arc::new(store)))),
                Err(StoreError::InUse { holder, .. }) if Instant::now() >= until => {
                    return Err(no_answer(folder, holder, &refusal));
                }
                Err(StoreError::InUse { holder, .. }) => {
                    say_waiting(folder, holder.as_ref(), until, &mut said);
                    sleep(OPEN_PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The chain of a store that this process has open.
    pub(crate) fn of_store(folder: &Path, store: Arc<SledStore>) -> Self {
        let params = store.params();
        Self { folder: folder.to_owned(), params, source: Source::Local(store) }
    }

    /// Leaves what was read as it is, for the end of the process: to take sled's tables apart first takes 1 ms, and 2 ms
    /// for 5,000,000 headers. Nothing was written that had to be closed.
    pub(crate) fn leave(self) {
        mem::forget(self);
    }

    /// The network's parameters.
    pub fn params(&self) -> &'static Params {
        self.params
    }

    /// The end of the stored chain.
    ///
    /// # Errors
    /// The running process could not be asked.
    pub fn tip(&mut self) -> Result<ChainTip, ReadError> {
        match &mut self.source {
            Source::Local(store) => Ok(store.tip()),
            Source::Running(client) => client.tip().map_err(|error| told(&self.folder, error)),
        }
    }

    /// Where a hash is stored.
    ///
    /// # Errors
    /// Reading failed.
    pub(crate) fn locate(&mut self, hash: &BlockHash) -> Result<Option<Located>, ReadError> {
        match &mut self.source {
            Source::Local(store) => Ok(locate(store.as_ref(), hash)?),
            Source::Running(client) => {
                client.locate(hash).map_err(|error| told(&self.folder, error))
            }
        }
    }

    /// `count` headers from height `from` on; fewer where the chain ends before.
    ///
    /// # Errors
    /// Reading failed, or the chain changed meanwhile.
    pub(crate) fn run(&mut self, from: u32, count: u32) -> Result<StoredRun, ReadError> {
        let client = match &mut self.source {
            Source::Local(store) => return Ok(store.run(from, count)?),
            Source::Running(client) => client,
        };
        let mut next = |from: u32, left: u32| {
            client.run(from, left.min(MAX_RUN)).map_err(|error| told(&self.folder, error))
        };
        let mut run = next(from, count)?;
        loop {
            let read = u32::try_from(run.headers.len()).unwrap_or(u32::MAX);
            if read == 0 || read >= count {
                return Ok(run);
            }
            let more = next(from + read, count - read)?;
            let Some(first) = more.headers.first() else { return Ok(run) };
            if Some(&first.prev) != run.hashes.last() {
                return Err(ReadError::Reorganised { height: from + read });
            }
            run.headers.extend(more.headers);
            run.hashes.extend(more.hashes);
        }
    }

    /// The branches beside the active chain.
    ///
    /// # Errors
    /// Reading failed.
    pub(crate) fn sides(&mut self) -> Result<Vec<SideSummary>, ReadError> {
        match &mut self.source {
            Source::Local(store) => Ok(side_summaries(store.as_ref())?),
            Source::Running(client) => client.sides().map_err(|error| told(&self.folder, error)),
        }
    }

    /// What is known besides the chain: last sync, size, and the process that runs.
    ///
    /// # Errors
    /// Reading failed.
    pub(crate) fn info(&mut self) -> Result<StoreInfo, ReadError> {
        match &mut self.source {
            Source::Local(store) => Ok(StoreInfo {
                last_sync: store.last_sync()?,
                size_on_disk: store.size_on_disk()?,
                live: None,
            }),
            Source::Running(client) => client.info().map_err(|error| told(&self.folder, error)),
        }
    }
}

/// Opens a network's store for reading, waiting up to [`OPEN_WAIT`] for another process's short use of it.
///
/// # Errors
/// The folder is in use for longer, or its database cannot be read.
pub(super) fn open_to_read(folder: &Path, network: Network) -> Result<SledStore, StoreError> {
    patiently(|| SledStore::open_to_read(folder, params(network)))
}

/// Opens a network's store for writing, waiting up to [`OPEN_WAIT`] for another process's short use of it.
///
/// # Errors
/// The folder is in use for longer, or its database cannot be opened.
pub(crate) fn open_store(folder: &Path, network: Network) -> Result<SledStore, StoreError> {
    patiently(|| SledStore::open(folder, params(network)))
}

fn patiently(open: impl Fn() -> Result<SledStore, StoreError>) -> Result<SledStore, StoreError> {
    let until = Instant::now() + OPEN_WAIT;
    let mut said = false;
    loop {
        match open() {
            Err(StoreError::InUse { folder, holder }) if Instant::now() < until => {
                say_waiting(&folder, holder.as_ref(), until, &mut said);
                sleep(OPEN_PAUSE);
            }
            other => return other,
        }
    }
}

/// Says once what is waited for, if it takes longer than the short use of another command.
fn say_waiting(folder: &Path, holder: Option<&Holder>, until: Instant, said: &mut bool) {
    let waited = OPEN_WAIT.saturating_sub(until.saturating_duration_since(Instant::now()));
    if !*said && waited >= SAY_AFTER {
        warn!("{} is in use by {}: waiting for it", folder.display(), holder_text(holder));
        *said = true;
    }
}

fn told(folder: &Path, error: ClientError) -> ReadError {
    match error {
        ClientError::Failed { damaged, message } => ReadError::Told { damaged, message },
        error => no_answer(folder, None, &error),
    }
}

fn no_answer(folder: &Path, holder: Option<Holder>, error: &ClientError) -> ReadError {
    let reason = match error {
        ClientError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "it has no control socket".to_owned()
        }
        error => error.to_string(),
    };
    ReadError::NoAnswer { folder: folder.to_owned(), holder, reason }
}
