//! Which announced blocks are downloaded, and from whom.

use crate::chain::params;
use crate::node::mempool::blocks::{BlockNewsFault, Blocks, Seen};
use crate::primitives::{BlockHash, Header, MerkleRoot, Network, PeerId, Target};
use crate::wire::InventoryKind;
use std::time::Duration;

const BITS: u32 = 0x207f_ffff;

fn mined_on(prev: BlockHash, time: u32, bits: u32) -> Header {
    let merkle_root = MerkleRoot([7; 32]);
    let mut header = Header { version: 4, prev, merkle_root, time, bits, nonce: 0 };
    let target = Target::from_bits(bits).unwrap();
    while !target.is_met_by(&header.hash()) {
        header.nonce += 1;
    }
    header
}

fn chain(prev: BlockHash, count: u32) -> Vec<Header> {
    let mut headers = Vec::new();
    let mut prev = prev;
    for time in 0..count {
        headers.push(mined_on(prev, time, BITS));
        prev = headers[headers.len() - 1].hash();
    }
    headers
}

fn stored(hash: BlockHash) -> Vec<Seen> {
    vec![Seen { hash, height: Some(9), bits: BITS }]
}

fn blocks(stored: Vec<Seen>) -> Blocks {
    Blocks::new(params(Network::Regtest), stored)
}

fn asked(blocks: &mut Blocks, now: u64) -> Option<(PeerId, BlockHash)> {
    blocks.request(Duration::from_secs(now)).map(|(key, entry)| {
        assert_eq!(entry.kind, InventoryKind::WitnessBlock);
        (key, BlockHash(entry.hash.0))
    })
}

#[test]
fn the_header_comes_first_then_the_block_with_its_height() {
    let base = BlockHash([9; 32]);
    let mut blocks = blocks(stored(base));
    let header = chain(base, 1)[0];
    let hash = header.hash();
    let request = blocks.on_inv(PeerId(1), hash).unwrap();
    assert_eq!((request.locator, request.stop), (vec![base], hash));
    assert_eq!(blocks.on_inv(PeerId(1), hash), None, "asked once");
    assert_eq!(asked(&mut blocks, 0), None, "no header, no block");
    assert_eq!(blocks.on_headers(PeerId(1), &[header]), Ok(None));
    assert_eq!(asked(&mut blocks, 0), Some((PeerId(1), hash)));
    let seen = Seen { hash, height: Some(10), bits: BITS };
    assert_eq!(blocks.on_block(PeerId(2), hash), Err(BlockNewsFault::Unasked { hash }));
    assert_eq!(blocks.on_block(PeerId(1), hash), Ok(Some(seen)));
    blocks.done(hash, Some(10));
    assert_eq!((asked(&mut blocks, 100), blocks.skipped()), (None, 0));
    assert_eq!(blocks.on_inv(PeerId(2), hash), None, "seen already");
}

#[test]
fn another_announcer_is_asked_when_the_first_is_late_gone_or_without() {
    let base = BlockHash([9; 32]);
    let mut blocks = blocks(stored(base));
    let header = chain(base, 1)[0];
    let hash = header.hash();
    blocks.on_inv(PeerId(1), hash).unwrap();
    assert_eq!(blocks.on_headers(PeerId(1), &[header]), Ok(None));
    (2..=4).for_each(|key| assert_eq!(blocks.on_inv(PeerId(key), hash), None));
    assert_eq!(asked(&mut blocks, 0), Some((PeerId(1), hash)));
    assert_eq!(asked(&mut blocks, 29), None);
    assert_eq!(blocks.next_deadline(), Some(Duration::from_secs(30)));
    assert_eq!(asked(&mut blocks, 30), Some((PeerId(2), hash)));
    blocks.on_not_found(PeerId(2), hash);
    assert_eq!(asked(&mut blocks, 31), Some((PeerId(3), hash)));
    blocks.remove_peer(PeerId(3));
    assert_eq!(asked(&mut blocks, 32), Some((PeerId(4), hash)));
    assert_eq!(asked(&mut blocks, 62), None);
    assert_eq!(blocks.skipped(), 1);
    // Who announces it only now is asked all the same.
    assert_eq!(blocks.on_inv(PeerId(5), hash), None);
    assert_eq!(asked(&mut blocks, 63), Some((PeerId(5), hash)));
}

#[test]
fn a_block_that_comes_after_its_time_is_taken_while_nobody_else_has_sent_it() {
    let base = BlockHash([9; 32]);
    let headers = chain(base, 2);
    let (hash, next) = (headers[0].hash(), headers[1].hash());
    let seen = Seen { hash, height: Some(10), bits: BITS };
    // Asked of another meanwhile, who may send it, too.
    let mut blocks = blocks(stored(base));
    assert_eq!(blocks.on_headers(PeerId(1), &headers), Ok(None));
    assert_eq!(blocks.on_inv(PeerId(2), hash), None);
    assert_eq!(asked(&mut blocks, 0), Some((PeerId(1), hash)));
    assert_eq!(asked(&mut blocks, 30), Some((PeerId(2), hash)));
    assert_eq!(blocks.on_block(PeerId(1), hash), Ok(Some(seen)));
    blocks.done(hash, Some(10));
    assert_eq!(asked(&mut blocks, 31), Some((PeerId(1), next)));
    assert_eq!(blocks.on_block(PeerId(2), hash), Ok(None), "came already");
    assert_eq!(blocks.on_block(PeerId(2), hash), Err(BlockNewsFault::Unasked { hash }));
    // While the next one is under way, of one that nobody was left to be asked for.
    let mut blocks = self::blocks(stored(base));
    assert_eq!(blocks.on_headers(PeerId(1), &headers), Ok(None));
    assert_eq!(asked(&mut blocks, 0), Some((PeerId(1), hash)));
    assert_eq!(asked(&mut blocks, 30), Some((PeerId(1), next)));
    assert_eq!(blocks.skipped(), 1);
    assert_eq!(blocks.on_block(PeerId(1), hash), Ok(Some(seen)));
    blocks.done(hash, Some(10));
    assert_eq!((asked(&mut blocks, 31), blocks.skipped()), (None, 0));
    assert!(blocks.on_block(PeerId(1), next).unwrap().is_some());
}

#[test]
fn headers_without_work_links_or_possible_bits_are_their_senders_fault() {
    let base = BlockHash([9; 32]);
    let mut blocks = blocks(stored(base));
    let good = chain(base, 2);
    let mut idle = good[0];
    while Target::from_bits(BITS).unwrap().is_met_by(&idle.hash()) {
        idle.nonce += 1;
    }
    let hash = idle.hash();
    assert_eq!(
        blocks.on_headers(PeerId(1), &[idle]),
        Err(BlockNewsFault::ProofOfWork { hash, bits: BITS })
    );
    let easy = Header { bits: 0x2100_ffff, ..good[0] };
    assert!(matches!(
        blocks.on_headers(PeerId(1), &[easy]),
        Err(BlockNewsFault::ProofOfWork { bits: 0x2100_ffff, .. })
    ));
    let hash = good[0].hash();
    assert_eq!(
        blocks.on_headers(PeerId(1), &[good[1], good[0]]),
        Err(BlockNewsFault::Unlinked { hash })
    );
    assert_eq!(asked(&mut blocks, 0), None);
}

#[test]
fn on_mainnet_a_block_needs_the_bits_that_can_follow_its_parents() {
    // Twice as much work as the limit asks for: soon mined, and yet not what mainnet asks for.
    let mainnet = params(Network::Mainnet);
    let base = Seen { hash: BlockHash([9; 32]), height: Some(840_000), bits: 0x1703_4219 };
    let mut blocks = Blocks::new(mainnet, vec![base]);
    let genesis = mainnet.genesis;
    // The one header at hand with mainnet's lowest work, as if it built on the stored one.
    assert_eq!(
        blocks.on_headers(PeerId(1), &[genesis]),
        Ok(None),
        "builds on nothing stored: passed over"
    );
    assert_eq!(asked(&mut blocks, 0), None);
    let after = Seen { hash: genesis.prev, ..base };
    let mut blocks = Blocks::new(mainnet, vec![after]);
    assert_eq!(
        blocks.on_headers(PeerId(1), &[genesis]),
        Err(BlockNewsFault::Bits {
            hash: genesis.hash(),
            height: 840_001,
            parent: 0x1703_4219,
            got: 0x1d00_ffff
        })
    );
}

#[test]
fn without_a_stored_chain_the_first_block_is_taken_and_the_next_ones_build_on_it() {
    let mut blocks = blocks(Vec::new());
    let headers = chain(BlockHash([9; 32]), 4);
    let first = blocks.on_inv(PeerId(1), headers[0].hash()).unwrap();
    assert_eq!((first.locator, first.stop), (Vec::new(), headers[0].hash()));
    assert_eq!(blocks.on_headers(PeerId(1), &headers[..1]), Ok(None));
    assert_eq!(asked(&mut blocks, 0), Some((PeerId(1), headers[0].hash())));
    let seen = blocks.on_block(PeerId(1), headers[0].hash()).unwrap().unwrap();
    assert_eq!(seen.height, None);
    blocks.done(seen.hash, Some(500));
    // Two at once: the older one is downloaded too, and both have heights now.
    let next = blocks.on_inv(PeerId(1), headers[2].hash()).unwrap();
    assert_eq!(next.locator, [headers[0].hash()]);
    assert_eq!(blocks.on_headers(PeerId(1), &headers[1..3]), Ok(None));
    for (header, height) in headers[1..3].iter().zip(501..) {
        assert_eq!(asked(&mut blocks, 0), Some((PeerId(1), header.hash())));
        let seen = blocks.on_block(PeerId(1), header.hash()).unwrap().unwrap();
        assert_eq!(seen.height, Some(height));
        blocks.done(seen.hash, seen.height);
    }
    // A peer that knows none of them answers from elsewhere, and is asked for the one header.
    let other = chain(BlockHash([8; 32]), 3);
    assert!(blocks.on_inv(PeerId(2), other[2].hash()).is_some());
    let again = blocks.on_headers(PeerId(2), &other[..2]).unwrap().unwrap();
    assert_eq!((again.locator, again.stop), (Vec::new(), other[2].hash()));
    assert_eq!(blocks.on_headers(PeerId(2), &other[2..]), Ok(None));
    assert_eq!(asked(&mut blocks, 0), Some((PeerId(2), other[2].hash())));
}

#[test]
fn of_many_blocks_at_once_the_newest_are_downloaded_and_memory_is_bounded() {
    let base = BlockHash([9; 32]);
    let mut blocks = blocks(stored(base));
    let headers = chain(base, 1000);
    assert_eq!(blocks.on_headers(PeerId(1), &headers), Ok(None));
    let mut downloaded = Vec::new();
    while let Some((key, hash)) = asked(&mut blocks, 0) {
        assert!(blocks.on_block(key, hash).unwrap().is_some());
        blocks.done(hash, None);
        downloaded.push(hash);
    }
    let newest: Vec<BlockHash> = headers[992..].iter().map(Header::hash).collect();
    assert_eq!(downloaded, newest);
    assert_eq!(blocks.skipped(), 992);
    let locator = blocks.on_inv(PeerId(1), BlockHash([1; 32])).unwrap().locator;
    assert_eq!((locator.len(), locator[0]), (101, newest[7]));
}
