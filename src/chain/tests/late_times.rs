//! Headers of 2038, when times no longer fit in 31 bits, and of 2106, when they reach the end of 32 bits.

use super::miner::{World, linked, mine_at, regtest};
use crate::chain::{Branch, Violation, estimated_change_percent, next_target, params};
use crate::primitives::{Header, Network, Work};

/// The first second that does not fit in a signed 32-bit integer: 2038-01-19 03:14:08 UTC.
const SIGNED_END: u32 = 1 << 31;

/// Returns regtest's genesis and headers with these times on top of it.
fn chain(times: impl IntoIterator<Item = u32>) -> Vec<Header> {
    let mut chain = vec![regtest().genesis];
    for time in times {
        chain.push(mine_at(chain.last().unwrap(), 1, time));
    }
    chain
}

#[test]
fn a_chain_passes_2038_and_reaches_the_last_32_bit_second_in_2106() {
    for end in [SIGNED_END + 6_000, u32::MAX] {
        let headers = chain((0..30).rev().map(|left| end - left * 600));
        let mut world = World::genesis();
        // The clock shows the last header's time.
        let (accepted, rejection) =
            world.tree.accept(linked(&headers[1..]), &world.memory, end).unwrap();
        assert_eq!(rejection, None);
        world.memory.apply(&accepted);
        assert_eq!(world.tree.active().height(), 30);
        assert_eq!(world.tree.active().median_time_past(), end - 5 * 600);
        for header in &headers {
            assert_eq!(Header::decode(&header.encode()), *header);
        }
    }
}

#[test]
fn no_header_follows_a_median_at_the_last_32_bit_second() {
    // Six of the last eleven headers have the last second, so this second is the median.
    let headers = chain((0..5).map(|at| u32::MAX - 5 + at).chain([u32::MAX; 7]));
    let mut world = World::genesis();
    let (_, rejection) = world.tree.accept(linked(&headers[1..]), &world.memory, u32::MAX).unwrap();
    let refused = rejection.expect("no later time can be written");
    let (median, got) = (u32::MAX, u32::MAX);
    assert_eq!(refused.violation, Violation::TimeTooOld { median, got });
    assert_eq!(refused.height, 12);
}

#[test]
fn a_retarget_depends_on_the_span_and_not_on_the_year() {
    let (mainnet, bits) = (params(Network::Mainnet), 0x1702_40c3);
    for span in [100_000, 1_209_600, 1_500_000, 9_000_000] {
        let expected = next_target(mainnet, bits, 1_300_000_000, 1_300_000_000 + span);
        let across = next_target(mainnet, bits, SIGNED_END - span / 2, SIGNED_END + span / 2);
        let last = next_target(mainnet, bits, u32::MAX - span, u32::MAX);
        assert_eq!((across, last), (expected, expected), "{span}");
    }
    // Times may run backwards: the least span counts.
    let least = next_target(mainnet, bits, 0, mainnet.timespan / 4);
    assert_eq!(next_target(mainnet, bits, u32::MAX, 0), least);
    assert_eq!(next_target(mainnet, bits, 0, u32::MAX), next_target(mainnet, bits, 0, 9_000_000));
}

#[test]
fn the_next_change_is_estimated_across_2038() {
    let signet = params(Network::Signet);
    let genesis = Header { time: SIGNED_END - 300_000, ..signet.genesis };
    let mut branch = vec![genesis];
    branch.extend((1..=1_000).map(|at| Header { time: genesis.time + at * 600, ..genesis }));
    let branch = Branch::resume(signet, 1_000, Work::default(), &branch).unwrap();
    let change = estimated_change_percent(&branch).unwrap();
    assert!(change.abs() < 1.0, "{change}");
}
