//! What the log says of peers that go.

use crate::net::pool::DisconnectReason;
use crate::net::{Disconnect, Fault};
use tracing::{debug, info, warn};

/// What the pool does in the course of things is of interest to who looks closely; the rest is news.
pub(super) fn log_disconnect(address: &str, reason: &DisconnectReason) {
    match reason {
        DisconnectReason::Surplus
        | DisconnectReason::Feeler
        | DisconnectReason::AddrFetch { .. } => {
            debug!("parted with {address}: {reason}");
        }
        _ => info!("parted with {address}: {reason}"),
    }
}

/// Who named a peer is told of every trouble with it; of those that were found only what they did wrong.
pub(super) fn log_lost(address: &str, named: bool, connected: bool, reason: &Disconnect) {
    let told = match reason {
        Disconnect::Unreachable { text, .. } => format!("cannot connect to {address}: {text}"),
        reason if connected => format!("lost peer {address}: {reason}"),
        reason => format!("{address}: {reason}"),
    };
    match (named, connected, reason.fault()) {
        (true, ..) | (false, true, Fault::Peer) => warn!("{told}"),
        (false, true, _) => info!("{told}"),
        // Of the many addresses that are found, most are gone, or something else's.
        (false, false, _) => debug!("{told}"),
    }
}
