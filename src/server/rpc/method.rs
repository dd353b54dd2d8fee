//! A method: its name, its parameters, its help, and how it is run.

use super::error::RpcError;
use super::params::{RpcParam, RpcParams, RpcType};
use crate::server::state::ServerState;
use serde::Serialize;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The result of a method: the text of a JSON value, or an error object.
pub(crate) type RpcResult = Result<String, RpcError>;

/// The bytes to reserve for a result. The JSON of a header fits, so writing it does not reallocate the buffer.
const USUAL_RESULT: usize = 1024;

/// The future of a method that waits for something.
pub(super) type RpcFuture = Pin<Box<dyn Future<Output = RpcResult> + Send>>;

/// How a method is run.
#[derive(Clone, Copy)]
pub(super) enum RpcRun {
    /// Runs at once, on a thread that answers requests, so the method should read few headers.
    Now(fn(&ServerState, &RpcParams) -> RpcResult),
    /// Waits for peers, for a new tip, or for a long read on another thread.
    Later(fn(Arc<ServerState>, RpcParams) -> RpcFuture),
}

/// A method.
pub(super) struct Method {
    /// Its name.
    pub name: &'static str,
    /// Its parameters, in order.
    pub params: &'static [RpcParam],
    /// What it does, for `help`.
    pub about: &'static str,
    /// Whether calls get an error while [`ServerState::is_warming_up`].
    pub needs_chain: bool,
    /// How it is run.
    pub run: RpcRun,
}

/// Methods that belong together.
pub(super) struct MethodGroup {
    /// The name that `help` shows.
    pub name: &'static str,
    /// Its methods.
    pub methods: &'static [Method],
}

impl Method {
    /// Returns the method and its parameters in one line, such as `getblockhash height`. As in Bitcoin Core, strings
    /// are in quotes.
    pub(super) fn usage(&self) -> String {
        let mut usage = self.name.to_owned();
        let mut optional = 0;
        for param in self.params {
            let name = match param.kind {
                RpcType::Text => format!("\"{}\"", param.name()),
                _ => param.name().to_owned(),
            };
            if param.required {
                let _ = write!(usage, " {name}");
            } else {
                let _ = write!(usage, "{}{name}", if optional == 0 { " ( " } else { " " });
                optional += 1;
            }
        }
        usage + if optional > 0 { " )" } else { "" }
    }

    /// Returns the method's help: usage, what it does, and its parameters.
    pub(super) fn help(&self) -> String {
        let mut help = format!("{}\n\n{}\n", self.usage(), self.about);
        if !self.params.is_empty() {
            help += "\nArguments:\n";
        }
        for (at, param) in self.params.iter().enumerate() {
            let need = if param.required { "required" } else { "optional" };
            let (number, name) = (at + 1, param.name());
            let _ = writeln!(help, "{number}. {name} ({need}): {}", param.about);
        }
        help
    }
}

/// Returns a value, as JSON, as the result of a method.
pub(super) fn done(value: &impl Serialize) -> RpcResult {
    let mut text = Vec::with_capacity(USUAL_RESULT);
    serde_json::to_writer(&mut text, value).map_err(|error| RpcError::internal(&error))?;
    String::from_utf8(text).map_err(|error| RpcError::internal(&error))
}

/// Makes a parameter that must be given.
pub(super) const fn required(names: &'static str, kind: RpcType, about: &'static str) -> RpcParam {
    RpcParam { names, kind, required: true, about }
}

/// Makes a parameter that may be left out.
pub(super) const fn optional(names: &'static str, kind: RpcType, about: &'static str) -> RpcParam {
    RpcParam { names, kind, required: false, about }
}
