//! What follows the last hint is asked for while the ranges before it are coming, not after them.

use crate::support::chain::{fork_chain, regtest_chain, spacing_for};
use crate::support::peer::ScriptedPeer;
use crate::support::run::{Finished, Program};
use crate::support::script::{Script, Then};
use crate::support::served::SharedChain;
use crate::support::sync::{kept, light_client, sync_with};
use lightclient::primitives::{BlockHash, Header, Network};
use lightclient::wire::Message;
use std::fs;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const REGTEST: Network = Network::Regtest;
/// Height of the last hint; ten full answers follow it.
const HINTED: usize = 60_479;
const HEIGHT: u32 = 80_000;

fn chain(seed: u64) -> Vec<Header> {
    regtest_chain(HEIGHT, seed, spacing_for(HEIGHT))
}

/// A peer at 100 ms, on a line of 12 Mbit/s.
fn far() -> Script {
    Script::honest().round_trip(Duration::from_millis(100)).rate(1.5e6)
}

/// Syncs with hints at every 2016th header up to the last one, of that chain.
fn sync(hints: &[Header], peers: &[&ScriptedPeer]) -> (Program, Finished) {
    let program = light_client(BINARY, REGTEST);
    let file = program.data_dir().join("hints.txt");
    fs::create_dir_all(program.data_dir()).expect("a new folder");
    let heights = (2015..=HINTED).step_by(2016);
    let lines: String = heights.map(|at| format!("{at} {}\n", hints[at].hash())).collect();
    fs::write(&file, lines).expect("a new file");
    let path = file.to_str().expect("a plain path");
    let ended = program.run(&sync_with(peers, &["--hints", path, "-v", "--json"]));
    (program, ended)
}

/// When each request for ranges was made, and each for what follows the last hint, of those who could be answered
/// only by headers that had come before.
fn requests(peers: &[&ScriptedPeer], chain: &[Header]) -> (Vec<Instant>, Vec<Instant>) {
    let beyond: Vec<BlockHash> = chain[HINTED..].iter().map(Header::hash).collect();
    let (mut ranges, mut ahead) = (Vec::new(), Vec::new());
    for peer in peers {
        for received in &peer.seen().messages {
            let Message::GetHeaders(request) = &received.message else {
                continue;
            };
            if request.stop != BlockHash::ZERO {
                ranges.push(received.at);
            } else if beyond[..beyond.len() - 2].contains(&request.locator[0]) {
                ahead.push(received.at);
            }
        }
    }
    ranges.sort_unstable();
    ahead.sort_unstable();
    (ranges, ahead)
}

#[test]
fn headers_beyond_the_hints_are_asked_for_while_ranges_are() {
    let headers = chain(1);
    let served = SharedChain::new(REGTEST, &headers);
    for count in [1, 3] {
        let peers: Vec<ScriptedPeer> = (0..count).map(|_| far().start(&served)).collect();
        let peers: Vec<&ScriptedPeer> = peers.iter().collect();
        let (program, ended) = sync(&headers, &peers);
        ended.expect_success();
        kept(&program, REGTEST).assert_is(&headers);
        let (ranges, ahead) = requests(&peers, &headers);
        assert_eq!(ahead.len(), 10, "each 2000 headers are asked for once");
        let last_range = ranges.last().expect("sixty requests");
        let meanwhile = ahead.iter().filter(|at| *at < last_range).count();
        // One after another, all ten would come after the last range.
        assert!(meanwhile >= 3, "{count} peers: {meanwhile} of 10 before the last range");
    }
}

#[test]
fn another_peer_goes_on_where_one_that_leads_beyond_the_hints_is_lost() {
    let headers = chain(2);
    let served = SharedChain::new(REGTEST, &headers);
    for then in [Then::Close, Then::Stall] {
        // Nearest, so it leads; it has sent some of what is beyond when it is lost.
        let lost = Script::honest().rate(3e6).after(12, then).start(&served);
        let (second, third) = (far().start(&served), far().start(&served));
        let (program, ended) = sync(&headers, &[&lost, &second, &third]);
        ended.expect_success();
        kept(&program, REGTEST).assert_is(&headers);
    }
}

#[test]
fn headers_of_a_liar_beyond_the_hints_do_no_harm() {
    let headers = chain(3);
    let served = SharedChain::new(REGTEST, &headers);
    // Less work from the last hint on, and from further on; from a peer that leads, since it is nearest.
    for at in [HINTED, HINTED + 5_000] {
        let at = u32::try_from(at).unwrap();
        let other = fork_chain(&headers, at, HEIGHT - at - 1, 4);
        let liar = Script::honest().start(&SharedChain::new(REGTEST, &other));
        let honest = far().start(&served);
        let (program, ended) = sync(&headers, &[&liar, &honest]);
        let ended = ended.expect_success();
        assert!(kept(&program, REGTEST).headers == headers, "{}", ended.stderr);
        assert!(!ended.stderr.contains("dropped"), "{}", ended.stderr);
    }
}
