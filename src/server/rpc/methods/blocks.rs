//! The methods for blocks, transactions and merkle proofs. All but `verifytxoutproof` may download from peers.
//!
//! Everything is checked against the stored headers, except a transaction requested without its block: only its id is
//! checked. Source: Bitcoin Core `rpc/blockchain.cpp`, `rpc/rawtransaction.cpp`.

mod answers;
mod download;
mod proofs;

use crate::server::rpc::method::{Method, MethodGroup, RpcRun, optional, required};
use crate::server::rpc::params::RpcType;
pub(crate) use answers::block;
use answers::{getblock, getrawtransaction};
use proofs::{gettxoutproof, verifytxoutproof};

pub(super) const GROUP: MethodGroup = MethodGroup {
    name: "Blocks and transactions from peers",
    methods: &[
        Method {
            name: "getblock",
            params: &[
                required("blockhash", RpcType::Text, "The block's hash"),
                optional(
                    "verbosity|verbose",
                    RpcType::Any,
                    "0 for hex digits, 1 for an object (default), 2 for an object with whole transactions; 3 is \
                     answered as 2, since the spent outputs and the fees are not known",
                ),
            ],
            about: "Downloads a block, and checks it against its stored header: hash, merkle root, witness commitment.",
            needs_chain: true,
            run: RpcRun::Later(getblock),
        },
        Method {
            name: "getrawtransaction",
            params: &[
                required("txid", RpcType::Text, "The transaction's id"),
                optional(
                    "verbosity|verbose",
                    RpcType::Any,
                    "0 for hex digits (default), 1 for an object; 2 is answered as 1, since the spent outputs are \
                     not known",
                ),
                optional("blockhash", RpcType::Text, "The block that the transaction is in"),
            ],
            about: "Returns a transaction from the given block or, without blockhash, from a peer's memory pool. Of a \
                    transaction from a memory pool only the id is checked, not the witnesses.",
            needs_chain: true,
            run: RpcRun::Later(getrawtransaction),
        },
        Method {
            name: "gettxoutproof",
            params: &[
                required("txids", RpcType::Array, "The ids of the transactions"),
                optional(
                    "blockhash",
                    RpcType::Text,
                    "The hash of their block; required, unlike in Bitcoin Core",
                ),
            ],
            about: "Returns a proof that transactions are in a block, as hex digits.",
            needs_chain: true,
            run: RpcRun::Later(gettxoutproof),
        },
        Method {
            name: "verifytxoutproof",
            params: &[required("proof", RpcType::Text, "The proof, as hex digits")],
            about: "Checks a proof against the stored chain, and returns the ids of the transactions that it proves. The \
                    proof itself says how many transactions the block has, and the server checks the number only if it \
                    still has the block from an earlier call: a proof that claims too few can show an inner node of the \
                    merkle tree as a transaction (CVE-2017-12842). For a wrong proof, and for one with an inner node \
                    that could be a transaction of 64 bytes, the result is empty.",
            needs_chain: true,
            run: RpcRun::Now(verifytxoutproof),
        },
    ],
};
