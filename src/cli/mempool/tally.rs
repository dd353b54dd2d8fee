//! Counts the transactions that `mempool` receives, for its status line and its summary.

use crate::format;
use crate::node::mempool::MempoolFigures;
use crate::script::ScriptKind;
use crate::wire::TxView;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// The status line shows the average speed over this time.
const SPEED_WINDOW: Duration = Duration::from_secs(10);

/// The greatest number of output types that the status line names.
const MAX_TYPES: usize = 4;

/// What one run of `mempool` has counted so far.
#[derive(Debug)]
pub(super) struct MempoolTally {
    started: Instant,
    /// Number of transactions shown.
    pub(super) shown: u64,
    /// The numbers that the node layer counts.
    pub(super) figures: MempoolFigures,
    /// Size in bytes of all transactions added, whether shown or not.
    bytes: u64,
    /// Number of outputs of all transactions added, by type.
    output_types: BTreeMap<&'static str, u64>,
    /// When the latest status lines were made, and how many transactions had been seen by then.
    past: VecDeque<(Instant, u64)>,
}

impl MempoolTally {
    /// Creates a tally that starts at `now` with all numbers at zero.
    pub(super) fn start(now: Instant) -> Self {
        Self {
            started: now,
            shown: 0,
            figures: MempoolFigures::default(),
            bytes: 0,
            output_types: BTreeMap::new(),
            past: VecDeque::from([(now, 0)]),
        }
    }

    /// Adds the size and the outputs of a received transaction.
    pub(super) fn add(&mut self, tx: TxView<'_>) {
        self.bytes += format::to_u64(tx.size());
        for output in tx.outputs() {
            *self
                .output_types
                .entry(ScriptKind::of(output.script_pubkey).short_name())
                .or_default() += 1;
        }
    }

    /// Returns whether no peer has announced anything.
    pub(super) fn is_empty(&self) -> bool {
        self.figures.counts.announcements == 0
    }

    /// Returns the parts of the status line, the most important first: speed, numbers of transactions, peers, bytes,
    /// replaced transactions, output types.
    pub(super) fn status(&mut self, now: Instant) -> Vec<String> {
        let seen = self.figures.counts.seen;
        while self.past.len() > 1
            && self.past.front().is_some_and(|(at, _)| *at + SPEED_WINDOW < now)
        {
            self.past.pop_front();
        }
        let (since, before) = self.past.front().copied().unwrap_or((now, seen));
        self.past.push_back((now, seen));
        let mut parts = vec![
            format!("{:.1} tx/s", speed(seen - before, now - since)),
            format!("{} seen", format::count(seen)),
            format!("{} shown", format::count(self.shown)),
            format!("{} pending", format::count(format::to_u64(self.figures.pending))),
            format::counted(format::to_u64(self.figures.peers), "peer"),
            format::size(self.bytes),
        ];
        if self.figures.replaced > 0 {
            parts.push(format!("{} replaced", format::count(self.figures.replaced)));
        }
        parts.extend(self.common_types());
        parts
    }

    /// Returns the most common output types and their shares.
    fn common_types(&self) -> Vec<String> {
        let total: u64 = self.output_types.values().sum();
        let mut types: Vec<_> = self.output_types.iter().collect();
        types.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let share = |(name, count): (&&str, &u64)| format!("{name} {} %", count * 100 / total);
        types.into_iter().take(MAX_TYPES).map(share).collect()
    }

    /// Returns the summary of the whole watch.
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
    use super::{MempoolFigures, MempoolTally};
    use std::time::{Duration, Instant};

    #[test]
    fn the_status_line_has_the_speed_of_ten_seconds_and_the_summary_that_of_the_whole_watch() {
        let start = Instant::now();
        let mut tally = MempoolTally::start(start);
        for second in 1..=30 {
            // Ten transactions a second for 15 seconds, then none.
            tally.figures.counts.seen = 10 * second.min(15);
            let line = tally.status(start + Duration::from_secs(second)).join(", ");
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
    fn only_counters_above_zero_are_named() {
        let mut tally = MempoolTally::start(Instant::now());
        assert!(!tally.status(Instant::now()).join(", ").contains("replaced"));
        tally.figures =
            MempoolFigures { pending_dropped: 3, replaced: 1200, ..MempoolFigures::default() };
        let line = tally.status(Instant::now());
        assert!(line.contains(&"1,200 replaced".to_owned()), "{line:?}");
        let summary = tally.summary(Instant::now() + Duration::from_secs(1));
        assert!(
            summary.ends_with(", 1,200 replaced by others, 3 pending ones dropped to make room"),
            "{summary}"
        );
        assert!(!summary.contains("forgotten"), "{summary}");
    }
}
