//! The numbers of a watch, as a line while it goes on and as a summary.

use crate::format;
use crate::node::mempool::MempoolFigures;
use crate::script::ScriptKind;
use crate::wire::TxView;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Over what time the live speed is taken.
const WINDOW: Duration = Duration::from_secs(10);

/// How many kinds the live line names.
const KINDS: usize = 4;

/// What was counted so far.
#[derive(Debug)]
pub(super) struct Tally {
    started: Instant,
    /// Transactions that were shown.
    pub(super) shown: u64,
    /// What the node counts.
    pub(super) figures: MempoolFigures,
    /// Bytes of all transactions.
    bytes: u64,
    /// Outputs by their kind.
    kinds: BTreeMap<&'static str, u64>,
    /// How many had been seen at some times of the window.
    past: VecDeque<(Instant, u64)>,
}

impl Tally {
    pub(super) fn start(now: Instant) -> Self {
        Self {
            started: now,
            shown: 0,
            figures: MempoolFigures::default(),
            bytes: 0,
            kinds: BTreeMap::new(),
            past: VecDeque::from([(now, 0)]),
        }
    }

    pub(super) fn add(&mut self, tx: TxView<'_>) {
        self.bytes += u64::try_from(tx.size()).unwrap_or(u64::MAX);
        for output in tx.outputs() {
            *self.kinds.entry(ScriptKind::of(output.script_pubkey).short_name()).or_default() += 1;
        }
    }

    /// Whether not even an announcement came.
    pub(super) fn is_empty(&self) -> bool {
        self.figures.counts.announcements == 0
    }

    /// The line of a moment, in parts, what matters most first: speed, numbers, peers, bytes, kinds of outputs.
    pub(super) fn live(&mut self, now: Instant) -> Vec<String> {
        let seen = self.figures.counts.seen;
        while self.past.len() > 1 && self.past.front().is_some_and(|(at, _)| *at + WINDOW < now) {
            self.past.pop_front();
        }
        let (since, before) = self.past.front().copied().unwrap_or((now, seen));
        self.past.push_back((now, seen));
        let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let mut parts = vec![
            format!("{:.1} tx/s", speed(seen - before, now - since)),
            format!("{} seen", format::count(seen)),
            format!("{} shown", format::count(self.shown)),
            format!("{} pending", format::count(number(self.figures.pending))),
            format::counted(number(self.figures.peers), "peer"),
            format::size(self.bytes),
        ];
        if self.figures.replaced > 0 {
            parts.push(format!("{} replaced", format::count(self.figures.replaced)));
        }
        parts.extend(self.kinds());
        parts
    }

    /// The commonest kinds of outputs and their shares.
    fn kinds(&self) -> Vec<String> {
        let total: u64 = self.kinds.values().sum();
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let share = |(name, count): (&&str, &u64)| format!("{name} {} %", count * 100 / total);
        kinds.into_iter().take(KINDS).map(share).collect()
    }

    /// The summary of the whole watch.
    pub(super) fn summary(&self, now: Instant) -> String {
        let MempoolFigures {
            counts,
            forgotten,
            other_witnesses,
            replaced,
            pending_dropped,
            blocks_skipped,
            ..
        } = self.figures;
        let elapsed = now - self.started;
        let mut text = format!(
            "{} seen, {} shown, {} dropped, {} ({} received), {:.1} tx/s in {}",
            format::counted(counts.seen, "transaction"),
            format::count(self.shown),
            format::counted(counts.dropped, "announcement"),
            format::size(self.bytes),
            format::size(self.figures.bytes),
            speed(counts.seen, elapsed),
            format::duration(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
        );
        for (number, what) in [
            (counts.lost, "announced and not sent by anyone"),
            (counts.again, "came again"),
            (other_witnesses, "of them pending, with other witnesses"),
            (counts.too_heavy, "too heavy to be shown"),
            (replaced, "replaced by others"),
            (forgotten, "ids forgotten to make room"),
            (pending_dropped, "pending ones dropped to make room"),
            (blocks_skipped, "blocks not downloaded"),
        ] {
            if number > 0 {
                text += &format!(", {} {what}", format::count(number));
            }
        }
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rounded figure is what is wanted here")]
fn speed(count: u64, span: Duration) -> f64 {
    if span.is_zero() { 0.0 } else { count as f64 / span.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::{MempoolFigures, Tally};
    use std::time::{Duration, Instant};

    #[test]
    fn the_live_speed_is_that_of_the_last_ten_seconds_and_the_summarys_that_of_all() {
        let start = Instant::now();
        let mut tally = Tally::start(start);
        for second in 1..=30 {
            // Ten a second first, then none.
            tally.figures.counts.seen = 10 * second.min(15);
            let line = tally.live(start + Duration::from_secs(second)).join(", ");
            let expected = match second {
                ..=15 => "10.0 tx/s",
                20 => "5.0 tx/s",
                26.. => "0.0 tx/s",
                _ => "",
            };
            assert!(line.starts_with(expected), "second {second}: {line}");
        }
        let summary = tally.summary(start + Duration::from_secs(30));
        assert!(summary.starts_with("150 transactions seen, 0 shown, 0 announcements dropped"));
        assert!(summary.ends_with("5.0 tx/s in 30 s"), "{summary}");
    }

    #[test]
    fn what_was_dropped_is_told_and_nothing_else() {
        let mut tally = Tally::start(Instant::now());
        assert!(!tally.live(Instant::now()).join(", ").contains("replaced"));
        tally.figures =
            MempoolFigures { pending_dropped: 3, replaced: 1200, ..MempoolFigures::default() };
        let line = tally.live(Instant::now());
        assert!(line.contains(&"1,200 replaced".to_owned()), "{line:?}");
        let summary = tally.summary(Instant::now() + Duration::from_secs(1));
        assert!(
            summary.ends_with(", 1,200 replaced by others, 3 pending ones dropped to make room"),
            "{summary}"
        );
        assert!(!summary.contains("forgotten"), "{summary}");
    }
}
