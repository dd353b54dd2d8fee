//! What a finished `sync` has stored outlasts a power cut: a disk that is shut down without its journal being flushed.

use crate::support::chain::{fork_chain, mainnet_start, regtest_chain};
use crate::support::disk::Disk;
use crate::support::run::Program;
use crate::support::script::Script;
use crate::support::served::SharedChain;
use crate::support::sync::{kept_in, on_network, sync_with};
use crate::support::wait::{PATIENCE, poll_for};
use lightclient::primitives::{Header, Network};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::thread;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const MAINNET: Network = Network::Mainnet;
const POWER_CUTS: u32 = 20;

struct World {
    disk: Disk,
    headers: Vec<Header>,
    chain: SharedChain,
    random: StdRng,
}

impl World {
    /// Finishes a sync up to that height.
    fn sync_to(&self, stop_height: u32) {
        let peer = Script::honest().start(&self.chain);
        let stop_height = stop_height.to_string();
        self.program().run(&sync_with(&[&peer], &["--stop-height", &stop_height])).expect_success();
    }

    fn program(&self) -> Program {
        on_network(Program::at(BINARY, self.disk.folder()), MAINNET)
    }

    /// Cuts the power at some moment of a sync of everything; `stored` is what was stored before.
    fn cut_during_sync(&mut self, stored: u32) {
        let peer = Script::honest().rate(12e6).start(&self.chain);
        let mut running = self.program().start(&sync_with(&[&peer], &[]));
        let answers = usize::try_from(self.random.random_range(0..=(32_259 - stored) / 2000));
        let answers = answers.expect("a few");
        poll_for("so many answers or the end", PATIENCE, || {
            let sent = peer.record().look(|seen| seen.answered() >= answers);
            (sent || !running.is_running()).then_some(())
        });
        // The moment is what the test is about.
        thread::sleep(Duration::from_micros(self.random.random_range(0..20_000)));
        self.disk.cut_power();
        // It may go on for a while on what is in memory, and has to see in the end that its disk is gone.
        running.interrupt();
        let ended = running.wait(PATIENCE);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        assert!(ended.stderr.lines().count() <= 1, "{}", ended.stderr);
    }

    /// Mounts the disk again and checks what is on it; gives the height.
    fn after_cut(&mut self, stored: u32, what: &str) -> u32 {
        self.disk.unmount();
        self.disk.mount();
        self.program().run(&["verify", "-vv"]).expect_success();
        let kept = kept_in(&self.disk.folder(), MAINNET);
        let height = kept.tip.height;
        assert!(height >= stored, "{what}: {height} are left of {stored}");
        assert!(kept.headers == self.headers[..kept.headers.len()], "{what}");
        height
    }
}

#[test]
fn a_power_cut_after_a_sync_loses_nothing() {
    let Some(disk) = Disk::ext4_or_skip_loudly("power cuts of a sync of mainnet") else { return };
    let headers = mainnet_start();
    let chain = SharedChain::new(MAINNET, &headers);
    let mut world = World { disk, headers, chain, random: StdRng::seed_from_u64(20) };
    let mut stored = 0;
    for cut in 0..POWER_CUTS {
        let finished = stored + world.random.random_range(1..2500);
        world.sync_to(finished);
        if cut % 4 == 0 {
            // The moment after: whatever was not flushed by then is gone.
            world.disk.cut_power();
        } else {
            world.cut_during_sync(finished);
        }
        stored = world.after_cut(finished, &format!("power cut {cut}"));
        if stored > 25_000 {
            world.disk.unmount();
            world.disk.format();
            world.disk.mount();
            stored = 0;
        }
    }
    world.sync_to(32_259);
    world.disk.unmount();
}

/// The records of a long side branch are more than sled keeps in its log: it puts them in files of their own.
#[test]
fn a_power_cut_after_a_reorganisation_loses_none_of_the_branch_that_was_left() {
    let what = "power cuts of a reorganisation";
    let Some(mut disk) = Disk::ext4_or_skip_loudly(what) else { return };
    let left = regtest_chain(4000, 1, 20);
    let taken = fork_chain(&left, 1000, 3500, 2);
    let program = on_network(Program::at(BINARY, disk.folder()), Network::Regtest);
    // How sled puts the records together differs from run to run.
    for _ in 0..6 {
        for chain in [&left, &taken] {
            let peer = Script::honest().start(&SharedChain::new(Network::Regtest, chain));
            program.run(&sync_with(&[&peer], &[])).expect_success();
        }
        disk.cut_power();
        disk.unmount();
        disk.mount();
        let kept = kept_in(&disk.folder(), Network::Regtest);
        assert!(kept.headers == taken);
        assert_eq!(kept.sides.len(), 1);
        assert!(kept.sides[0].headers[..] == left[1001..]);
        disk.unmount();
        disk.format();
        disk.mount();
    }
    disk.unmount();
}
