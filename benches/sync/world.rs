//! What the cases share: chains by their length, made once, and the options of the run.

use crate::case::Options;
use crate::support::chain::{regtest_chain, spacing_for};
use crate::support::served::{ServedChain, SharedChain};
use crate::support::wrong::{Wrong, with_wrong};
use lightclient::chain::params;
use lightclient::primitives::{Header, Network};
use lightclient::wire::MAX_HEADERS;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;
use tempfile::TempDir;

/// Seed of every chain here; any number would do.
const SEED: u64 = 20_260_830;

/// Headers that follow the last one of the short hints: nine months of blocks.
const BEYOND: u32 = 40_000;

/// Blocks from one hint to the next, as in the files that ship with the program.
const PERIOD: usize = 2016;

/// A chain of regtest headers and what is made of it.
pub(crate) struct Chain {
    /// How many headers follow genesis.
    pub(crate) count: u32,
    /// As peers serve it.
    pub(crate) shared: SharedChain,
    /// A hints file for it.
    pub(crate) hints: PathBuf,
    /// One that ends so many headers before it does.
    pub(crate) short_hints: PathBuf,
    headers: Vec<Header>,
}

impl Chain {
    /// The hash of the last header, as the program prints it.
    pub(crate) fn tip(&self) -> String {
        self.shared.now().tip().to_string()
    }

    /// Bytes of the `headers` messages that bring all of it.
    pub(crate) fn wire_len(&self) -> u64 {
        u64::from(self.count) * 81 + u64::from(self.count.div_ceil(2000)) * 27
    }

    /// The same chain but for a wrong header in the middle of every period: whoever asks for any of it finds one.
    pub(crate) fn with_wrong_ones(&self) -> SharedChain {
        let mut headers = self.headers.clone();
        for at in (PERIOD / 2..headers.len()).step_by(PERIOD) {
            // A chain of two, the wrong one last: what follows it stays the good one's, and is good to ask for.
            headers[at] = with_wrong(Network::Regtest, &headers[at - 1..=at], 1, Wrong::Bits)[1];
        }
        SharedChain::new(Network::Regtest, &headers)
    }
}

/// Everything a case needs.
pub(crate) struct World {
    pub(crate) options: Options,
    chains: HashMap<u32, Rc<Chain>>,
    /// Holds hints files and the data folders of runs.
    pub(crate) folder: TempDir,
}

impl World {
    pub(crate) fn new(options: Options) -> Self {
        let folder =
            TempDir::with_prefix("lightclient-bench-").expect("a folder for temporary files");
        Self { options, chains: HashMap::new(), folder }
    }

    /// The chain with so many headers after genesis.
    pub(crate) fn chain(&mut self, count: u32) -> Rc<Chain> {
        if let Some(chain) = self.chains.get(&count) {
            return Rc::clone(chain);
        }
        let start = Instant::now();
        let headers = regtest_chain(count, SEED, spacing_for(count));
        let shared = SharedChain::new(Network::Regtest, &headers);
        prepare_checksums(&shared.now());
        let hints = self.folder.path().join(format!("hints-{count}.txt"));
        let short_hints = self.folder.path().join(format!("hints-{count}-short.txt"));
        for (file, end) in [(&hints, count), (&short_hints, count.saturating_sub(BEYOND))] {
            let text = hints_of(&shared, end);
            fs::write(file, text).expect("the folder for temporary files is writable");
        }
        eprintln!("  {count} headers made in {:.1} s", start.elapsed().as_secs_f64());
        let chain = Rc::new(Chain { count, shared, hints, short_hints, headers });
        self.chains.insert(count, Rc::clone(&chain));
        chain
    }
}

/// Works out the checksums of the messages that a sync will ask for: 2000 after 2000, and by periods of 2016.
///
/// Without it the peer's first answers cost as much time as the client's check of them.
fn prepare_checksums(chain: &ServedChain) {
    let end = usize::try_from(chain.height()).expect("a height fits in memory") + 1;
    let magic = params(Network::Regtest).magic;
    let plain = (1..end).step_by(MAX_HEADERS).map(|start| start..end.min(start + MAX_HEADERS));
    let periods = (0..end).step_by(PERIOD).flat_map(|first| {
        let start = first.max(1);
        let (middle, last) = (end.min(start + MAX_HEADERS), end.min(first + PERIOD));
        [start..middle, middle..last]
    });
    for heights in plain.chain(periods).filter(|heights| !heights.is_empty()) {
        chain.message(heights, magic);
    }
}

fn hints_of(chain: &SharedChain, end: u32) -> String {
    let chain = chain.now();
    let period = u32::try_from(PERIOD).expect("small");
    let mut text = String::new();
    for height in (period - 1..=end).step_by(PERIOD) {
        writeln!(text, "{height} {}", chain.hash(height)).expect("a string takes everything");
    }
    text
}
