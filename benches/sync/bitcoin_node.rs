//! Runs of bitcoind, the yardstick: the same headers from the same peer.

use crate::support::bitcoind::Bitcoind;
use crate::support::measure::{UsageWatch, cpu_time, disk_usage, peak_memory};
use crate::support::wait::poll_every;
use crate::table::Sample;
use crate::world::Chain;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No run takes longer; 930,000 headers at 100 ms with low-work protection take 96 s.
const PATIENCE: Duration = Duration::from_secs(600);

/// A run of bitcoind.
pub(crate) struct Run {
    /// Until it has all headers in memory.
    pub(crate) in_memory: Sample,
    /// Until they are on disk after a clean stop, which was asked for at once.
    pub(crate) on_disk: Sample,
}

/// Syncs from one peer. `protected`: with the chain's whole work as the minimum, so that its protection against
/// low-work chains is at work as on mainnet and downloads everything twice.
pub(crate) fn sync(
    binary: &Path,
    folder: &Path,
    chain: &Chain,
    peer: &str,
    protected: bool,
) -> Run {
    let data = TempDir::new_in(folder).expect("the folder is writable");
    let mut args: Vec<String> =
        ["-checkblockindex=0", "-blocksonly", "-prune=550", "-v2transport=0"]
            .map(str::to_owned)
            .to_vec();
    args.push(format!("-connect={peer}"));
    if protected {
        // Each regtest header, genesis too, counts for two hashes.
        args.push(format!("-minimumchainwork={:064x}", 2 * (u64::from(chain.count) + 1)));
    }
    let started = Instant::now();
    let node = Bitcoind::start_in(binary, data.path(), &args);
    let (id, watch) = (node.id(), UsageWatch::start(node.id()));
    // Each look waits for bitcoind's main lock and holds it, so there are not many.
    poll_every(Duration::from_millis(20), "bitcoind's headers", PATIENCE, || {
        let info = node.rpc("getblockchaininfo", json!([]));
        (info["headers"] == json!(chain.count)).then_some(())
    });
    let in_memory = Sample {
        elapsed: started.elapsed(),
        cpu: cpu_time(id).unwrap_or_default(),
        peak: peak_memory(id).unwrap_or_default(),
        disk: 0,
    };
    node.stop(PATIENCE);
    let elapsed = started.elapsed();
    let (peak, cpu) = watch.stop();
    let disk = disk_usage(&data.path().join("regtest"));
    Run { in_memory, on_disk: Sample { elapsed, cpu, peak, disk } }
}
