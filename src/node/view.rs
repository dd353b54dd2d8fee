//! A header as Bitcoin Core's `getblockheader` shows it.

use super::lookup::SideHeader;
use crate::chain::{MEDIAN_TIME_SPAN, median_time_past};
use crate::primitives::{BlockHash, Header, Target, Work};
use crate::store::StoredRun;
use serde::{Deserialize, Serialize, Serializer};

/// How many headers before the first one [`header_infos`] needs for its median time.
pub const CONTEXT: u32 = 10;

const _: () = assert!(CONTEXT as usize == MEDIAN_TIME_SPAN - 1);

/// The keys of `getblockheader` (verbose), in its order; hashes, target and work are hex in display order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeaderInfo {
    /// Hash of the header.
    pub hash: String,
    /// Headers on the active chain from this one to the tip, both included; -1 beside the active chain.
    pub confirmations: i64,
    /// Height of the header.
    pub height: u32,
    /// Version as a signed number.
    pub version: i32,
    /// Version as eight hex digits.
    #[serde(rename = "versionHex")]
    pub version_hex: String,
    /// Root of the transactions' merkle tree.
    pub merkleroot: String,
    /// Time in Unix seconds, as the miner claims.
    pub time: u32,
    /// Median time past in Unix seconds.
    pub mediantime: u32,
    /// Nonce.
    pub nonce: u32,
    /// Compact target as eight hex digits.
    pub bits: String,
    /// Target, 64 hex digits.
    pub target: String,
    /// How much harder than difficulty 1.
    #[serde(serialize_with = "serialize_difficulty")]
    pub difficulty: f64,
    /// Work of the chain up to this header, 64 hex digits.
    pub chainwork: String,
    /// How many transactions its block has; none where only the header is there.
    #[serde(rename = "nTx", default, skip_serializing_if = "Option::is_none")]
    pub transaction_count: Option<usize>,
    /// Hash of the parent; none at genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previousblockhash: Option<String>,
    /// Hash of the next header of the active chain; none at its tip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nextblockhash: Option<String>,
}

impl HeaderInfo {
    /// The view of a header beside the active chain.
    pub fn of_side(side: &SideHeader) -> Self {
        let step = Step::of(side.header.bits);
        let mut info = Self::new(&side.header, &side.header.hash(), side.height, &step);
        info.confirmations = -1;
        info.mediantime = side.median_time;
        info.chainwork = side.chainwork.to_string();
        info
    }

    /// What the header says by itself.
    fn new(header: &Header, hash: &BlockHash, height: u32, step: &Step) -> Self {
        Self {
            hash: hash.to_string(),
            confirmations: 0,
            height,
            version: header.version,
            version_hex: format!("{:08x}", header.version),
            merkleroot: header.merkle_root.to_string(),
            time: header.time,
            mediantime: 0,
            nonce: header.nonce,
            bits: format!("{:08x}", header.bits),
            target: step.target.clone(),
            difficulty: step.difficulty,
            chainwork: String::new(),
            transaction_count: None,
            previousblockhash: (height > 0).then(|| header.prev.to_string()),
            nextblockhash: None,
        }
    }
}

/// What follows from bits alone: they rarely change from one header to the next.
struct Step {
    bits: u32,
    work: Work,
    target: String,
    difficulty: f64,
}

impl Step {
    fn of(bits: u32) -> Self {
        let target = Target::from_bits(bits);
        Self {
            bits,
            work: Work::of_bits(bits),
            target: target.map_or_else(|_| "0".repeat(64), |target| target.to_string()),
            difficulty: sixteen_digits(difficulty(bits)),
        }
    }
}

/// A stored header, and what follows from the headers before it.
#[derive(Clone, Debug)]
pub struct HeaderFacts<'a> {
    /// Height of the header.
    pub height: u32,
    /// The header.
    pub header: &'a Header,
    /// Its hash.
    pub hash: &'a BlockHash,
    /// Median time past in Unix seconds.
    pub median_time: u32,
    /// How much harder than difficulty 1.
    pub difficulty: f64,
    /// Work of the chain up to this header.
    pub chainwork: Work,
}

/// The facts of a run's headers at heights `from..=to`; the run starts [`CONTEXT`] headers before `from`, or at genesis.
pub(super) fn header_facts(run: &StoredRun, from: u32, to: u32) -> Vec<HeaderFacts<'_>> {
    let mut facts = Vec::new();
    let mut chainwork = run.parent_work.clone();
    let mut step = Step::of(0);
    let times: Vec<u32> = run.headers.iter().map(|header| header.time).collect();
    for (at, (header, hash)) in run.headers.iter().zip(&run.hashes).enumerate() {
        let height = run.first_height + u32::try_from(at).unwrap_or(u32::MAX);
        if height > to {
            break;
        }
        if step.bits != header.bits {
            step = Step::of(header.bits);
        }
        chainwork += &step.work;
        if height < from {
            continue;
        }
        let (difficulty, chainwork) = (step.difficulty, chainwork.clone());
        let median_time = median_time_past(&times[..=at]);
        facts.push(HeaderFacts { height, header, hash, median_time, difficulty, chainwork });
    }
    facts
}

/// The views of a run's headers at heights `from..=to`.
///
/// The run starts [`CONTEXT`] headers before `from` (or at genesis) and ends one after `to`, or at `to`
/// where that is the tip; `tip` is the tip's height.
pub fn header_infos(run: &StoredRun, tip: u32, from: u32, to: u32) -> Vec<HeaderInfo> {
    let mut step = Step::of(0);
    let view = |facts: HeaderFacts<'_>| {
        if step.bits != facts.header.bits {
            step = Step::of(facts.header.bits);
        }
        let mut info = HeaderInfo::new(facts.header, facts.hash, facts.height, &step);
        info.confirmations = i64::from(tip) - i64::from(facts.height) + 1;
        info.mediantime = facts.median_time;
        info.chainwork = facts.chainwork.to_string();
        let next = usize::try_from(facts.height - run.first_height + 1).unwrap_or(usize::MAX);
        info.nextblockhash = run.hashes.get(next).map(BlockHash::to_string);
        info
    };
    header_facts(run, from, to).into_iter().map(view).collect()
}

/// How many times harder than the easiest target of mainnet.
///
/// Bitcoin Core `GetDifficulty`: the same steps in the same order, so that the same digits come out.
pub fn difficulty(bits: u32) -> f64 {
    let mantissa = bits & 0x00ff_ffff;
    let mut difficulty = f64::from(0x0000_ffff) / f64::from(mantissa);
    let mut exponent = bits >> 24;
    while exponent < 29 {
        difficulty *= 256.0;
        exponent += 1;
    }
    while exponent > 29 {
        difficulty /= 256.0;
        exponent -= 1;
    }
    difficulty
}

/// The number that Bitcoin Core prints: it writes 16 significant digits, one less than can be needed.
pub fn sixteen_digits(value: f64) -> f64 {
    format!("{value:.15e}").parse().unwrap_or(value)
}

/// Serializes a difficulty as Bitcoin Core prints it: 1, not 1.0, which JSON libraries tell apart.
///
/// # Errors
/// The serializer's own.
pub fn serialize_difficulty<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let text = value.to_string();
    match text.parse::<u64>() {
        Ok(whole) if text.len() <= 16 => serializer.serialize_u64(whole),
        _ => serializer.serialize_f64(*value),
    }
}

#[cfg(test)]
mod tests {
    use super::{HeaderInfo, difficulty, header_infos, sixteen_digits};
    use crate::chain::params;
    use crate::primitives::{Network, Work};
    use crate::store::StoredRun;

    #[test]
    fn difficulty_has_the_digits_that_bitcoin_core_prints() {
        for (bits, printed) in [
            (0x1d00_ffff, "1"),
            (0x1d00_d86a, "1.182899534312841"),
            (0x207f_ffff, "4.656542373906925e-10"),
            (0x1705_ae3a, "49549703178592.68"),
            (0x1b04_04cb, "16307.42093852398"),
        ] {
            let value = sixteen_digits(difficulty(bits));
            assert_eq!(value, printed.parse::<f64>().unwrap(), "{bits:08x}");
        }
    }

    fn genesis_info(tip: u32) -> HeaderInfo {
        let header = params(Network::Mainnet).genesis;
        let run = StoredRun {
            first_height: 0,
            parent_work: Work::default(),
            headers: vec![header],
            hashes: vec![header.hash()],
        };
        header_infos(&run, tip, 0, 0).remove(0)
    }

    #[test]
    fn genesis_reads_as_getblockheader_prints_it() {
        let expected = serde_json::json!({
            "hash": "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            "confirmations": 1,
            "height": 0,
            "version": 1,
            "versionHex": "00000001",
            "merkleroot": "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
            "time": 1_231_006_505,
            "mediantime": 1_231_006_505,
            "nonce": 2_083_236_893,
            "bits": "1d00ffff",
            "target": "00000000ffff0000000000000000000000000000000000000000000000000000",
            "difficulty": 1,
            "chainwork": "0000000000000000000000000000000000000000000000000000000100010001",
        });
        assert_eq!(serde_json::to_value(genesis_info(0)).unwrap(), expected);
        assert_eq!(genesis_info(9).confirmations, 10);
    }

    #[test]
    fn an_object_reads_back_as_it_was() {
        let info = genesis_info(3);
        let text = serde_json::to_string(&info).unwrap();
        assert_eq!(serde_json::from_str::<HeaderInfo>(&text).unwrap(), info);
    }
}
