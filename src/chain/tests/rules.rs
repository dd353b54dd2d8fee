//! Bad headers of each kind, some beside a good one at the limit of the rule.

use super::fixtures::mainnet_first;
use super::synthetic::{HARDER, Synthetic, child, judge, violation};
use crate::chain::{
    BatchFault, Branch, LinkedBatch, MAX_FUTURE_SECS, Params, Rejection, Violation, link_batch,
    params, required_bits,
};
use crate::primitives::{BlockHash, Header, Network, Target, TargetError};
use std::ops::Range;

fn mainnet() -> &'static Params {
    params(Network::Mainnet)
}

/// Returns the fault of a batch of real headers whose fourth was changed; the three before it are kept.
fn fault_of(change: impl Fn(&mut Header)) -> BatchFault {
    let mut headers = mainnet_first()[1..9].to_vec();
    change(&mut headers[3]);
    let changed = headers[3];
    let (batch, fault) = link_batch(mainnet(), headers.clone());
    let fault = fault.expect("the changed header is refused");
    assert_eq!(batch.headers(), &headers[..3]);
    assert_eq!(batch.hashes().len(), 3);
    assert_eq!((fault.index, fault.hash), (3, changed.hash()));
    fault
}

fn line(height: u32, header: &Header, violation: Violation) -> String {
    let text = Rejection { height, hash: header.hash(), violation }.to_string();
    text.replace(&header.hash().to_string(), "H")
}

fn line_of(branch: &Branch, header: Header) -> String {
    let rejection = judge(branch, header).expect("the header is refused");
    line(rejection.height, &header, rejection.violation)
}

#[test]
fn bits_without_a_target_are_refused() {
    let cases = [
        (0x1d80_ffff, TargetError::Negative, "1d80ffff (negative target)"),
        (0xff00_ffff, TargetError::Overflow, "ff00ffff (target above 256 bits)"),
        (0x0000_ffff, TargetError::Zero, "0000ffff (zero target)"),
        (0x1d00_0000, TargetError::Zero, "1d000000 (zero target)"),
    ];
    for (bits, error, got) in cases {
        let violation = fault_of(|header| header.bits = bits).violation;
        assert_eq!(violation, Violation::BadTarget { bits, error });
        assert_eq!(violation.rule(), "high-hash");
        assert_eq!(violation.expected(), "bits of a positive 256-bit target");
        assert_eq!(violation.got(), got);
    }
}

#[test]
fn a_target_above_the_limit_is_refused_whatever_the_hash() {
    for bits in [0x1d01_0000, 0x1e00_ffff, 0x207f_ffff] {
        let violation = fault_of(|header| header.bits = bits).violation;
        assert_eq!(violation, Violation::AboveLimit { limit_bits: 0x1d00_ffff, bits });
        assert_eq!(violation.rule(), "high-hash");
        assert_eq!(violation.expected(), "bits at most 1d00ffff");
        assert_eq!(violation.got(), format!("{bits:08x}"));
    }
}

#[test]
fn a_hash_above_its_target_is_refused() {
    let fault = fault_of(|header| header.nonce += 1);
    let target = Target::from_bits(0x1d00_ffff).unwrap();
    assert_eq!(fault.violation, Violation::HighHash { target, hash: fault.hash });
    assert_eq!(fault.violation.rule(), "high-hash");
    let limit = "00000000ffff0000000000000000000000000000000000000000000000000000";
    assert_eq!(fault.violation.expected(), format!("hash at most {limit}"));
    assert_eq!(fault.violation.got(), fault.hash.to_string());
}

#[test]
fn a_missing_header_breaks_the_link() {
    let all = mainnet_first();
    let headers = [&all[1..4], &all[5..9]].concat();
    let (batch, fault) = link_batch(mainnet(), headers);
    assert_eq!(batch.headers(), &all[1..4]);
    let violation = fault.unwrap().violation;
    let (expected, got) = (all[3].hash(), all[4].hash());
    assert_eq!(violation, Violation::PrevBlkNotFound { expected, got });
    assert_eq!(
        line(4, &all[5], violation),
        format!("height 4: prev-blk-not-found: expected parent {expected}, got {got} (header H)")
    );
}

#[test]
fn a_batch_that_starts_elsewhere_is_refused_as_a_whole() {
    let all = mainnet_first();
    let (batch, fault) = link_batch(mainnet(), all[2..9].to_vec());
    assert_eq!(fault, None);
    let mut branch = Branch::genesis(mainnet());
    let (checked, rejection) = branch.extend(batch, u32::MAX);
    assert!(checked.is_empty());
    let (expected, got) = (all[0].hash(), all[1].hash());
    let violation = Violation::PrevBlkNotFound { expected, got };
    assert_eq!(rejection, Some(Rejection { height: 1, hash: all[2].hash(), violation }));
    assert_eq!(branch.height(), 0);
}

#[test]
fn other_bits_than_the_required_ones_are_refused_even_with_proof_of_work() {
    let chain = Synthetic::steady(Network::Mainnet, 300_000, HARDER);
    let tip = *chain.tip();
    for bits in [HARDER - 1, HARDER + 1, 0x1d00_ffff] {
        assert_eq!(
            line_of(&chain.branch(), child(&tip, tip.time + 600, bits)),
            format!(
                "height 300001: bad-diffbits: expected bits 1c0ffff0, got {bits:08x} (header H)"
            )
        );
    }
}

#[test]
fn a_time_has_to_be_after_the_median_of_eleven() {
    let chain = Synthetic::steady(Network::Mainnet, 300_000, HARDER);
    let (branch, tip) = (chain.branch(), *chain.tip());
    let median = tip.time - 5 * 600;
    assert_eq!(branch.median_time_past(), median);
    assert_eq!(violation(&branch, child(&tip, median + 1, HARDER)), None);
    let line = line_of(&branch, child(&tip, median, HARDER));
    assert_eq!(
        line,
        format!(
            "height 300001: time-too-old: expected time after {median}, got {median} (header H)"
        )
    );
}

#[test]
fn near_genesis_the_median_is_the_upper_of_an_even_number() {
    let headers = mainnet_first();
    let mut branch = Branch::genesis(mainnet());
    let genesis = headers[0];
    let equal = child(&genesis, genesis.time, genesis.bits);
    assert_eq!(
        violation(&branch, equal),
        Some(Violation::TimeTooOld { median: genesis.time, got: genesis.time })
    );
    let second = child(&genesis, genesis.time + 100, genesis.bits);
    let (_, rejection) = branch.extend(LinkedBatch::without_work(vec![second]), u32::MAX);
    assert_eq!(rejection, None);
    assert_eq!(branch.median_time_past(), genesis.time + 100);
}

#[test]
fn a_time_may_be_7200_seconds_ahead_and_not_7201() {
    let chain = Synthetic::steady(Network::Mainnet, 300_000, HARDER);
    let tip = *chain.tip();
    let (now, latest) = (tip.time, tip.time + MAX_FUTURE_SECS);
    let batch = |time| LinkedBatch::without_work(vec![child(&tip, time, HARDER)]);
    let (checked, rejection) = chain.branch().extend(batch(latest), now);
    assert_eq!((checked.len(), rejection), (1, None));
    let (checked, rejection) = chain.branch().extend(batch(latest + 1), now);
    assert!(checked.is_empty());
    let rejection = rejection.unwrap();
    assert!(!rejection.violation.is_permanent());
    assert_eq!(
        rejection.to_string(),
        format!(
            "height 300001: time-too-new: expected time not after {latest}, got {} (header {})",
            latest + 1,
            rejection.hash
        )
    );
    let (checked, rejection) = chain.branch().extend(batch(latest + 1), now + 1);
    assert_eq!((checked.len(), rejection), (1, None), "it was only too early");
}

#[test]
fn a_clock_at_the_end_of_32_bits_refuses_no_time() {
    let chain = Synthetic::steady(Network::Mainnet, 300_000, HARDER);
    let header = child(chain.tip(), u32::MAX, HARDER);
    assert_eq!(violation(&chain.branch(), header), None);
}

#[test]
fn a_timewarp_names_the_earliest_time() {
    let chain = Synthetic::steady(Network::Testnet4, 2016 * 6 - 1, 0x1d00_ffff);
    let tip = *chain.tip();
    let bits = required_bits(&chain.branch(), 0);
    assert_eq!(
        line_of(&chain.branch(), child(&tip, tip.time - 601, bits)),
        format!(
            "height 12096: time-timewarp-attack: expected time not before {}, got {} (header H)",
            tip.time - 600,
            tip.time - 601
        )
    );
}

#[test]
fn each_version_retires_at_its_height_and_not_before() {
    for (height, lowest) in [(227_931, 2), (363_725, 3), (388_381, 4)] {
        let before = Synthetic::steady(Network::Mainnet, height - 2, HARDER);
        let at = Synthetic::steady(Network::Mainnet, height - 1, HARDER);
        let with = |chain: &Synthetic, version| {
            let tip = *chain.tip();
            Header { version, ..child(&tip, tip.time + 600, HARDER) }
        };
        assert_eq!(violation(&before.branch(), with(&before, lowest - 1)), None, "{height}");
        assert_eq!(violation(&at.branch(), with(&at, lowest)), None, "{height}");
        assert_eq!(violation(&at.branch(), with(&at, i32::MAX)), None, "{height}");
        let got = lowest - 1;
        assert_eq!(
            line_of(&at.branch(), with(&at, got)),
            format!(
                "height {height}: bad-version: expected version at least {lowest}, \
                 got {got} (header H)"
            )
        );
        for got in [i32::MIN, -1, i32::MIN | 0x2000_0004, 0] {
            assert_eq!(
                violation(&at.branch(), with(&at, got)),
                Some(Violation::BadVersion { lowest, got })
            );
        }
    }
}

#[test]
fn before_bip34_any_version_is_valid() {
    let chain = Synthetic::steady(Network::Mainnet, 100_000, HARDER);
    for version in [0, 1, -1, i32::MIN] {
        let header = Header { version, ..child(chain.tip(), chain.tip().time + 600, HARDER) };
        assert_eq!(violation(&chain.branch(), header), None, "version {version}");
    }
}

#[test]
fn of_several_broken_rules_the_first_in_bitcoin_cores_order_is_named() {
    let chain = Synthetic::steady(Network::Testnet4, 2016 * 6 - 1, 0x1d00_ffff);
    let (branch, tip) = (chain.branch(), *chain.tip());
    let bits = required_bits(&branch, 0);
    let rule = |header: Header, now: u32| {
        let batch = LinkedBatch::without_work(vec![header]);
        branch.clone().extend(batch, now).1.unwrap().violation.rule()
    };
    let mut header = Header { version: 1, ..child(&tip, branch.median_time_past(), bits + 1) };
    let late = tip.time - 20_000;
    assert_eq!(rule(Header { prev: BlockHash::ZERO, ..header }, late), "prev-blk-not-found");
    assert_eq!(rule(header, late), "bad-diffbits");
    header.bits = bits;
    assert_eq!(rule(header, late), "time-too-old");
    header.time += 1;
    assert_eq!(rule(header, late), "time-timewarp-attack");
    header.time = tip.time;
    assert_eq!(rule(header, late), "time-too-new");
    assert_eq!(rule(header, tip.time), "bad-version");
}

#[test]
fn the_good_headers_before_a_bad_one_are_kept() {
    let chain = Synthetic::steady(Network::Mainnet, 300_000, HARDER);
    let mut branch = chain.branch();
    let mut headers = vec![*chain.tip()];
    for _ in 0..5 {
        let parent = headers[headers.len() - 1];
        headers.push(child(&parent, parent.time + 600, HARDER));
    }
    headers[4] = child(&headers[3], headers[3].time + 600, HARDER - 1);
    headers[5] = child(&headers[4], headers[4].time + 600, HARDER);
    let batch = LinkedBatch::without_work(headers[1..].to_vec());
    let (parent, work) = (branch.hash(), branch.chainwork().clone());
    let (checked, rejection) = branch.extend(batch, u32::MAX);
    assert_eq!(checked.headers(), &headers[1..4]);
    assert_eq!((checked.first_height(), checked.prev()), (300_001, parent));
    assert_eq!(checked.parent_work(), &work);
    let rejection = rejection.unwrap();
    assert_eq!((rejection.height, rejection.hash), (300_004, headers[4].hash()));
    assert_eq!((branch.height(), branch.hash()), (300_003, headers[3].hash()));
    let again = LinkedBatch::without_work(vec![child(&headers[3], headers[3].time + 1, HARDER)]);
    assert_eq!(branch.extend(again, u32::MAX).1, None, "the branch goes on from there");
}

#[test]
fn only_adjacent_runs_can_be_appended() {
    let headers = mainnet_first();
    let mut branch = Branch::genesis(mainnet());
    let mut run = |range: Range<usize>| {
        let (batch, _) = link_batch(mainnet(), headers[range].to_vec());
        branch.extend(batch, u32::MAX).0
    };
    let (mut first, second, third) = (run(1..4), run(4..6), run(6..9));
    assert_eq!(first.append(third.clone()), Err(third.clone()), "the second run is missing");
    assert_eq!(first.append(second), Ok(()));
    assert_eq!(first.append(third), Ok(()));
    assert_eq!((first.headers(), first.first_height()), (&headers[1..9], 1));
    assert_eq!(first.hashes().len(), 8);
    let mut empty = run(9..9);
    let next = run(9..10);
    assert_eq!(empty.append(next.clone()), Ok(()));
    assert_eq!(empty, next);
}

#[test]
fn only_a_header_ahead_of_the_clock_becomes_valid_as_time_passes() {
    let too_new = Violation::TimeTooNew { latest: 1, got: 2 };
    assert!(!too_new.is_permanent());
    let permanent = [
        Violation::BadTarget { bits: 0, error: TargetError::Zero },
        Violation::AboveLimit { limit_bits: 1, bits: 2 },
        Violation::HighHash { target: mainnet().pow_limit, hash: BlockHash::ZERO },
        Violation::PrevBlkNotFound { expected: BlockHash::ZERO, got: BlockHash::ZERO },
        Violation::BadDiffbits { expected: 1, got: 2 },
        Violation::TimeTooOld { median: 1, got: 1 },
        Violation::Timewarp { earliest: 2, got: 1 },
        Violation::BadVersion { lowest: 2, got: 1 },
    ];
    assert!(permanent.iter().all(Violation::is_permanent));
}
