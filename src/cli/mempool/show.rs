//! Transactions and blocks as lines.

use crate::cli::tx_text::describe;
use crate::core_json::{Amount, TxInfo};
use crate::format;
use crate::node::mempool::Notice;
use crate::output::Fields;
use crate::primitives::Network;
use crate::script::ScriptKind;
use crate::wire::TxView;
use serde::Serialize;
use std::fmt::Write;

/// What is said of a transaction that came before.
const OTHER_WITNESS: &str = "(came before with other witnesses)";

/// In which form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) json: bool,
    pub(super) color: bool,
    /// With all fields.
    pub(super) full: bool,
}

/// What there is to say of a transaction, and when it came.
#[derive(Serialize)]
struct SeenTx {
    /// Milliseconds since 1970.
    time: u64,
    #[serde(flatten)]
    info: TxInfo,
}

/// How transactions are shown.
#[derive(Debug)]
pub(super) struct Show {
    network: Network,
    form: Form,
}

impl Show {
    pub(super) fn new(network: Network, form: Form) -> Self {
        Self { network, form }
    }

    pub(super) fn is_json(&self) -> bool {
        self.form.json
    }

    /// A transaction that came at that time (milliseconds since 1970): one line, or with all fields a paragraph.
    pub(super) fn transaction(&self, tx: TxView<'_>, time: u64) -> String {
        let Form { json, color, full } = self.form;
        if json {
            let seen = SeenTx { time, info: TxInfo::new(tx, self.network) };
            let line = serde_json::to_string(&seen).expect("text keys and numbers make JSON");
            return line + "\n";
        }
        let time = time / 1000;
        if full {
            let fields = Fields::default()
                .with("time", format!("{time}  {} UTC", format::utc(time)))
                .with("txid", tx.txid().to_string())
                .with("checked", "by itself: witnesses, wtxid and sizes are the peer's word");
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
            kinds(tx),
        )
    }

    /// A transaction that was shown before and came with other witnesses. (In JSON another `hash` with the same `txid`
    /// says so.)
    pub(super) fn other_witness(&self, tx: TxView<'_>, time: u64) -> String {
        let shown = self.transaction(tx, time);
        if self.form.json {
            return shown;
        }
        let (indent, shown) =
            if self.form.full { ("", shown) } else { ("  ", shown.replace('\n', "")) };
        format!("{}{indent}{OTHER_WITNESS}\n", shown.strip_suffix('\n').unwrap_or(&shown))
    }

    /// A block's line.
    pub(super) fn block(&self, notice: &Notice) -> Option<String> {
        let Notice::Block { height, hash, transactions, confirmed, replaced, pending } = notice
        else {
            return None;
        };
        let number = |number: &usize| u64::try_from(*number).unwrap_or(u64::MAX);
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

/// The kinds of a transaction's outputs, in their order: `2 P2WPKH, P2TR`.
fn kinds(tx: TxView<'_>) -> String {
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
        // Writing into a String does not fail.
        let _ = write!(text, "{comma}{count}{name}");
    }
    text
}
