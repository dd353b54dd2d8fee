//! The program itself: how long it has run, what it does, and its end.

use crate::server::rpc::method::{RpcResult, done};
use crate::server::rpc::params::RpcParams;
use crate::server::state::ServerState;
use serde_json::json;

pub(super) fn uptime(state: &ServerState, _: &RpcParams) -> RpcResult {
    done(&state.uptime_s())
}

pub(super) fn stop(state: &ServerState, _: &RpcParams) -> RpcResult {
    state.request_stop();
    done(&"lightclient stopping")
}

pub(super) fn getrpcinfo(_: &ServerState, _: &RpcParams) -> RpcResult {
    // The log goes to standard error: there is no file to name.
    done(&json!({ "active_commands": [{ "method": "getrpcinfo", "duration": 0 }], "logpath": "" }))
}
