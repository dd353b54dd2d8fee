//! The verdict of the library on each header that arrives, as Bitcoin Core would word it, and the tree that follows from it.

use lightclient::chain::{Branch, Params, Rejection, Violation, link_batch, params};
use lightclient::primitives::{BlockHash, Header, Network, Work};
use std::collections::{BTreeSet, HashMap};

/// The verdict on a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was not known before, and breaks no rule.
    New,
    /// It was known.
    Known,
    /// It breaks a rule.
    Refused(Rejection),
}

impl Verdict {
    /// Returns Bitcoin Core's reject reason, or `None` for a header that it takes.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::Refused(rejection) => Some(reason(&rejection.violation)),
            Self::New | Self::Known => None,
        }
    }

    /// Returns whether the header was refused only because its parent is not known.
    pub(super) fn is_orphan(&self) -> bool {
        self.reason().is_some_and(|reason| reason == "prev-blk-not-found")
    }
}

/// Returns Bitcoin Core's reject reason: the name of the rule, with the version if that is to blame.
fn reason(violation: &Violation) -> String {
    match violation {
        Violation::BadVersion { got, .. } => format!("{}(0x{got:08x})", violation.rule()),
        _ => violation.rule().to_owned(),
    }
}

/// Every header that was taken, with the state of its branch. Of two tips with equal work, the first one is the best.
#[derive(Debug)]
pub(super) struct Judge {
    params: &'static Params,
    now: u32,
    known: HashMap<BlockHash, (Header, Branch)>,
    /// The hashes of `known`, in the order of arrival.
    order: Vec<BlockHash>,
    best: BlockHash,
}

impl Judge {
    /// Makes a judge that knows genesis. `now` is its clock, in Unix seconds.
    pub(super) fn new(params: &'static Params, now: u32) -> Self {
        let (genesis, best) = (params.genesis, params.genesis.hash());
        let known = HashMap::from([(best, (genesis, Branch::genesis(params)))]);
        Self { params, now, known, order: vec![best], best }
    }

    /// Judges a header, and takes it if it breaks no rule.
    pub(super) fn judge(&mut self, header: &Header) -> Verdict {
        let hash = header.hash();
        if self.known.contains_key(&hash) {
            return Verdict::Known;
        }
        let parent = self.known.get(&header.prev).map(|(_, branch)| branch.clone());
        let height = parent.as_ref().map_or(0, Branch::height) + 1;
        let (batch, fault) = link_batch(self.params, vec![*header]);
        if let Some(fault) = fault {
            return Verdict::Refused(fault.at(height));
        }
        let Some(mut branch) = parent else {
            let violation = Violation::PrevBlkNotFound { expected: self.best, got: header.prev };
            return Verdict::Refused(Rejection { height, hash, violation });
        };
        if let (_, Some(rejection)) = branch.extend(batch, self.now) {
            return Verdict::Refused(rejection);
        }
        if branch.chainwork() > self.best().chainwork() {
            self.best = hash;
        }
        self.known.insert(hash, (*header, branch));
        self.order.push(hash);
        Verdict::New
    }

    /// Returns the clock that the headers are held to.
    pub(super) fn now(&self) -> u32 {
        self.now
    }

    /// Returns the parameters.
    pub(super) fn params(&self) -> &'static Params {
        self.params
    }

    /// Returns the end of the branch with the most work, and of several such the one that came first.
    pub(super) fn best(&self) -> &Branch {
        &self.known[&self.best].1
    }

    /// Returns the state of the branch that ends with a known header.
    pub(super) fn branch(&self, hash: &BlockHash) -> Option<&Branch> {
        self.known.get(hash).map(|(_, branch)| branch)
    }

    /// Returns a known header.
    pub(super) fn header(&self, hash: &BlockHash) -> Option<&Header> {
        self.known.get(hash).map(|(header, _)| header)
    }

    /// Returns the hashes of the known headers, in the order of arrival.
    pub(super) fn order(&self) -> &[BlockHash] {
        &self.order
    }

    /// Returns the headers from genesis to a known one.
    pub(super) fn path(&self, end: &BlockHash) -> Vec<Header> {
        let (mut path, mut at) = (Vec::new(), *end);
        while let Some((header, _)) = self.known.get(&at) {
            path.push(*header);
            at = header.prev;
        }
        path.reverse();
        path
    }

    /// Returns the known headers that no known header follows, with the work of their branches.
    pub(super) fn tips(&self) -> BTreeSet<(BlockHash, String)> {
        tips(self.known.values().map(|(header, branch)| (header, branch.chainwork().clone())))
    }
}

/// Returns the headers that none of the others follows, with the work of their branches as hex digits.
pub(super) fn tips<'a>(
    headers: impl Iterator<Item = (&'a Header, Work)> + Clone,
) -> BTreeSet<(BlockHash, String)> {
    let parents: BTreeSet<BlockHash> = headers.clone().map(|(header, _)| header.prev).collect();
    let ends = headers.map(|(header, work)| (header.hash(), work.to_string()));
    ends.filter(|(hash, _)| !parents.contains(hash)).collect()
}

/// Returns the parameters of regtest with other heights for BIP34, BIP66 and BIP65, and with BIP94: those of a bitcoind with
/// `-testactivationheight` and `-test=bip94`.
pub(super) fn regtest_with([bip34, bip66, bip65]: [u32; 3]) -> &'static Params {
    let regtest = params(Network::Regtest);
    // The parameters of a custom signet can be had as a value of one's own, and have no minimum chain work.
    let mut other = Params::signet(&[0x51]);
    other.network = regtest.network;
    other.genesis = regtest.genesis;
    other.pow_limit = regtest.pow_limit;
    other.pow_limit_bits = regtest.pow_limit_bits;
    (other.timespan, other.interval) = (regtest.timespan, regtest.interval);
    (other.min_difficulty, other.no_retarget) = (regtest.min_difficulty, regtest.no_retarget);
    other.bip94 = true;
    (other.bip34_height, other.bip66_height, other.bip65_height) = (bip34, bip66, bip65);
    Box::leak(Box::new(other))
}
