//! Accepts HTTP connections, bounds their number and how long they may be idle, and ends them.

use super::service::HttpService;
use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tracing::{debug, warn};

/// Most connections at once. To accept one more, the server closes the connection that has been idle for longest.
const MAX_CONNECTIONS: usize = 2048;

/// How long a client may be idle, or take to send the head of a request. Source: Bitcoin Core `-rpcservertimeout`.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may read nothing of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest head of a request in bytes: Bitcoin Core's `MAX_HEADERS_SIZE`, which is also the least that hyper accepts.
const MAX_HEAD: usize = 8192;

/// How long unfinished answers may take when the server ends.
const END_TIMEOUT: Duration = Duration::from_millis(1000);

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct HttpConnections {
    next_id: AtomicU64,
    all: Mutex<HashMap<u64, Arc<HttpConnection>>>,
}

#[derive(Debug)]
struct HttpConnection {
    opened: Instant,
    /// Milliseconds from `opened` to the end of the last answer; 0 before the first one.
    idle_from_ms: AtomicU64,
    /// How many requests are being answered.
    busy: AtomicUsize,
    close: Notify,
}

impl HttpConnections {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<HttpConnection>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection. If there are [`MAX_CONNECTIONS`] already, closes the one that has been idle for longest, or
    /// returns `None` if all of them are busy.
    fn add(self: &Arc<Self>) -> Option<(u64, Arc<HttpConnection>)> {
        let mut all = self.all();
        if all.len() >= MAX_CONNECTIONS {
            let idle = all.iter().filter(|(_, known)| known.busy.load(Ordering::Relaxed) == 0);
            let (oldest, known) = idle.min_by_key(|(_, known)| known.idle_from())?;
            known.close.notify_one();
            let oldest = *oldest;
            all.remove(&oldest);
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(HttpConnection {
            opened: Instant::now(),
            idle_from_ms: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            close: Notify::new(),
        });
        all.insert(id, Arc::clone(&connection));
        Some((id, connection))
    }
}

impl HttpConnection {
    fn idle_from(&self) -> Instant {
        self.opened + Duration::from_millis(self.idle_from_ms.load(Ordering::Relaxed))
    }

    fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }
}

/// Held while a request is answered, to the end of the answer's body.
struct Busy(Arc<HttpConnection>);

impl Drop for Busy {
    fn drop(&mut self) {
        let now_ms = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.idle_from_ms.store(now_ms, Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts connections on all sockets until `stop` becomes true, then waits up to [`END_TIMEOUT`] for the connections
/// to end.
pub(super) async fn serve(
    listeners: Vec<TcpListener>,
    service: HttpService,
    mut stop: watch::Receiver<bool>,
) {
    let (connections, service) = (Arc::new(HttpConnections::default()), Arc::new(service));
    let mut accepting = JoinSet::new();
    // Each connection holds a receiver until it has ended.
    let ended = watch::Sender::new(());
    for listener in listeners {
        let (connections, service) = (Arc::clone(&connections), Arc::clone(&service));
        accepting.spawn(accept(listener, connections, service, stop.clone(), ended.subscribe()));
    }
    wait_for_stop(&mut stop).await;
    accepting.shutdown().await;
    if timeout(END_TIMEOUT, ended.closed()).await.is_err() {
        debug!("http: unfinished answers are cut off");
    }
}

async fn wait_for_stop(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn accept(
    listener: TcpListener,
    connections: Arc<HttpConnections>,
    service: Arc<HttpService>,
    stop: watch::Receiver<bool>,
    not_ended: watch::Receiver<()>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some((id, connection)) = connections.add() else {
                    debug!("http: {peer} refused: all {MAX_CONNECTIONS} connections are busy");
                    continue;
                };
                let (connections, service) = (Arc::clone(&connections), Arc::clone(&service));
                let (stop, not_ended) = (stop.clone(), not_ended.clone());
                tokio::spawn(async move {
                    if let Err(error) = run(stream, service, &connection, stop).await {
                        debug!("http: {peer}: {error}");
                    }
                    connections.all().remove(&id);
                    drop(not_ended);
                });
            }
            Err(error) => {
                warn!("http: cannot accept a connection: {error}");
                // The process is probably out of file descriptors, so a retry without a pause would only spin.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers the requests of a connection until it ends, [`HttpConnections::add`] closes it, or `stop` becomes true.
async fn run(
    stream: TcpStream,
    service: Arc<HttpService>,
    connection: &Arc<HttpConnection>,
    mut stop: watch::Receiver<bool>,
) -> hyper::Result<()> {
    // Each part of an answer is written at once, so Nagle's algorithm would only delay it.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let service = service_fn(|request| {
        let (service, busy) = (Arc::clone(&service), connection.begin());
        async move {
            let response = service.answer(request).await;
            Ok::<_, Infallible>(response.map(|body| AnswerBody { body, _busy: busy }))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(Box::pin(stream)), service));
    tokio::select! {
        ended = &mut serving => ended,
        () = connection.close.notified() => Ok(()),
        () = wait_for_stop(&mut stop) => {
            // Unfinished answers are still sent.
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    }
}

/// The body of an answer. Its connection is busy until the body is sent.
struct AnswerBody {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
