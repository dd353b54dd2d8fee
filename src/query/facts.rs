//! Computes the values of a stored header that depend on the headers before it.

use super::lookup::SideHeader;
use crate::chain::{MEDIAN_TIME_SPAN, median_time_past};
use crate::core_json::{BitsInfo, HeaderInfo};
use crate::primitives::{BlockHash, Header, Work, hex};
use crate::store::StoredRun;
use std::sync::Arc;

/// The median time past of a header needs this many headers before it.
pub(super) const CONTEXT: u32 = 10;

const _: () = assert!(CONTEXT as usize == MEDIAN_TIME_SPAN - 1);

/// A stored header, and the values that follow from it and from the headers before it.
#[derive(Clone, Debug)]
pub(crate) struct HeaderFacts<'a> {
    /// Height of the header.
    pub height: u32,
    /// The header.
    pub header: &'a Header,
    /// Hash of the header.
    pub hash: &'a BlockHash,
    /// Median time past in Unix seconds.
    pub median_time: u32,
    /// The work, target and difficulty that the header's bits stand for.
    pub bits: Arc<BitsInfo>,
    /// Work of the chain up to and including this header.
    pub chainwork: Work,
}

/// Returns the facts for the headers of a run at heights `from..=to`.
///
/// The run starts [`CONTEXT`] headers before `from`, or at genesis.
pub(super) fn header_facts(run: &StoredRun, from: u32, to: u32) -> Vec<HeaderFacts<'_>> {
    let mut facts = Vec::new();
    let mut chainwork = run.parent_work.clone();
    let Some(first) = run.headers.first() else { return facts };
    let mut bits = BitsInfo::cached(first.bits);
    let times: Vec<u32> = run.headers.iter().map(|header| header.time).collect();
    for (at, (header, hash)) in run.headers.iter().zip(&run.hashes).enumerate() {
        let height = run.first_height + u32::try_from(at).unwrap_or(u32::MAX);
        if height > to {
            break;
        }
        if bits.bits != header.bits {
            bits = BitsInfo::cached(header.bits);
        }
        chainwork += &bits.work;
        if height < from {
            continue;
        }
        let (bits, chainwork) = (Arc::clone(&bits), chainwork.clone());
        let median_time = median_time_past(&times[..=at]);
        facts.push(HeaderFacts { height, header, hash, median_time, bits, chainwork });
    }
    facts
}

/// Returns what `getblockheader` prints, except `nTx`, for the headers of a run at heights `from..=to`. `tip` is the
/// height of the tip.
///
/// The run starts [`CONTEXT`] headers before `from`, or at genesis. It ends with the header after `to`, or at the tip.
pub(super) fn header_infos(run: &StoredRun, tip: u32, from: u32, to: u32) -> Vec<HeaderInfo> {
    let info = |facts: HeaderFacts<'_>| {
        let next = usize::try_from(facts.height - run.first_height + 1).unwrap_or(usize::MAX);
        HeaderInfo {
            confirmations: i64::from(tip) - i64::from(facts.height) + 1,
            mediantime: facts.median_time,
            chainwork: hex::encode(&facts.chainwork.to_be_bytes()),
            nextblockhash: run.hashes.get(next).map(|hash| hex::encode_reversed(&hash.0)),
            ..HeaderInfo::new(facts.header, facts.hash, facts.height, &facts.bits)
        }
    };
    header_facts(run, from, to).into_iter().map(info).collect()
}

impl SideHeader {
    /// Returns what `getblockheader` prints for the header.
    pub(crate) fn info(&self) -> HeaderInfo {
        let bits = BitsInfo::cached(self.header.bits);
        HeaderInfo {
            confirmations: -1,
            mediantime: self.median_time,
            chainwork: self.chainwork.to_string(),
            ..HeaderInfo::new(&self.header, &self.header.hash(), self.height, &bits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::header_infos;
    use crate::chain::params;
    use crate::core_json::HeaderInfo;
    use crate::primitives::{Network, Work};
    use crate::store::StoredRun;

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
    fn genesis_is_shown_as_by_getblockheader_except_n_tx() {
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
    fn the_json_of_a_header_can_be_read_back() {
        let info = genesis_info(3);
        let text = serde_json::to_string(&info).unwrap();
        assert_eq!(serde_json::from_str::<HeaderInfo>(&text).unwrap(), info);
    }
}
