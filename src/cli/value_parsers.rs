//! Parses the values of options, for clap.

use crate::charts::{ChartName, UnknownChart};
use crate::config::{self, ColorChoice, LogFormat};
use crate::files::FileFormat;
use crate::format::number;
use crate::primitives::{Network, UnknownNetwork};
use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use std::ffi::OsStr;
use std::str::FromStr;

/// Parses a value with a function, and lists accepted names for shell completions. The function may accept more names.
#[derive(Clone, Debug)]
pub(super) struct NamedValueParser<T> {
    names: Vec<&'static str>,
    parse: fn(&str) -> Result<T, String>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for NamedValueParser<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let parse = self.parse;
        StringValueParser::new().try_map(move |text| parse(&text)).parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.names.iter().map(PossibleValue::new)))
    }
}

/// Accepts every name of a network, and lists one name for each network.
pub(super) fn network() -> NamedValueParser<Network> {
    NamedValueParser {
        names: Network::ALL.map(Network::name).to_vec(),
        parse: |name| name.parse().map_err(|error: UnknownNetwork| error.to_string()),
    }
}

/// Accepts the formats of header files.
pub(super) fn file_format() -> NamedValueParser<FileFormat> {
    let names = FileFormat::ALL.iter().map(|format| format.name()).collect();
    NamedValueParser { names, parse: str::parse }
}

/// Accepts every name of a chart, and lists one name for each chart.
pub(super) fn chart() -> NamedValueParser<ChartName> {
    NamedValueParser {
        names: ChartName::ALL.map(ChartName::name).to_vec(),
        parse: |name| name.parse().map_err(|error: UnknownChart| error.to_string()),
    }
}

/// Accepts `on` and `off`.
pub(super) fn on_or_off() -> NamedValueParser<bool> {
    NamedValueParser {
        names: vec!["on", "off"],
        parse: |text| config::on_or_off(text).map_err(|error| error.to_string()),
    }
}

/// Accepts the formats of the log.
pub(super) fn log_format() -> NamedValueParser<LogFormat> {
    NamedValueParser {
        names: vec!["text", "json"],
        parse: |name| name.parse().map_err(|error: <LogFormat as FromStr>::Err| error.to_string()),
    }
}

/// Accepts `auto`, `always` and `never`.
pub(super) fn color() -> impl TypedValueParser<Value = ColorChoice> {
    PossibleValuesParser::new(["auto", "always", "never"])
        .try_map(|name| name.parse::<ColorChoice>())
}

/// Accepts a whole number above 0, with or without separators: `5000`, `5,000`.
///
/// # Errors
/// The text is not such a number.
pub(super) fn at_least_one(text: &str) -> Result<u64, String> {
    let count = whole_number(text).ok().filter(|count| *count > 0);
    count.ok_or_else(|| "expected a whole number above 0".to_owned())
}

/// Accepts a whole number from 0 on, with or without separators.
///
/// # Errors
/// The text is not such a number.
pub(super) fn whole_number(text: &str) -> Result<u64, String> {
    let count = number(text).and_then(|number| u64::try_from(number).ok());
    count.ok_or_else(|| "expected a whole number from 0 on".to_owned())
}

#[cfg(test)]
mod tests {
    use super::at_least_one;

    #[test]
    fn counts_may_have_separators() {
        for (text, count) in [("7", 7), ("5,000", 5000), ("1_000_000", 1_000_000)] {
            assert_eq!(at_least_one(text), Ok(count), "{text}");
        }
        for text in ["", "0", "-1", "tip", "5,00", "abc"] {
            assert!(at_least_one(text).is_err(), "{text}");
        }
    }
}
