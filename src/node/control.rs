//! The control socket's server: it lets other processes read the chain that this process has open.

use crate::chain::Params;
use crate::node::sync_task::Live;
use crate::query::remote::{
    ControlReply, ControlRequest, LiveStatus, MAX_REQUEST, MAX_RUN, PROTOCOL, StoreInfo,
};
use crate::query::remote::{SOCKET, SocketPath};
use crate::query::{locate, side_summaries};
use crate::store::{HeaderStore, SledStore, StoreError};
use rustix::fs::Mode;
use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// How many clients are answered at once. Further clients wait for a place.
pub const MAX_CLIENTS: u32 = 16;

/// How many clients may wait for a place. The server answers further clients that it is busy.
pub const MAX_WAITING: u32 = 48;

/// How long a client may take to send its next request before it is disconnected, so that silent clients do not keep
/// others out.
const REQUEST_WAIT: Duration = Duration::from_secs(2);

/// How long a client waits for a place before the server answers that it is busy. This is longer than [`REQUEST_WAIT`],
/// after which silent clients have lost their places, and shorter than the client's own wait for the greeting.
const PLACE_WAIT: Duration = Duration::from_millis(2500);

/// How long a client may take to read a reply.
const REPLY_WAIT: Duration = Duration::from_secs(10);

/// The bound control socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct ControlListener {
    socket: UnixListener,
    path: PathBuf,
    params: &'static Params,
}

impl ControlListener {
    /// Binds the socket in a network's folder. This has to be called inside a tokio runtime.
    ///
    /// The caller has the folder's store open, so no other process serves this folder. A socket that exists already is
    /// left over from a process that was killed, and is replaced.
    ///
    /// # Errors
    /// The leftover socket cannot be removed, or the new socket cannot be created.
    pub fn bind(folder: &Path, held: &SledStore) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let reachable = SocketPath::new(folder)?;
        // The umask gives the socket its final mode at once: between bind and a later chmod anyone could connect.
        let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let socket = UnixListener::bind(reachable.as_path());
        rustix::process::umask(mask);
        Ok(Self { socket: socket?, path, params: held.params() })
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        // If the file cannot be removed, the next process replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

/// The data from which requests are answered. All clients share it.
struct Served<S> {
    store: Arc<S>,
    params: &'static Params,
    command: &'static str,
    live: watch::Receiver<Live>,
}

/// Answers clients until `stop` is ready. Then the socket is closed and removed.
///
/// `command` is the name of the running command, and `live` the state of its sync. The caller has to keep the store
/// open until this returns: once the store is closed, another process may open it and bind its own socket here.
pub async fn serve<S: HeaderStore + 'static>(
    listener: ControlListener,
    store: Arc<S>,
    command: &'static str,
    live: watch::Receiver<Live>,
    stop: impl Future<Output = ()>,
) {
    let served = Arc::new(Served { store, params: listener.params, command, live });
    let places = Arc::new(Semaphore::new(MAX_CLIENTS as usize));
    // A client holds an admission while it waits for a place and while it has one.
    let admissions = Arc::new(Semaphore::new((MAX_CLIENTS + MAX_WAITING) as usize));
    let mut clients = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.socket.accept() => accepted,
            Some(_) = clients.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                accept_client(stream, &served, (&places, &admissions), &mut clients);
            }
            Err(error) => {
                warn!("control socket: {error}");
                // The process is probably out of file descriptors, so a retry without a pause would only spin.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    clients.shutdown().await;
    // Reads on other threads may still use the store. Each read keeps its client's place until the read ends, so all
    // places are free only after the last read.
    let _all_places = places.acquire_many(MAX_CLIENTS).await;
}

/// Starts a task that answers a client as soon as there is a place for it. If too many clients wait, or this client
/// waits for too long, the server only answers that it is busy.
fn accept_client<S: HeaderStore + 'static>(
    stream: UnixStream,
    served: &Arc<Served<S>>,
    (places, admissions): (&Arc<Semaphore>, &Arc<Semaphore>),
    clients: &mut JoinSet<()>,
) {
    let Ok(admission) = Arc::clone(admissions).try_acquire_owned() else { return refuse(&stream) };
    let (served, places) = (Arc::clone(served), Arc::clone(places));
    clients.spawn(async move {
        let _admission = admission;
        let Ok(Ok(place)) = timeout(PLACE_WAIT, places.acquire_owned()).await else {
            return refuse(&stream);
        };
        if let Err(error) = answer_client(stream, served, Arc::new(place)).await {
            debug!("control client: {error}");
        }
    });
}

fn refuse(stream: &UnixStream) {
    // The socket's buffer is still empty, so one attempt is enough.
    let _ = stream.try_write(line(&ControlReply::Busy).as_bytes());
}

async fn answer_client<S: HeaderStore + 'static>(
    stream: UnixStream,
    served: Arc<Served<S>>,
    place: Arc<OwnedSemaphorePermit>,
) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    loop {
        let mut request = Vec::new();
        let mut bounded = (&mut input).take(MAX_REQUEST);
        let read = timeout(REQUEST_WAIT, bounded.read_until(b'\n', &mut request)).await;
        let Ok(read) = read else { return Ok(()) };
        if read? == 0 {
            return Ok(());
        }
        let whole = request.ends_with(b"\n");
        let reply = match serde_json::from_slice::<ControlRequest>(&request) {
            Ok(request) if whole => answer_blocking(&served, &place, request).await,
            Ok(_) => failed("the request is cut short"),
            Err(error) => failed(&format!("the request cannot be understood: {error}")),
        };
        timeout(REPLY_WAIT, output.write_all(line(&reply).as_bytes())).await??;
        if !whole {
            return Ok(());
        }
    }
}

/// Answers a request on another thread, since a read of the store may wait for the disk.
async fn answer_blocking<S: HeaderStore + 'static>(
    served: &Arc<Served<S>>,
    place: &Arc<OwnedSemaphorePermit>,
    request: ControlRequest,
) -> ControlReply {
    let (served, place) = (Arc::clone(served), Arc::clone(place));
    let answered = spawn_blocking(move || {
        let _place = place;
        answer(&served, &request).unwrap_or_else(|error| ControlReply::Failed {
            damaged: error.is_damage(),
            message: error.to_string(),
        })
    });
    answered.await.unwrap_or_else(|_| failed("the request could not be answered"))
}

fn answer<S: HeaderStore>(
    served: &Served<S>,
    request: &ControlRequest,
) -> Result<ControlReply, StoreError> {
    let store = served.store.as_ref();
    Ok(match request {
        ControlRequest::Hello => ControlReply::Hello {
            protocol: PROTOCOL,
            network: served.params.network.name().to_owned(),
        },
        ControlRequest::Tip => ControlReply::Tip(store.tip().into()),
        ControlRequest::Locate { hash } => {
            ControlReply::Located { at: locate(store, hash)?.map(Into::into) }
        }
        ControlRequest::Run { from, count } => {
            ControlReply::Run(store.run(*from, (*count).min(MAX_RUN))?.into())
        }
        ControlRequest::Sides => ControlReply::Sides { sides: side_summaries(store)? },
        ControlRequest::Info => ControlReply::Info(StoreInfo {
            last_sync: store.last_sync()?,
            size_on_disk: store.size_on_disk()?,
            live: Some(status(served.command, &served.live.borrow())),
        }),
    })
}

fn status(command: &str, live: &Live) -> LiveStatus {
    LiveStatus {
        command: command.to_owned(),
        phase: live.phase,
        presync_height: live.presync_height.unwrap_or(0),
        estimated_height: live.estimated_height,
        peers: live.peers,
    }
}

fn failed(message: &str) -> ControlReply {
    ControlReply::Failed { damaged: false, message: message.to_owned() }
}

fn line(reply: &ControlReply) -> String {
    let text = serde_json::to_string(reply).expect("replies have only string keys");
    format!("{text}\n")
}
