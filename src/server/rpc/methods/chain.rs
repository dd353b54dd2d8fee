//! The methods for the stored chain: heights, hashes, headers, tips, statistics.
//!
//! Source: Bitcoin Core `rpc/blockchain.cpp`, `rpc/mining.cpp`.

mod figures;
mod waiting;

use crate::primitives::hex;
use crate::query::{ReadError, reread_if_reorganised};
use crate::server::rpc::error::{BLOCK_NOT_FOUND, RpcError};
use crate::server::rpc::method::{
    Method, MethodGroup, RpcResult, RpcRun, done, optional, required,
};
use crate::server::rpc::params::{RpcParams, RpcType};
use crate::server::state::ServerState;
pub(crate) use figures::{blockchain_info, chain_name};
use figures::{getblockchaininfo, getdifficulty, getnetworkhashps};
use serde::Serialize;
use waiting::{waitforblock, waitforblockheight, waitfornewblock};

pub(super) const GROUP: MethodGroup = MethodGroup {
    name: "Blockchain",
    methods: &[
        Method {
            name: "getblockcount",
            params: &[],
            about: "Returns the height of the chain with most work. Genesis has height 0.",
            needs_chain: true,
            run: RpcRun::Now(|state, _| done(&state.tip().height)),
        },
        Method {
            name: "getbestblockhash",
            params: &[],
            about: "Returns the hash of the chain's tip.",
            needs_chain: true,
            run: RpcRun::Now(|state, _| done(&state.tip().hash.to_string())),
        },
        Method {
            name: "getblockhash",
            params: &[required("height", RpcType::Number, "The height")],
            about: "Returns the hash of the block of the best chain at a height.",
            needs_chain: true,
            run: RpcRun::Now(getblockhash),
        },
        Method {
            name: "getblockheader",
            params: &[
                required("blockhash", RpcType::Text, "The block's hash"),
                optional(
                    "verbose",
                    RpcType::Bool,
                    "true for an object (default), false for hex digits",
                ),
            ],
            about: "Returns a stored header, on the best chain or beside it.",
            needs_chain: true,
            run: RpcRun::Now(getblockheader),
        },
        Method {
            name: "getblockchaininfo",
            params: &[],
            about: "Returns the state of the chain and of its sync.",
            needs_chain: true,
            run: RpcRun::Now(getblockchaininfo),
        },
        Method {
            name: "getchaintips",
            params: &[],
            about: "Returns the tips of the best chain and of all branches beside it.",
            needs_chain: true,
            run: RpcRun::Now(getchaintips),
        },
        Method {
            name: "getdifficulty",
            params: &[],
            about: "Returns the difficulty of the tip, as a multiple of the minimum difficulty.",
            needs_chain: true,
            run: RpcRun::Now(getdifficulty),
        },
        Method {
            name: "getnetworkhashps",
            params: &[
                optional(
                    "nblocks",
                    RpcType::Number,
                    "The number of blocks; -1 for all since the last retarget (default: 120)",
                ),
                optional(
                    "height",
                    RpcType::Number,
                    "The height of the last block; -1 for the tip (default)",
                ),
            ],
            about: "Estimates the network's hashes per second from a number of blocks.",
            needs_chain: true,
            run: RpcRun::Later(getnetworkhashps),
        },
        Method {
            name: "waitfornewblock",
            params: &[
                optional("timeout", RpcType::Number, "Milliseconds; 0 for no limit (default)"),
                optional(
                    "current_tip",
                    RpcType::Text,
                    "A tip's hash: waits until the tip differs from it (default: the tip at the call)",
                ),
            ],
            about: "Waits for a new tip or the timeout, and returns the tip.",
            needs_chain: true,
            run: RpcRun::Later(waitfornewblock),
        },
        Method {
            name: "waitforblock",
            params: &[
                required("blockhash", RpcType::Text, "The hash to wait for"),
                optional("timeout", RpcType::Number, "Milliseconds; 0 for no limit (default)"),
            ],
            about: "Waits until the tip has this hash or the timeout is over, and returns the tip.",
            needs_chain: true,
            run: RpcRun::Later(waitforblock),
        },
        Method {
            name: "waitforblockheight",
            params: &[
                required("height", RpcType::Number, "The height to wait for"),
                optional("timeout", RpcType::Number, "Milliseconds; 0 for no limit (default)"),
            ],
            about: "Waits until the chain has this height or the timeout is over, and returns the tip.",
            needs_chain: true,
            run: RpcRun::Later(waitforblockheight),
        },
    ],
};

fn getblockhash(state: &ServerState, params: &RpcParams) -> RpcResult {
    let height: i32 = params.integer(0)?.unwrap_or_default();
    let out_of_range = || RpcError::invalid("Block height out of range");
    let height = u32::try_from(height).map_err(|_| out_of_range())?;
    let stored = state.chain().header(height)?.ok_or_else(out_of_range)?;
    done(&stored.hash.to_string())
}

fn getblockheader(state: &ServerState, params: &RpcParams) -> RpcResult {
    let hash = params.block_hash(0, "hash")?;
    let (header, info) =
        state.chain().header_info(&hash)?.ok_or_else(|| RpcError::not_found(BLOCK_NOT_FOUND))?;
    if params.bool(1) == Some(false) {
        return done(&hex::encode(&header.encode()));
    }
    done(&info.without_block())
}

/// The tip of a branch, as `getchaintips` shows it.
#[derive(Serialize)]
struct ChainTipInfo {
    height: u32,
    hash: String,
    branchlen: u32,
    status: &'static str,
}

/// Returns the tips of the best chain and of all side branches, the highest first.
fn getchaintips(state: &ServerState, _: &RpcParams) -> RpcResult {
    let mut reader = state.chain();
    let (tip, sides) = reread_if_reorganised(|| {
        let (tip, sides) = (reader.tip()?, reader.sides()?);
        match reader.tip()? == tip {
            true => Ok((tip, sides)),
            false => Err(ReadError::Reorganized { height: tip.height }),
        }
    })?;
    let active = ChainTipInfo {
        height: tip.height,
        hash: tip.hash.to_string(),
        branchlen: 0,
        status: "active",
    };
    let sides = sides.into_iter().map(|side| ChainTipInfo {
        height: side.height,
        hash: side.hash.to_string(),
        branchlen: side.length,
        status: "headers-only",
    });
    let mut tips: Vec<_> = [active].into_iter().chain(sides).collect();
    tips.sort_by_key(|tip| std::cmp::Reverse(tip.height));
    done(&tips)
}
