//! What the download knows of one peer: its open requests, its speed, and what its messages have shown of its chain.

use super::RangeKey;
use super::peer_speed::PeerSpeed;
use super::progress::VerifiedWork;
use crate::primitives::BlockHash;
use std::collections::VecDeque;
use std::time::Duration;

/// A peer at which this many requests wait, of any size, is asked for no further range and no prefetch.
const MAX_REQUESTS: usize = 32;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A part of a hinted range.
    Range(RangeKey),
    /// What follows the last hint, before the ranges have reached it.
    Prefetch,
    /// What follows the tip.
    Tail,
    /// What follows the tip's parent, to see whether the peer has the tip.
    TipCheck,
    /// Nothing that is still needed: its answer is only awaited because peers answer in order.
    Abandoned,
}

/// What a peer's messages have shown of the end of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TipState {
    /// The peer may have more than we do.
    Unknown,
    /// The peer has answered that nothing follows our tip.
    Confirmed,
    /// The peer is asked again, since it has announced a block after it had confirmed our tip, and this was not its
    /// first announcement since our tip moved. Its confirmation still counts, since an announcement costs nothing.
    Rechecking,
}

/// What the next request for the tail starts from, once everything that the peer has sent is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextRequest {
    /// The stored tip.
    FromTip,
    /// The peer's last answer, all of which was known: the peer's chain leaves ours above that answer's end.
    AboveKnown,
    /// The peer's last answer, which is a branch beside our chain.
    AfterSideBranch,
}

/// A `getheaders` that is not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) purpose: Purpose,
    pub(super) locator: Vec<BlockHash>,
    pub(super) asked_at: Duration,
    /// How many headers the answer has at most.
    pub(super) wanted: u32,
    /// How many headers the peer had delivered when the request was sent.
    pub(super) delivered_before: u64,
    /// The end of the connected chain when the request was sent: headers that are known now may not have been known
    /// then.
    pub(super) tip: BlockHash,
}

/// A connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) requests: VecDeque<Request>,
    pub(super) speed: PeerSpeed,
    /// The height that it announced in its handshake.
    pub(super) announced: u32,
    /// Height of its last header, by its answers or the height that it announced; `None` if this is not known.
    pub(super) ends_at: Option<u32>,
    /// Whether its chain leaves the hints: such a peer is not asked for ranges.
    pub(super) left_hints: bool,
    /// Whether it is not asked for the tail, because a peer whose chain follows the hints may still connect.
    pub(super) excluded_from_tail: bool,
    pub(super) tip_state: TipState,
    /// Whether it has announced an unknown block since our tip moved.
    has_announced: bool,
    /// The header after which it is asked for more of the tail, connected or not; `None` to ask with the tip's locator.
    pub(super) cursor: Option<BlockHash>,
    /// Whether it is asked for more only once what it has sent is connected: it may have nothing more, or send known
    /// headers.
    pub(super) waits_for_connect: bool,
    pub(super) next_request: NextRequest,
    /// When it was first asked for the tail since [`Peer::forget_end`] or [`Peer::start_over`].
    pub(super) first_tail_request: Option<Duration>,
    /// The most work that it has shown.
    pub(super) verified: VerifiedWork,
    /// How many full answers in a row brought no progress.
    pub(super) fruitless_answers: u32,
    /// Whether it lost the lead of the tail because it was late or brought no progress for too long, and has not
    /// answered since.
    pub(super) lost_lead: bool,
}

impl Peer {
    /// Returns a peer that has not been asked for anything yet. Unless it announced height 0, it counts as having no
    /// headers above the height that it announced, until a message of it shows otherwise.
    pub(super) fn new(announced: u32, speed: PeerSpeed) -> Self {
        Self {
            requests: VecDeque::new(),
            speed,
            announced,
            ends_at: Some(announced).filter(|height| *height > 0),
            left_hints: false,
            excluded_from_tail: false,
            tip_state: TipState::Unknown,
            has_announced: false,
            cursor: None,
            waits_for_connect: false,
            next_request: NextRequest::FromTip,
            first_tail_request: None,
            verified: VerifiedWork::default(),
            fruitless_answers: 0,
            lost_lead: false,
        }
    }

    /// Abandons its requests, and forgets what its messages have shown of its chain.
    pub(super) fn start_over(&mut self) {
        for request in &mut self.requests {
            request.purpose = Purpose::Abandoned;
        }
        self.ends_at = None;
        self.left_hints = false;
        self.tip_state = TipState::Unknown;
        self.cursor = None;
        self.first_tail_request = None;
        self.verified = VerifiedWork::default();
        self.next_request = NextRequest::FromTip;
        self.fruitless_answers = 0;
    }

    /// Records that an answer brought new work: earlier answers without new work no longer count.
    pub(super) fn record_progress(&mut self) {
        self.fruitless_answers = 0;
        if self.next_request == NextRequest::AboveKnown {
            self.next_request = NextRequest::FromTip;
        }
    }

    /// Records a full answer without new work, and returns how many such answers there were in a row.
    pub(super) fn record_fruitless_answer(&mut self) -> u32 {
        self.fruitless_answers += 1;
        self.fruitless_answers
    }

    /// Records that nothing follows our tip, as far as its answers show.
    pub(super) fn confirm_end(&mut self) {
        self.tip_state = TipState::Confirmed;
    }

    /// Returns whether it had nothing beyond the tip when it was asked last, and has announced nothing since.
    pub(super) fn is_at_end(&self) -> bool {
        self.tip_state == TipState::Confirmed
    }

    /// Returns whether it has confirmed that nothing follows our tip, and its confirmation still counts.
    pub(super) fn has_confirmed(&self) -> bool {
        self.tip_state != TipState::Unknown
    }

    /// Allows another request for what follows the tip; an earlier confirmation still counts.
    fn recheck_end(&mut self) {
        if self.is_at_end() {
            self.tip_state = TipState::Rechecking;
        }
        self.cursor = None;
    }

    /// Allows another request for what follows the tip, and forgets what its answers have shown of the end of its
    /// chain.
    pub(super) fn forget_end(&mut self) {
        self.cursor = None;
        self.ends_at = None;
        self.tip_state = TipState::Unknown;
        self.first_tail_request = None;
    }

    /// Records that it announced an unknown block, or that its header that was too new may be valid by now. If it had
    /// confirmed our tip, it is asked again; if not, it is asked anyway.
    ///
    /// # Security
    /// From the second announcement on, its confirmation still counts until the tip moves. Announcing costs nothing,
    /// and peers that go on announcing blocks that they do not have could keep a sync from ever ending.
    pub(super) fn on_announcement(&mut self) {
        let first = !std::mem::replace(&mut self.has_announced, true);
        if first {
            self.ends_at = None;
        }
        if self.is_at_end() && first {
            self.forget_end();
        } else if self.is_at_end() {
            self.recheck_end();
        }
    }

    /// Returns whether its silence means that nothing follows the tip: its answer to a request for the tail or for a
    /// tip check is late, and the height that it announced is 0, or is below `height`, which our chain has reached.
    ///
    /// bcoin and mako send nothing at all when nothing follows a locator. For a chain shorter than ours, the first
    /// known hash of our locator may be their tip, and a locator from genesis cannot start below genesis. A peer that
    /// announced exactly our height can answer with the tip itself, so its silence is not excused.
    pub(super) fn is_silent_at_end(&self, now: Duration, height: u32, limit: Duration) -> bool {
        let asks = |request: &Request| matches!(request.purpose, Purpose::Tail | Purpose::TipCheck);
        let asked = self.requests.front().is_some_and(asks);
        asked && self.announced < height.max(1) && self.is_late(now, limit)
    }

    /// Records that the tip has moved: the peer's next announcement causes a full recheck again.
    pub(super) fn on_new_tip(&mut self) {
        self.has_announced = false;
    }

    /// Returns whether its window has room for another range.
    pub(super) fn has_room_for_range(&self) -> bool {
        let live = self.requests.iter().filter(|request| request.purpose != Purpose::Abandoned);
        let in_flight: u32 = live.map(|request| request.wanted).sum();
        in_flight < self.speed.window && self.has_room_for_request()
    }

    /// Returns whether one more request, of any size, may wait at the peer.
    pub(super) fn has_room_for_request(&self) -> bool {
        self.requests.len() < MAX_REQUESTS
    }

    /// Gives each of its requests with the purpose `before` the purpose `after`.
    pub(super) fn change_purpose(&mut self, before: Purpose, after: Purpose) {
        let requests = self.requests.iter_mut().filter(|request| request.purpose == before);
        requests.for_each(|request| request.purpose = after);
    }

    /// Records an answer that shows that the peer has nothing above this height.
    pub(super) fn lower_end(&mut self, height: u32) {
        self.ends_at = Some(self.ends_at.map_or(height, |end| end.min(height)));
    }

    /// Records a request for `wanted` headers. `tip` is the end of the connected chain.
    pub(super) fn record_request(
        &mut self,
        purpose: Purpose,
        locator: Vec<BlockHash>,
        now: Duration,
        wanted: u32,
        tip: BlockHash,
    ) {
        let (delivered_before, asked_at) = (self.speed.delivered, now);
        self.requests.push_back(Request {
            purpose,
            locator,
            asked_at,
            wanted,
            delivered_before,
            tip,
        });
    }

    /// Records that a request was answered with `count` headers.
    pub(super) fn record_answer(&mut self, now: Duration, request: &Request, count: u32) {
        self.lost_lead = false;
        self.speed.record_answer(now, request.asked_at, request.delivered_before, count);
    }

    /// Returns whether it may have headers above this height.
    pub(super) fn has_above(&self, height: u32) -> bool {
        self.ends_at.is_none_or(|end| end > height)
    }

    /// Returns whether it owes an answer to a request for the tail.
    pub(super) fn is_asked_for_tail(&self) -> bool {
        self.requests.iter().any(|request| request.purpose == Purpose::Tail)
    }

    /// Returns whether it may be asked for the tail: it may have more, is not excluded, and owes no such answer.
    pub(super) fn may_be_asked_for_tail(&self) -> bool {
        !self.is_at_end() && !self.excluded_from_tail && !self.is_asked_for_tail()
    }

    /// Returns its rank among the peers that could lead the tail; the lowest rank leads.
    pub(super) fn lead_rank(&self) -> (bool, u32, Duration) {
        // A peer that owes an answer to an earlier request may never answer.
        let owes = self.waiting_since().is_some();
        (owes, self.fruitless_answers, self.speed.answer_time.unwrap_or(Duration::MAX))
    }

    /// Returns when the peer could begin to work on its oldest open request: when we sent that, or when the peer
    /// answered the request before, whichever is later.
    pub(super) fn waiting_since(&self) -> Option<Duration> {
        self.requests.front().map(|request| request.asked_at.max(self.speed.answered_at))
    }

    /// Returns whether its next answer has taken longer than `patience`.
    pub(super) fn is_late(&self, now: Duration, patience: Duration) -> bool {
        self.waiting_since().is_some_and(|since| now >= since + patience)
    }

    /// Returns whether its next answer has taken longer than `limit`, and much longer than its answers usually do.
    pub(super) fn is_silent(&self, now: Duration, limit: Duration) -> bool {
        self.is_late(now, self.speed.silence_limit(limit))
    }

    /// Returns its usual answer time, or how long it has kept us waiting if that is longer; `None` if there is neither.
    pub(super) fn answer_time_at_least(&self, now: Duration) -> Option<Duration> {
        let waited = self.waiting_since().map(|since| now.saturating_sub(since));
        self.speed.answer_time.max(waited)
    }

    /// Finds and removes the request that an answer with this first parent belongs to; `None` for the parent stands for
    /// an empty answer.
    ///
    /// Peers answer in order, so an answer belongs to the first request, unless that request's locator lacks the
    /// parent. Then the message answers a later request, and the requests before that one are given up; or the message
    /// is an announcement and answers none. A peer that knows no hash of a locator answers from genesis on.
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

/// A request that was answered, and the requests before it, which never will be.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) request: Request,
    pub(super) given_up: Vec<Request>,
}
