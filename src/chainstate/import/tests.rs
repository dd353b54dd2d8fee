//! Tests which height an error names for a header without proof of work, and how genesis in the middle of a file is
//! read.

use super::{Claim, ImportError, ImportOptions, Importer};
use crate::chain::{Hints, mine_run, params};
use crate::chainstate::Clock;
use crate::primitives::{BlockHash, Header, Network, Target};
use crate::store::MemoryStore;
use std::sync::Arc;

fn importer() -> Importer<MemoryStore> {
    let params = params(Network::Regtest);
    let clock = Clock::mock(2_000_000_000);
    let options = ImportOptions { params, hints: Hints::default(), from: 0, to: None, clock };
    Importer::new(Arc::new(MemoryStore::new(params)), options).unwrap()
}

/// Returns `count` headers on top of genesis.
fn trunk(count: usize) -> Vec<Header> {
    mine_run(&params(Network::Regtest).genesis, 1, count)
}

/// Returns a header with this parent, and without proof of work.
fn without_work(prev: BlockHash) -> Header {
    let mut header = Header { prev, ..trunk(1)[0] };
    let target = Target::from_bits(header.bits).unwrap();
    while target.is_met_by(&header.hash()) {
        header.nonce += 1;
    }
    header
}

/// Imports headers, of which only the last has no proof of work, and returns why that header is refused. The file
/// claims the height `claimed` for the last header.
fn refusal(headers: &[Header], claimed: Option<u32>) -> ImportError {
    let mut importer = importer();
    let (bad, good) = headers.split_last().unwrap();
    for header in good {
        assert!(!importer.push(*header).unwrap());
    }
    let claim = Claim { line: 9, height: claimed, hash: None };
    assert!(!importer.push_claimed(*bad, claim).unwrap());
    importer.end().unwrap_err()
}

fn is_rejected_at(error: &ImportError, height: u32) -> bool {
    matches!(error, ImportError::Rejected(rejection) if rejection.height == height)
}

#[test]
fn a_header_without_work_has_the_height_after_its_parent_which_need_not_be_the_line_before() {
    let mut headers = trunk(10);
    headers.push(without_work(headers[3].hash()));
    for claimed in [None, Some(5)] {
        let error = refusal(&headers, claimed);
        assert!(is_rejected_at(&error, 5), "{error}");
    }
    let contradicted = refusal(&headers, Some(11)).to_string();
    assert!(contradicted.contains("height: expected 5, got 11"), "{contradicted}");
}

#[test]
fn a_header_without_work_after_orphans_has_the_height_after_its_parent() {
    let trunk = trunk(10);
    let headers = [&trunk[..3], &trunk[6..8], &[without_work(trunk[1].hash())]].concat();
    for claimed in [None, Some(3)] {
        let error = refusal(&headers, claimed);
        assert!(is_rejected_at(&error, 3), "{error}");
    }
}

#[test]
fn a_header_without_work_and_without_anything_known_before_it_has_no_height() {
    let trunk = trunk(10);
    let headers = [&trunk[6..8], &[without_work(BlockHash([7; 32]))]].concat();
    let error = refusal(&headers, Some(9));
    assert!(matches!(error, ImportError::Unplaced(_)), "{error}");
    assert!(error.to_string().starts_with("high-hash: expected hash at most"), "{error}");
}

#[test]
fn a_header_whose_parent_is_damaged_has_the_height_that_the_order_of_the_file_suggests() {
    let trunk = trunk(8);
    let mut importer = importer();
    for header in &trunk[..5] {
        assert!(!importer.push(*header).unwrap());
    }
    importer.judge().unwrap();
    for header in [&[without_work(BlockHash([7; 32]))], &trunk[6..]].concat() {
        assert!(!importer.push(header).unwrap());
    }
    let error = importer.end().unwrap_err();
    assert!(is_rejected_at(&error, 6), "{error}");
}

#[test]
fn genesis_in_the_middle_of_a_file_begins_the_chain_again() {
    let (genesis, trunk) = (params(Network::Regtest).genesis, trunk(10));
    let mut importer = importer();
    for header in [&[genesis], &trunk[..5], &[genesis], &trunk[..]].concat() {
        assert!(!importer.push(header).unwrap());
    }
    importer.end().unwrap();
    assert_eq!((importer.height(), importer.finish().unwrap().headers_added), (10, 10));
    let bad = [&[genesis], &trunk[..5], &[genesis, without_work(genesis.hash())]].concat();
    let error = refusal(&bad, Some(1));
    assert!(is_rejected_at(&error, 1), "{error}");
}

#[test]
fn a_file_may_have_any_number_of_headers_before_their_parents_if_these_follow_soon() {
    let trunk = trunk(40_000);
    let mut importer = importer();
    for pair in trunk.chunks(1000) {
        for header in pair[500..].iter().chain(&pair[..500]) {
            assert!(!importer.push(*header).unwrap());
        }
    }
    importer.end().unwrap();
    assert_eq!(importer.height(), 40_000);
}

#[test]
fn too_many_headers_without_parents_are_refused_before_the_end_of_the_file() {
    let trunk = trunk(40_000);
    let mut importer = importer();
    let refused = trunk[1..].iter().find_map(|header| importer.push(*header).err()).unwrap();
    let ImportError::Unconnected { count, hash, parent, tip, .. } = refused else {
        panic!("{refused}")
    };
    assert!((16_385..30_000).contains(&count), "{count}");
    assert_eq!((hash, parent, tip), (trunk[1].hash(), trunk[0].hash(), 0));
}
