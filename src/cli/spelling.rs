//! Spellings that people bring along, in the form that clap knows.

use std::ffi::OsString;

/// The typographic minus sign; what documents turn a hyphen into.
pub(super) const MINUS: char = '\u{2212}';

/// Options as Bitcoin Core's tools take them, with one hyphen, and what they are called here.
const OPTIONS: [(&str, &str); 7] = [
    ("-main", "--mainnet"),
    ("-mainnet", "--mainnet"),
    ("-test", "--testnet3"),
    ("-testnet", "--testnet3"),
    ("-testnet4", "--testnet4"),
    ("-signet", "--signet"),
    ("-regtest", "--regtest"),
];

/// The same for options with a value.
const WITH_VALUE: [(&str, &str); 2] =
    [("-chain=", "--network="), ("-signetchallenge=", "--signet-challenge=")];

/// Returns the arguments with Bitcoin Core's options for networks under their names here, and with ranges and grouped
/// numbers that start with a hyphen in a form that is not taken for an option.
pub(super) fn understood(args: Vec<OsString>) -> Vec<OsString> {
    let mut only_values = false;
    let understand = |arg: OsString| {
        only_values |= arg == "--";
        let text = arg.to_str().filter(|_| !only_values);
        text.and_then(|text| as_option(text).or_else(|| as_value(text))).map_or(arg, OsString::from)
    };
    args.into_iter().map(understand).collect()
}

fn as_option(text: &str) -> Option<String> {
    let option = OPTIONS.iter().find(|(core, _)| *core == text);
    let named = option.map(|(_, ours)| (*ours).to_owned());
    named.or_else(|| {
        WITH_VALUE
            .iter()
            .find_map(|(core, ours)| text.strip_prefix(core).map(|value| format!("{ours}{value}")))
    })
}

/// clap knows negative numbers, but neither `-5..-1` nor `-1,000`; to let any value start with a hyphen would turn every
/// mistyped option into one.
fn as_value(text: &str) -> Option<String> {
    let rest = text.strip_prefix('-')?;
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == ',');
    let is_range = rest.split_once("..").is_some_and(|(from, _)| is_number(from));
    let is_grouped = rest.contains(',') && is_number(rest);
    (is_range || is_grouped).then(|| format!("{MINUS}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::understood;

    fn one(arg: &str) -> String {
        understood(vec![arg.into()]).remove(0).into_string().unwrap()
    }

    #[test]
    fn only_ranges_and_grouped_numbers_are_kept_from_being_options() {
        for (arg, protected) in [
            ("-5..-1", "\u{2212}5..-1"),
            ("-5..", "\u{2212}5.."),
            ("-1,000", "\u{2212}1,000"),
            ("-5", "-5"),
            ("--from", "--from"),
            ("-v..", "-v.."),
            ("5..6", "5..6"),
        ] {
            assert_eq!(one(arg), protected, "{arg}");
        }
    }

    #[test]
    fn options_of_bitcoin_core_for_networks_are_understood() {
        for (arg, ours) in [
            ("-regtest", "--regtest"),
            ("-testnet", "--testnet3"),
            ("-testnet4", "--testnet4"),
            ("-chain=main", "--network=main"),
            ("-signetchallenge=51", "--signet-challenge=51"),
            ("-reg", "-reg"),
            ("-q", "-q"),
        ] {
            assert_eq!(one(arg), ours, "{arg}");
        }
        let args = ["query", "--", "-regtest"].map(Into::into).to_vec();
        assert_eq!(understood(args.clone()), args);
    }
}
