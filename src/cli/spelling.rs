//! Rewrites Bitcoin Core's spelling of options, and some negative numbers and ranges, into forms that clap accepts.

use std::ffi::OsString;

/// The typographic minus sign, into which word processors turn a hyphen.
pub(super) const MINUS: char = '\u{2212}';

/// Options with one hyphen, and this program's names for them. Bitcoin Core has some of these options. Users may also
/// try the values of its option `-chain`, or this program's `--mainnet`, with one hyphen.
const OPTIONS: [(&str, &str); 7] = [
    ("-main", "--mainnet"),
    ("-mainnet", "--mainnet"),
    ("-test", "--testnet3"),
    ("-testnet", "--testnet3"),
    ("-testnet4", "--testnet4"),
    ("-signet", "--signet"),
    ("-regtest", "--regtest"),
];

/// Options of Bitcoin Core that have a value, and this program's names for them.
const OPTIONS_WITH_VALUE: [(&str, &str); 2] =
    [("-chain=", "--network="), ("-signetchallenge=", "--signet-challenge=")];

/// Rewrites Bitcoin Core's options for networks, and negative ranges and grouped numbers, which clap would take for
/// options. Leaves everything after `--` as it is.
pub(super) fn normalize(args: Vec<OsString>) -> Vec<OsString> {
    let mut only_values = false;
    let rewrite = |arg: OsString| {
        only_values |= arg == "--";
        let text = arg.to_str().filter(|_| !only_values);
        text.and_then(|text| as_option(text).or_else(|| as_value(text))).map_or(arg, OsString::from)
    };
    args.into_iter().map(rewrite).collect()
}

fn as_option(text: &str) -> Option<String> {
    let option = OPTIONS.iter().find(|(core, _)| *core == text);
    let named = option.map(|(_, ours)| (*ours).to_owned());
    named.or_else(|| {
        OPTIONS_WITH_VALUE
            .iter()
            .find_map(|(core, ours)| text.strip_prefix(core).map(|value| format!("{ours}{value}")))
    })
}

/// Replaces the hyphen at the start of a range or a grouped number by [`MINUS`].
///
/// clap accepts `-5` as a value, but neither `-5..-1` nor `-1,000`. If it allowed any value to start with a hyphen, it
/// would accept every mistyped option as a value.
fn as_value(text: &str) -> Option<String> {
    let rest = text.strip_prefix('-')?;
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == ',');
    let is_range = rest.split_once("..").is_some_and(|(from, _)| is_number(from));
    let is_grouped = rest.contains(',') && is_number(rest);
    (is_range || is_grouped).then(|| format!("{MINUS}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::normalize;

    fn one(arg: &str) -> String {
        normalize(vec![arg.into()]).remove(0).into_string().unwrap()
    }

    #[test]
    fn only_negative_ranges_and_grouped_numbers_get_a_minus_sign() {
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
    fn network_options_of_bitcoin_core_are_accepted() {
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
        assert_eq!(normalize(args.clone()), args);
    }
}
