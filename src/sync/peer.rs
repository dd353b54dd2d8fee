//! What the engine knows of one peer: its open requests, and how many it deserves.

use super::ranges::RangeKey;
use crate::primitives::BlockHash;
use std::collections::VecDeque;
use std::time::Duration;

/// Most requests that one peer is given at once.
const MAX_CAPACITY: usize = 16;
/// Fewest, however slow it is.
const MIN_CAPACITY: usize = 2;
/// A request answered this much later than the fastest one leaves room for another.
const SHORT_QUEUE: Duration = Duration::from_millis(100);
/// A request answered this much later than the fastest one means that too many are waiting.
const LONG_QUEUE: Duration = Duration::from_millis(300);

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A part of a hinted range.
    Range(RangeKey),
    /// What follows the tip.
    Open,
    /// Nothing any more: its answer is only waited for because peers answer in order.
    Void,
}

/// A `getheaders` that was not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) purpose: Purpose,
    pub(super) locator: Vec<BlockHash>,
    pub(super) asked_at: Duration,
}

/// A connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) requests: VecDeque<Request>,
    /// The peer has nothing from this height on, as far as its answers tell.
    pub(super) ends_at: Option<u32>,
    /// Its chain leaves the hints: not used while they are on.
    pub(super) left_hints: bool,
    /// Nor beyond them, as long as one may come whose chain does not.
    pub(super) aside: bool,
    /// It had nothing more after the tip when it was asked last.
    pub(super) at_end: bool,
    /// The last hash it has sent beyond the tip, joined or not.
    pub(super) cursor: Option<BlockHash>,
    /// It was passed over because it did not answer in time.
    pub(super) slow: bool,
    answered_at: Duration,
    capacity: usize,
    fastest: Option<Duration>,
}

impl Peer {
    /// `announced` is the height the peer claims: it only keeps us from asking for what it says it lacks.
    pub(super) fn new(announced: u32, capacity: usize) -> Self {
        Self {
            requests: VecDeque::new(),
            ends_at: Some(announced).filter(|height| *height > 0),
            left_hints: false,
            aside: false,
            at_end: false,
            cursor: None,
            slow: false,
            capacity: capacity.clamp(MIN_CAPACITY, MAX_CAPACITY),
            fastest: None,
            answered_at: Duration::ZERO,
        }
    }

    /// Forgets what it was asked for and what its answers said of its chain.
    pub(super) fn start_over(&mut self) {
        for request in &mut self.requests {
            request.purpose = Purpose::Void;
        }
        self.ends_at = None;
        self.left_hints = false;
        self.at_end = false;
        self.cursor = None;
    }

    /// Whether it may be given another range.
    pub(super) fn has_room(&self) -> bool {
        let waiting = self.requests.iter().filter(|request| request.purpose != Purpose::Void);
        waiting.count() < self.capacity
    }

    /// Whether it should have headers above this height.
    pub(super) fn has_above(&self, height: u32) -> bool {
        self.ends_at.is_none_or(|end| end > height)
    }

    /// Whether a request for what follows the tip is on its way.
    pub(super) fn is_asked_openly(&self) -> bool {
        self.requests.iter().any(|request| request.purpose == Purpose::Open)
    }

    /// Whether it may have more of what follows the tip, and is not asked for it yet.
    pub(super) fn may_be_asked_openly(&self) -> bool {
        !self.at_end && !self.aside && !self.is_asked_openly()
    }

    /// When it was asked for what follows the tip, if it has not answered that.
    pub(super) fn asked_openly_at(&self) -> Option<Duration> {
        let open = self.requests.iter().find(|request| request.purpose == Purpose::Open);
        open.map(|request| request.asked_at)
    }

    /// Since when the oldest open request is the next to be answered: requests queue up at the peer.
    pub(super) fn waiting_since(&self) -> Option<Duration> {
        self.requests.front().map(|request| request.asked_at.max(self.answered_at))
    }

    /// How fast it has answered at best.
    pub(super) fn latency(&self) -> Duration {
        self.fastest.unwrap_or(Duration::MAX)
    }

    /// Takes note of an answer's delay. Bandwidth shows as delay when requests queue up at the peer: so the
    /// number in flight follows the delay, up while answers come as fast as the fastest, down when they lag.
    pub(super) fn answered(&mut self, now: Duration, took: Duration) {
        self.answered_at = now;
        let fastest = self.fastest.map_or(took, |fastest| fastest.min(took));
        self.fastest = Some(fastest);
        self.slow = false;
        if took < fastest + SHORT_QUEUE {
            self.capacity = (self.capacity + 1).min(MAX_CAPACITY);
        } else if took > fastest + LONG_QUEUE {
            self.capacity = (self.capacity * 3 / 4).max(MIN_CAPACITY);
        }
    }

    /// Finds and removes the request that an answer with this first parent belongs to.
    ///
    /// Peers answer in order, so that is the first one, unless its locator says otherwise: then the message
    /// answers a later one, and those before it are given up, or none at all (an announcement). `None` for
    /// the parent is an empty answer. A locator that the peer does not know is answered from genesis on.
    pub(super) fn take_request(
        &mut self,
        parent: Option<BlockHash>,
        genesis: &BlockHash,
    ) -> Option<Answered> {
        let at = match parent {
            None => 0,
            Some(parent) if parent == *genesis => 0,
            Some(parent) => {
                self.requests.iter().position(|request| request.locator.contains(&parent))?
            }
        };
        let given_up = self.requests.drain(..at.min(self.requests.len())).collect();
        self.requests.pop_front().map(|request| Answered { request, given_up })
    }
}

/// A request that was answered, and those before it that never will be.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) request: Request,
    pub(super) given_up: Vec<Request>,
}
