//! A pool for tests that act as its caller, as the network and as the clocks.

use crate::net::addrman::{AddrMan, AdvertisedAddress, AvoidReason, NetGroup, Scope};
use crate::net::pool::{Action, BestHeader, PeerAdmission, Pool, PoolSettings, Search};
use crate::net::{Direction, Disconnect, PeerInfo, TrafficCounters};
use crate::primitives::{Moment, PeerId};
use crate::wire::ServiceFlags;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::Duration;

pub(super) const EPOCH: u64 = 1_800_000_000;
pub(super) const FULL_NODE: ServiceFlags = ServiceFlags(0x409);

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns a header of a chain in which each header adds work 1.
pub(super) fn at(height: u32) -> BestHeader {
    with_work(height, height)
}

pub(super) fn with_work(height: u32, work: u32) -> BestHeader {
    let mut chainwork = [0; 32];
    chainwork[28..].copy_from_slice(&work.to_be_bytes());
    BestHeader { height, chainwork }
}

/// A pool and its clocks.
pub(super) struct Bench {
    pub(super) pool: Pool,
    pub(super) now: Moment,
    rng: StdRng,
}

impl Bench {
    pub(super) fn new(settings: PoolSettings) -> Self {
        let now = Moment { since_start: Duration::ZERO, unix: EPOCH };
        let addrman = AddrMan::new([1; 32], Scope::Public);
        let mut pool = Pool::new(settings, addrman, now);
        pool.set_tip(at(100), EPOCH, now);
        Self { pool, now, rng: StdRng::seed_from_u64(1) }
    }

    /// Creates a pool to which DNS has given these addresses.
    pub(super) fn with_addresses(settings: PoolSettings, addresses: &[&str]) -> Self {
        let mut bench = Self::new(settings);
        let found: Vec<(AdvertisedAddress, NetGroup)> = addresses
            .iter()
            .map(|text| {
                let address = text.parse().unwrap();
                (AdvertisedAddress { address, services: FULL_NODE, time: EPOCH }, NetGroup::DNS)
            })
            .collect();
        bench.pool.search_ended(Search::Dns, &found, bench.now);
        bench
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now.since_start += time;
        self.now.unix += time.as_secs();
    }

    pub(super) fn poll(&mut self) -> Vec<Action> {
        self.pool.poll(self.now, &mut self.rng)
    }

    /// Polls every tenth of a second for `seconds`, and returns the dials.
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

    pub(super) fn connect(&mut self, id: PeerId, services: ServiceFlags) -> PeerAdmission {
        let address = self.pool.address(id).unwrap_or_default();
        let info = PeerInfo {
            remote: address.parse().ok(),
            address,
            local: None,
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
            traffic: TrafficCounters::default(),
        };
        self.pool.connected(id, &info, self.now)
    }

    pub(super) fn lose(&mut self, id: PeerId, reason: &Disconnect) {
        self.pool.disconnected(id, reason, self.now, &mut self.rng);
    }

    pub(super) fn avoided(&self, address: &str) -> Option<AvoidReason> {
        self.pool.addrman().avoided(&address.parse().unwrap(), self.now.unix)
    }
}
