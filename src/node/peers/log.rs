//! Logs why connections ended or could not be made.

use crate::net::pool::DisconnectReason;
use crate::net::{Blame, Disconnect};
use tracing::{debug, info, warn};

/// Logs routine disconnections at debug level, and all others at info level.
pub(super) fn log_disconnect(address: &str, reason: &DisconnectReason) {
    match reason {
        DisconnectReason::Surplus
        | DisconnectReason::Feeler
        | DisconnectReason::NetworkOff
        | DisconnectReason::AddrFetch { .. } => {
            debug!("disconnected {address}: {reason}");
        }
        _ => info!("disconnected {address}: {reason}"),
    }
}

/// Logs a connection that was lost or could not be made: as a warning if the user named the peer, or if the peer was
/// connected and is at fault.
pub(super) fn log_lost(address: &str, named: bool, connected: bool, reason: &Disconnect) {
    let text = match reason {
        Disconnect::Unreachable { text, .. } => format!("cannot connect to {address}: {text}"),
        reason if connected => format!("lost peer {address}: {reason}"),
        reason => format!("{address}: {reason}"),
    };
    match (named, connected, reason.blame()) {
        (true, ..) | (false, true, Blame::Peer) => warn!("{text}"),
        (false, true, _) => info!("{text}"),
        // Most addresses that are found belong to nodes that are gone, or to other services.
        (false, false, _) => debug!("{text}"),
    }
}
