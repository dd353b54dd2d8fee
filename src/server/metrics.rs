//! `/metrics`: the metrics of this process for Prometheus.

use super::state::ServerState;
use crate::chainstate::unix_now;
use axum::extract::State;
use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use quick_cache::sync::Cache;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

/// Bucket bounds of the histogram of RPC call times, in seconds.
const BUCKETS: [f64; 8] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.1, 1.0, 10.0];

/// Returns the handle that renders the metrics; `None` if the recorder could not be installed. The first call in a
/// process installs it.
fn handle() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let install = || {
        let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).ok()?.build_recorder();
        let handle = recorder.handle();
        // This fails if the program that uses the library has installed its own recorder.
        metrics::set_global_recorder(recorder).ok()?;
        describe();
        Some(handle)
    };
    HANDLE.get_or_init(install).as_ref()
}

fn describe() {
    describe_gauge!("lightclient_tip_height", "Height of the stored chain's tip");
    describe_gauge!("lightclient_tip_age_seconds", "Seconds since the tip's own time");
    describe_gauge!("lightclient_estimated_height", "Height that the chain is expected to have");
    describe_gauge!("lightclient_peers", "Outbound peers that are connected");
    describe_gauge!("lightclient_inbound_peers", "Peers that have connected to --listen");
    describe_gauge!("lightclient_ready", "1 if the chain is current, as /readyz says");
    describe_gauge!("lightclient_warnings", "Warnings that getblockchaininfo shows");
    describe_gauge!("lightclient_uptime_seconds", "Seconds since the start");
    describe_counter!("lightclient_received_bytes_total", "Bytes from outbound peers");
    describe_counter!("lightclient_inbound_received_bytes_total", "Bytes from inbound peers");
    describe_counter!("lightclient_inbound_sent_bytes_total", "Bytes sent to inbound peers");
    describe_counter!("lightclient_rpc_calls_total", "RPC calls, by method and outcome");
    describe_histogram!("lightclient_rpc_call_seconds", "Time that RPC calls took, by method");
}

/// Starts to collect metrics.
pub(super) fn start() {
    handle();
}

/// The counters of calls, by method and whether the calls failed, and the histogram of the method's times, which is the
/// same for both.
type CallMetrics = Cache<(&'static str, bool), (Counter, Histogram)>;

/// Records a call of an RPC method. Each new name takes memory, so `method` must never be a name that a client made up.
pub(super) fn record_call(method: &'static str, began: Instant, failed: bool) {
    // Finding a metric by its labels takes longer than answering some calls.
    static METRICS: LazyLock<CallMetrics> = LazyLock::new(|| Cache::new(256));
    let outcome = if failed { "error" } else { "ok" };
    let register = || {
        let calls =
            counter!("lightclient_rpc_calls_total", "method" => method, "outcome" => outcome);
        let seconds = histogram!("lightclient_rpc_call_seconds", "method" => method);
        Ok::<_, Infallible>((calls, seconds))
    };
    let Ok((calls, seconds)) = METRICS.get_or_insert_with(&(method, failed), register);
    calls.increment(1);
    seconds.record(began.elapsed());
}

/// Runs the recorder's upkeep every five seconds. Without it, histogram samples would pile up until `/metrics` is
/// requested.
pub(super) async fn upkeep() {
    let Some(handle) = handle() else { return };
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        handle.run_upkeep();
    }
}

pub(super) async fn metrics(State(state): State<Arc<ServerState>>) -> String {
    let Some(handle) = handle() else { return String::new() };
    let live = state.live();
    let now = i64::from(unix_now());
    let set = |name: &'static str, value: f64| gauge!(name).set(value);
    set("lightclient_tip_height", f64::from(state.tip().height));
    if let Ok(time) = state.tip_time() {
        let age = i32::try_from(now - i64::from(time)).unwrap_or(i32::MAX);
        set("lightclient_tip_age_seconds", f64::from(age));
    }
    set("lightclient_estimated_height", f64::from(live.estimated_height));
    set("lightclient_peers", f64::from(u32::try_from(live.peers).unwrap_or(u32::MAX)));
    set("lightclient_ready", if state.not_ready(now).is_none() { 1.0 } else { 0.0 });
    set(
        "lightclient_warnings",
        f64::from(u32::try_from(state.warnings().len()).unwrap_or(u32::MAX)),
    );
    set(
        "lightclient_uptime_seconds",
        f64::from(u32::try_from(state.uptime_s()).unwrap_or(u32::MAX)),
    );
    counter!("lightclient_received_bytes_total")
        .absolute(live.bytes_received + state.client().fetch_traffic().received);
    let inbound = state.client().inbound_peers();
    set("lightclient_inbound_peers", f64::from(u32::try_from(inbound.count()).unwrap_or(u32::MAX)));
    counter!("lightclient_inbound_received_bytes_total").absolute(inbound.traffic().received);
    counter!("lightclient_inbound_sent_bytes_total").absolute(inbound.traffic().sent);
    handle.render()
}
