//! Headers in the form that `headers` messages carry them.

use super::mine::{append, mainnet_database, mine, regtest, regtest_database};
use crate::chain::{Branch, ChainPoint, params};
use crate::primitives::{BlockHash, Network};
use crate::store::change_thread::Batch;
use crate::store::layout::chain_page_key;
use crate::store::{HeaderEntries, HeaderStore, SledStore, StoreError};
use proptest::prelude::any;
use proptest::{prop_assert_eq, proptest};
use tempfile::tempdir;

/// Returns the expected entries, made header by header from [`HeaderStore::run`].
fn expected(store: &SledStore, after: u32, limit: u32, stop: &BlockHash) -> Option<HeaderEntries> {
    let run = store.run(after, limit.saturating_add(1)).unwrap();
    let parent = *run.hashes.first()?;
    let mut bytes = Vec::new();
    let mut last = ChainPoint { height: after, hash: parent };
    for ((header, hash), height) in run.headers.iter().zip(&run.hashes).zip(after..).skip(1) {
        bytes.extend_from_slice(&header.encode());
        bytes.push(0);
        last = ChainPoint { height, hash: *hash };
        if hash == stop {
            break;
        }
    }
    Some(HeaderEntries { parent, last, at_tip: last.height == store.tip().height, bytes })
}

#[test]
fn real_headers_come_out_as_they_are_stored() {
    let folder = tempdir().unwrap();
    mainnet_database(folder.path(), 5000);
    let store = SledStore::open(folder.path(), params(Network::Mainnet)).unwrap();
    for (after, limit) in [(0, 2000), (63, 1), (64, 0), (2016, 2000), (4000, 2000), (5000, 2000)] {
        let found = store.header_entries(after, limit, &BlockHash::ZERO).unwrap();
        assert_eq!(found, expected(&store, after, limit, &BlockHash::ZERO), "after {after}");
    }
    assert_eq!(store.header_entries(5001, 2000, &BlockHash::ZERO).unwrap(), None);
}

#[test]
fn any_range_and_stop_hash_give_the_headers_that_run_gives() {
    let folder = tempdir().unwrap();
    let headers = regtest_database(folder.path(), 300);
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    proptest!(|(after in 0_u32..320, limit in 0_u32..330, stop in any::<proptest::sample::Index>())| {
        let stop = stop.get(headers.hashes());
        prop_assert_eq!(
            store.header_entries(after, limit, stop).unwrap(),
            expected(&store, after, limit, stop)
        );
    });
}

/// No header of a damaged page may reach a peer, even if the peer requests only headers after the wrong byte.
#[test]
fn a_damaged_page_is_an_error_wherever_in_it_the_headers_are() {
    let folder = tempdir().unwrap();
    let store = SledStore::open(folder.path(), regtest()).unwrap();
    append(&store, &mine(&mut Branch::genesis(regtest()), 200, 0));
    let engine = store.engine().unwrap();
    let read = |db: &sled::Db| db.get(chain_page_key(1));
    let mut page = engine.read(64, "a page", read).unwrap().unwrap().to_vec();
    // A header in the middle: those before it are damaged with it, since the page is checked as a whole.
    page[1500] ^= 1;
    let mut batch = Batch::default();
    batch.insert(chain_page_key(1), page);
    engine.apply(batch).unwrap();
    for (after, limit) in [(63, 1), (64, 2), (100, 20), (0, 200)] {
        let found = store.header_entries(after, limit, &BlockHash::ZERO);
        assert!(matches!(found, Err(StoreError::Damaged { height: 64, .. })), "{found:?}");
    }
    assert!(store.header_entries(0, 63, &BlockHash::ZERO).is_ok());
}
