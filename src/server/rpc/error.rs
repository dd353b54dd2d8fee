//! Errors as Bitcoin Core's RPC reports them.

use crate::client::ClientError;
use crate::query::ReadError;
use serde::Serialize;

/// The codes of errors. Source: Bitcoin Core `RPCErrorCode` (`rpc/protocol.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RpcCode {
    /// The call is not a valid request object.
    InvalidRequest = -32600,
    /// There is no such method.
    MethodNotFound = -32601,
    /// A call gave both or neither of two parameters that exclude each other.
    InvalidParams = -32602,
    /// This program is at fault.
    InternalError = -32603,
    /// The body is not JSON, is neither an object nor an array, or nests parameters too deeply.
    ParseError = -32700,
    /// Any other error, such as a wrong number of parameters.
    Misc = -1,
    /// A parameter has the wrong type.
    TypeError = -3,
    /// The block, header or transaction does not exist.
    InvalidAddressOrKey = -5,
    /// A parameter has an invalid value.
    InvalidParameter = -8,
    /// No peer could be used, or the network is switched off.
    ClientNotConnected = -9,
    /// The bytes cannot be decoded.
    DeserializationError = -22,
    /// The peer was added before.
    NodeAlreadyAdded = -23,
    /// The peer was not added.
    NodeNotAdded = -24,
    /// A transaction or block cannot be submitted.
    VerifyError = -25,
    /// A rule refuses a transaction or block. The message is the rule's name.
    VerifyRejected = -26,
    /// No header besides genesis has been stored yet.
    InWarmup = -28,
    /// The peer is not connected.
    NodeNotConnected = -29,
    /// An address or a subnet cannot be parsed.
    InvalidIpOrSubnet = -30,
}

/// Bitcoin Core's message for a header that is not stored.
pub(super) const BLOCK_NOT_FOUND: &str = "Block not found";

/// An error object: a code and a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RpcError {
    /// The code, as a number.
    pub code: i32,
    /// What went wrong.
    pub message: String,
}

impl RpcError {
    /// Returns an error with this code.
    pub(crate) fn new(code: RpcCode, message: impl Into<String>) -> Self {
        Self { code: code as i32, message: message.into() }
    }

    /// Returns the error for an invalid value.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(RpcCode::InvalidParameter, message)
    }

    /// Returns the error for a block, header or transaction that does not exist.
    pub(crate) fn not_found(message: &str) -> Self {
        Self::new(RpcCode::InvalidAddressOrKey, message)
    }

    /// Returns the error for a fault of this program. The message is the cause.
    pub(crate) fn internal(cause: &impl ToString) -> Self {
        Self::new(RpcCode::InternalError, cause.to_string())
    }
}

impl From<ReadError> for RpcError {
    fn from(error: ReadError) -> Self {
        Self::internal(&error)
    }
}

impl From<ClientError> for RpcError {
    fn from(error: ClientError) -> Self {
        let code =
            if error.is_without_peer() { RpcCode::ClientNotConnected } else { RpcCode::Misc };
        Self::new(code, error.to_string())
    }
}
