//! Shows a transaction as text.

use crate::core_json::Amount;
use crate::format;
use crate::output::FieldList;
use crate::primitives::{Network, hex};
use crate::script::{ScriptKind, address_of, asm, asm_of_script_sig};
use crate::wire::{TxIn, TxOut, TxView};

/// The greatest number of characters that are shown of a script, witness item or text: the hex of the longest item that
/// a script may push (Bitcoin Core `MAX_SCRIPT_ELEMENT_SIZE`). `--json` has no such limit.
const MAX_CHARACTERS: usize = 2 * 520;

/// A lock time below this is a height, any other is in Unix seconds. Source: Bitcoin Core `LOCKTIME_THRESHOLD`.
const LOCKTIME_THRESHOLD: u32 = 500_000_000;

/// Adds the fields of a transaction.
pub(super) fn describe(fields: FieldList, transaction: TxView<'_>, network: Network) -> FieldList {
    let wtxid = transaction.has_witness().then(|| transaction.wtxid().to_string());
    let mut fields = fields
        .with_some("wtxid", wtxid)
        .with("size", sizes(transaction))
        .with("version", transaction.version().to_string())
        .with("lock time", lock_time(transaction.lock_time()));
    let coinbase = transaction.is_coinbase();
    let inputs = transaction.inputs().enumerate();
    fields = with_lines(
        fields,
        "inputs",
        inputs.flat_map(|(at, input)| input_lines(at, &input, coinbase)),
    );
    let outputs = transaction.outputs().enumerate();
    fields = with_lines(
        fields,
        "outputs",
        outputs.flat_map(|(at, output)| output_lines(at, &output, network)),
    );
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
        LOCKTIME_THRESHOLD.. => format!("{lock_time}  {} UTC", format::utc(u64::from(lock_time))),
        _ => format!("height {}", format::count(lock_time)),
    }
}

/// Adds a field of several lines.
fn with_lines(fields: FieldList, name: &str, lines: impl Iterator<Item = String>) -> FieldList {
    lines
        .enumerate()
        .fold(fields, |fields, (at, line)| fields.with(if at == 0 { name } else { "" }, line))
}

/// Returns the lines for an input: the output that it spends and its sequence number, its script, and its witness.
fn input_lines(at: usize, input: &TxIn<'_>, coinbase: bool) -> Vec<String> {
    let text = if coinbase { printable(input.script_sig) } else { None };
    let text = text.map(|text| format!("  \"{}\"", cut(text))).unwrap_or_default();
    let previous = if coinbase { "coinbase".to_owned() } else { input.previous.to_string() };
    let mut lines = vec![format!("{at}  {previous}  sequence {:08x}{text}", input.sequence)];
    if !input.script_sig.is_empty() {
        lines.push(format!("   script   {}", script_text(input.script_sig, coinbase)));
    }
    for item in input.witness.clone() {
        lines.push(format!("   witness  {}", data_text(item)));
    }
    lines
}

/// Returns the text for the script of an input: its instructions, or hex for a coinbase, whose script may have any
/// bytes.
fn script_text(script: &[u8], coinbase: bool) -> String {
    if coinbase { data_text(script) } else { cut(asm_of_script_sig(script)) }
}

fn data_text(data: &[u8]) -> String {
    if data.is_empty() { "(empty)".to_owned() } else { cut(hex::encode(data)) }
}

/// Returns the lines for an output: its amount and type, then its address, text, number of keys or size of data, if it
/// has one of these, and its script unless it has an address or text.
fn output_lines(at: usize, output: &TxOut<'_>, network: Network) -> Vec<String> {
    let script = output.script_pubkey;
    let kind = ScriptKind::of(script);
    let recipient = match (address_of(script, network), kind.text(), &kind, kind.data_len()) {
        (Some(address), ..) => format!("  {address}"),
        (None, Some(text), ..) => format!("  \"{}\"", cut(text)),
        (None, None, ScriptKind::Multisig { required, keys }, _) => {
            format!("  {required} of {keys}")
        }
        (None, None, _, Some(data)) => {
            format!("  {} of data", format::counted(format::to_u64(data), "byte"))
        }
        (None, None, _, None) => String::new(),
    };
    let is_named = recipient.starts_with("  \"") || address_of(script, network).is_some();
    let line = format!("{at}  {} BTC  {}{recipient}", Amount(output.value), kind.short_name());
    let script = (!is_named).then(|| format!("   script   {}", cut(asm(script))));
    [line].into_iter().chain(script).collect()
}

/// Cuts a text of more than [`MAX_CHARACTERS`] characters, and adds its full length.
fn cut(text: String) -> String {
    if text.chars().count() <= MAX_CHARACTERS {
        return text;
    }
    let front: String = text.chars().take(MAX_CHARACTERS).collect();
    format!("{front}… ({} characters)", count(text.chars().count()))
}

/// Returns the longest run of printable ASCII in a coinbase's script, where miners write their names, without spaces at
/// its ends. Returns `None` if fewer than four characters are left.
pub(super) fn printable(script: &[u8]) -> Option<String> {
    const MIN_LENGTH: usize = 4;
    let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let longest = script.split(|byte| !is_text(byte)).max_by_key(|part| part.len())?;
    let text = String::from_utf8_lossy(longest);
    let text = text.trim();
    (text.len() >= MIN_LENGTH).then(|| text.to_owned())
}

fn count(number: usize) -> String {
    format::count(format::to_u64(number))
}

#[cfg(test)]
mod tests {
    use super::{MAX_CHARACTERS, describe, lock_time, printable};
    use crate::output::FieldList;
    use crate::primitives::{Network, hex};
    use crate::wire::Transaction;

    fn described(transaction: &str) -> String {
        let transaction = Transaction::decode(hex::decode(transaction).unwrap()).unwrap();
        describe(FieldList::default(), transaction.view(), Network::Mainnet).render(false)
    }

    /// Returns the text of a transaction with one input and one output, which have these scripts and this witness.
    fn with_scripts(script_sig: &str, witness: &str, script_pubkey: &str) -> String {
        let sized = |digits: &str| match digits.len() / 2 {
            short @ 0..253 => format!("{short:02x}{digits}"),
            long => format!("fd{:02x}{:02x}{digits}", long & 0xff, long >> 8),
        };
        let marker = if witness.is_empty() { "" } else { "0001" };
        let outpoint = format!("{}05000000", "11".repeat(32));
        let (input, output) = (sized(script_sig), sized(script_pubkey));
        let amount = "0100000000000000";
        described(&format!(
            "02000000{marker}01{outpoint}{input}fdffffff01{amount}{output}{witness}00000000"
        ))
    }

    #[test]
    fn an_input_has_its_script_its_witness_and_its_sequence_number() {
        let witness = format!("030002beeffd0302{}", "aa".repeat(515));
        let text = with_scripts("51", &witness, "51");
        let expected = format!(
            "inputs     0  {}:5  sequence fffffffd\n              script   1\n              \
             witness  (empty)\n              witness  beef\n              witness  {}\n",
            "11".repeat(32),
            "aa".repeat(515)
        );
        let text_of_inputs: String = text
            .lines()
            .skip_while(|line| !line.starts_with("inputs"))
            .take_while(|line| !line.starts_with("outputs"))
            .map(|line| line.to_owned() + "\n")
            .collect();
        assert_eq!(text_of_inputs, expected, "{text}");
    }

    #[test]
    fn the_size_of_data_excludes_opcodes_and_long_texts_are_cut() {
        // OP_RETURN, a push of 2 bytes that are no text, and a push of 3 bytes with OP_PUSHDATA1.
        let text = with_scripts("", "", "6a02ff004c03000102");
        assert!(text.contains("OP_RETURN  5 bytes of data"), "{text}");
        assert!(text.contains("script   OP_RETURN 255 131328"), "{text}");
        let long = format!("6a4db80b{}", "61".repeat(3000));
        let text = with_scripts("", "", &long);
        let expected =
            format!("OP_RETURN  \"{}… (3,000 characters)\"\n", "a".repeat(MAX_CHARACTERS));
        assert!(text.contains(&expected), "{text}");
    }

    #[test]
    fn a_lock_time_is_a_height_or_a_time() {
        assert_eq!(lock_time(0), "0");
        assert_eq!(lock_time(499_999_999), "height 499,999,999");
        assert_eq!(lock_time(500_000_000), "500000000  1985-11-05 00:53:20 UTC");
    }

    #[test]
    fn a_miners_text_is_found_without_control_characters() {
        assert_eq!(
            printable(b"\x03\xa4\xaf\x0c\x1b[31m/Foundry USA/\xff\x00a").as_deref(),
            Some("[31m/Foundry USA/")
        );
        assert_eq!(printable(b"\x03\xa4\xaf\x0cab\x00"), None);
        assert_eq!(printable(b""), None);
    }
}
