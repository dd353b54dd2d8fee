//! Gives headers to the whole program, in files and through peers, and compares what it says of each with the verdicts of the
//! library.

use super::flaw::Flaw;
use super::forest::{BrokenChain, Round};
use super::judge::{Judge, Verdict, tips};
use crate::support::faketime::with_clock;
use crate::support::peer::ScriptedPeer;
use crate::support::run::{Finished, Program};
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{Kept, kept, light_client, sync_with};
use lightclient::chain::{Branch, Rejection, TooNew};
use lightclient::primitives::{BlockHash, Header, Network, Work};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::env;
use std::ffi::OsString;
use std::fs;

const REGTEST: Network = Network::Regtest;

/// A sync keeps what is at most 144 headers below the tip.
const KEPT_DEPTH: u32 = 143;

/// Returns the binary of this build, or the one that `LIGHTCLIENT_TRIALS_BINARY` names, such as a release.
fn binary() -> String {
    env::var("LIGHTCLIENT_TRIALS_BINARY").unwrap_or(env!("CARGO_BIN_EXE_lightclient").to_owned())
}

/// Returns the program with a clock that stands still at `now` (Unix seconds).
pub(super) fn program_at(now: u32, library: &OsString) -> Program {
    with_clock(light_client(&binary(), REGTEST), library, &now.to_string())
        .env("FAKETIME_FMT", "%s")
}

/// What a program has stored: the tips of all branches with their work, and the tip of the chain.
pub(super) fn stored_tips(program: &Program) -> (BTreeSet<(BlockHash, String)>, BlockHash) {
    let Kept { tip, headers, sides } = kept(program, REGTEST);
    assert_eq!(tip.chainwork, Work::of_headers(&headers));
    let all = headers.iter().chain(sides.iter().flat_map(|side| &side.headers));
    let mut works: HashMap<BlockHash, Work> = HashMap::from([(BlockHash::ZERO, Work::default())]);
    // Every branch leaves the chain, so a parent comes before its children.
    let with_work: Vec<(&Header, Work)> = all
        .map(|header| {
            let mut work = works[&header.prev].clone();
            work += &Work::of_bits(header.bits);
            works.insert(header.hash(), work.clone());
            (header, work)
        })
        .collect();
    (tips(with_work.into_iter()), tip.hash)
}

/// Imports headers, again from behind each header that is refused, and returns how often the program ran. Each refusal is the
/// one that the verdicts say, at the header that they say.
pub(super) fn import(
    program: &Program,
    headers: &[Header],
    verdicts: &[Verdict],
    judge: &Judge,
) -> usize {
    let (mut at, mut runs) = (0, 0);
    while at < headers.len() {
        runs += 1;
        let rest = &headers[at..];
        // The stored parent of the first header shows that the file has headers from its first byte on.
        let parent = judge.header(&rest[0].prev);
        let ended = import_once(program, parent.into_iter().chain(rest));
        // A header whose parent is not known yet waits for it until the end of the file.
        let hard = |verdict: &&Verdict| verdict.reason().is_some() && !verdict.is_orphan();
        let Some(next) = verdicts[at..].iter().position(|verdict| hard(&verdict)) else {
            let parentless =
                rest.iter().filter(|header| judge.branch(&header.prev).is_none()).count();
            if parentless == 0 {
                let _ = ended.expect_success();
            } else {
                let told = format!("{parentless} of the file's headers are left out");
                assert!(ended.stderr.contains(&told), "no {told:?}: {}", ended.stderr);
                let _ = ended.expect_code(1);
            }
            return runs;
        };
        let Verdict::Refused(rejection) = &verdicts[at + next] else {
            unreachable!("it has a reason")
        };
        assert_refused(&ended, rejection, judge.branch(&rest[next].prev));
        let _ = ended.expect_code(1);
        at += next + 1;
    }
    runs
}

fn import_once<'a>(program: &Program, headers: impl Iterator<Item = &'a Header>) -> Finished {
    let file = program.data_dir().with_extension("bin");
    let bytes: Vec<u8> = headers.flat_map(Header::encode).collect();
    fs::write(&file, bytes).expect("a new file");
    program.run(&["import", file.to_str().expect("a plain path"), "--min-chain-work", "0"])
}

/// Checks that the program named the header, or the clock if that is the reason.
///
/// A header without proof of work has no height that is known if its parent comes later in the file.
#[track_caller]
fn assert_refused(ended: &Finished, rejection: &Rejection, parent: Option<&Branch>) {
    let is_placed = parent.is_some_and(|parent| parent.height() + 1 == rejection.height);
    let told = match TooNew::of(rejection) {
        Some(header) => format!("height {} is ", grouped(header.height)),
        None if is_placed => rejection.to_string(),
        None => without_height(rejection),
    };
    assert!(ended.stderr.contains(&told), "no {told:?}: {}", ended.stderr);
}

fn grouped(height: u32) -> String {
    lightclient::testing::count(u64::from(height))
}

/// The chains that peers of one sync serve.
pub(super) struct Peers {
    good: Vec<ScriptedPeer>,
    broken: Vec<(ScriptedPeer, BrokenChain)>,
}

impl Peers {
    /// Starts a peer for each chain of a round that a sync looks at.
    ///
    /// Without a header at most 144 below the tip, a chain is not kept, whatever is wrong with it.
    pub(super) fn start(round: &Round, best: u32) -> Self {
        let lowest = best.saturating_sub(KEPT_DEPTH);
        let height = |chain: &Vec<Header>| u32::try_from(chain.len() - 1).expect("a height");
        let serve = |chain: &Vec<Header>| Script::honest().start(&SharedChain::new(REGTEST, chain));
        let good = round.good.iter().filter(|chain| height(chain) >= lowest);
        let broken = round.broken.iter().filter(|chain| chain.height > lowest);
        Self {
            good: good.map(serve).collect(),
            broken: broken.map(|chain| (serve(&chain.headers), chain.clone())).collect(),
        }
    }

    /// Syncs from all of them, and adds the valid headers that they served to `served`. A peer with a broken header is dropped for
    /// it, and named with the rejection that the library has, and nobody else is.
    ///
    /// Returns whether every such peer was dropped. Once the best chain is confirmed, a sync waits for no peer for long.
    pub(super) fn sync(
        &self,
        program: &Program,
        judge: &Judge,
        served: &mut BTreeMap<BlockHash, (Header, Work)>,
    ) -> bool {
        let broken = self.broken.iter().map(|(peer, _)| peer);
        let peers: Vec<&ScriptedPeer> = self.good.iter().chain(broken).collect();
        let ended = program.run(&sync_with(&peers, &[]));
        let mut all_dropped = true;
        for (peer, chain) in &self.broken {
            let rejection = rejection_of(chain, judge);
            let (flaw, line) = (chain.flaw, line_on_dropping(&ended, peer));
            let fits = line.is_none_or(|line| flaw != Flaw::FutureTime && names(line, &rejection));
            assert!(fits, "{flaw:?}: {rejection}, not {line:?}");
            // A header of which only the time is wrong is nobody's fault. A header without a parent that comes first in its
            // message begins a branch that is not known.
            let needs_line = ![Flaw::FutureTime, Flaw::UnknownParent].contains(&flaw);
            all_dropped &= line.is_some() || !needs_line;
        }
        for peer in &self.good {
            assert_eq!(line_on_dropping(&ended, peer), None);
        }
        let _ = ended.expect_success();
        let broken = self.broken.iter().map(|(peer, chain)| (peer, chain.height));
        let good = self.good.iter().map(|peer| (peer, u32::MAX));
        for (peer, end) in good.chain(broken) {
            let chain = peer.chain().now();
            for height in 0..end.min(chain.height() + 1) {
                let header = chain.header(usize::try_from(height).expect("a height"));
                let branch = judge.branch(&chain.hash(height)).expect("it is valid");
                served.insert(chain.hash(height), (header, branch.chainwork().clone()));
            }
        }
        all_dropped
    }

    /// Returns how many peers had a chain without a broken header, and with one.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.good.len(), self.broken.len())
    }
}

/// Returns the line that says why a peer was dropped.
fn line_on_dropping<'a>(ended: &'a Finished, peer: &ScriptedPeer) -> Option<&'a str> {
    let dropped = format!("dropped peer {}: ", peer.connect());
    ended.stderr.lines().find(|line| line.contains(&dropped))
}

/// Returns why the broken header of a chain is refused.
fn rejection_of(chain: &BrokenChain, judge: &Judge) -> Rejection {
    let mut alone = Judge::new(judge.params(), judge.now());
    let refused = chain.headers[1..].iter().find_map(|header| match alone.judge(header) {
        Verdict::Refused(rejection) => Some(rejection),
        Verdict::New | Verdict::Known => None,
    });
    let rejection = refused.expect("one header is broken");
    Rejection { height: chain.height, ..rejection }
}

/// Returns whether a line names a rejection. It may leave out the height of a header without work, or without a parent: which
/// height the first header of a message has is not known before its parent is stored, but its work and its links are checked
/// before.
fn names(line: &str, rejection: &Rejection) -> bool {
    let may_lack_height = ["high-hash", "prev-blk-not-found"].contains(&rejection.violation.rule());
    let lacks_height = may_lack_height && !line.contains("height ");
    line.contains(&if lacks_height { without_height(rejection) } else { rejection.to_string() })
}

/// Returns the text for a rejection, without its height.
fn without_height(rejection: &Rejection) -> String {
    let text = rejection.to_string();
    let (_, rest) = text.split_once(": ").expect("the height comes first");
    rest.to_owned()
}
