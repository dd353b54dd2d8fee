//! Chains of headers: made on the spot for regtest, or loaded from `fixtures/`.
//!
//! In each chain, the index of a header is its height: genesis is at 0.

use lightclient::chain::params;
use lightclient::primitives::{HEADER_LEN, Header, MerkleRoot, Network, Target};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bits that every regtest header carries.
pub const REGTEST_BITS: u32 = 0x207f_ffff;

/// The version of the headers made here: BIP9's prefix, no bit signalled.
pub const VERSION: i32 = 0x2000_0000;

/// Returns the seconds between headers with which a chain of `count` headers ends years before today.
pub fn spacing_for(count: u32) -> u32 {
    (400_000_000 / count.max(1)).clamp(1, 600)
}

/// Makes a valid chain of genesis and `count` regtest headers, `spacing` seconds apart. Equal arguments give equal
/// chains.
///
/// # Panics
/// If the last header would be in the future.
pub fn regtest_chain(count: u32, seed: u64, spacing: u32) -> Vec<Header> {
    let genesis = params(Network::Regtest).genesis;
    extend_chain(&[genesis], count, seed, spacing)
}

/// Makes a chain like [`regtest_chain`], but with the last header at the Unix time `end`, for tests that depend on the
/// age of the tip.
pub fn regtest_chain_until(count: u32, seed: u64, spacing: u32, end: u32) -> Vec<Header> {
    let mut chain = vec![params(Network::Regtest).genesis];
    let mut digits = Digits(seed);
    for left in (0..count).rev() {
        let parent = chain.last().expect("starts with genesis");
        chain.push(mined_on(parent, end - left * spacing, &mut digits));
    }
    chain
}

/// Returns `base` up to and including height `at`, and `count` headers of another branch on top.
pub fn fork_chain(base: &[Header], at: u32, count: u32, seed: u64) -> Vec<Header> {
    let at = usize::try_from(at).expect("a height fits in memory");
    let spacing = match base[..=at] {
        [.., parent, last] => last.time - parent.time,
        _ => 600,
    };
    // The seed is inverted, so that a branch from genesis differs from `base` even with the seed of `base`.
    extend_chain(&base[..=at], count, !seed, spacing)
}

/// Returns `base` and `count` more headers on top, `spacing` seconds apart.
///
/// # Panics
/// If the last header would be in the future.
pub fn extend_chain(base: &[Header], count: u32, seed: u64, spacing: u32) -> Vec<Header> {
    let mut chain =
        Vec::with_capacity(base.len() + usize::try_from(count).expect("fits in memory"));
    chain.extend_from_slice(base);
    let mut parent = *base.last().expect("a base is not empty");
    let mut digits = Digits(seed);
    for _ in 0..count {
        parent = mined_on(&parent, parent.time + spacing, &mut digits);
        chain.push(parent);
    }
    assert!(parent.time <= now(), "a chain of {count} with {spacing} s between ends after today");
    chain
}

/// Makes a header on top of the last one, with this time.
pub fn next_header(chain: &[Header], time: u32, seed: u64) -> Header {
    mined_on(chain.last().expect("a chain has a genesis"), time, &mut Digits(seed))
}

fn mined_on(parent: &Header, time: u32, digits: &mut Digits) -> Header {
    mine(Header {
        version: VERSION,
        prev: parent.hash(),
        merkle_root: MerkleRoot(digits.next_32()),
        time,
        bits: REGTEST_BITS,
        nonce: 0,
    })
}

/// Returns the header with the first nonce, from its present one on, for which the hash meets its bits. Bits of real
/// networks would take too long.
pub fn mine(mut header: Header) -> Header {
    let target = Target::from_bits(header.bits).expect("the bits of a header that can be mined");
    while !target.is_met_by(&header.hash()) {
        header.nonce = header.nonce.wrapping_add(1);
    }
    header
}

/// Returns the current Unix time in seconds.
pub fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    u32::try_from(since.as_secs()).expect("header times last until 2106")
}

/// Reads the raw 80-byte headers of a file.
///
/// # Panics
/// If the file cannot be read, or its length is not a multiple of 80.
pub fn load_bin(path: impl AsRef<Path>) -> Vec<Header> {
    let path = path.as_ref();
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (headers, rest) = bytes.as_chunks::<HEADER_LEN>();
    assert!(rest.is_empty(), "{}: not a whole number of headers", path.display());
    headers.iter().map(Header::decode).collect()
}

/// Returns the path of a file in `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Returns the real mainnet headers from genesis up to height 32,259, a little above the first difficulty change at
/// 32,256.
pub fn mainnet_start() -> Vec<Header> {
    load_bin(fixture("mainnet-0000000-0032259.bin"))
}

/// A pseudorandom number generator (SplitMix64), whose numbers depend only on its seed.
struct Digits(u64);

impl Digits {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn next_32(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for part in bytes.chunks_exact_mut(8) {
            part.copy_from_slice(&self.next().to_le_bytes());
        }
        bytes
    }
}
