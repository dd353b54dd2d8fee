//! Merkle proofs. Source: Bitcoin Core `rpc/txoutproof.cpp`.

use super::download::{download, make};
use crate::primitives::{Txid, hex};
use crate::query::Located;
use crate::server::rpc::error::{BLOCK_NOT_FOUND, RpcCode, RpcError};
use crate::server::rpc::method::{RpcFuture, RpcResult, done};
use crate::server::rpc::params::{RpcParams, parse_hash, wrong_type};
use crate::server::state::ServerState;
use crate::spv::{CheckedProof, InvalidProof};
use crate::wire::DecodeError;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) fn gettxoutproof(state: Arc<ServerState>, params: RpcParams) -> RpcFuture {
    Box::pin(async move {
        let txids = txids(&params)?;
        if !params.has(1) {
            return Err(RpcError::invalid(
                "Parameter 'blockhash' is required: block headers do not tell which block a transaction is in",
            ));
        }
        let hash = params.block_hash(1, "blockhash")?;
        let block = download(&state, hash, BLOCK_NOT_FOUND).await?;
        make(state, move |_| {
            let proof = block.prove(&txids).map_err(|_| {
                RpcError::not_found("Not all transactions found in specified or retrieved block")
            })?;
            done(&hex::encode(&proof.to_bytes()))
        })
        .await
    })
}

fn txids(params: &RpcParams) -> Result<Vec<Txid>, RpcError> {
    let values = params.any(0).as_array().map(Vec::as_slice).unwrap_or_default();
    if values.is_empty() {
        return Err(RpcError::invalid("Parameter 'txids' cannot be empty"));
    }
    let mut txids = BTreeSet::new();
    for value in values {
        let text = value.as_str().ok_or_else(|| wrong_type(value, "string"))?;
        if !txids.insert(parse_hash::<Txid>(text, "txid")?) {
            let message = format!("Invalid parameter, duplicated txid: {text}");
            return Err(RpcError::invalid(message));
        }
    }
    Ok(txids.into_iter().collect())
}

pub(super) fn verifytxoutproof(state: &ServerState, params: &RpcParams) -> RpcResult {
    let bytes = params.hex(0, "proof")?;
    let proof = match read(&bytes) {
        Ok(proof) => proof,
        Err(InvalidProof::Tree(_)) => return done(&[(); 0]),
        Err(error) => return Err(RpcError::new(RpcCode::Misc, form_error(&error))),
    };
    if !matches!(state.chain().locate(&proof.hash)?, Some(Located::Active(_))) {
        return Err(RpcError::not_found("Block not found in chain"));
    }
    let count = state.cached_block(&proof.hash).map(|block| block.block().len());
    let claimed = usize::try_from(proof.transaction_count).ok();
    if count.is_some() && count != claimed {
        return done(&[(); 0]);
    }
    let txids: Vec<String> = proof.proven.iter().map(|proven| proven.txid.to_string()).collect();
    done(&txids)
}

/// Checks a proof. Ignores the bytes that follow it, as Bitcoin Core does.
fn read(bytes: &[u8]) -> Result<CheckedProof, InvalidProof> {
    match CheckedProof::check_as_core(bytes) {
        Err(InvalidProof::Form(DecodeError::Trailing { expected, .. })) => {
            CheckedProof::check_as_core(&bytes[..expected])
        }
        checked => checked,
    }
}

/// Returns the message for a proof that cannot be decoded. For the two common faults, the message is Bitcoin Core's.
fn form_error(error: &InvalidProof) -> String {
    match error {
        InvalidProof::Form(DecodeError::Truncated { .. }) => {
            "DataStream::read(): end of data: iostream error".to_owned()
        }
        InvalidProof::Form(DecodeError::NonCanonical { .. }) => {
            "non-canonical ReadCompactSize(): iostream error".to_owned()
        }
        error => error.to_string(),
    }
}
