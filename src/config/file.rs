//! The settings file.

use super::error::{ConfigError, ValueError};
use super::layer::{KEYS, Layer};
use super::paths::{expand_homes, relative_to_file};
use std::fs;
use std::io;
use std::path::Path;

/// Reads a text file, and removes its byte order mark.
///
/// # Errors
/// The file cannot be read, or is not UTF-8. If it is UTF-16, the error says so.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let bytes = fs::read(path)?;
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(wrong("the text is UTF-16: save it as UTF-8"));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("the text is not UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}

/// Returns the settings from a file.
pub(super) fn file_layer(path: &Path, home: Option<&Path>) -> Result<Layer, ConfigError> {
    let read = |source: io::Error| ConfigError::Read { path: path.to_owned(), source };
    layer_of_file(&read_text(path).map_err(read)?, path, home)
}

/// Returns the settings from the text of a file.
pub(super) fn layer_of_file(
    text: &str,
    path: &Path,
    home: Option<&Path>,
) -> Result<Layer, ConfigError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        ConfigError::Syntax {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            reason: error.message().lines().collect::<Vec<_>>().join(", "),
        }
    })?;
    let mut layer = Layer::default();
    for (key, value) in &table {
        if !KEYS.contains(&key.as_str()) {
            let (path, key) = (path.to_owned(), key.clone());
            return Err(ConfigError::UnknownKey { path, key, known: KEYS });
        }
        let set = refuse_decimal(key, value)
            .and_then(|()| texts(value))
            .and_then(|values| layer.set(key, &values));
        set.map_err(|source| ConfigError::FileValue {
            path: path.to_owned(),
            key: key.clone(),
            source,
        })?;
    }
    let layer = layer.with_signet().map_err(ConfigError::TwoNetworks)?;
    Ok(relative_to_file(expand_homes(layer, home)?, path))
}

/// The settings whose values are hex digits.
const HEX_KEYS: [&str; 3] = ["min-chain-work", "signet-challenge", "listen-services"];

/// Refuses an integer where hex digits are expected, except 0 to 9. A flag takes `100` and `0x100` as the same hex
/// digits, but TOML reads them as the integers 100 and 256.
fn refuse_decimal(key: &str, value: &toml::Value) -> Result<(), ValueError> {
    match value {
        toml::Value::Integer(number) if HEX_KEYS.contains(&key) && !(0..10).contains(number) => {
            Err(ValueError::new("hex digits in quotes, as \"0x100\"", &number.to_string()))
        }
        _ => Ok(()),
    }
}

/// Returns the text of a value, or the texts of the items of a list.
///
/// # Errors
/// The value is or contains a table or a date, which no setting accepts.
fn texts(value: &toml::Value) -> Result<Vec<String>, ValueError> {
    let one = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Boolean(value) => value.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Array(items) => {
            let texts: Result<Vec<_>, _> = items.iter().map(texts).collect();
            return Ok(texts?.concat());
        }
        toml::Value::Datetime(_) => return Err(ValueError::new("a value", "a date")),
        toml::Value::Table(_) => return Err(ValueError::new("a value", "a table")),
    };
    Ok(vec![one])
}

#[cfg(test)]
mod tests {
    use super::KEYS;

    #[test]
    fn the_example_of_a_settings_file_has_every_key() {
        let text = include_str!("../../contrib/lightclient.toml");
        let settings = text.lines().filter_map(|line| line.strip_prefix("# ")?.split_once(" = "));
        let mut keys: Vec<&str> = settings.map(|(key, _)| key).collect();
        let mut known = KEYS.to_vec();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
    }
}
