//! A pool whose caller, network and clocks are the test.

use crate::net::addrman::{AddrMan, Avoided, Claim, NetGroup, Scope};
use crate::net::pool::{Action, Admission, Moment, Place, Pool, Search, Settings};
use crate::net::{Direction, Disconnect, PeerInfo};
use crate::primitives::PeerId;
use crate::wire::ServiceFlags;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::Duration;

pub(super) const EPOCH: u64 = 1_800_000_000;
pub(super) const FULL: ServiceFlags = ServiceFlags(0x409);

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A header of a chain whose headers all have work 1.
pub(super) fn at(height: u32) -> Place {
    with_work(height, height)
}

pub(super) fn with_work(height: u32, total: u32) -> Place {
    let mut work = [0; 32];
    work[28..].copy_from_slice(&total.to_be_bytes());
    Place { height, work }
}

/// A pool whose caller is the test.
pub(super) struct Bench {
    pub(super) pool: Pool,
    pub(super) now: Moment,
    rng: StdRng,
}

impl Bench {
    pub(super) fn new(settings: Settings) -> Self {
        let now = Moment { since_start: Duration::ZERO, unix: EPOCH };
        let addrman = AddrMan::new([1; 32], Scope::Public);
        let mut pool = Pool::new(settings, addrman, now);
        pool.set_tip(at(100), EPOCH, now);
        Self { pool, now, rng: StdRng::seed_from_u64(1) }
    }

    /// With these addresses from DNS.
    pub(super) fn knowing(settings: Settings, addresses: &[&str]) -> Self {
        let mut bench = Self::new(settings);
        let told: Vec<(Claim, NetGroup)> = addresses
            .iter()
            .map(|text| {
                let address = text.parse().unwrap();
                (Claim { address, services: FULL, time: EPOCH }, NetGroup::DNS)
            })
            .collect();
        bench.pool.found(Search::Dns, &told, bench.now);
        bench
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now.since_start += time;
        self.now.unix += time.as_secs();
    }

    pub(super) fn poll(&mut self) -> Vec<Action> {
        self.pool.poll(self.now, &mut self.rng)
    }

    /// Polls for so many seconds, and gives what was dialled.
    pub(super) fn dials(&mut self, seconds: u64) -> Vec<(PeerId, String)> {
        let mut dials = Vec::new();
        for _ in 0..seconds * 10 {
            dials.extend(self.poll().into_iter().filter_map(|action| match action {
                Action::Dial { id, address, .. } => Some((id, address)),
                _ => None,
            }));
            self.wait_tenth();
        }
        dials
    }

    pub(super) fn wait_tenth(&mut self) {
        self.now.since_start += Duration::from_millis(100);
        self.now.unix = EPOCH + self.now.since_start.as_secs();
    }

    pub(super) fn connect(&mut self, id: PeerId, services: ServiceFlags) -> Admission {
        let address = self.pool.address(id).unwrap_or_default();
        let info = PeerInfo {
            remote: address.parse().ok(),
            address,
            direction: Direction::Outbound,
            version: 70016,
            services,
            user_agent: String::new(),
            start_height: 100,
            relay: false,
            wants_addrv2: true,
            wtxid_relay: true,
            time_offset: 0,
            latency: Duration::from_millis(50),
        };
        self.pool.connected(id, &info, self.now)
    }

    pub(super) fn lose(&mut self, id: PeerId, reason: &Disconnect) {
        self.pool.disconnected(id, reason, self.now, &mut self.rng);
    }

    pub(super) fn avoided(&self, address: &str) -> Option<Avoided> {
        self.pool.addrman().avoided(&address.parse().unwrap(), self.now.unix)
    }
}
