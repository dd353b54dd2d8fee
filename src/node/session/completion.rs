//! Decides when a sync may report that it has caught up, and what contradicts that.

use super::Session;
use crate::format::{count, rough_span};
use crate::node::report::Stopped;
use crate::primitives::Network;
use crate::store::HeaderStore;
use tokio::task::block_in_place;

/// A tip at most this old (in seconds) is taken as complete: an attacker who hides the rest would have to mine a fresh
/// tip.
const FRESH_TIP: u64 = 24 * 60 * 60;

/// Peers that have to confirm a chain that looks complete.
const MIN_CONFIRMATIONS: usize = 2;

/// What is known once nothing is left to ask for.
#[derive(Clone, Debug)]
struct Evidence {
    /// Height of the stored tip.
    height: u32,
    /// Seconds from the tip's time to our clock, 0 if the tip is ahead; `None` if it could not be read.
    tip_age: Option<u64>,
    /// The connected peers that announced a greater height, and which.
    announced: Vec<(String, u32)>,
    /// Height of the last hint, while hints are on.
    last_hint: Option<u32>,
    /// The height to stop at.
    stop_height: Option<u32>,
    /// Whether the network's whole chain is wanted, as opposed to any chain with less work.
    whole_chain: bool,
    /// Whether the network's blocks come at regular intervals; on regtest they come when somebody wants one.
    regular: bool,
    /// Peers that answered that nothing follows our tip.
    confirmations: usize,
    /// How many peers are wanted.
    wanted_peers: usize,
    /// Whether further peers are being dialled or looked for.
    expects_more_peers: bool,
}

impl Evidence {
    /// Returns whether enough peers have confirmed that nothing follows our tip, or no others will be heard soon.
    ///
    /// # Security
    /// The first peers to connect are the nearest ones, or those that want to be first. While the chain that they show
    /// looks incomplete, half of all wanted peers must confirm it.
    fn is_complete(&self) -> bool {
        let needed = if self.looks_complete() {
            MIN_CONFIRMATIONS
        } else {
            self.wanted_peers.div_ceil(2).max(MIN_CONFIRMATIONS)
        };
        self.confirmations >= needed || !self.expects_more_peers
    }

    fn looks_complete(&self) -> bool {
        let fresh = self.tip_age.is_some_and(|age| age <= FRESH_TIP);
        self.announced.is_empty() && self.missing_hint().is_none() && fresh
    }

    fn missing_hint(&self) -> Option<u32> {
        self.last_hint.filter(|hint| *hint > self.height)
    }

    /// Returns what does not fit a chain that is complete, in words.
    fn contradictions(&self) -> Vec<String> {
        let height = count(self.height);
        let stop = self.stop_height.filter(|stop| *stop > self.height).map(|stop| {
            let stop = count(stop);
            format!("the chain ends at height {height}: the stop height {stop} was not reached")
        });
        let hint = self.missing_hint().filter(|_| self.whole_chain).map(|hint| {
            let hint = count(hint);
            format!(
                "no peer has more than height {height}, though the hints go up to {hint}: the chain is longer"
            )
        });
        let expects_fresh = self.whole_chain && self.regular;
        let age = self.tip_age.filter(|age| expects_fresh && *age > FRESH_TIP).map(|age| {
            let age = rough_span(age);
            format!("the last block, at height {height}, is {age} old: no peer has a newer one")
        });
        stop.into_iter().chain(self.undelivered()).chain(hint).chain(age).collect()
    }

    /// The height that connected peers announced and did not deliver.
    fn undelivered(&self) -> Option<String> {
        let (address, most) = self.announced.iter().max_by_key(|(_, height)| *height)?;
        let who = match self.announced.len() {
            1 => address.clone(),
            several => format!("{several} peers"),
        };
        let (most, height) = (count(*most), count(self.height));
        Some(format!(
            "{who} announced blocks up to height {most}, and delivered none above {height}"
        ))
    }
}

impl<S: HeaderStore + 'static> Session<S> {
    /// Returns whether enough peers have confirmed that the chain is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.evidence().is_complete()
    }

    /// Warns of everything that does not fit a chain that is complete.
    pub(super) fn warn_contradictions(&self) {
        if let Some(header) = self.too_new {
            self.warn(format!("{header}: most peers do not have it"));
        }
        for contradiction in self.evidence().contradictions() {
            self.warn(contradiction);
        }
    }

    /// What a sync ends with that does not get any further, though no more than `stopped` shows.
    pub(super) fn blame_for(&mut self, stopped: Stopped) -> Stopped {
        if self.is_stopped_by_clock() {
            Stopped::Clock
        } else if self.peers.ever_connected() == 0 {
            // Not a word came: however long was waited for it.
            Stopped::NoPeers
        } else {
            stopped
        }
    }

    fn evidence(&self) -> Evidence {
        let (options, height) = (&self.options, self.tip.height);
        let more = self.announced.iter().filter(|(_, announced)| **announced > height);
        let announced = more.filter_map(|(peer, announced)| {
            // What is only too new was delivered.
            let line = self.peers.get(*peer).filter(|line| line.note.too_new_at.is_none())?;
            Some((line.address().to_owned(), *announced))
        });
        let named = options.connect.len();
        let found = options.peers.max(options.add_peers.len());
        Evidence {
            height,
            tip_age: self.tip_age(),
            announced: announced.collect(),
            last_hint: self
                .hints_hold
                .then(|| options.hints.points().last())
                .flatten()
                .map(|p| p.height),
            stop_height: options.stop_height,
            whole_chain: options.min_chain_work >= options.params.min_chain_work(),
            regular: options.params.network != Network::Regtest,
            confirmations: self.engine.opinions(),
            wanted_peers: if named > 0 { named } else { found },
            expects_more_peers: self.expects_peers(),
        }
    }

    fn tip_age(&self) -> Option<u64> {
        let header = block_in_place(|| self.store.headers(self.tip.height, 1));
        let time = header.ok()?.first()?.time;
        Some(self.options.clock.unix_secs().saturating_sub(u64::from(time)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Evidence, FRESH_TIP};

    /// A chain of 1,000 that nothing contradicts.
    fn fine() -> Evidence {
        Evidence {
            height: 1_000,
            tip_age: Some(600),
            announced: Vec::new(),
            last_hint: Some(900),
            stop_height: None,
            whole_chain: true,
            regular: true,
            confirmations: 2,
            wanted_peers: 8,
            expects_more_peers: true,
        }
    }

    fn announced(heights: &[u32]) -> Vec<(String, u32)> {
        heights.iter().map(|height| ("127.0.0.1:18444".to_owned(), *height)).collect()
    }

    #[test]
    fn two_peers_confirm_a_chain_that_looks_complete_and_half_of_all_any_other() {
        assert!(fine().is_complete());
        assert!(!Evidence { confirmations: 1, ..fine() }.is_complete());
        assert!(Evidence { confirmations: 0, expects_more_peers: false, ..fine() }.is_complete());
        for incomplete in [
            Evidence { tip_age: Some(FRESH_TIP + 1), ..fine() },
            Evidence { tip_age: None, ..fine() },
            Evidence { last_hint: Some(1_001), ..fine() },
            Evidence { announced: announced(&[1_001]), ..fine() },
        ] {
            assert!(!Evidence { confirmations: 3, ..incomplete.clone() }.is_complete());
            assert!(Evidence { confirmations: 4, ..incomplete }.is_complete());
        }
    }

    #[test]
    fn a_chain_that_is_complete_is_not_warned_of() {
        assert_eq!(fine().contradictions(), [""; 0]);
        let reached = Evidence { stop_height: Some(1_000), last_hint: Some(1_000), ..fine() };
        assert_eq!(reached.contradictions(), [""; 0]);
    }

    #[test]
    fn what_contradicts_a_complete_chain_is_said_with_its_numbers() {
        let far = Evidence {
            stop_height: Some(9_000),
            last_hint: Some(2_016),
            tip_age: Some(273_600),
            announced: announced(&[20_000]),
            ..fine()
        };
        let told = [
            "the chain ends at height 1,000: the stop height 9,000 was not reached",
            "127.0.0.1:18444 announced blocks up to height 20,000, and delivered none above 1,000",
            "no peer has more than height 1,000, though the hints go up to 2,016: the chain is longer",
            "the last block, at height 1,000, is 3 d 4 h old: no peer has a newer one",
        ];
        assert_eq!(far.contradictions(), told);
        // Whoever is content with less work than the network's does not expect the chain to go on.
        let part = Evidence { whole_chain: false, ..far.clone() };
        assert_eq!(part.contradictions(), told[..2]);
        let regtest = Evidence { regular: false, ..far.clone() };
        assert_eq!(regtest.contradictions(), told[..3]);
        let several = Evidence { announced: announced(&[3_000, 20_000, 7_000]), ..far };
        let told = "3 peers announced blocks up to height 20,000, and delivered none above 1,000";
        assert_eq!(several.contradictions()[1], told);
    }
}
