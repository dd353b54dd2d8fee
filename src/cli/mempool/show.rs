//! Formats transactions and blocks as text or JSON.

use crate::cli::tx_text::describe;
use crate::core_json::{Amount, TxInfo};
use crate::format;
use crate::node::mempool::MempoolEvent;
use crate::output::FieldList;
use crate::primitives::Network;
use crate::script::ScriptKind;
use crate::wire::TxView;
use serde::Serialize;
use std::fmt::Write;

/// The note on a transaction that was shown before.
const OTHER_WITNESS: &str = "(came before with other witnesses)";

/// The form of the output.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShowOptions {
    /// Whether to print JSON.
    pub(super) json: bool,
    /// Whether to use colours.
    pub(super) color: bool,
    /// Whether to show all fields.
    pub(super) full: bool,
}

/// What `mempool --json` prints for a transaction.
#[derive(Serialize)]
struct SeenTx {
    /// When the transaction came, in Unix seconds.
    time: u64,
    #[serde(flatten)]
    info: TxInfo,
}

/// Formats transactions and blocks as the options ask.
#[derive(Debug)]
pub(super) struct TxFormatter {
    network: Network,
    options: ShowOptions,
}

impl TxFormatter {
    pub(super) fn new(network: Network, options: ShowOptions) -> Self {
        Self { network, options }
    }

    pub(super) fn is_json(&self) -> bool {
        self.options.json
    }

    /// Returns the text for a transaction: a line, a paragraph with all fields, or JSON. `time` is when it came, in
    /// milliseconds since 1970.
    pub(super) fn transaction(&self, tx: TxView<'_>, time: u64) -> String {
        let ShowOptions { json, color, full } = self.options;
        let time = time / 1000;
        if json {
            let seen = SeenTx { time, info: TxInfo::new(tx, self.network) };
            let line = serde_json::to_string(&seen).expect("text keys and numbers make JSON");
            return line + "\n";
        }
        if full {
            let fields = FieldList::default()
                .with("time", format!("{time}  {} UTC", format::utc(time)))
                .with("txid", tx.txid().to_string())
                .with("checked", "by itself; witnesses, wtxid and sizes are as the peer sent them");
            return describe(fields, tx, self.network).render(color) + "\n";
        }
        let utc = format::utc(time);
        let clock = utc.split(' ').next_back().unwrap_or_default();
        format!(
            "{clock}  {}  {:>5} vB  {} → {}  {} BTC  {}\n",
            tx.txid(),
            tx.vsize(),
            tx.inputs().len(),
            tx.outputs().len(),
            Amount::sum(tx.outputs().map(|output| Amount(output.value))),
            output_types(tx),
        )
    }

    /// Returns the text for a transaction that was shown before and came again with other witnesses.
    ///
    /// JSON has no note: it shows the same `txid` with another `hash`.
    pub(super) fn other_witness(&self, tx: TxView<'_>, time: u64) -> String {
        let shown = self.transaction(tx, time);
        if self.options.json {
            return shown;
        }
        let (indent, shown) =
            if self.options.full { ("", shown) } else { ("  ", shown.replace('\n', "")) };
        format!("{}{indent}{OTHER_WITNESS}\n", shown.strip_suffix('\n').unwrap_or(&shown))
    }

    /// Returns the line for a block, or `None` if the event is about a transaction.
    pub(super) fn block(&self, event: &MempoolEvent) -> Option<String> {
        let MempoolEvent::Block { height, hash, transactions, confirmed, replaced, pending } =
            event
        else {
            return None;
        };
        let number = |number: &usize| format::to_u64(*number);
        let height = height.map(|height| format!("{height} ")).unwrap_or_default();
        let replaced = match replaced {
            0 => String::new(),
            some => format!("{} replaced, ", format::count(number(some))),
        };
        Some(format!(
            "block {height}{hash}: {}, {} of them pending before, {replaced}{} pending left",
            format::counted(number(transactions), "transaction"),
            format::count(number(confirmed)),
            format::count(number(pending)),
        ))
    }
}

/// Returns the types of a transaction's outputs and their numbers, in order of first use: `2 P2WPKH, P2TR`.
fn output_types(tx: TxView<'_>) -> String {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for output in tx.outputs() {
        let name = ScriptKind::of(output.script_pubkey).short_name();
        match kinds.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => kinds.push((name, 1)),
        }
    }
    let mut text = String::new();
    for (at, (name, count)) in kinds.into_iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let count = if count == 1 { String::new() } else { format!("{count} ") };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{count}{name}");
    }
    text
}
