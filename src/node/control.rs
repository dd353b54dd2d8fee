//! The control socket's server: lets other processes read the chain that this one has open.

use crate::chain::Params;
use crate::node::sync_task::Live;
use crate::query::remote::{LiveStatus, MAX_REQUEST, MAX_RUN, PROTOCOL, Reply, Request, StoreInfo};
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

/// How many clients are answered at once; more wait for one of these places.
pub const MAX_CLIENTS: u32 = 16;

/// How many clients may wait for a place; any more get the answer "busy".
pub const MAX_WAITING: u32 = 48;

/// How long a client may take for a request, from the last reply on, before it has to connect again: a client that says
/// nothing does not keep others out.
const REQUEST_WAIT: Duration = Duration::from_secs(2);

/// How long a client waits for a place: the silent ones have left by then, and the client still listens.
const PLACE_WAIT: Duration = Duration::from_millis(2500);

/// How long a client may take to read a reply.
const REPLY_WAIT: Duration = Duration::from_secs(10);

/// The socket, bound; its file is removed when this is dropped.
#[derive(Debug)]
pub struct ControlListener {
    socket: UnixListener,
    path: PathBuf,
    params: &'static Params,
}

impl ControlListener {
    /// Binds the socket in a network's folder, whose store the caller holds open: whatever socket is there
    /// was left behind. Has to be called inside a tokio runtime.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn bind(folder: &Path, held: &SledStore) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let reachable = SocketPath::new(folder)?;
        // Bound with the final mode: between bind and a later chmod anyone could connect.
        let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let socket = UnixListener::bind(reachable.as_path());
        rustix::process::umask(mask);
        Ok(Self { socket: socket?, path, params: held.params() })
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        // A file that stays is replaced by the next process.
        let _ = fs::remove_file(&self.path);
    }
}

/// What answering needs; shared by all clients.
struct Served<S> {
    store: Arc<S>,
    params: &'static Params,
    command: &'static str,
    live: watch::Receiver<Live>,
}

/// Answers clients until `stop` is ready; then the socket is closed and removed.
///
/// `command` is the running command's name, `live` what the process says of itself when it is asked. The
/// store has to stay open until this returns: then another process may take the folder.
pub async fn serve<S: HeaderStore + 'static>(
    listener: ControlListener,
    store: Arc<S>,
    command: &'static str,
    live: watch::Receiver<Live>,
    stop: impl Future<Output = ()>,
) {
    let served = Arc::new(Served { store, params: listener.params, command, live });
    let places = Arc::new(Semaphore::new(MAX_CLIENTS as usize));
    let waiting = Arc::new(Semaphore::new((MAX_CLIENTS + MAX_WAITING) as usize));
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
                welcome(stream, &served, (&places, &waiting), &mut clients);
            }
            Err(error) => {
                warn!("control socket: {error}");
                // Out of descriptors, most likely: trying at once would only spin.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    clients.shutdown().await;
    // A read that is under way on another thread holds its client's place, and the store.
    let _all = places.acquire_many(MAX_CLIENTS).await;
}

/// Answers a client as soon as there is a place for it.
fn welcome<S: HeaderStore + 'static>(
    stream: UnixStream,
    served: &Arc<Served<S>>,
    (places, waiting): (&Arc<Semaphore>, &Arc<Semaphore>),
    clients: &mut JoinSet<()>,
) {
    let Ok(queued) = Arc::clone(waiting).try_acquire_owned() else { return refuse(&stream) };
    let (served, places) = (Arc::clone(served), Arc::clone(places));
    clients.spawn(async move {
        let _queued = queued;
        let Ok(Ok(place)) = timeout(PLACE_WAIT, places.acquire_owned()).await else {
            return refuse(&stream);
        };
        if let Err(error) = answer_client(stream, served, Arc::new(place)).await {
            debug!("control client: {error}");
        }
    });
}

fn refuse(stream: &UnixStream) {
    // One attempt is enough: the socket's buffer is empty.
    let _ = stream.try_write(line(&Reply::Busy).as_bytes());
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
        let reply = match serde_json::from_slice::<Request>(&request) {
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

/// Every read of the store may wait for the disk: not on the threads that drive the sockets.
async fn answer_blocking<S: HeaderStore + 'static>(
    served: &Arc<Served<S>>,
    place: &Arc<OwnedSemaphorePermit>,
    request: Request,
) -> Reply {
    let (served, place) = (Arc::clone(served), Arc::clone(place));
    let answered = spawn_blocking(move || {
        let _place = place;
        answer(&served, &request).unwrap_or_else(|error| Reply::Failed {
            damaged: error.is_damage(),
            message: error.to_string(),
        })
    });
    answered.await.unwrap_or_else(|_| failed("the request could not be answered"))
}

fn answer<S: HeaderStore>(served: &Served<S>, request: &Request) -> Result<Reply, StoreError> {
    let store = served.store.as_ref();
    Ok(match request {
        Request::Hello => {
            Reply::Hello { protocol: PROTOCOL, network: served.params.network.name().to_owned() }
        }
        Request::Tip => Reply::Tip(store.tip().into()),
        Request::Locate { hash } => Reply::Located { at: locate(store, hash)?.map(Into::into) },
        Request::Run { from, count } => Reply::Run(store.run(*from, (*count).min(MAX_RUN))?.into()),
        Request::Sides => Reply::Sides { sides: side_summaries(store)? },
        Request::Info => Reply::Info(StoreInfo {
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

fn failed(message: &str) -> Reply {
    Reply::Failed { damaged: false, message: message.to_owned() }
}

fn line(reply: &Reply) -> String {
    let text = serde_json::to_string(reply).expect("replies have only string keys");
    format!("{text}\n")
}
