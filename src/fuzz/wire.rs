//! Checks messages, transactions and blocks: encoding what was decoded changes nothing, and the `bitcoin` crate decodes
//! the same.

use crate::chain::params;
use crate::core_json::{TxInfo, decode_raw_tx};
use crate::primitives::Network;
use crate::spv::{CheckedBlock, CheckedProof};
use crate::wire::tx_oracle::{compare_block, compare_transaction};
use crate::wire::{
    Block, Command, FrameDecoder, HeadersMessage, MAX_PAYLOAD, MESSAGE_HEADER_LEN, Message,
    Transaction, encode_frame, safe_text,
};
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::p2p::message::RawNetworkMessage;

const MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

const CHECKSUM_AT: usize = MESSAGE_HEADER_LEN - 4;

/// Checks a message. The first byte selects its command, and the others are its payload.
pub(super) fn run_message(bytes: &[u8]) {
    let Some((first, payload)) = bytes.split_first() else { return };
    let command = Command::ALL[usize::from(*first) % Command::ALL.len()];
    let Ok(message) = Message::decode(command, payload.to_vec()) else { return };
    assert_eq!(message.command(), command);
    let frame = encode_frame(MAGIC, &message);
    let again = decode_frame(&frame);
    match &message {
        // A decoded message does not keep the headers of another chain, so the encoded one lacks them.
        Message::Headers(HeadersMessage { headers, foreign: Some(_) }) => {
            assert_eq!(again, Message::Headers(HeadersMessage::plain(headers.clone())));
        }
        _ => assert_eq!(again, message),
    }
    check_shown_text(&message);
    let undecoded = Message::Unknown { command, payload: payload.to_vec() };
    if let Ok(theirs) = deserialize::<RawNetworkMessage>(&encode_frame(MAGIC, &undecoded))
        && !is_decoded_differently(&message)
    {
        // Their checksum is not compared: it covers the received bytes, including any that follow the message.
        let theirs = serialize(&theirs);
        assert_eq!(theirs[..CHECKSUM_AT], frame[..CHECKSUM_AT], "{command}");
        assert_eq!(theirs[MESSAGE_HEADER_LEN..], frame[MESSAGE_HEADER_LEN..], "{command}");
    }
}

fn decode_frame(frame: &[u8]) -> Message {
    let mut decoder = FrameDecoder::new(MAGIC, MAX_PAYLOAD);
    decoder.push(frame);
    let frame = decoder.next_frame().unwrap().expect("the frame is whole");
    Message::decode(frame.command, frame.payload).expect("it was encoded here")
}

/// Returns whether the `bitcoin` crate keeps other parts of this message than we do, so that the two cannot be
/// compared.
fn is_decoded_differently(message: &Message) -> bool {
    match message {
        Message::Headers(HeadersMessage { foreign, .. }) => foreign.is_some(),
        _ => false,
    }
}

/// Checks that the peer's own text in a `version` or `reject` is shown as one line without control characters.
fn check_shown_text(message: &Message) {
    let text = match message {
        Message::Version(version) => safe_text(&version.user_agent_text()),
        Message::Reject(reject) => reject.reason_text(),
        _ => return,
    };
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

pub(super) fn run_transaction(bytes: &[u8]) {
    compare_transaction(bytes);
    for is_witness in [None, Some(true), Some(false)] {
        if let Some(raw) = decode_raw_tx(bytes, is_witness) {
            assert_eq!(raw.bytes(), bytes);
            check_transaction_json(&raw);
        }
    }
    if let Ok(transaction) = Transaction::decode(bytes.to_vec()) {
        let stripped = transaction.view().without_witness();
        assert_eq!(stripped.view().txid(), transaction.view().txid());
        assert_eq!(stripped.view().wtxid().0, stripped.view().txid().0);
        assert_eq!(stripped.view().size(), transaction.view().stripped_size());
        assert_eq!(Transaction::decode(stripped.bytes().to_vec()), Ok(stripped));
    }
}

fn check_transaction_json(transaction: &Transaction) {
    let view = transaction.view();
    let rule = view.check().err().map(|fault| fault.rule());
    assert_eq!(rule == Some("bad-txns-vin-empty"), view.inputs().len() == 0);
    let text = serde_json::to_string(&TxInfo::new(view, Network::Mainnet)).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object());
}

/// Checks a block against its own header, after setting the header's merkle root to that of the transactions.
pub(super) fn run_block(bytes: &[u8]) {
    compare_block(bytes);
    let Ok(block) = Block::decode(bytes.to_vec()) else { return };
    let txids: Vec<_> = block.transactions().map(|transaction| transaction.txid()).collect();
    let Ok(root) = crate::chain::merkle_root(&txids) else { return };
    let mut bytes = bytes.to_vec();
    bytes[36..68].copy_from_slice(&root.0);
    let block = Block::decode(bytes).expect("only the root has changed");
    let hash = block.header().hash();
    let Ok(checked) = CheckedBlock::check(block, &hash, 0, params(Network::Mainnet)) else {
        return;
    };
    for (position, txid) in txids.iter().enumerate().take(4) {
        let proof = checked.prove(&[*txid]).unwrap();
        let proven = CheckedProof::check(&proof.to_bytes()).expect("the proof was made here");
        let positions: Vec<usize> =
            proven.proven.iter().map(|one| usize::try_from(one.position).unwrap()).collect();
        assert_eq!(proven.hash, hash);
        assert!(positions.contains(&position));
    }
}
