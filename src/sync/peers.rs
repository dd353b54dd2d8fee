//! What the download knows of one peer: its open requests, how fast it answers, and what it has said of its chain.

use super::FULL;
use super::RangeKey;
use super::progress::VerifiedWork;
use crate::primitives::BlockHash;
use std::collections::VecDeque;
use std::time::Duration;

/// Most headers that one peer is asked for at once: 16 full answers are 2.6 MB on its line.
const MAX_IN_FLIGHT: u32 = 16 * FULL;
/// Fewest: while one answer is on its way, the peer works on the next.
const MIN_IN_FLIGHT: u32 = 2 * FULL;
/// Most requests of any size that wait at a peer.
const MAX_REQUESTS: usize = 32;
/// A peer that has never answered is given so many times its handshake's round trip, but no less than this.
const FIRST_ANSWER_FACTOR: u32 = 8;
const FIRST_ANSWER_FLOOR: Duration = Duration::from_secs(1);
/// One that has is given so many times what its answers take, but no less than this.
pub(super) const ANSWER_FACTOR: u32 = 4;
const ANSWER_FLOOR: Duration = Duration::from_millis(250);

/// Of how many answers the best rate counts: an old record may be of another line.
const RATES: usize = 16;

/// What is asked for beyond what the line carries, so that a faster line shows.
const GAIN: f64 = 1.25;
/// A delay below what clocks tell apart, in seconds.
const SHORTEST: f64 = 1e-6;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A part of a hinted range.
    Range(RangeKey),
    /// What follows the last hint, before the ranges have reached that.
    Prefetched,
    /// What follows the tip.
    Tail,
    /// What follows the tip's parent, to see whether the peer has the tip.
    TipCheck,
    /// Nothing any more: its answer is only waited for because peers answer in order.
    Abandoned,
}

/// What a peer has said of the end of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TipState {
    /// Nothing that counts: it may have more than we do.
    Unknown,
    /// Nothing follows our tip.
    Confirmed,
    /// It has announced a block since, and is asked again. Announcing costs nothing, so what it said before still counts.
    Rechecking,
}

/// From where a peer is asked for more, once what it has sent is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextRequest {
    /// From the stored tip on.
    FromTip,
    /// Its last answer was known: the fork of its chain is looked for above that.
    AboveKnown,
    /// Its last answer is a branch beside our chain: what follows that.
    AfterSideBranch,
}

/// A `getheaders` that was not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) purpose: Purpose,
    pub(super) locator: Vec<BlockHash>,
    pub(super) asked_at: Duration,
    /// How many headers were asked for: the answer has no more.
    pub(super) wanted: u32,
    /// How many headers the peer had sent when it was asked.
    pub(super) delivered: u64,
    /// The chain's end when it was asked: what is known by now may not have been known then.
    pub(super) tip: BlockHash,
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
    pub(super) set_aside: bool,
    pub(super) tip_state: TipState,
    /// An announcement has put its word in doubt since the tip moved: another one does not.
    doubted: bool,
    /// The last hash it has sent beyond the tip, connected or not.
    pub(super) cursor: Option<BlockHash>,
    /// It is asked for more only once what it has sent is connected: it may have nothing more, or send what is known.
    pub(super) holds: bool,
    pub(super) next_request: NextRequest,
    /// When it was first asked for what follows the tip, since it is to be asked anew.
    pub(super) compared_since: Option<Duration>,
    /// The height that it announced.
    pub(super) announced: u32,
    /// The most work that it has shown.
    pub(super) shown: VerifiedWork,
    /// Full answers in a row that brought no progress.
    pub(super) repeats: u32,
    /// It was passed over because it did not answer in time.
    pub(super) slow: bool,
    answered_at: Duration,
    /// The handshake's round trip.
    round_trip: Option<Duration>,
    /// How long its answers take, smoothed.
    pub(super) takes: Option<Duration>,
    /// Headers that may be on their way to us at once.
    window: u32,
    fastest: Option<Duration>,
    /// How many headers it has sent.
    delivered: u64,
    /// Headers a second, of the last answers.
    rates: VecDeque<f64>,
}

impl Peer {
    /// `announced` is the height the peer claims: it only keeps us from asking for what it says it lacks.
    pub(super) fn new(announced: u32, window: u32) -> Self {
        Self {
            requests: VecDeque::new(),
            ends_at: Some(announced).filter(|height| *height > 0),
            left_hints: false,
            set_aside: false,
            tip_state: TipState::Unknown,
            doubted: false,
            cursor: None,
            holds: false,
            next_request: NextRequest::FromTip,
            compared_since: None,
            announced,
            shown: VerifiedWork::default(),
            repeats: 0,
            slow: false,
            round_trip: None,
            takes: None,
            window: window.clamp(MIN_IN_FLIGHT, MAX_IN_FLIGHT),
            fastest: None,
            answered_at: Duration::ZERO,
            delivered: 0,
            rates: VecDeque::new(),
        }
    }

    /// Forgets what it was asked for and what its answers said of its chain.
    pub(super) fn start_over(&mut self) {
        for request in &mut self.requests {
            request.purpose = Purpose::Abandoned;
        }
        self.ends_at = None;
        self.left_hints = false;
        self.tip_state = TipState::Unknown;
        self.cursor = None;
        self.compared_since = None;
        self.shown = VerifiedWork::default();
        self.next_request = NextRequest::FromTip;
        self.repeats = 0;
    }

    /// It brought new work: earlier answers without do not count.
    pub(super) fn made_progress(&mut self) {
        self.repeats = 0;
        if self.next_request == NextRequest::AboveKnown {
            self.next_request = NextRequest::FromTip;
        }
    }

    /// A full answer brought nothing new; returns how many such answers there were in a row.
    pub(super) fn repeated(&mut self) -> u32 {
        self.repeats += 1;
        self.repeats
    }

    /// Records that it has nothing more, as far as its answers show.
    pub(super) fn confirm_end(&mut self) {
        self.tip_state = TipState::Confirmed;
    }

    /// Returns whether it had nothing more after the tip when it was asked last, and has announced nothing since.
    pub(super) fn is_at_end(&self) -> bool {
        self.tip_state == TipState::Confirmed
    }

    /// Returns whether it has said that it has nothing more, and what it has announced since is not enough to doubt that.
    pub(super) fn has_confirmed(&self) -> bool {
        self.tip_state != TipState::Unknown
    }

    /// It is to be asked again for what follows the tip.
    fn ask_again(&mut self) {
        if self.is_at_end() {
            self.tip_state = TipState::Rechecking;
        }
        self.cursor = None;
    }

    /// Forgets what its answers have said of the end of its chain.
    pub(super) fn ask_anew(&mut self) {
        self.ask_again();
        self.ends_at = None;
        self.tip_state = TipState::Unknown;
        self.compared_since = None;
    }

    /// It announced something that is not known. One that is being asked, or will be, is asked all the same.
    ///
    /// # Security
    /// From the second announcement on, what its answers have said still counts until the tip moves: announcing costs nothing, and
    /// peers that go on announcing what they do not have would keep a sync from ever ending.
    pub(super) fn on_announcement(&mut self) {
        let believed = !std::mem::replace(&mut self.doubted, true);
        if believed {
            self.ends_at = None;
        }
        if self.is_at_end() && believed {
            self.ask_anew();
        } else if self.is_at_end() {
            self.ask_again();
        }
    }

    /// Returns whether its silence says that nothing follows: it has not answered what follows the tip for so long, and has
    /// announced less than `height`, which we have, or nothing but genesis.
    ///
    /// bcoin and mako send nothing at all when nothing follows a locator. That of a longer chain may begin at their tip, and
    /// genesis has no parent to begin at. A peer that announced just our tip has that to answer, and is not excused.
    pub(super) fn is_silent_at_end(&self, now: Duration, height: u32, limit: Duration) -> bool {
        let asks = |request: &Request| matches!(request.purpose, Purpose::Tail | Purpose::TipCheck);
        let asked = self.requests.front().is_some_and(asks);
        asked && self.announced < height.max(1) && self.is_late(now, limit)
    }

    /// The tip has moved: what the peer announces counts anew.
    pub(super) fn on_new_tip(&mut self) {
        self.doubted = false;
    }

    /// Notes the handshake's round trip, all that is known of its speed before its first answer.
    pub(super) fn record_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
    }

    /// Returns whether it may be given another range.
    pub(super) fn has_room(&self) -> bool {
        let live = self.requests.iter().filter(|request| request.purpose != Purpose::Abandoned);
        let in_flight: u32 = live.map(|request| request.wanted).sum();
        in_flight < self.window && self.has_place()
    }

    /// Returns whether it may be given one more request, however large.
    pub(super) fn has_place(&self) -> bool {
        self.requests.len() < MAX_REQUESTS
    }

    /// Gives the requests of one purpose another.
    pub(super) fn give(&mut self, before: Purpose, now: Purpose) {
        let requests = self.requests.iter_mut().filter(|request| request.purpose == before);
        requests.for_each(|request| request.purpose = now);
    }

    /// It has shown to have nothing above this height.
    pub(super) fn end_at(&mut self, height: u32) {
        self.ends_at = Some(self.ends_at.map_or(height, |end| end.min(height)));
    }

    /// Notes that it is asked for so many headers.
    pub(super) fn ask(
        &mut self,
        purpose: Purpose,
        locator: Vec<BlockHash>,
        now: Duration,
        wanted: u32,
        tip: BlockHash,
    ) {
        let (delivered, asked_at) = (self.delivered, now);
        self.requests.push_back(Request { purpose, locator, asked_at, wanted, delivered, tip });
    }

    /// Returns whether it should have headers above this height.
    pub(super) fn has_above(&self, height: u32) -> bool {
        self.ends_at.is_none_or(|end| end > height)
    }

    /// Returns whether a request for what follows the tip is on its way.
    pub(super) fn is_asked_for_tail(&self) -> bool {
        self.requests.iter().any(|request| request.purpose == Purpose::Tail)
    }

    /// Returns whether it may have more of what follows the tip, and is not asked for it yet.
    pub(super) fn may_be_asked_for_tail(&self) -> bool {
        !self.is_at_end() && !self.set_aside && !self.is_asked_for_tail()
    }

    /// Since when the oldest open request is the next to be answered: requests queue up at the peer.
    pub(super) fn waiting_since(&self) -> Option<Duration> {
        self.requests.front().map(|request| request.asked_at.max(self.answered_at))
    }

    /// Returns whether its next answer takes longer than `patience`.
    pub(super) fn is_late(&self, now: Duration, patience: Duration) -> bool {
        self.waiting_since().is_some_and(|since| now >= since + patience)
    }

    /// Returns whether its next answer takes longer than `limit`, and much longer than its answers usually do.
    pub(super) fn is_silent(&self, now: Duration, limit: Duration) -> bool {
        self.is_late(now, limit.max(self.takes.unwrap_or_default() * ANSWER_FACTOR))
    }

    /// How fast it has answered at best.
    pub(super) fn latency(&self) -> Duration {
        self.fastest.unwrap_or(Duration::MAX)
    }

    /// How long an answer will take: as its others did, or at best as its handshake; `None` if neither is known.
    pub(super) fn expected(&self) -> Option<Duration> {
        self.takes.or(self.round_trip)
    }

    /// The same of one that may be keeping us waiting for longer than that.
    pub(super) fn expected_at_least(&self, now: Duration) -> Option<Duration> {
        let waited = self.waiting_since().map(|since| now.saturating_sub(since));
        self.takes.max(waited)
    }

    /// How long an answer may take before the peer counts as silent, by its own measure, up to a limit.
    pub(super) fn patience(&self, limit: Duration) -> Duration {
        let own = match (self.takes, self.round_trip) {
            (Some(takes), _) => ANSWER_FLOOR.max(takes * ANSWER_FACTOR),
            (None, Some(round_trip)) => FIRST_ANSWER_FLOOR.max(round_trip * FIRST_ANSWER_FACTOR),
            (None, None) => limit,
        };
        own.min(limit)
    }

    /// Records an answer. What is asked for at once follows from what the line carries in the shortest
    /// round trip there was: less leaves it idle, and more waits at the peer, where it keeps the next request
    /// waiting (as BBR does for TCP: the rate is what came since the request was made).
    pub(super) fn answered(&mut self, now: Duration, request: &Request, count: u32) {
        let took = now.saturating_sub(request.asked_at);
        self.answered_at = now;
        self.slow = false;
        self.delivered += u64::from(count);
        let fastest = self.fastest.map_or(took, |fastest| fastest.min(took));
        self.fastest = Some(fastest);
        self.takes = Some(self.takes.map_or(took, |takes| (takes * 3 + took) / 4));
        let came = u32::try_from(self.delivered - request.delivered).unwrap_or(u32::MAX);
        if self.rates.len() == RATES {
            self.rates.pop_front();
        }
        self.rates.push_back(f64::from(came) / took.as_secs_f64().max(SHORTEST));
        let rate = self.rates.iter().copied().fold(0.0, f64::max);
        let on_the_line = rate * fastest.as_secs_f64();
        self.window =
            FULL.saturating_add(whole(on_the_line * GAIN)).clamp(MIN_IN_FLIGHT, MAX_IN_FLIGHT);
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

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the type's range"
)]
fn whole(number: f64) -> u32 {
    number.clamp(0.0, f64::from(u32::MAX)) as u32
}

/// A request that was answered, and those before it that never will be.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) request: Request,
    pub(super) given_up: Vec<Request>,
}
