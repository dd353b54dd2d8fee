//! The error for headers that were refused because they are too far ahead of this computer's clock.

use crate::chain::TooNew;
use crate::format::rough_span;

/// Peers' clocks agree with ours if they differ by at most this many seconds.
const MAX_DIFFERENCE: u64 = 10 * 60;

/// Returns a text that says which header is ahead of the clock, if it is known, and advises what to do.
///
/// `peer_clock_offset` is the number of seconds that the peers' clocks are ahead of ours, negative if they are behind,
/// or `None` if there were no peers. If their clocks agree with ours, the header's time is wrong.
pub(super) fn too_new_message(header: Option<&TooNew>, peer_clock_offset: Option<i64>) -> String {
    let Some(header) = header else {
        return "the next headers are ahead of this computer's clock: set the clock and run the command again"
            .to_owned();
    };
    let advice = "set the clock and run the command again";
    match peer_clock_offset {
        Some(offset) if offset.unsigned_abs() <= MAX_DIFFERENCE => {
            let wait = rough_span(header.valid_in().max(60));
            format!("{header}, which peers' clocks agree with: run the command again in {wait}")
        }
        Some(offset) if offset > 0 => {
            let ahead = rough_span(offset.unsigned_abs());
            format!("{header}, and the peers' clocks are {ahead} ahead of this clock: {advice}")
        }
        _ => format!("{header}: {advice}"),
    }
}

#[cfg(test)]
mod tests {
    use super::too_new_message;
    use crate::chain::TooNew;
    use crate::primitives::BlockHash;

    #[test]
    fn peers_clocks_show_whether_our_clock_or_the_header_is_wrong() {
        let clock = 1_795_104_020;
        let header =
            TooNew { height: 929_960, hash: BlockHash::ZERO, time: clock + 7200 + 180, clock };
        let text = |peers| too_new_message(Some(&header), peers);
        let start =
            "height 929,960 is 2 h 3 min ahead of this computer's clock (2026-11-19 16:00 UTC)";
        let advice = "set the clock and run the command again";
        assert_eq!(text(None), format!("{start}: {advice}"));
        let behind =
            format!("{start}, and the peers' clocks are 2 h 8 min ahead of this clock: {advice}");
        assert_eq!(text(Some(7_700)), behind);
        let agree =
            format!("{start}, which peers' clocks agree with: run the command again in 3 min");
        assert_eq!(text(Some(-20)), agree);
        assert_eq!(text(Some(-7_700)), format!("{start}: {advice}"));
    }
}
