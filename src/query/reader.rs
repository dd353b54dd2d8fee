//! Reads the stored chain from the database, or from the process that has the database open.

#[cfg(feature = "cli")]
use super::lookup::READS;
use super::lookup::{Located, SideSummary, locate, side_summaries};
use super::remote::{ControlClient, ControlError, MAX_RUN, StoreInfo};
use crate::chain::{ChainTip, Params, ResumeError, params};
use crate::primitives::{BlockHash, Network};
use crate::store::{
    ErrorKind, HeaderStore, Holder, OpenRetry, SledStore, StoreError, StoredRun, holder_text,
};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the stored chain could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no database yet.
    #[error("nothing is stored yet for {network} in {}: run `lightclient sync` first, or choose \
        another network or --data-dir", folder.display())]
    NothingStored {
        /// The network.
        network: Network,
        /// The network's folder.
        folder: PathBuf,
    },
    /// Another process uses the folder, and does not answer requests.
    #[error("{} is in use by {}, which does not answer ({reason}): wait for it, end it, \
        or choose another --data-dir", folder.display(), holder_text(holder.as_ref()))]
    NoAnswer {
        /// The network's folder.
        folder: PathBuf,
        /// The other process, if it is known.
        holder: Option<Holder>,
        /// Why there is no answer.
        reason: String,
    },
    /// The process that uses the folder answered with an error.
    #[error("{message}")]
    Remote {
        /// Whether stored data is damaged.
        damaged: bool,
        /// The error's text.
        message: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored chain is shorter than its tip says.
    #[error("stored data is damaged: {0}: run `lightclient verify --repair`")]
    Resume(#[from] ResumeError),
    /// The chain was reorganised between two reads that belong together.
    #[error(
        "the chain was reorganised at height {height} while it was read: run the command again"
    )]
    Reorganized {
        /// The height at which the reorganisation was noticed: that of a header which is missing, is not the expected
        /// one, or does not link to the headers read before.
        height: u32,
    },
}

impl ReadError {
    /// Returns the kind of the error.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NothingStored { .. } => ErrorKind::NotFound,
            Self::NoAnswer { .. } => ErrorKind::InUse,
            Self::Remote { damaged: true, .. } | Self::Resume(_) => ErrorKind::Damaged,
            Self::Remote { .. } | Self::Reorganized { .. } => ErrorKind::Failed,
            Self::Store(error) => error.kind(),
        }
    }
}

/// Makes reads that belong together, and repeats them up to [`READS`] times if they find the chain reorganised between
/// them.
///
/// # Errors
/// Reading failed, or the chain was reorganised each time.
#[cfg(feature = "cli")]
pub(crate) fn reread_if_reorganised<T>(
    mut read: impl FnMut() -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    for _ in 1..READS {
        match read() {
            Err(ReadError::Reorganized { .. }) => {}
            other => return other,
        }
    }
    read()
}

/// Reads the stored chain of one network.
#[derive(Debug)]
pub struct ChainReader {
    folder: PathBuf,
    params: &'static Params,
    source: ChainSource,
}

/// Where the chain is read from.
#[derive(Debug)]
enum ChainSource {
    Local(Arc<SledStore>),
    Running(Box<ControlClient>),
}

impl ChainReader {
    /// Opens the chain of a network in a data folder of the program or of a [`Client`](crate::Client).
    ///
    /// If another process has the chain open, the reader asks that process. Blocks for up to 3 seconds while another
    /// process uses the folder and does not answer.
    ///
    /// # Errors
    /// Nothing is stored, or the folder is in use, damaged or unreadable.
    pub fn open(data_dir: impl AsRef<Path>, network: Network) -> Result<Self, ReadError> {
        Self::open_in(data_dir.as_ref(), params(network))
    }

    /// Opens the chain of the signet with this challenge script in a data folder, as [`ChainReader::open`] does.
    ///
    /// # Errors
    /// Nothing is stored, or the folder is in use, damaged or unreadable.
    pub fn open_signet(data_dir: impl AsRef<Path>, challenge: &[u8]) -> Result<Self, ReadError> {
        // The parameters are leaked: a program uses few signets, and needs their parameters until it ends.
        Self::open_in(data_dir.as_ref(), Box::leak(Box::new(Params::signet(challenge))))
    }

    fn open_in(data_dir: &Path, params: &'static Params) -> Result<Self, ReadError> {
        Self::open_folder(&data_dir.join(params.folder_name()), params)
    }

    /// Opens the chain in a network's folder, as [`ChainReader::open`] does.
    ///
    /// # Errors
    /// Nothing is stored, or the folder is in use, damaged or unreadable.
    pub(crate) fn open_folder(folder: &Path, params: &'static Params) -> Result<Self, ReadError> {
        let network = params.network;
        if !SledStore::exists(folder)? {
            return Err(ReadError::NothingStored { network, folder: folder.to_owned() });
        }
        let reader = |source| Self { folder: folder.to_owned(), params, source };
        let mut retry = OpenRetry::start();
        loop {
            let refusal = match ControlClient::connect(folder, network) {
                Ok(client) => return Ok(reader(ChainSource::Running(Box::new(client)))),
                Err(error) => error,
            };
            match SledStore::open_to_read(folder, params) {
                Ok(store) => {
                    store.check_log()?;
                    return Ok(reader(ChainSource::Local(Arc::new(store))));
                }
                Err(StoreError::InUse { holder, .. }) => {
                    if !retry.pause(folder, holder.as_ref()) {
                        return Err(no_answer(folder, holder, &refusal));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes a reader of a store that this process has open.
    pub(crate) fn of_store(folder: &Path, store: Arc<SledStore>) -> Self {
        let params = store.params();
        Self { folder: folder.to_owned(), params, source: ChainSource::Local(store) }
    }

    /// Leaks the reader, just before the process ends. Dropping sled's tables would take 1 ms, or 2 ms with 5,000,000
    /// headers, and is not needed, because a reader writes nothing.
    pub(crate) fn leak(self) {
        mem::forget(self);
    }

    /// Returns whether the chain is read through another process, which is running a sync.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.source, ChainSource::Running(_))
    }

    /// Returns the parameters of the network.
    pub fn params(&self) -> &'static Params {
        self.params
    }

    /// Returns the tip of the stored chain.
    ///
    /// # Errors
    /// The process that has the chain open does not answer, or answers with an error.
    pub fn tip(&mut self) -> Result<ChainTip, ReadError> {
        match &mut self.source {
            ChainSource::Local(store) => Ok(store.tip()),
            ChainSource::Running(client) => {
                client.tip().map_err(|error| remote_error(&self.folder, error))
            }
        }
    }

    /// Returns where the header with this hash is stored, or `None` if it is not stored.
    ///
    /// # Errors
    /// Reading failed.
    pub(crate) fn locate(&mut self, hash: &BlockHash) -> Result<Option<Located>, ReadError> {
        match &mut self.source {
            ChainSource::Local(store) => Ok(locate(store.as_ref(), hash)?),
            ChainSource::Running(client) => {
                client.locate(hash).map_err(|error| remote_error(&self.folder, error))
            }
        }
    }

    /// Returns `count` headers from height `from` on, or fewer if the chain ends earlier.
    ///
    /// # Errors
    /// Reading failed, or the chain was reorganised meanwhile.
    pub(crate) fn run(&mut self, from: u32, count: u32) -> Result<StoredRun, ReadError> {
        let client = match &mut self.source {
            ChainSource::Local(store) => return Ok(store.run(from, count)?),
            ChainSource::Running(client) => client,
        };
        let mut next = |from: u32, left: u32| {
            client.run(from, left.min(MAX_RUN)).map_err(|error| remote_error(&self.folder, error))
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
                return Err(ReadError::Reorganized { height: from + read });
            }
            run.headers.extend(more.headers);
            run.hashes.extend(more.hashes);
        }
    }

    /// Returns the side branches.
    ///
    /// # Errors
    /// Reading failed.
    pub(crate) fn sides(&mut self) -> Result<Vec<SideSummary>, ReadError> {
        match &mut self.source {
            ChainSource::Local(store) => Ok(side_summaries(store.as_ref())?),
            ChainSource::Running(client) => {
                client.sides().map_err(|error| remote_error(&self.folder, error))
            }
        }
    }

    /// Returns when a sync last reached the tip, the size on disk, and the state of the process that has the folder.
    ///
    /// # Errors
    /// Reading failed.
    pub(crate) fn info(&mut self) -> Result<StoreInfo, ReadError> {
        match &mut self.source {
            ChainSource::Local(store) => Ok(StoreInfo {
                last_sync: store.last_sync()?,
                size_on_disk: store.size_on_disk()?,
                live: None,
            }),
            ChainSource::Running(client) => {
                client.info().map_err(|error| remote_error(&self.folder, error))
            }
        }
    }
}

/// Returns the error for a failed request to the process that has the chain open.
fn remote_error(folder: &Path, error: ControlError) -> ReadError {
    match error {
        ControlError::Failed { damaged, message } => ReadError::Remote { damaged, message },
        error => no_answer(folder, None, &error),
    }
}

fn no_answer(folder: &Path, holder: Option<Holder>, error: &ControlError) -> ReadError {
    let reason = match error {
        ControlError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "it has no control socket".to_owned()
        }
        error => error.to_string(),
    };
    ReadError::NoAnswer { folder: folder.to_owned(), holder, reason }
}
