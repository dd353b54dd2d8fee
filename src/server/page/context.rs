//! The state that the parts of the page share, and their errors.

use super::commands::Commands;
use super::status::StatusReport;
use crate::chainstate::unix_now;
use crate::query::ReadError;
use crate::query::series::ChainSummary;
use crate::server::options::ServerOptions;
use crate::server::state::ServerState;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, broadcast};

/// How many requests for the page may read the stored chain at once. Others wait.
const READERS: usize = 4;

/// How many streams of events may be open at once. Each browser window has one.
const MAX_EVENT_STREAMS: usize = 256;

/// How many events may wait in a stream. The stream of a browser that is further behind ends.
const BACKLOG: usize = 64;

/// The time over which the speed of a sync is measured.
const SPEED_WINDOW: Duration = Duration::from_secs(10);

/// An event for browsers.
#[derive(Clone, Debug)]
pub(super) struct PageEvent {
    /// The event's name.
    pub name: &'static str,
    /// The event's data, as JSON.
    pub data: Arc<str>,
}

/// The state that the parts of the page share.
#[derive(Debug)]
pub(crate) struct PageContext {
    pub(super) state: Arc<ServerState>,
    pub(super) commands: Commands,
    pub(super) summary: Mutex<ChainSummary>,
    pub(super) page_events: broadcast::Sender<PageEvent>,
    pub(super) event_streams: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    heights: Mutex<VecDeque<(Instant, u32)>>,
}

impl PageContext {
    /// Creates the page of a server that listens on these addresses.
    pub(crate) fn new(
        state: Arc<ServerState>,
        options: &ServerOptions,
        addresses: &[SocketAddr],
    ) -> Self {
        Self {
            commands: Commands::new(options, addresses, state.params().network),
            state,
            summary: Mutex::default(),
            page_events: broadcast::channel(BACKLOG).0,
            event_streams: Arc::new(Semaphore::new(MAX_EVENT_STREAMS)),
            readers: Arc::new(Semaphore::new(READERS)),
            heights: Mutex::default(),
        }
    }

    /// Reads the stored chain on a thread that may block.
    ///
    /// # Errors
    /// `read` failed or panicked, or the server is ending.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> Result<T, PageError> + Send + 'static,
    ) -> Result<T, PageError> {
        let permit = Arc::clone(&self.readers).acquire_owned().await;
        let permit = permit.map_err(|_| PageError::Unfinished)?;
        let context = Arc::clone(self);
        // The thread holds the permit, and goes on even if the client hangs up.
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(&context)
        });
        task.await.map_err(|_| PageError::Unfinished)?
    }

    /// Collects the data that the state of the chain is decided from.
    ///
    /// # Errors
    /// The tip could not be read.
    pub(super) fn status_report(&self) -> Result<StatusReport, ReadError> {
        let tip_time = self.state.tip_time()?;
        Ok(StatusReport {
            live: self.state.live(),
            fault: self.state.fault(),
            warnings: self.state.warnings(),
            tip_age: i64::from(unix_now()) - i64::from(tip_time),
            tip_time,
            uptime: self.state.uptime_s(),
            speed: self.speed(),
        })
    }

    /// Records the stored height, from which the speed is computed.
    pub(super) fn record_height(&self, height: u32) {
        let mut heights = self.heights();
        heights.push_back((Instant::now(), height));
        while heights.front().is_some_and(|first| first.0.elapsed() > SPEED_WINDOW) {
            heights.pop_front();
        }
    }

    /// Returns how many headers a second were stored in the last [`SPEED_WINDOW`]; `None` in the first half
    /// second.
    fn speed(&self) -> Option<f64> {
        let heights = self.heights();
        let (first, last) = heights.front().zip(heights.back())?;
        let seconds = first.0.elapsed().as_secs_f64();
        (seconds > 0.5).then(|| f64::from(last.1.saturating_sub(first.1)) / seconds)
    }

    fn heights(&self) -> MutexGuard<'_, VecDeque<(Instant, u32)>> {
        self.heights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// The request cannot be understood.
    #[error("{0}")]
    Unclear(String),
    /// The header or chart does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A picture cannot be drawn.
    #[error("{0}")]
    Picture(String),
    /// The server is ending, or a thread panicked.
    #[error("the server could not finish reading")]
    Unfinished,
}

impl PageError {
    /// Returns the HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Unclear(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Read(_) | Self::Picture(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unfinished => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<QueryRejection> for PageError {
    fn from(rejection: QueryRejection) -> Self {
        Self::Unclear(format!("{}.", rejection.body_text()))
    }
}

impl From<PathRejection> for PageError {
    fn from(rejection: PathRejection) -> Self {
        Self::Unclear(format!("{}.", rejection.body_text()))
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        (self.status(), format!("{self}\n")).into_response()
    }
}
