//! Measures how often a sync without any honest peer ends as caught up, without a warning.
//!
//! The attacker shows an honest chain up to some block, and on top of it the blocks that its share of the hash power
//! gave it since then, with the times that hide the attack best. The network's own hash rate stays the same.

use super::chains::hash_of;
use super::history::{History, Stamps, tip_at};
use crate::chain::Hints;
use crate::primitives::{Header, Moment, PeerId, Work, hex};
use crate::sync::block_rate::BlockRate;
use crate::sync::{
    Contradiction, HeaderSync, Input, PeerSupply, Reply, Settings, Stopped, SyncCommand, SyncEvent,
    TimeAndBits,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Chains in each measurement.
const TRIALS: u64 = 100;

/// A year of blocks, and one period more.
const YEAR: u32 = 27 * 2016;

const HOUR: u32 = 3_600;
const DAY: u32 = 24 * HOUR;

/// How long ago the attacker left the honest chain.
const SPANS: [(&str, u32); 10] = [
    ("3 hours", 3 * HOUR),
    ("6 hours", 6 * HOUR),
    ("8 hours", 8 * HOUR),
    ("12 hours", 12 * HOUR),
    ("25 hours", 25 * HOUR),
    ("3 days", 3 * DAY),
    ("a week", 7 * DAY),
    ("a month", 30 * DAY),
    ("6 months", 182 * DAY),
    ("a year", 365 * DAY),
];

/// The attacker's share of the honest hash rate, in percent. With 0 it only hides blocks.
const SHARES: [u32; 6] = [0, 1, 5, 10, 20, 30];

fn settings() -> Settings {
    Settings {
        genesis: hash_of(0, 0),
        hints: Hints::default(),
        stop_height: None,
        min_chain_work: Work::default(),
        whole_chain: true,
        regular_blocks: true,
        steady_hash_rate: true,
        wanted_peers: 8,
        follow: false,
        timeout: None,
    }
}

/// A sync of a stored chain with eight peers that have nothing more.
struct Client<'a> {
    sync: HeaderSync,
    chain: &'a History,
    now: Moment,
    batch: u64,
    contradictions: Vec<Contradiction>,
}

impl<'a> Client<'a> {
    fn start(settings: Settings, chain: &'a History) -> Self {
        let tip = chain.tip();
        let now = Moment { since_start: Duration::ZERO, unix: u64::from(chain.now()) };
        let mut sync = HeaderSync::new(settings, tip.clone(), chain);
        for peer in (0..8).map(PeerId) {
            let round_trip = Duration::from_millis(50);
            let announced = tip.height;
            sync.handle(now, Input::PeerConnected { peer, announced, round_trip }, chain);
        }
        sync.handle(now, Input::PeerSupply(PeerSupply::NoMoreExpected), chain);
        Self { sync, chain, now, batch: 0, contradictions: Vec::new() }
    }

    /// Lets time pass on both clocks (only whole seconds on the wall clock), and answers what is requested then.
    /// Returns why the sync ends, if it does.
    fn wait(&mut self, time: Duration) -> Option<Stopped> {
        self.now.since_start += time;
        self.now.unix += time.as_secs();
        for command in self.sync.poll(self.now, self.chain) {
            match command {
                SyncCommand::Request { peer, .. } => {
                    let (last, parent, foreign_parent) = (hash_of(0, 0), None, None);
                    let reply = Reply { parent, first_time: 0, last, count: 0, foreign_parent };
                    self.batch += 1;
                    let input = Input::Headers { peer, reply, batch: self.batch };
                    self.sync.handle(self.now, input, self.chain);
                }
                SyncCommand::Report(SyncEvent::Contradiction(it)) => self.contradictions.push(it),
                SyncCommand::Done(stopped) => return Some(stopped),
                _ => {}
            }
        }
        None
    }
}

/// Runs a sync to its end. Returns why it ends, and what contradicts that.
fn sync(chain: &History) -> (Stopped, Vec<Contradiction>) {
    let mut client = Client::start(settings(), chain);
    let ended = (0..1_000).find_map(|_| client.wait(Duration::from_millis(50)));
    (ended.expect("it ends"), client.contradictions)
}

/// Returns how many of the attacks are not noticed by the age of the tip alone, and how many are not noticed at all.
/// With `late`, the attacker writes the times of [`Stamps::Shown`].
fn unnoticed(prefixes: &[History], share: u32, span: u32, late: bool) -> (u32, u32) {
    let (mut by_age, mut at_all) = (0, 0);
    for (seed, prefix) in (0..).zip(prefixes) {
        let mut chain = prefix.clone();
        let shown = Stamps::Shown(chain.now() + span);
        let stamps = if late { shown } else { Stamps::Mined };
        let mut rng = StdRng::seed_from_u64(seed);
        chain.mine(f64::from(share) / 100.0, f64::from(span), stamps, &mut rng);
        let (stopped, contradictions) = sync(&chain);
        assert_eq!(stopped, Stopped::CaughtUp);
        let old = |it: &Contradiction| matches!(it, Contradiction::OldTip { .. });
        by_age += u32::from(!contradictions.iter().any(old));
        at_all += u32::from(contradictions.is_empty());
    }
    (by_age, at_all)
}

fn prefixes() -> Vec<History> {
    let honest = |seed| {
        let mut rng = StdRng::seed_from_u64(1_000 + seed);
        // The attackers' forks lie anywhere in a period.
        let blocks = YEAR + rng.random_range(0..2016);
        History::honest(blocks, &mut rng)
    };
    (0..TRIALS).map(honest).collect()
}

/// Each cell of the table has two numbers: how many of 100 attacks are not noticed by the age of the tip alone, and how
/// many are not noticed at all. The same table is in docs/security.md.
#[test]
fn hidden_blocks_are_noticed_by_the_work_that_is_missing() {
    let prefixes = prefixes();
    let mut table = Vec::new();
    for (name, span) in SPANS {
        let mut row = format!("| {name} |");
        for share in SHARES {
            let strategies = [false, true].map(|late| unnoticed(&prefixes, share, span, late));
            let most = |number: fn(&(u32, u32)) -> u32| strategies.iter().map(number).max();
            let (by_age, at_all) = (most(|it| it.0).unwrap(), most(|it| it.1).unwrap());
            row += &format!(" {by_age} → {at_all} |");
        }
        println!("{row}");
        table.push(row);
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains(&table.join("\n")), "docs/security.md has another table");
}

#[test]
fn an_honest_chain_is_not_taken_for_one_with_hidden_blocks() {
    let mut wrong = 0;
    for (seed, prefix) in (0..).zip(prefixes()) {
        let (mut rng, mut chain) = (StdRng::seed_from_u64(seed), prefix);
        assert_eq!(sync(&chain), (Stopped::CaughtUp, Vec::new()));
        // The hash rate falls to 55 % for four months, as when mining ended in China.
        for _ in 0..300 {
            chain.mine(0.55, f64::from(10 * HOUR), Stamps::Mined, &mut rng);
            let rate = BlockRate::read(&chain.tip(), &chain);
            wrong += u32::from(rate.judge(u64::from(chain.now())).is_some());
        }
    }
    assert_eq!(wrong, 0, "of 30,000 syncs");
}

#[test]
fn a_follower_warns_of_missing_blocks_once_a_day_and_not_right_after_a_sleep() {
    let mut rng = StdRng::seed_from_u64(5);
    let chain = History::honest(YEAR, &mut rng);
    let follow = || Settings { follow: true, ..settings() };
    let step = Duration::from_secs(30);
    let mut client = Client::start(follow(), &chain);
    let mut warned = Vec::new();
    for _ in 0..60 * 2 * 60 {
        assert_eq!(client.wait(step), None);
        let new = client.contradictions.drain(..);
        warned.extend(new.map(|it| (client.now.since_start.as_secs() / 3_600, it)));
    }
    // No block came for 60 hours.
    let hours: Vec<u64> = warned.iter().map(|(hour, _)| *hour).collect();
    assert_eq!(hours, [6, 30, 54]);
    let is_slow = |it: &Contradiction| matches!(it, Contradiction::SlowBlocks(_));
    assert!(warned.iter().all(|(_, it)| is_slow(it)), "{warned:?}");
    // The wall clock alone goes on while the computer sleeps.
    let mut client = Client::start(follow(), &chain);
    (0..3).for_each(|_| assert_eq!(client.wait(step), None));
    assert!(client.sync.is_following());
    client.now.unix += 20 * u64::from(HOUR);
    (0..20).for_each(|_| assert_eq!(client.wait(step), None));
    assert_eq!(client.contradictions, [], "in ten minutes");
    (0..10).for_each(|_| assert_eq!(client.wait(step), None));
    assert_eq!(client.contradictions.len(), 1, "in fifteen minutes");
}

/// Returns at how many heights of the chain, every `step`th from `first` on, a sync right before the next block would
/// warn.
fn false_warnings(chain: &History, first: usize, step: usize) -> usize {
    let is_wrong = |height: &usize| {
        let now = chain.headers[height + 1].time.max(chain.headers[*height].time);
        let tip = tip_at(u32::try_from(*height).unwrap());
        BlockRate::read(&tip, chain).judge(now.into()).is_some()
    };
    (first..chain.headers.len() - 1).step_by(step).filter(is_wrong).count()
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).unwrap()
}

fn time_and_bits(bytes: &[u8]) -> TimeAndBits {
    let Header { time, bits, .. } = Header::decode(bytes.try_into().unwrap());
    TimeAndBits { time, bits }
}

/// In 2009 the hash rate was too low even for the minimum difficulty. The warnings do no harm, since no sync ends with
/// so little work.
#[test]
fn recent_real_headers_cause_no_false_warning_and_those_of_2009_do() {
    let recent = fixture("mainnet-0822528-0826659.bin");
    let recent = History::of(recent.chunks(80).map(time_and_bits).collect());
    assert_eq!(false_warnings(&recent, 0, 1), 0, "of 4,131 heights in 2023 and 2024");
    let first = fixture("mainnet-0000000-0032259.bin");
    let first = History::of(first.chunks(80).map(time_and_bits).collect());
    let wrong = false_warnings(&first, 0, 1);
    println!("{wrong} of 32,259 heights at the lowest difficulty");
    assert_ne!(wrong, 0, "the hash rate was too low");
}

/// Of the first 300 periods the first and the last header are real; those between have random times.
#[test]
fn real_periods_cause_no_false_warning() {
    let mut rng = StdRng::seed_from_u64(7);
    let text = String::from_utf8(fixture("mainnet-epoch-boundaries-0000000-0604799.csv")).unwrap();
    let real = text.lines().skip(1).map(|line| {
        let header = line.split(',').nth(2).unwrap();
        time_and_bits(&hex::decode(header).unwrap())
    });
    let mut headers = Vec::new();
    for pair in real.collect::<Vec<_>>().chunks(2) {
        let (first, last) = (pair[0], pair[1]);
        let mut times: Vec<u32> =
            (0..2014).map(|_| rng.random_range(first.time..=last.time)).collect();
        times.extend([first.time, last.time]);
        times.sort_unstable();
        headers.extend(times.iter().map(|time| TimeAndBits { time: *time, bits: first.bits }));
    }
    let chain = History::of(headers);
    assert_eq!(false_warnings(&chain, 32_256, 10), 0, "of 57,255 heights");
}
