//! Makes chains in which one header breaks a rule.

use super::chain::{extend_chain, mine, next_header, now};
use lightclient::chain::{MEDIAN_TIME_SPAN, median_time_past, params};
use lightclient::primitives::{BlockHash, Header, MerkleRoot, Network, Target, hex};

/// The rule to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A hash above the target of its bits ("high-hash").
    Work,
    /// Bits that do not follow from the retarget, with a valid proof of work ("bad-diffbits").
    Bits,
    /// A parent that is not the header before it ("prev-blk-not-found").
    Link,
    /// A time equal to the median of the eleven headers before ("time-too-old").
    OldTime,
    /// A time three hours ahead of the clock ("time-too-new").
    FutureTime,
    /// Version 3, retired by BIP65 ("bad-version").
    Version,
    /// A header that is valid on another network. On regtest it is the real mainnet block 1, whose parent is unknown
    /// ("prev-blk-not-found"). Elsewhere it has the trivial work of regtest, with bits above the limit ("high-hash").
    OtherNetwork,
}

impl Wrong {
    /// All kinds. [`with_wrong`] makes all of them on regtest, and only [`Wrong::ELSEWHERE`] on other networks.
    pub const ALL: [Self; 7] = [
        Self::Work,
        Self::Bits,
        Self::Link,
        Self::OldTime,
        Self::FutureTime,
        Self::Version,
        Self::OtherNetwork,
    ];

    /// The kinds that need no mining at a real network's difficulty.
    pub const ELSEWHERE: [Self; 3] = [Self::Work, Self::Link, Self::OtherNetwork];

    /// Returns Bitcoin Core's name of the rule that the header breaks on a network.
    pub fn rule(self, network: Network) -> &'static str {
        match self {
            Self::OtherNetwork if network != Network::Regtest => "high-hash",
            Self::Work => "high-hash",
            Self::Bits => "bad-diffbits",
            Self::Link | Self::OtherNetwork => "prev-blk-not-found",
            Self::OldTime => "time-too-old",
            Self::FutureTime => "time-too-new",
            Self::Version => "bad-version",
        }
    }
}

impl Wrong {
    /// Returns the expected and actual values that the error for the wrong header at height `at` must contain.
    ///
    /// Values that depend on the clock are computed from the current time.
    pub fn expected_and_got(self, network: Network, chain: &[Header], at: u32) -> (String, String) {
        let at = usize::try_from(at).expect("a height fits in memory");
        let (before, wrong) = (chain[at - 1], chain[at]);
        let got_time = wrong.time.to_string();
        match self {
            Self::OtherNetwork if network != Network::Regtest => {
                ("bits at most 1d00ffff".to_owned(), "207fffff".to_owned())
            }
            Self::Link | Self::OtherNetwork => {
                (format!("parent {}", before.hash()), wrong.prev.to_string())
            }
            Self::Work => {
                let digits = if network == Network::Regtest { "7fffff" } else { "00000000ffff" };
                (format!("hash at most {digits:0<64}"), wrong.hash().to_string())
            }
            Self::Bits => ("bits 207fffff".to_owned(), "207ffffe".to_owned()),
            Self::OldTime => (format!("time after {}", wrong.time), got_time),
            Self::FutureTime => (format!("time not after {}", now() + 7200), got_time),
            Self::Version => ("version at least 4".to_owned(), "3".to_owned()),
        }
    }
}

/// Returns `base` with a wrong header at height `at`.
///
/// On regtest, valid headers on top of the wrong one follow. Elsewhere, the headers of `base` follow. The chain stays
/// as long as `base`, but [`Wrong::Link`] elsewhere leaves out the header at `at`.
///
/// # Panics
/// If the kind cannot be made on the network (see [`Wrong::ELSEWHERE`]), or `at` is not between 1 and the tip.
pub fn with_wrong(network: Network, base: &[Header], at: u32, kind: Wrong) -> Vec<Header> {
    let at = usize::try_from(at).expect("a height fits in memory");
    let (good, rest) = base.split_at(at);
    let after = u32::try_from(rest.len()).expect("heights are 32 bits") - 1;
    let mut chain = good.to_vec();
    if network == Network::Regtest {
        chain.push(wrong_on_regtest(good, kind));
        return follow(chain, rest[0].time, after);
    }
    assert!(
        Wrong::ELSEWHERE.contains(&kind),
        "{kind:?} would have to be mined at {network}'s difficulty"
    );
    match kind {
        Wrong::Link => chain.extend_from_slice(&rest[1..]),
        Wrong::Work => {
            let target = Target::from_bits(rest[0].bits).expect("a real header's bits");
            chain.push(unmined(rest[0], target));
            chain.extend_from_slice(&rest[1..]);
        }
        _ => {
            chain.push(next_header(good, rest[0].time, 0));
            chain.extend_from_slice(&rest[1..]);
        }
    }
    chain
}

/// Mines `after` headers on top of the wrong one, one second apart. The first one is one second after `time`.
fn follow(mut chain: Vec<Header>, time: u32, after: u32) -> Vec<Header> {
    if after == 0 {
        return chain;
    }
    chain.push(next_header(&chain, time + 1, 1));
    extend_chain(&chain, after - 1, 2, 1)
}

fn wrong_on_regtest(good: &[Header], kind: Wrong) -> Header {
    let time = good.last().expect("there is a genesis").time + 1;
    let next = next_header(good, time, 0);
    let target = Target::from_bits(next.bits).expect("regtest's bits");
    match kind {
        Wrong::Work => unmined(next, target),
        Wrong::Bits => mine(Header { bits: next.bits - 1, ..next }),
        Wrong::Link => mine(Header { prev: BlockHash([0x11; 32]), ..next }),
        Wrong::OldTime => {
            let recent = good.len().saturating_sub(MEDIAN_TIME_SPAN);
            let times: Vec<u32> = good[recent..].iter().map(|header| header.time).collect();
            mine(Header { time: median_time_past(&times), ..next })
        }
        Wrong::FutureTime => mine(Header { time: now() + 3 * 3600, ..next }),
        Wrong::Version => mine(Header { version: 3, ..next }),
        Wrong::OtherNetwork => mainnet_block_1(),
    }
}

/// Returns the header with a nonce for which its hash is above the target.
pub fn unmined(mut header: Header, target: Target) -> Header {
    while target.is_met_by(&header.hash()) {
        header.nonce = header.nonce.wrapping_add(1);
    }
    header
}

/// Returns the header of mainnet's block 1.
fn mainnet_block_1() -> Header {
    Header {
        version: 1,
        prev: params(Network::Mainnet).genesis.hash(),
        merkle_root: MerkleRoot(hex::reversed_literal(
            "0e3e2357e806b6cdb1f70b54c3a3a17b6714ee1f0e68bebb44a74b1efd512098",
        )),
        time: 1_231_469_665,
        bits: 0x1d00_ffff,
        nonce: 2_573_394_689,
    }
}
