//! The messages that wait to be sent to a peer.

use crate::wire::{Command, Message};
use tokio::sync::OwnedSemaphorePermit;

/// A message that is encoded already.
///
/// Large answers are encoded on the thread that reads their content from the store. Permits bound how many answers
/// wait.
#[derive(Debug)]
pub struct EncodedMessage {
    /// The message's command.
    pub command: Command,
    /// The message's bytes, header and payload.
    pub frame: Vec<u8>,
    /// These are given back once the bytes are sent, or the connection is over.
    pub permits: Vec<OwnedSemaphorePermit>,
}

/// A message that waits to be sent.
#[derive(Debug)]
pub(super) enum Queued {
    Message(Message),
    Encoded(EncodedMessage),
}
