//! Tests that answers to `getheaders` follow Bitcoin Core's rules.

use super::chains::{chain, grow, regtest, replace, stored};
use crate::node::listen::answer::{PeerAnswer, answer};
use crate::primitives::{BlockHash, Header, Work};
use crate::store::{HeaderStore, SledStore};
use crate::wire::{FrameDecoder, GetHeaders, MAX_PAYLOAD, Message};
use tempfile::tempdir;

fn ask(
    store: &SledStore,
    locator: &[BlockHash],
    stop: BlockHash,
) -> Option<(Vec<Header>, Option<u32>)> {
    let request = GetHeaders { version: 70016, locator: locator.to_vec(), stop };
    let answer = answer(store, &request, &Work::default(), regtest().magic).unwrap();
    answer.map(|answer| (headers_of(&answer), answer.up_to))
}

fn headers_of(answer: &PeerAnswer) -> Vec<Header> {
    let mut decoder = FrameDecoder::new(regtest().magic, MAX_PAYLOAD);
    decoder.push(&answer.frame);
    let frame = decoder.next_frame().unwrap().unwrap();
    match Message::decode(frame.command, frame.payload).unwrap() {
        Message::Headers(headers) => headers.headers,
        other => panic!("{other:?}"),
    }
}

#[test]
fn headers_follow_the_first_known_hash_up_to_two_thousand_or_the_stop_hash() {
    let folder = tempdir().unwrap();
    let chain = chain(2500);
    let store = stored(folder.path(), &chain);
    let hash = |height: usize| chain[height].hash();
    let unknown = BlockHash([9; 32]);
    for (locator, stop, first, last) in [
        (vec![hash(0)], BlockHash::ZERO, 1, 2000),
        (vec![hash(700)], BlockHash::ZERO, 701, 2500),
        (vec![unknown, hash(600), hash(100)], BlockHash::ZERO, 601, 2500),
        (vec![unknown], BlockHash::ZERO, 1, 2000),
        (vec![hash(10)], hash(20), 11, 20),
        (vec![hash(10)], hash(11), 11, 11),
        (vec![hash(10)], hash(10), 11, 2010),
        (vec![hash(10)], hash(5), 11, 2010),
        (vec![hash(499)], hash(2499), 500, 2499),
        (vec![hash(499)], hash(2500), 500, 2499),
    ] {
        let (headers, up_to) = ask(&store, &locator, stop).unwrap();
        assert!(headers == chain[first..=last], "{} headers from {first}", headers.len());
        assert_eq!(up_to, Some(u32::try_from(last).unwrap()));
    }
}

#[test]
fn only_a_full_message_below_the_tip_is_continued() {
    let folder = tempdir().unwrap();
    let chain = chain(2500);
    let store = stored(folder.path(), &chain);
    for (from, last) in [(0, Some(2000)), (499, Some(2499)), (500, None), (501, None)] {
        let locator = vec![chain[from].hash()];
        let request = GetHeaders { version: 70016, locator, stop: BlockHash::ZERO };
        let answer = answer(&store, &request, &Work::default(), regtest().magic).unwrap().unwrap();
        assert_eq!(answer.continues_after, last.map(|last: usize| chain[last].hash()));
    }
}

#[test]
fn a_peer_that_has_the_tip_gets_an_empty_message() {
    let folder = tempdir().unwrap();
    let chain = chain(100);
    let store = stored(folder.path(), &chain);
    let tip = store.tip().hash;
    assert_eq!(ask(&store, &[tip], BlockHash::ZERO), Some((Vec::new(), Some(100))));
}

#[test]
fn an_empty_locator_asks_for_one_header() {
    let folder = tempdir().unwrap();
    let chain = chain(100);
    let store = stored(folder.path(), &chain);
    for height in [0, 1, 64, 100] {
        let (headers, _) = ask(&store, &[], chain[height].hash()).unwrap();
        assert_eq!(headers, [chain[height]]);
    }
    assert_eq!(ask(&store, &[], BlockHash([9; 32])), None, "Bitcoin Core does not answer");
}

#[test]
fn locator_hashes_on_a_replaced_branch_are_skipped() {
    let folder = tempdir().unwrap();
    let old = chain(100);
    let store = stored(folder.path(), &old);
    let new = grow(&old[..=90], 20, 1);
    replace(&store, &new);
    let locator = [old[100].hash(), old[95].hash(), old[88].hash()];
    let (headers, _) = ask(&store, &locator, BlockHash::ZERO).unwrap();
    assert_eq!(headers, new[89..]);
}

#[test]
fn a_chain_with_too_little_work_is_not_served() {
    let folder = tempdir().unwrap();
    let store = stored(folder.path(), &chain(100));
    let locator = vec![regtest().genesis.hash()];
    let request = GetHeaders { version: 70016, locator, stop: BlockHash::ZERO };
    let ask = |work: &Work| answer(&store, &request, work, regtest().magic).unwrap().unwrap();
    let mut more = store.tip().chainwork.clone();
    assert_eq!(headers_of(&ask(&more)).len(), 100);
    more += &Work::of_bits(regtest().genesis.bits);
    let refused = ask(&more);
    assert_eq!(
        (headers_of(&refused), refused.up_to, refused.continues_after),
        (Vec::new(), None, None)
    );
}
