//! The fuzzer's target: files with a right checksum, as another program could write them.

use super::{AddrMan, CAPACITY, Scope};
use crate::primitives::sha256d;
use rand::SeedableRng;
use rand::rngs::StdRng;

const MAGIC: [u8; 4] = [0xf9, 0xbe, 0xb4, 0xd9];
const NOW: u64 = 1_800_000_000;

/// Decodes `bytes` as a file without its checksum, and checks that the address manager is consistent.
pub(crate) fn run(bytes: &[u8]) {
    let mut file = bytes.to_vec();
    file.extend(sha256d(bytes));
    let Ok(mut addrman) = AddrMan::decode(&file, MAGIC, Scope::Public) else { return };
    check(&addrman);
    let again = AddrMan::decode(&addrman.encode(MAGIC), MAGIC, Scope::Public);
    assert_eq!(again.as_ref(), Ok(&addrman));
    addrman.tidy(NOW);
    check(&addrman);
    let first = addrman.iter().next().map(|known| known.address);
    if let Some(address) = first {
        addrman.failed(&address, NOW);
        addrman.discourage(&address, NOW);
        check(&addrman);
    }
}

fn check(addrman: &AddrMan) {
    assert!(addrman.len() <= CAPACITY);
    let tried = addrman.iter().filter(|known| known.tried).count();
    assert_eq!((addrman.tried_len(), addrman.new.len()), (tried, addrman.len() - tried));
    let mut rng = StdRng::seed_from_u64(1);
    let drawn = addrman.select(NOW, &mut rng, &mut |_| true);
    // A file may list every known address as an avoided one too, so that there is none to select.
    assert!(drawn.is_none_or(|address| addrman.get(&address).is_some()));
}
