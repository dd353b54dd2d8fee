//! `/events`: the progress of the sync, new tips, reorganisations and peers, as server-sent events.

use super::context::{PageContext, PageEvent};
use super::status::StatusReport;
use crate::client::Events;
use crate::format;
use crate::node::{Event as SyncEvent, Live};
use crate::wire::safe_text;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::time::{MissedTickBehavior, interval};

/// How often progress and peers are compared with what was last sent.
const UPDATE_INTERVAL: Duration = Duration::from_millis(500);

/// The longest time without an event. After three times as long, the script takes the connection as lost.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Sends browsers the new tips and the reorganisations of the client's sync, and its progress and peers when these
/// change. After the sync has ended, only the age of the tip still changes.
pub(crate) async fn publish(context: Arc<PageContext>, mut events: Events) {
    let mut ticks = interval(UPDATE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut sent, mut is_running) = (LastSent::default(), true);
    loop {
        tokio::select! {
            event = events.next(), if is_running => match event {
                Some(event) => context.send_sync_event(&event),
                None => is_running = false,
            },
            _ = ticks.tick() => sent.update(&context),
        }
    }
}

/// The data that was last sent to browsers, as JSON.
#[derive(Debug, Default)]
struct LastSent {
    progress: String,
    peers: String,
}

impl LastSent {
    /// Sends the progress and the peers if they have changed.
    fn update(&mut self, context: &PageContext) {
        let live = context.state.live();
        context.record_height(live.height);
        // If the tip cannot be read, there is nothing to send. The next request for the page is answered with the
        // reason.
        let Ok(report) = context.status_report() else { return };
        let (progress, peers) = (progress(&report), peers(&live));
        if progress != self.progress {
            context.send("progress", progress.clone());
            self.progress = progress;
        }
        if peers != self.peers {
            context.send("peers", peers.clone());
            self.peers = peers;
        }
    }
}

impl PageContext {
    fn send_sync_event(&self, event: &SyncEvent) {
        match event {
            SyncEvent::CaughtUp { height, hash, time }
            | SyncEvent::Tip { height, hash, time, .. } => {
                let tip = json!({ "height": height, "hash": hash.to_string(), "time": time });
                self.send("tip", tip.to_string());
            }
            SyncEvent::Reorganisation { old_height, old_hash, height, hash, depth } => {
                let data = json!({
                    "old_height": old_height, "old_hash": old_hash.to_string(),
                    "height": height, "hash": hash.to_string(), "depth": depth,
                });
                self.send("reorganisation", data.to_string());
            }
            // The other events change only the progress or the peers, which `LastSent` compares.
            _ => {}
        }
    }

    fn send(&self, name: &'static str, data: String) {
        // An error means that no browser listens.
        let _ = self.page_events.send(PageEvent { name, data: data.into() });
    }
}

/// Returns the data of a `progress` event.
fn progress(report: &StatusReport) -> String {
    let (status, live) = (report.status(), &report.live);
    let data = json!({
        "state": status.key(),
        "word": status.word(),
        "sentence": report.sentence(),
        "height": live.height,
        "height_text": format::count(live.height),
        "estimated_height": live.estimated_height,
        "time": report.tip_time,
        "peers": live.peers,
    });
    data.to_string()
}

fn peers(live: &Live) -> String {
    let peers = live.connections.iter().map(|peer| {
        let traffic = peer.traffic.totals();
        json!({
            "address": peer.address,
            "user_agent": safe_text(&peer.user_agent),
            "height": peer.tip.map_or(i64::from(peer.start_height), i64::from),
            "latency_ms": u64::try_from(peer.rtt.last.as_millis()).unwrap_or(u64::MAX),
            "connected": peer.connected_since,
            "bytes_text": format::size(traffic.received + traffic.sent),
        })
    });
    json!({ "peers": peers.collect::<Vec<_>>() }).to_string()
}

/// Answers with a stream of events. The first one is the current progress, if the tip can be read.
pub(super) fn stream(context: &Arc<PageContext>) -> Response {
    let Ok(permit) = Arc::clone(&context.event_streams).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many listeners\n").into_response();
    };
    let page_events = context.page_events.subscribe();
    let first = context
        .status_report()
        .ok()
        .map(|report| PageEvent { name: "progress", data: progress(&report).into() });
    let listener =
        EventListener { first, page_events, stopping: context.state.stopping(), _permit: permit };
    let events = stream::unfold(listener, |mut listener| async move {
        let page_event = listener.next().await?;
        let event = Event::default().event(page_event.name).data(&*page_event.data);
        Some((Ok::<_, Infallible>(event), listener))
    });
    // The script needs regular events to notice that the server is gone. Browsers hide comments from it.
    let alive = Event::default().event("alive").data("{}");
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).event(alive)).into_response()
}

/// A browser that receives events.
struct EventListener {
    first: Option<PageEvent>,
    page_events: Receiver<PageEvent>,
    stopping: tokio::sync::watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl EventListener {
    /// Returns the next event, or `None` if the program ends or the browser is too far behind. The browser then
    /// reconnects.
    async fn next(&mut self) -> Option<PageEvent> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        tokio::select! {
            page_event = self.page_events.recv() => page_event.ok(),
            _ = self.stopping.wait_for(|stop| *stop) => None,
        }
    }
}
