//! A transaction as people read it.

use crate::node::Amount;
use crate::output::{Fields, format};
use crate::primitives::Network;
use crate::script::{ScriptKind, address_of};
use crate::wire::{TxIn, TxOut, TxView};

/// From this lock time on it is Unix seconds, below a height. Source: Bitcoin Core `LOCKTIME_THRESHOLD`.
const TIME_FROM: u32 = 500_000_000;

/// The fields of a transaction, after those that say where it was found.
pub(super) fn describe(fields: Fields, transaction: TxView<'_>, network: Network) -> Fields {
    let wtxid = transaction.has_witness().then(|| transaction.wtxid().to_string());
    let mut fields = fields
        .with_some("wtxid", wtxid)
        .with("size", sizes(transaction))
        .with("version", transaction.version().to_string())
        .with("lock time", lock_time(transaction.lock_time()));
    let coinbase = transaction.is_coinbase();
    for (at, input) in transaction.inputs().enumerate() {
        fields = fields.with(if at == 0 { "inputs" } else { "" }, input_line(at, &input, coinbase));
    }
    for (at, output) in transaction.outputs().enumerate() {
        let line = output_line(at, &output, network);
        fields = fields.with(if at == 0 { "outputs" } else { "" }, line);
    }
    let amounts = transaction.outputs().map(|output| Amount(output.value));
    fields.with("amount", format!("{} BTC", Amount::sum(amounts)))
}

fn sizes(transaction: TxView<'_>) -> String {
    format!(
        "{} bytes, {} virtual, weight {}",
        count(transaction.size()),
        count(transaction.vsize()),
        count(transaction.weight())
    )
}

fn lock_time(lock_time: u32) -> String {
    match lock_time {
        0 => "0".to_owned(),
        TIME_FROM.. => format!("{lock_time}  {} UTC", format::utc(u64::from(lock_time))),
        _ => format!("height {}", format::count(u64::from(lock_time))),
    }
}

fn input_line(at: usize, input: &TxIn<'_>, coinbase: bool) -> String {
    if coinbase {
        let text = printable(input.script_sig);
        return format!("{at}  coinbase{}", text.map(|t| format!("  \"{t}\"")).unwrap_or_default());
    }
    format!("{at}  {}", input.previous)
}

fn output_line(at: usize, output: &TxOut<'_>, network: Network) -> String {
    let kind = ScriptKind::of(output.script_pubkey);
    let whom = match (address_of(output.script_pubkey, network), kind.text(), &kind) {
        (Some(address), ..) => format!("  {address}"),
        (None, Some(text), _) => format!("  \"{text}\""),
        (None, None, ScriptKind::Multisig { required, keys }) => format!("  {required} of {keys}"),
        (None, None, ScriptKind::NullData(data)) => {
            format!("  {} of data", format::counted(length(data.len()), "byte"))
        }
        (None, None, _) => String::new(),
    };
    format!("{at}  {} BTC  {}{whom}", Amount(output.value), kind.short_name())
}

/// The longest readable part of a coinbase's script: where miners write their names.
pub(super) fn printable(script: &[u8]) -> Option<String> {
    const SHORTEST: usize = 4;
    let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let longest = script.split(|byte| !is_text(byte)).max_by_key(|part| part.len())?;
    let text = String::from_utf8_lossy(longest);
    let text = text.trim();
    (text.len() >= SHORTEST).then(|| text.to_owned())
}

fn count(number: usize) -> String {
    format::count(length(number))
}

fn length(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{lock_time, printable};

    #[test]
    fn a_lock_time_is_a_height_or_a_time() {
        assert_eq!(lock_time(0), "0");
        assert_eq!(lock_time(499_999_999), "height 499,999,999");
        assert_eq!(lock_time(500_000_000), "500000000  1985-11-05 00:53:20 UTC");
    }

    #[test]
    fn what_a_miner_wrote_is_found_and_nothing_that_a_terminal_would_obey() {
        assert_eq!(
            printable(b"\x03\xa4\xaf\x0c\x1b[31m/Foundry USA/\xff\x00a").as_deref(),
            Some("[31m/Foundry USA/")
        );
        assert_eq!(printable(b"\x03\xa4\xaf\x0cab\x00"), None);
        assert_eq!(printable(b""), None);
    }
}
