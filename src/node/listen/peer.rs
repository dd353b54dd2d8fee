//! Decides how to answer a peer that connected to us. This is a state machine: messages and new tips go in, decisions
//! come out. `net/conn` does the handshake, the pings and the deadlines, as for every connection.
//!
//! Source: Bitcoin Core `PeerManagerImpl::ProcessMessage` and `SendMessages` in `net_processing.cpp`.

use super::new_tip::NewTip;
use crate::net::PeerInfo;
use crate::primitives::{BlockHash, Hash256};
use crate::wire::{Command, GetHeaders, HeadersMessage, Inventory, InventoryKind, Message};

/// The cost of any message other than `getheaders`, which costs 1. Other messages are cheap: they are only decoded, and
/// their answers are no longer than the messages. `getaddr` has a longer answer, but is answered only once.
const OTHER_COST: f64 = 0.05;

/// The requests for services that we do not offer. A peer that sends one of these is disconnected, as by a Bitcoin Core
/// node without `NODE_BLOOM` and `NODE_COMPACT_FILTERS`.
const NOT_OFFERED: [Command; 7] = [
    Command::new("mempool"),
    Command::new("filterload"),
    Command::new("filteradd"),
    Command::new("filterclear"),
    Command::new("getcfilters"),
    Command::new("getcfheaders"),
    Command::new("getcfcheckpt"),
];

/// An event that concerns a peer.
#[derive(Debug)]
pub(super) enum PeerInput<'a> {
    /// The peer sent a message.
    Message(Message),
    /// An answer to `getheaders` was sent, with which the peer has our chain up to this height.
    Answered { up_to: u32 },
    /// Our chain has a new tip.
    NewTip(&'a NewTip),
}

/// What to do for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PeerOutput {
    /// Send a message.
    Send(Message),
    /// Answer a request for headers from the stored chain.
    AnswerHeaders(GetHeaders),
    /// Send addresses of other nodes.
    AnswerAddresses,
    /// End the connection.
    Disconnect(ProtocolViolation),
}

/// Why a peer is disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolViolation {
    /// The peer asked for a service that we do not offer.
    #[error("sent {0}, which asks for a service that we do not offer")]
    NotOffered(Command),
    /// The peer sent or announced a transaction, although our `version` says that we want none.
    #[error("sent or announced a transaction in {0}, although we want none")]
    Transaction(Command),
}

/// Returns the cost of a message for its sender's [`Budgets`](super::budgets::Budgets).
pub(super) fn cost(message: &Message) -> f64 {
    if matches!(message, Message::GetHeaders(_)) { 1.0 } else { OTHER_COST }
}

/// The state of one peer.
#[derive(Clone, Debug)]
pub(super) struct InboundPeer {
    /// Whether the peer sent `sendheaders` (BIP130).
    prefers_headers: bool,
    has_asked_for_addresses: bool,
    /// The height up to which the peer has our chain, as far as we know; `None` if we know nothing.
    ///
    /// Source: Bitcoin Core `PeerHasHeader`, with `pindexBestKnownBlock` and `pindexBestHeaderSent`.
    has_up_to: Option<u32>,
    /// The last block that the peer announced.
    announced: Option<BlockHash>,
    /// The number of the last tip that was handled.
    tip_number: u64,
}

impl InboundPeer {
    /// Creates the state of a peer whose handshake is complete. `tip` is the last tip that was announced to other
    /// peers.
    pub(super) fn new(tip: Option<&NewTip>) -> Self {
        Self {
            prefers_headers: false,
            has_asked_for_addresses: false,
            has_up_to: None,
            announced: None,
            tip_number: tip.map_or(0, |tip| tip.number),
        }
    }

    /// Returns the announcement of our tip to a peer that is behind.
    ///
    /// Bitcoin Core announces nothing at this point. We do, since a Bitcoin Core node that connects to us requests
    /// headers only from peers that offer blocks, or that announce a block that the node does not know.
    pub(super) fn first_announcement(
        &self,
        info: &PeerInfo,
        tip: Option<&NewTip>,
    ) -> Option<PeerOutput> {
        let tip = tip.filter(|tip| i64::from(info.start_height) < i64::from(tip.point.height))?;
        Some(announce_by_inv(tip))
    }

    /// Handles an event, and returns the decision.
    pub(super) fn handle(&mut self, input: PeerInput<'_>) -> Option<PeerOutput> {
        match input {
            PeerInput::Message(message) => self.on_message(message),
            PeerInput::Answered { up_to } => {
                self.has_up_to = self.has_up_to.max(Some(up_to));
                None
            }
            PeerInput::NewTip(tip) => self.on_new_tip(tip),
        }
    }

    fn on_message(&mut self, message: Message) -> Option<PeerOutput> {
        let command = message.command();
        match message {
            Message::GetHeaders(request) => Some(PeerOutput::AnswerHeaders(request)),
            Message::GetAddr => self.on_getaddr(),
            Message::SendHeaders => {
                self.prefers_headers = true;
                None
            }
            Message::Inv(list) => self.on_inv(&list),
            Message::Headers(headers) => {
                let last = headers.headers.last().map(|header| header.hash());
                self.announced = last.or(self.announced);
                None
            }
            // Bitcoin Core sends `notfound` only for transactions. We send it for blocks too, since peers may ask us
            // for blocks: the user can make our `version` claim services that we do not have.
            Message::GetData(list) if list.is_empty() => None,
            Message::GetData(list) => Some(PeerOutput::Send(Message::NotFound(list))),
            Message::Tx(_) => Some(PeerOutput::Disconnect(ProtocolViolation::Transaction(command))),
            Message::Unknown { command, .. } if NOT_OFFERED.contains(&command) => {
                Some(PeerOutput::Disconnect(ProtocolViolation::NotOffered(command)))
            }
            _ => None,
        }
    }

    /// Answers only the first `getaddr` of a connection, to save traffic, as Bitcoin Core does.
    fn on_getaddr(&mut self) -> Option<PeerOutput> {
        let first = !self.has_asked_for_addresses;
        self.has_asked_for_addresses = true;
        first.then_some(PeerOutput::AnswerAddresses)
    }

    fn on_inv(&mut self, list: &[Inventory]) -> Option<PeerOutput> {
        use InventoryKind::{Tx, WitnessTx, Wtx};
        // Our `version` says that we want no transactions. Source: Bitcoin Core, `reject_tx_invs`.
        if list.iter().any(|entry| matches!(entry.kind, Tx | Wtx | WitnessTx)) {
            return Some(PeerOutput::Disconnect(ProtocolViolation::Transaction(Command::INV)));
        }
        let block = list.iter().rev().find(|entry| entry.kind == InventoryKind::Block);
        self.announced = block.map(|entry| BlockHash(entry.hash.0)).or(self.announced);
        None
    }

    /// Announces a new tip, unless the peer has it: by `headers` if the peer prefers `headers`, has the parent of the
    /// first header, and lacks at most [`MAX_BLOCKS_TO_ANNOUNCE`](super::new_tip::MAX_BLOCKS_TO_ANNOUNCE) headers, or
    /// else by `inv`.
    ///
    /// Source: Bitcoin Core `SendMessages`, "Try sending block announcements via headers".
    fn on_new_tip(&mut self, tip: &NewTip) -> Option<PeerOutput> {
        let shared = tip.shared_with(self.tip_number);
        self.tip_number = tip.number;
        self.has_up_to = shared.and_then(|shared| self.has_up_to.map(|has| has.min(shared)));
        let announced = self.announced.and_then(|hash| tip.height_of(&hash));
        self.has_up_to = self.has_up_to.max(announced);
        match self.has_up_to {
            Some(has) if has >= tip.point.height => None,
            Some(has) if self.prefers_headers => {
                let Some(headers) = tip.headers_above(has) else {
                    return Some(announce_by_inv(tip));
                };
                self.has_up_to = Some(tip.point.height);
                Some(PeerOutput::Send(Message::Headers(HeadersMessage::plain(headers))))
            }
            _ => Some(announce_by_inv(tip)),
        }
    }
}

fn announce_by_inv(tip: &NewTip) -> PeerOutput {
    let entry = Inventory { kind: InventoryKind::Block, hash: Hash256(tip.point.hash.0) };
    PeerOutput::Send(Message::Inv(vec![entry]))
}
