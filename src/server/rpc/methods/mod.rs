//! The methods, group by group.

pub(super) mod blocks;
pub(super) mod chain;
mod missing;
mod network;
mod program;
mod transactions;

use super::error::{RpcCode, RpcError};
use super::method::{Method, MethodGroup, RpcResult, RpcRun, done, optional};
use super::params::{RpcParams, RpcType};
use crate::server::state::ServerState;
use program::{getrpcinfo, stop, uptime};
use std::fmt::Write as _;

/// All methods.
const METHODS: &[MethodGroup] =
    &[chain::GROUP, blocks::GROUP, transactions::GROUP, network::GROUP, CONTROL];

const CONTROL: MethodGroup = MethodGroup {
    name: "Control",
    methods: &[
        Method {
            name: "help",
            params: &[optional("command", RpcType::Text, "The method to explain")],
            about: "Returns the list of all methods, or the help of one.",
            needs_chain: false,
            run: RpcRun::Now(help),
        },
        Method {
            name: "uptime",
            params: &[],
            about: "Returns for how many seconds the server has run.",
            needs_chain: false,
            run: RpcRun::Now(uptime),
        },
        Method {
            name: "stop",
            params: &[optional(
                "wait",
                RpcType::Number,
                "Ignored: accepted because tests of clients send it",
            )],
            about: "Ends the program.",
            needs_chain: false,
            run: RpcRun::Now(stop),
        },
        Method {
            name: "getrpcinfo",
            params: &[],
            about: "Returns the calls being answered (only this one is listed), and an empty log path.",
            needs_chain: false,
            run: RpcRun::Now(getrpcinfo),
        },
    ],
};

/// Finds a method.
///
/// # Errors
/// No method has this name. If it is listed in [`missing`], the message says why this program lacks it.
pub(super) fn method(name: &str) -> Result<&'static Method, RpcError> {
    let mut all = METHODS.iter().flat_map(|group| group.methods);
    all.find(|method| method.name == name).ok_or_else(|| {
        RpcError::new(
            RpcCode::MethodNotFound,
            missing::reason(name).unwrap_or("Method not found".to_owned()),
        )
    })
}

fn help(_: &ServerState, params: &RpcParams) -> RpcResult {
    if params.text(0).is_empty() {
        return done(&overview(METHODS));
    }
    let name = params.text(0);
    // As in Bitcoin Core, the text for an unknown command is a result, not an error.
    let text = method(name).map_or_else(
        |_: RpcError| format!("help: unknown command: {name}"),
        |method| method.help(),
    );
    done(&text.trim_end())
}

/// Returns the list of all methods in their groups.
fn overview(groups: &[MethodGroup]) -> String {
    let mut text = String::new();
    for group in groups {
        let _ = writeln!(text, "{}== {} ==", if text.is_empty() { "" } else { "\n" }, group.name);
        let mut usages: Vec<String> = group.methods.iter().map(Method::usage).collect();
        usages.sort();
        for usage in usages {
            text += &usage;
            text += "\n";
        }
    }
    text.trim_end().to_owned()
}
