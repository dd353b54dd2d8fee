//! The methods for blocks, transactions and merkle proofs. All but `verifytxoutproof` download from peers.
//!
//! Everything is checked against the stored headers, except a transaction without a block, of which only the id is
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
                     answered as 2, since what the inputs spend is not known, nor are fees",
                ),
            ],
            about: "Downloads a block, and holds it to its stored header: hash, merkle root, witness commitment.",
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
                    "0 for hex digits (default), 1 for an object; 2 is answered as 1, since what the inputs spend is \
                     not known",
                ),
                optional("blockhash", RpcType::Text, "The block that the transaction is in"),
            ],
            about: "Returns a transaction: from its block, or without blockhash from the memory pool of a peer. Of a \
                    transaction from there only the id is checked: the witnesses are the peer's word.",
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
                    "The block that they are in; it cannot be left out here",
                ),
            ],
            about: "Returns a proof that transactions are in a block, as hex digits.",
            needs_chain: true,
            run: RpcRun::Later(gettxoutproof),
        },
        Method {
            name: "verifytxoutproof",
            params: &[required("proof", RpcType::Text, "The proof, as hex digits")],
            about: "Checks a proof against the stored chain, and returns the ids of the transactions that it proves. How \
                    many transactions the block has is the proof's word, unless the block was asked for just before: a \
                    proof that claims too few can show an inner node of the merkle tree as a transaction \
                    (CVE-2017-12842). One that reads as a transaction of 64 bytes is refused.",
            needs_chain: true,
            run: RpcRun::Now(verifytxoutproof),
        },
    ],
};
