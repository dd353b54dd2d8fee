//! Selects the transactions to show.

use crate::cli::CliError;
use crate::core_json::Amount;
use crate::primitives::Network;
use crate::script::script_of_address;
use crate::wire::TxView;
use std::collections::HashSet;

/// The conditions that a transaction must meet to be shown.
#[derive(Debug)]
pub(super) struct Filter {
    min_amount: Option<Amount>,
    /// The scripts of the given addresses. An output must have one of these scripts, unless the set is empty.
    scripts: HashSet<Vec<u8>>,
}

impl Filter {
    /// Makes a filter from a minimum amount and addresses.
    ///
    /// # Errors
    /// One of `addresses` is no address of the network.
    pub(super) fn new(
        min_amount: Option<Amount>,
        addresses: &[String],
        network: Network,
    ) -> Result<Self, CliError> {
        let script = |address: &String| script_of_address(address, network);
        let scripts: Result<_, _> = addresses.iter().map(script).collect();
        let scripts = scripts.map_err(|error| CliError::Usage(format!("--address: {error}")))?;
        Ok(Self { min_amount, scripts })
    }

    /// Returns whether to show a transaction.
    pub(super) fn matches(&self, transaction: TxView<'_>) -> bool {
        let outputs = transaction.outputs();
        let amount = || Amount::sum(outputs.clone().map(|output| Amount(output.value)));
        self.min_amount.is_none_or(|min| amount() >= min)
            && (self.scripts.is_empty()
                || outputs.clone().any(|output| self.scripts.contains(output.script_pubkey)))
    }
}
