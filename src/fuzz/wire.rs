//! Messages, transactions and blocks: what is decoded survives encoding, and is what the `bitcoin` crate says.

use crate::chain::params;
use crate::core_json::{TxInfo, decode_raw_tx};
use crate::primitives::Network;
use crate::spv::{CheckedBlock, CheckedProof};
use crate::wire::tx_oracle::{compare_block, compare_transaction};
use crate::wire::{
    Block, Command, FRAME_HEAD_LEN, FrameDecoder, HeadersMessage, MAX_PAYLOAD, Message,
    Transaction, encode_frame, safe_text,
};
use bitcoin::consensus::{deserialize, serialize};
use bitcoin::p2p::message::RawNetworkMessage;

const MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

const CHECKSUM_AT: usize = FRAME_HEAD_LEN - 4;

/// The first byte says which message it is.
pub(super) fn run_message(bytes: &[u8]) {
    let Some((first, payload)) = bytes.split_first() else { return };
    let command = Command::ALL[usize::from(*first) % Command::ALL.len()];
    let Ok(message) = Message::decode(command, payload.to_vec()) else { return };
    assert_eq!(message.command(), command);
    let frame = encode_frame(MAGIC, &message);
    let again = decode_frame(&frame);
    match &message {
        // The headers of the other chain are not kept.
        Message::Headers(HeadersMessage { headers, foreign: Some(_) }) => {
            assert_eq!(again, Message::Headers(HeadersMessage::plain(headers.clone())));
        }
        _ => assert_eq!(again, message),
    }
    show(&message);
    let undecoded = Message::Unknown { command, payload: payload.to_vec() };
    if let Ok(theirs) = deserialize::<RawNetworkMessage>(&encode_frame(MAGIC, &undecoded))
        && !is_shown_otherwise(&message)
    {
        // Their checksum is that of the bytes that came, with what followed the message.
        let theirs = serialize(&theirs);
        assert_eq!(theirs[..CHECKSUM_AT], frame[..CHECKSUM_AT], "{command}");
        assert_eq!(theirs[FRAME_HEAD_LEN..], frame[FRAME_HEAD_LEN..], "{command}");
    }
}

fn decode_frame(frame: &[u8]) -> Message {
    let mut decoder = FrameDecoder::new(MAGIC, MAX_PAYLOAD);
    decoder.push(frame);
    let frame = decoder.next_frame().unwrap().expect("the frame is whole");
    Message::decode(frame.command, frame.payload).expect("it was encoded here")
}

/// Returns whether the `bitcoin` crate keeps other parts of such a message.
fn is_shown_otherwise(message: &Message) -> bool {
    match message {
        Message::Headers(HeadersMessage { foreign, .. }) => foreign.is_some(),
        _ => false,
    }
}

/// What is shown of a message is one line that controls no terminal.
fn show(message: &Message) {
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
            show_transaction(&raw);
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

fn show_transaction(transaction: &Transaction) {
    let view = transaction.view();
    let rule = view.check().err().map(|fault| fault.rule());
    assert_eq!(rule == Some("bad-txns-vin-empty"), view.inputs().len() == 0);
    let text = serde_json::to_string(&TxInfo::new(view, Network::Mainnet)).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object());
}

/// The block is held to its own header, with the merkle root that it has.
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
