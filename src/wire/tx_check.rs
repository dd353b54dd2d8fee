//! The rules for a transaction alone, whatever coins it spends and whatever block it is in.

use super::tx::{TxView, WITNESS_SCALE_FACTOR};
use super::tx_parts::OutPoint;

/// Most weight units of a block, and so of a transaction. Source: Bitcoin Core `MAX_BLOCK_WEIGHT`.
pub const MAX_BLOCK_WEIGHT: usize = 4_000_000;

/// All the satoshi that there can ever be, rounded up to whole coins. Source: Bitcoin Core `MAX_MONEY`.
pub const MAX_MONEY: i64 = 2_100_000_000_000_000;

/// Fewest and most bytes of a coinbase's script.
const COINBASE_SCRIPT: std::ops::RangeInclusive<usize> = 2..=100;

/// Why a transaction is invalid in any block. Amounts are in satoshi, positions count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTx {
    /// The transaction has no inputs.
    #[error("at least one input expected, got none")]
    NoInputs,
    /// The transaction has no outputs.
    #[error("at least one output expected, got none")]
    NoOutputs,
    /// The transaction weighs more than a block may, even without witnesses.
    #[error("a weight of at most {MAX_BLOCK_WEIGHT} without witnesses expected, got {got}")]
    Oversize {
        /// Its weight without witnesses, in weight units.
        got: usize,
    },
    /// An output's amount is negative.
    #[error("an amount of 0 or more expected, got {got} satoshi in output {position}")]
    NegativeAmount {
        /// The output.
        position: usize,
        /// Its amount.
        got: i64,
    },
    /// An output's amount is greater than all coins together.
    #[error("an amount of at most {MAX_MONEY} satoshi expected, got {got} in output {position}")]
    AmountTooLarge {
        /// The output.
        position: usize,
        /// Its amount.
        got: i64,
    },
    /// The amounts of the outputs are together greater than all coins.
    #[error("amounts of at most {MAX_MONEY} satoshi together expected, got {got}")]
    TotalTooLarge {
        /// The sum up to the first output with which the sum is too large.
        got: i64,
    },
    /// Two inputs spend the same output (CVE-2018-17144).
    #[error("a different output expected in each input, got {outpoint} twice")]
    DuplicateInput {
        /// The output.
        outpoint: OutPoint,
    },
    /// The transaction is a coinbase, and its script is too short or too long.
    #[error("a coinbase's script of 2 to 100 bytes expected, got {got}")]
    CoinbaseScript {
        /// Its length in bytes.
        got: usize,
    },
    /// One of several inputs spends nothing, as only the single input of a coinbase may.
    #[error(
        "a null outpoint expected only in a coinbase's single input, got one in input {position}"
    )]
    NullInput {
        /// The input.
        position: usize,
    },
}

impl InvalidTx {
    /// Returns Bitcoin Core's name of the rule.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NoInputs => "bad-txns-vin-empty",
            Self::NoOutputs => "bad-txns-vout-empty",
            Self::Oversize { .. } => "bad-txns-oversize",
            Self::NegativeAmount { .. } => "bad-txns-vout-negative",
            Self::AmountTooLarge { .. } => "bad-txns-vout-toolarge",
            Self::TotalTooLarge { .. } => "bad-txns-txouttotal-toolarge",
            Self::DuplicateInput { .. } => "bad-txns-inputs-duplicate",
            Self::CoinbaseScript { .. } => "bad-cb-length",
            Self::NullInput { .. } => "bad-txns-prevout-null",
        }
    }
}

impl TxView<'_> {
    /// Checks the rules that need neither coins nor signatures.
    ///
    /// Source: Bitcoin Core `CheckTransaction` (`consensus/tx_check.cpp`), in its order.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), InvalidTx> {
        if self.inputs().len() == 0 {
            return Err(InvalidTx::NoInputs);
        }
        if self.outputs().len() == 0 {
            return Err(InvalidTx::NoOutputs);
        }
        let got = self.stripped_size() * WITNESS_SCALE_FACTOR;
        if got > MAX_BLOCK_WEIGHT {
            return Err(InvalidTx::Oversize { got });
        }
        self.check_amounts()?;
        self.check_inputs()
    }

    fn check_amounts(&self) -> Result<(), InvalidTx> {
        let mut total = 0;
        for (position, output) in self.outputs().enumerate() {
            let got = output.value;
            if got < 0 {
                return Err(InvalidTx::NegativeAmount { position, got });
            }
            if got > MAX_MONEY {
                return Err(InvalidTx::AmountTooLarge { position, got });
            }
            // This cannot overflow, since neither summand is above MAX_MONEY.
            total += got;
            if total > MAX_MONEY {
                return Err(InvalidTx::TotalTooLarge { got: total });
            }
        }
        Ok(())
    }

    fn check_inputs(&self) -> Result<(), InvalidTx> {
        let mut inputs = self.inputs();
        if inputs.len() == 1 {
            let coinbase = inputs.next().filter(|input| input.previous == OutPoint::NULL);
            let script = coinbase.map(|input| input.script_sig.len());
            let wrong = script.filter(|length| !COINBASE_SCRIPT.contains(length));
            return wrong.map_or(Ok(()), |got| Err(InvalidTx::CoinbaseScript { got }));
        }
        let spent: Vec<OutPoint> = inputs.map(|input| input.previous).collect();
        let mut sorted = spent.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(InvalidTx::DuplicateInput { outpoint: pair[0] });
        }
        let null = spent.iter().position(|outpoint| *outpoint == OutPoint::NULL);
        null.map_or(Ok(()), |position| Err(InvalidTx::NullInput { position }))
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidTx, MAX_MONEY, OutPoint};
    use crate::primitives::Txid;
    use crate::wire::{Block, Transaction};
    use bitcoin::consensus::serialize;
    use bitcoin::hashes::Hash;
    use bitcoin::{Amount, ScriptBuf, Sequence, TxIn, TxOut, Witness};

    fn spending(txid: u8, vout: u32, script: usize) -> TxIn {
        TxIn {
            previous_output: bitcoin::OutPoint {
                txid: bitcoin::Txid::from_byte_array([txid; 32]),
                vout,
            },
            script_sig: ScriptBuf::from(vec![0x51; script]),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }
    }

    fn check(input: Vec<TxIn>, amounts: &[i64], script: usize) -> Result<(), InvalidTx> {
        let output = |amount: &i64| TxOut {
            value: Amount::from_sat(amount.cast_unsigned()),
            script_pubkey: ScriptBuf::from(vec![0x6a; script]),
        };
        let transaction = bitcoin::Transaction {
            version: bitcoin::transaction::Version::TWO,
            lock_time: bitcoin::absolute::LockTime::ZERO,
            input,
            output: amounts.iter().map(output).collect(),
        };
        Transaction::decode(serialize(&transaction)).unwrap().view().check()
    }

    #[test]
    fn every_transaction_of_a_real_block_keeps_the_rules() {
        let block = include_bytes!("../../fixtures/mainnet-0831332.bin");
        let block = Block::decode(block.to_vec()).unwrap();
        assert!(block.transactions().all(|transaction| transaction.check() == Ok(())));
    }

    #[test]
    fn amounts_are_from_0_to_max_money_each_and_together() {
        let one = || vec![spending(1, 0, 0)];
        assert_eq!(check(one(), &[], 1), Err(InvalidTx::NoOutputs));
        assert_eq!(check(one(), &[0, MAX_MONEY, 0], 1), Ok(()));
        let fault = InvalidTx::NegativeAmount { position: 1, got: -1 };
        assert_eq!(check(one(), &[5, -1], 1), Err(fault));
        for got in [MAX_MONEY + 1, i64::MAX] {
            let fault = InvalidTx::AmountTooLarge { position: 0, got };
            assert_eq!(check(one(), &[got], 1), Err(fault));
        }
        let fault = InvalidTx::TotalTooLarge { got: MAX_MONEY + 2 };
        assert_eq!(check(one(), &[2, MAX_MONEY, 7], 1), Err(fault));
    }

    #[test]
    fn no_output_is_spent_twice_and_only_a_coinbase_spends_nothing() {
        let many = |more: TxIn| (0..1000).map(|at| spending(1, at, 0)).chain([more]).collect();
        assert_eq!(check(many(spending(2, 0, 0)), &[1], 1), Ok(()));
        let outpoint = OutPoint { txid: Txid([1; 32]), vout: 500 };
        let fault = Err(InvalidTx::DuplicateInput { outpoint });
        assert_eq!(check(many(spending(1, 500, 0)), &[1], 1), fault);
        let fault = Err(InvalidTx::NullInput { position: 1000 });
        assert_eq!(check(many(spending(0, u32::MAX, 0)), &[1], 1), fault);
        assert_eq!(check(many(spending(0, 7, 0)), &[1], 1), Ok(()));
        for (length, expected) in [(1, false), (2, true), (100, true), (101, false)] {
            let fault = Err(InvalidTx::CoinbaseScript { got: length });
            let expected = if expected { Ok(()) } else { fault };
            assert_eq!(check(vec![spending(0, u32::MAX, length)], &[1], 1), expected);
        }
    }

    #[test]
    fn a_transaction_has_to_fit_in_a_block_without_its_witnesses() {
        let one = || vec![spending(1, 0, 0)];
        // There are 64 bytes beside the script; its length takes 5 of them.
        assert_eq!(check(one(), &[1], 1_000_000 - 64), Ok(()));
        let fault = Err(InvalidTx::Oversize { got: 4_000_004 });
        assert_eq!(check(one(), &[1], 1_000_000 - 63), fault);
    }
}
