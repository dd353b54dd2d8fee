//! The bits that a header must carry.

use super::branch::Branch;
use super::params::{Params, SPACING};
use crate::primitives::Target;

/// Returns the target of a new period.
///
/// `base_bits` are the bits to start from. `first_time` and `last_time` are the times of the old period's first
/// and last header, so only `interval - 1` gaps are measured: Bitcoin's off-by-one is consensus.
///
/// # Consensus
/// Bitcoin Core `CalculateNextWorkRequired`: the span is signed (times may run backwards), and clamped to a factor of
/// four both ways. The old target is multiplied before it is divided, and the new one is capped at the limit.
pub fn next_target(params: &Params, base_bits: u32, first_time: u32, last_time: u32) -> Target {
    let timespan = i64::from(params.timespan);
    let actual = (i64::from(last_time) - i64::from(first_time)).clamp(timespan / 4, timespan * 4);
    let actual = u64::try_from(actual).expect("the clamp's lower end is positive");
    let Ok(base) = Target::from_bits(base_bits) else { return params.pow_limit };
    let next = base.to_biguint() * actual / params.timespan;
    Target::from_biguint(&next).map_or(params.pow_limit, |target| target.min(params.pow_limit))
}

/// Returns the bits that a header on top of `branch` with this time must carry.
///
/// # Consensus
/// Bitcoin Core `GetNextWorkRequired`. Within a period of a network with `min_difficulty`, a header more than 20
/// minutes after its parent must carry the limit's bits. Any other header within the period must carry the last bits in
/// the period that were not such an exception. With BIP94, the retarget starts from the old period's first bits, since
/// the first header is never such an exception.
pub fn required_bits(branch: &Branch, time: u32) -> u32 {
    let params = branch.params();
    if params.is_boundary(branch.height() + 1) {
        if params.no_retarget {
            return branch.bits();
        }
        let first = branch.period_first();
        let base_bits = if params.bip94 { first.bits } else { branch.bits() };
        return next_target(params, base_bits, first.time, branch.time()).to_bits();
    }
    if !params.min_difficulty {
        return branch.bits();
    }
    if i64::from(time) > i64::from(branch.time()) + 2 * i64::from(SPACING) {
        return params.pow_limit_bits;
    }
    branch.last_regular_bits()
}

/// Returns by how many percent the difficulty would change if the period went on at its speed so far.
///
/// At the period's last header, the estimate is the coming change of that header's difficulty, except that the estimate
/// ignores the limit, BIP94, and the rounding of the compact form. The speed so far is stretched over the
/// `interval - 1` gaps that the retarget measures.
///
/// Returns `None` where bits never change, and at a period's first header, when nothing is known yet.
pub fn estimated_change_percent(branch: &Branch) -> Option<f64> {
    let params = branch.params();
    let gaps = branch.height() % params.interval;
    if params.no_retarget || gaps == 0 {
        return None;
    }
    let elapsed = f64::from(branch.time()) - f64::from(branch.period_first().time);
    let span = elapsed * f64::from(params.interval - 1) / f64::from(gaps);
    let ratio =
        if span <= 0.0 { 4.0 } else { (f64::from(params.timespan) / span).clamp(0.25, 4.0) };
    Some((ratio - 1.0) * 100.0)
}

/// Returns whether `bits` can follow the parent's bits at this height on some chain of the network. The check needs no
/// ancestors, and no header of a valid chain fails it.
///
/// # Consensus
/// Bitcoin Core `PermittedDifficultyTransition`: the bits stay the same within a period, and change by at most a
/// factor of four at a boundary. Networks with `min_difficulty` permit any bits.
pub fn permitted_transition(params: &Params, height: u32, parent_bits: u32, bits: u32) -> bool {
    if params.min_difficulty {
        return true;
    }
    if !params.is_boundary(height) || params.no_retarget {
        return bits == parent_bits;
    }
    let Ok(target) = Target::from_bits(bits) else { return false };
    // The targets after the shortest and the longest span, in compact form, since a header's bits are rounded too.
    let at = |span: u32| next_target(params, parent_bits, 0, span).to_bits();
    let [hardest, easiest] = [at(params.timespan / 4), at(params.timespan * 4)];
    let [hardest, easiest] = [hardest, easiest].map(Target::from_bits);
    hardest.is_ok_and(|hardest| hardest <= target) && easiest.is_ok_and(|easiest| target <= easiest)
}
