//! Flipped bits, holes and truncations anywhere in a data folder: no wrong answer without an error, and a repair and the
//! next sync restore everything.

use super::{
    LastEnd, SPACING, STORED, copy_of, network_folder, program, regtest, say, template, trials,
};
use crate::support::chain::regtest_chain;
use crate::support::invariant::assert_invariant;
use crate::support::peer::ScriptedPeer;
use crate::support::run::Finished;
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::sync_with;
use lightclient::chain::ChainPoint;
use lightclient::primitives::{Header, Network};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Overwrites bytes of a file with zeros, from that share of its length on.
pub(super) fn make_hole(path: &Path, share: f64, len: usize) {
    let mut bytes = fs::read(path).expect("a file");
    let at = position(&bytes, share);
    let end = bytes.len().min(at + len);
    bytes[at..end].fill(0);
    fs::write(path, bytes).expect("a file");
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is from 0 to 1"
)]
fn position(bytes: &[u8], share: f64) -> usize {
    (bytes.len() as f64 * share) as usize
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    Flip,
    Hole(usize),
    Truncation,
}

impl Damage {
    const ALL: [Self; 8] = [
        Self::Flip,
        Self::Hole(64),
        Self::Flip,
        Self::Hole(512),
        Self::Flip,
        Self::Hole(4096),
        Self::Truncation,
        Self::Hole(65_536),
    ];

    fn happen(self, path: &Path, random: &mut StdRng) {
        let share = random.random();
        if let Self::Hole(len) = self {
            return make_hole(path, share, len);
        }
        let mut bytes = fs::read(path).expect("a file");
        let at = position(&bytes, share);
        if self == Self::Flip {
            bytes[at] ^= 1 << random.random_range(0..8);
        } else {
            bytes.truncate(at);
        }
        fs::write(path, bytes).expect("a file");
    }
}

/// What came of one kind of damage.
#[derive(Debug, Default)]
struct Tally {
    trials: u32,
    /// How often `verify` found a fault.
    found: u32,
    /// How often the repaired chain was shorter.
    shortened: u32,
    /// Headers that were missing then.
    lost: u32,
}

#[test]
fn damage_anywhere_never_gives_a_wrong_answer_and_a_repair_and_a_sync_restore_everything() {
    let chain = regtest_chain(STORED, 1, SPACING);
    let peer = Script::honest().start(&SharedChain::new(Network::Regtest, &chain));
    let templates = [template(LastEnd::Killed), synced(&peer)];
    let mut random = StdRng::seed_from_u64(37);
    let mut tallies = BTreeMap::<(bool, Damage), Tally>::new();
    for round in trials(40) {
        let damage = Damage::ALL[round as usize % Damage::ALL.len()];
        let is_closed: bool = random.random();
        let folder = copy_of(&templates[usize::from(is_closed)]);
        let path = a_file(folder.path(), &mut random);
        damage.happen(&path, &mut random);
        let what = format!("round {round}: {damage:?} in {}", path.display());
        assert_no_wrong_answer(folder.path(), &chain, &mut random, &what);
        let verified =
            run(folder.path(), &["verify", "--repair", "--json"], &what).expect_success();
        let verified = verified.json();
        let height = verified["height"].as_u64().and_then(|height| u32::try_from(height).ok());
        let lost = STORED - height.expect("a height");
        // Of a killed sync, what it had changed last may be in one place only.
        let is_small = matches!(damage, Damage::Flip | Damage::Hole(64));
        assert!(lost == 0 || !is_small || !is_closed, "{what}: {verified}");
        let tally = tallies.entry((is_closed, damage)).or_default();
        tally.trials += 1;
        tally.found += u32::from(verified["ok"] == false);
        tally.shortened += u32::from(lost > 0);
        tally.lost += lost;
        let synced = program(folder.path()).run(&sync_with(&[&peer], &["--json"]));
        assert_eq!(synced.expect_success().json()["stopped"], "caught-up", "{what}");
        let tip = ChainPoint { height: STORED, hash: chain[STORED as usize].hash() };
        let kept = assert_invariant(&network_folder(folder.path()), regtest(), &[tip], &what);
        assert!(kept.headers == chain, "{what}");
    }
    for ((is_closed, damage), Tally { trials, found, shortened, lost }) in tallies {
        let after = if is_closed { "finished" } else { "killed" };
        let kept = 100.0 - f64::from(lost) / f64::from(trials * STORED) * 100.0;
        say(&format!(
            "{damage:?} after a sync that was {after}: {trials} trials, {found} found by verify, {shortened} chains \
             shortened, {kept:.3} % of the headers kept by verify --repair"
        ));
    }
}

/// A data folder as a sync leaves it that ended by itself.
fn synced(peer: &ScriptedPeer) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    program(folder.path()).run(&sync_with(&[peer], &[])).expect_success();
    folder
}

/// Mostly the file with the headers, sometimes any other one.
fn a_file(data_dir: &Path, random: &mut StdRng) -> PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![data_dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let metadata = entry.metadata().expect("an entry");
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.len() > 0 {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    match random.random_range(0..4) {
        0 => files.swap_remove(random.random_range(0..files.len())),
        _ => network_folder(data_dir).join("headers/db"),
    }
}

/// Runs a command, which may fail but not panic.
fn run(data_dir: &Path, args: &[&str], what: &str) -> Finished {
    let ended = program(data_dir).env("RUST_BACKTRACE", "0").run(args);
    let what = format!("{what}: {args:?} {:?} {}", ended.code, ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{what}");
    // 6 is for what is not stored.
    assert!(matches!(ended.code, Some(0 | 5 | 6)), "{what}");
    ended
}

/// Every answer that is given is the right one; what is not found is above the tip.
fn assert_no_wrong_answer(data_dir: &Path, chain: &[Header], random: &mut StdRng, what: &str) {
    let status = run(data_dir, &["status", "--json"], what);
    let tip = (status.code == Some(0)).then(|| status.json());
    let tip_height = tip.as_ref().map(|tip| assert_on_chain(tip, chain, what));
    let height = random.random_range(0..chain.len());
    let (number, hash) = (height.to_string(), chain[height].hash().to_string());
    let range_end = chain.len().min(height + 200) - 1;
    let range = format!("{height}..{range_end}");
    let queries = [
        ["query", &number, "--json"],
        ["query", &hash, "--json"],
        ["query", "tip", "--json"],
        ["query", &range, "--raw"],
    ];
    let query = queries[random.random_range(0..queries.len())];
    let ended = run(data_dir, &query, what);
    let what = format!("{what}: {query:?} {:?} {} {}", ended.code, ended.stdout, ended.stderr);
    if query[2] == "--raw" {
        let (lines, _) = ended.stdout.rsplit_once('\n').unwrap_or_default();
        for (line, header) in lines.lines().zip(&chain[height..]) {
            assert_eq!(line, hex(header), "{what}");
        }
    } else if ended.code == Some(0) {
        let answered = assert_on_chain(&ended.json(), chain, &what);
        assert!(query[1] == "tip" || answered == height, "{what}");
    }
    // A range is stored if its last header is.
    let asked = if query[2] == "--raw" { range_end } else { height };
    let is_stored = tip_height.is_some_and(|tip| tip >= asked);
    assert!(ended.code != Some(6) || !is_stored, "{what}: not found below the tip");
}

/// The height and the hash belong together; returns the height.
fn assert_on_chain(answer: &serde_json::Value, chain: &[Header], what: &str) -> usize {
    let height = usize::try_from(answer["height"].as_u64().expect("a height")).expect("small");
    assert_eq!(answer["hash"], chain[height].hash().to_string(), "{what}: {answer}");
    height
}

fn hex(header: &Header) -> String {
    header.encode().iter().map(|byte| format!("{byte:02x}")).collect()
}
