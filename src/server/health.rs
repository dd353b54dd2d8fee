//! `/healthz` says whether the process answers, and `/readyz` whether its chain is current.

use super::state::ServerState;
use crate::chainstate::unix_now;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// A tip at most this old (in seconds) counts as current.
///
/// Bitcoin Core's limit is a day (`DEFAULT_MAX_TIP_AGE`), but a monitor should notice a stalled chain sooner. At ten
/// minutes a block on average, eight hours without a block happen less than once in a million years.
const MAX_TIP_AGE: i64 = 8 * 60 * 60;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(state): State<Arc<ServerState>>) -> (StatusCode, String) {
    match state.not_ready(i64::from(unix_now())) {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
    }
}

impl ServerState {
    /// Returns why the chain is not current at this time (Unix seconds); `None` if it is.
    pub(super) fn not_ready(&self, now: i64) -> Option<String> {
        if let Some(fault) = self.fault() {
            return Some(fault);
        }
        let live = self.live();
        if live.network_off {
            return Some("the network is switched off".to_owned());
        }
        if live.peers == 0 {
            return Some("no peer is connected".to_owned());
        }
        if !live.phase.is_at_tip() {
            return Some(format!("syncing: {} of {} headers", live.height, live.estimated_height));
        }
        let age = self.tip_time().map(|time| now - i64::from(time));
        match age {
            Ok(age) if age > MAX_TIP_AGE => Some(format!("the tip is {age} s old")),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        }
    }
}
