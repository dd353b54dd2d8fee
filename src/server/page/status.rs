//! Decides whether the stored chain is current, and describes its state in a word and in a sentence.

use crate::format;
use crate::node::Live;
use crate::query::Phase;

/// A tip at most this old (in seconds) is current. Two hours without a block happen about once in three years.
const MAX_TIP_AGE: i64 = 2 * 60 * 60;

/// How far (in seconds) a tip may be ahead of a correct clock. Source: Bitcoin Core `MAX_FUTURE_BLOCK_TIME`.
const MAX_FUTURE_BLOCK_TIME: i64 = 2 * 60 * 60;

/// For this long (in seconds) after the start, the program counts as syncing while it has no peer.
const START_TIME: u64 = 30;

/// The state of the stored chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChainStatus {
    /// The sync follows the chain, and the tip is recent.
    Current,
    /// Headers are being downloaded, or the program has just started and looks for peers.
    Syncing,
    /// The sync follows the chain, and the tip is old.
    Behind,
    /// No peer is connected.
    NoPeers,
    /// This computer's clock seems to be wrong.
    WrongClock,
    /// Stored data is damaged.
    Damaged,
    /// The disk is full.
    FullDisk,
    /// The sync has ended for another reason.
    Stopped,
}

impl ChainStatus {
    /// Returns the word that the page shows.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::FullDisk => "full disk",
            other => other.key(),
        }
    }

    /// Returns the word that style sheets and file names use.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Syncing => "syncing",
            Self::Behind => "behind",
            Self::NoPeers => "alone",
            Self::WrongClock => "clock",
            Self::Damaged => "damaged",
            Self::FullDisk => "full-disk",
            Self::Stopped => "stopped",
        }
    }

    /// All states, for the icons.
    pub(super) const ALL: [Self; 8] = [
        Self::Current,
        Self::Syncing,
        Self::Behind,
        Self::NoPeers,
        Self::WrongClock,
        Self::Damaged,
        Self::FullDisk,
        Self::Stopped,
    ];
}

/// The data that the state of the chain is decided from.
#[derive(Clone, Debug)]
pub(super) struct StatusReport {
    /// The state of the sync.
    pub live: Live,
    /// Why the sync failed, if it did.
    pub fault: Option<String>,
    /// What [`ServerState::warnings`](crate::server::ServerState::warnings) returns, the fault included.
    pub warnings: Vec<String>,
    /// Seconds since the tip's time; negative if the tip is ahead of the clock.
    pub tip_age: i64,
    /// The tip's time, in Unix seconds.
    pub tip_time: u32,
    /// How many seconds the program has run.
    pub uptime: u64,
    /// How many headers a second were stored in the last few seconds, if that is known.
    pub speed: Option<f64>,
}

impl StatusReport {
    /// Returns the state.
    pub(super) fn status(&self) -> ChainStatus {
        if let Some(fault) = self.fault.as_deref() {
            return status_of_fault(fault);
        }
        if self.has_wrong_clock() {
            return ChainStatus::WrongClock;
        }
        let is_starting = self.live.phase == Phase::Connecting && self.uptime < START_TIME;
        match self.live.phase {
            _ if is_starting => ChainStatus::Syncing,
            _ if self.live.peers == 0 => ChainStatus::NoPeers,
            Phase::Connecting | Phase::Presync | Phase::Downloading => ChainStatus::Syncing,
            Phase::Following | Phase::Ending if self.tip_age > MAX_TIP_AGE => ChainStatus::Behind,
            Phase::Following | Phase::Ending => ChainStatus::Current,
        }
    }

    fn has_wrong_clock(&self) -> bool {
        let has_warning = self.warnings.iter().any(|warning| warning.contains("clock"));
        let (agreeing, peers) = self.agreeing();
        -self.tip_age > MAX_FUTURE_BLOCK_TIME || has_warning && agreeing < peers
    }

    /// Returns how many peers have shown a chain at least as high as the stored one, and how many peers are connected.
    pub(super) fn agreeing(&self) -> (usize, usize) {
        let height = self.live.height;
        let agrees = |tip: Option<u32>| tip.is_some_and(|tip| tip >= height);
        let agreeing = self.live.connections.iter().filter(|peer| agrees(peer.tip)).count();
        (agreeing, self.live.connections.len())
    }

    /// Returns the share of the expected headers that is stored, from 0 to 1; `None` while no height is expected.
    pub(super) fn share(&self) -> Option<f64> {
        let (height, expected) = (self.live.height, self.live.estimated_height);
        (expected > 0).then(|| (f64::from(height) / f64::from(expected)).min(1.0))
    }

    /// Returns a sentence that says what the state means, and what the user can do.
    pub(super) fn sentence(&self) -> String {
        let age = format::rough_span(self.tip_age.unsigned_abs());
        match self.status() {
            ChainStatus::Current => "The newest block is here.".to_owned(),
            ChainStatus::Syncing => self.progress(),
            ChainStatus::Behind => format!("The newest block that peers have is {age} old."),
            ChainStatus::NoPeers => {
                format!("No peer is connected; the newest stored block is {age} old.")
            }
            ChainStatus::WrongClock => {
                "This computer's clock differs from that of the network: set it right.".to_owned()
            }
            ChainStatus::Damaged => {
                "Stored data is damaged: run `lightclient verify --repair`.".to_owned()
            }
            ChainStatus::FullDisk => "The disk is full: make room, and start again.".to_owned(),
            ChainStatus::Stopped => self.fault.clone().unwrap_or_default() + ".",
        }
    }

    fn progress(&self) -> String {
        let live = &self.live;
        if live.phase == Phase::Connecting {
            return "Looking for peers.".to_owned();
        }
        if let Some(height) = live.presync_height {
            return format!(
                "Checking the work of a branch, at height {}, before it is kept.",
                format::count(height)
            );
        }
        let date = format::utc(u64::from(self.tip_time));
        let date = date.split(' ').next().unwrap_or_default();
        let mut parts = vec![format!("{date} reached")];
        if let Some(share) = self.share() {
            let of = format::count(live.estimated_height);
            parts.insert(0, format!("{:.0} % of {of} headers", (share * 100.0).floor()));
        }
        if let Some(speed) = self.speed.filter(|speed| *speed >= 1.0) {
            let left = live.estimated_height.saturating_sub(live.height);
            parts.push(format!("{speed:.0} headers a second"));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a span")]
            let seconds = (f64::from(left) / speed) as u64;
            parts.push(format!("{} left", format::span(seconds)));
        }
        parts.join(" · ")
    }
}

fn status_of_fault(fault: &str) -> ChainStatus {
    let fault = fault.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| fault.contains(word));
    if says(&["no space left", "disk is full", "disk quota"]) {
        ChainStatus::FullDisk
    } else if says(&["damaged", "corrupt"]) {
        ChainStatus::Damaged
    } else if says(&["clock"]) {
        ChainStatus::WrongClock
    } else {
        ChainStatus::Stopped
    }
}

#[cfg(test)]
mod tests {
    use super::{ChainStatus, StatusReport};
    use crate::node::Live;
    use crate::query::Phase;

    fn report(phase: Phase, peers: usize, tip_age: i64) -> StatusReport {
        StatusReport {
            live: Live {
                phase,
                peers,
                height: 400_000,
                estimated_height: 800_000,
                ..Live::default()
            },
            fault: None,
            warnings: Vec::new(),
            tip_age,
            tip_time: 1_456_417_484,
            uptime: 100,
            speed: Some(1000.0),
        }
    }

    #[test]
    fn phase_peers_age_and_fault_decide_the_state() {
        let now = |phase, peers, age| report(phase, peers, age).status();
        assert_eq!(now(Phase::Following, 8, 600), ChainStatus::Current);
        assert_eq!(now(Phase::Following, 8, 7201), ChainStatus::Behind);
        assert_eq!(now(Phase::Following, 0, 600), ChainStatus::NoPeers);
        assert_eq!(now(Phase::Downloading, 8, 1_000_000), ChainStatus::Syncing);
        assert_eq!(now(Phase::Connecting, 0, 600), ChainStatus::NoPeers);
        assert_eq!(now(Phase::Following, 8, -7201), ChainStatus::WrongClock);
        let starting = StatusReport { uptime: 3, ..report(Phase::Connecting, 0, 600) };
        assert_eq!(starting.status(), ChainStatus::Syncing);
        for (fault, status) in [
            ("the sync cannot go on: No space left on device (os error 28)", ChainStatus::FullDisk),
            ("stored data is damaged: height 7", ChainStatus::Damaged),
            ("the sync has ended: NoPeers", ChainStatus::Stopped),
        ] {
            let fault = Some(fault.to_owned());
            let broken = StatusReport { fault, ..report(Phase::Following, 8, 600) };
            assert_eq!(broken.status(), status);
        }
    }

    #[test]
    fn a_sync_says_how_far_it_is_and_how_long_it_takes() {
        let syncing = report(Phase::Downloading, 8, 0);
        assert_eq!(
            syncing.sentence(),
            "50 % of 800,000 headers · 2016-02-25 reached · 1000 headers a second · 6 min 40 s left"
        );
    }
}
