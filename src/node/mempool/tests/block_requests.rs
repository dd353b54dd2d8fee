//! Tests of which announced blocks are requested, and from which peer.

use crate::chain::params;
use crate::node::mempool::block_requests::{BlockRelayFault, BlockRequestTracker, RecentHeader};
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

fn stored(hash: BlockHash) -> Vec<RecentHeader> {
    vec![RecentHeader { hash, height: Some(9), bits: BITS }]
}

fn tracker(stored: Vec<RecentHeader>) -> BlockRequestTracker {
    BlockRequestTracker::new(params(Network::Regtest), stored)
}

fn next_request(tracker: &mut BlockRequestTracker, now: u64) -> Option<(PeerId, BlockHash)> {
    tracker.request(Duration::from_secs(now)).map(|(peer, entry)| {
        assert_eq!(entry.kind, InventoryKind::WitnessBlock);
        (peer, BlockHash(entry.hash.0))
    })
}

#[test]
fn a_header_is_requested_before_its_block() {
    let base = BlockHash([9; 32]);
    let mut tracker = tracker(stored(base));
    let header = chain(base, 1)[0];
    let hash = header.hash();
    let request = tracker.on_inv(PeerId(1), hash).unwrap();
    assert_eq!((request.locator, request.stop), (vec![base], hash));
    assert_eq!(tracker.on_inv(PeerId(1), hash), None, "the header is requested once");
    assert_eq!(next_request(&mut tracker, 0), None, "no block is requested without its header");
    assert_eq!(tracker.on_headers(PeerId(1), &[header]), Ok(None));
    assert_eq!(next_request(&mut tracker, 0), Some((PeerId(1), hash)));
    let recent = RecentHeader { hash, height: Some(10), bits: BITS };
    assert_eq!(tracker.on_block(PeerId(2), hash), Err(BlockRelayFault::Unsolicited { hash }));
    assert_eq!(tracker.on_block(PeerId(1), hash), Ok(Some(recent)));
    tracker.on_checked(hash, Some(10));
    assert_eq!((next_request(&mut tracker, 100), tracker.skipped()), (None, 0));
    assert_eq!(tracker.on_inv(PeerId(2), hash), None, "the block has been received");
}

#[test]
fn another_announcer_is_asked_if_the_first_is_late_or_gone_or_lacks_the_block() {
    let base = BlockHash([9; 32]);
    let mut tracker = tracker(stored(base));
    let header = chain(base, 1)[0];
    let hash = header.hash();
    tracker.on_inv(PeerId(1), hash).unwrap();
    assert_eq!(tracker.on_headers(PeerId(1), &[header]), Ok(None));
    (2..=4).for_each(|peer| assert_eq!(tracker.on_inv(PeerId(peer), hash), None));
    assert_eq!(next_request(&mut tracker, 0), Some((PeerId(1), hash)));
    assert_eq!(next_request(&mut tracker, 29), None);
    assert_eq!(tracker.next_deadline(), Some(Duration::from_secs(30)));
    assert_eq!(next_request(&mut tracker, 30), Some((PeerId(2), hash)));
    tracker.on_not_found(PeerId(2), hash);
    assert_eq!(next_request(&mut tracker, 31), Some((PeerId(3), hash)));
    tracker.remove_peer(PeerId(3));
    assert_eq!(next_request(&mut tracker, 32), Some((PeerId(4), hash)));
    assert_eq!(next_request(&mut tracker, 62), None);
    assert_eq!(tracker.skipped(), 1);
    // A peer that announces the block only now is asked too.
    assert_eq!(tracker.on_inv(PeerId(5), hash), None);
    assert_eq!(next_request(&mut tracker, 63), Some((PeerId(5), hash)));
    assert_eq!(tracker.skipped(), 0);
    // A block that is given up twice is one skipped block.
    assert_eq!((next_request(&mut tracker, 93), tracker.skipped()), (None, 1));
    assert_eq!(tracker.on_inv(PeerId(6), hash), None);
    assert_eq!(next_request(&mut tracker, 94), Some((PeerId(6), hash)));
    assert!(tracker.on_block(PeerId(6), hash).unwrap().is_some());
    tracker.on_checked(hash, Some(10));
    assert_eq!(tracker.skipped(), 0);
}

#[test]
fn a_late_block_is_needed_until_another_peer_has_sent_it() {
    let base = BlockHash([9; 32]);
    let headers = chain(base, 2);
    let (hash, next) = (headers[0].hash(), headers[1].hash());
    let recent = RecentHeader { hash, height: Some(10), bits: BITS };
    // First case: another peer has been asked meanwhile, and may still send the block too.
    let mut tracker = tracker(stored(base));
    assert_eq!(tracker.on_headers(PeerId(1), &headers), Ok(None));
    assert_eq!(tracker.on_inv(PeerId(2), hash), None);
    assert_eq!(next_request(&mut tracker, 0), Some((PeerId(1), hash)));
    assert_eq!(next_request(&mut tracker, 30), Some((PeerId(2), hash)));
    assert_eq!(tracker.on_block(PeerId(1), hash), Ok(Some(recent)));
    tracker.on_checked(hash, Some(10));
    assert_eq!(next_request(&mut tracker, 31), Some((PeerId(1), next)));
    assert_eq!(tracker.on_block(PeerId(2), hash), Ok(None), "the block was already received");
    assert_eq!(tracker.on_block(PeerId(2), hash), Err(BlockRelayFault::Unsolicited { hash }));
    // Second case: nobody else has announced the block, so the next block has been requested meanwhile.
    let mut tracker = self::tracker(stored(base));
    assert_eq!(tracker.on_headers(PeerId(1), &headers), Ok(None));
    assert_eq!(next_request(&mut tracker, 0), Some((PeerId(1), hash)));
    assert_eq!(next_request(&mut tracker, 30), Some((PeerId(1), next)));
    assert_eq!(tracker.skipped(), 1);
    assert_eq!(tracker.on_block(PeerId(1), hash), Ok(Some(recent)));
    tracker.on_checked(hash, Some(10));
    assert_eq!((next_request(&mut tracker, 31), tracker.skipped()), (None, 0));
    assert!(tracker.on_block(PeerId(1), next).unwrap().is_some());
}

#[test]
fn headers_without_work_or_links_or_with_a_target_above_the_limit_are_refused() {
    let base = BlockHash([9; 32]);
    let mut tracker = tracker(stored(base));
    let good = chain(base, 2);
    let mut without_work = good[0];
    while Target::from_bits(BITS).unwrap().is_met_by(&without_work.hash()) {
        without_work.nonce += 1;
    }
    let hash = without_work.hash();
    assert_eq!(
        tracker.on_headers(PeerId(1), &[without_work]),
        Err(BlockRelayFault::ProofOfWork { hash, bits: BITS })
    );
    let easy = Header { bits: 0x2100_ffff, ..good[0] };
    assert!(matches!(
        tracker.on_headers(PeerId(1), &[easy]),
        Err(BlockRelayFault::ProofOfWork { bits: 0x2100_ffff, .. })
    ));
    let hash = good[0].hash();
    assert_eq!(
        tracker.on_headers(PeerId(1), &[good[1], good[0]]),
        Err(BlockRelayFault::Unlinked { hash })
    );
    assert_eq!(next_request(&mut tracker, 0), None);
}

#[test]
fn bits_on_mainnet_have_to_be_possible_after_those_of_the_parent() {
    let mainnet = params(Network::Mainnet);
    let base = RecentHeader { hash: BlockHash([9; 32]), height: Some(840_000), bits: 0x1703_4219 };
    let mut tracker = BlockRequestTracker::new(mainnet, vec![base]);
    let genesis = mainnet.genesis;
    // Mainnet's genesis has the lowest possible work. It does not build on the stored header here.
    assert_eq!(
        tracker.on_headers(PeerId(1), &[genesis]),
        Ok(None),
        "it builds on nothing stored, and is ignored"
    );
    assert_eq!(next_request(&mut tracker, 0), None);
    // Genesis builds on the stored header now, but its bits cannot follow those of the stored header.
    let after = RecentHeader { hash: genesis.prev, ..base };
    let mut tracker = BlockRequestTracker::new(mainnet, vec![after]);
    assert_eq!(
        tracker.on_headers(PeerId(1), &[genesis]),
        Err(BlockRelayFault::Bits {
            hash: genesis.hash(),
            height: 840_001,
            parent: 0x1703_4219,
            got: 0x1d00_ffff
        })
    );
}

#[test]
fn without_a_stored_chain_blocks_are_accepted_whether_or_not_they_build_on_known_ones() {
    let mut tracker = tracker(Vec::new());
    let headers = chain(BlockHash([9; 32]), 4);
    let first = tracker.on_inv(PeerId(1), headers[0].hash()).unwrap();
    assert_eq!((first.locator, first.stop), (Vec::new(), headers[0].hash()));
    assert_eq!(tracker.on_headers(PeerId(1), &headers[..1]), Ok(None));
    assert_eq!(next_request(&mut tracker, 0), Some((PeerId(1), headers[0].hash())));
    let recent = tracker.on_block(PeerId(1), headers[0].hash()).unwrap().unwrap();
    assert_eq!(recent.height, None);
    tracker.on_checked(recent.hash, Some(500));
    // Of two new blocks the peer announces only the newer one. Both are downloaded, and their heights are known.
    let next = tracker.on_inv(PeerId(1), headers[2].hash()).unwrap();
    assert_eq!(next.locator, [headers[0].hash()]);
    assert_eq!(tracker.on_headers(PeerId(1), &headers[1..3]), Ok(None));
    for (header, height) in headers[1..3].iter().zip(501..) {
        assert_eq!(next_request(&mut tracker, 0), Some((PeerId(1), header.hash())));
        let recent = tracker.on_block(PeerId(1), header.hash()).unwrap().unwrap();
        assert_eq!(recent.height, Some(height));
        tracker.on_checked(recent.hash, recent.height);
    }
    // A peer that knows none of our headers answers with other headers. It is asked again, only for the header that it
    // announced.
    let other = chain(BlockHash([8; 32]), 3);
    assert!(tracker.on_inv(PeerId(2), other[2].hash()).is_some());
    let again = tracker.on_headers(PeerId(2), &other[..2]).unwrap().unwrap();
    assert_eq!((again.locator, again.stop), (Vec::new(), other[2].hash()));
    assert_eq!(tracker.on_headers(PeerId(2), &other[2..]), Ok(None));
    assert_eq!(next_request(&mut tracker, 0), Some((PeerId(2), other[2].hash())));
}

#[test]
fn only_the_newest_of_many_blocks_are_downloaded_and_the_locator_is_bounded() {
    let base = BlockHash([9; 32]);
    let mut tracker = tracker(stored(base));
    let headers = chain(base, 1000);
    assert_eq!(tracker.on_headers(PeerId(1), &headers), Ok(None));
    let mut downloaded = Vec::new();
    while let Some((peer, hash)) = next_request(&mut tracker, 0) {
        assert!(tracker.on_block(peer, hash).unwrap().is_some());
        tracker.on_checked(hash, None);
        downloaded.push(hash);
    }
    let newest: Vec<BlockHash> = headers[992..].iter().map(Header::hash).collect();
    assert_eq!(downloaded, newest);
    assert_eq!(tracker.skipped(), 992);
    let locator = tracker.on_inv(PeerId(1), BlockHash([1; 32])).unwrap().locator;
    assert_eq!((locator.len(), locator[0]), (101, newest[7]));
}
