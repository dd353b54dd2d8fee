//! Reads headers from JSON Lines.

use super::entry::{EntryError, FileEntries, HeaderEntry, Lines, in_line};
use super::fields::{FieldTexts, entry, missing, place_of, short};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::io::BufRead;

/// Reads a JSON object on each line, and ignores unknown keys.
pub(super) fn jsonl_headers(source: impl BufRead + Send + 'static) -> FileEntries {
    let mut lines = Lines::new(source);
    Box::new(std::iter::from_fn(move || next(&mut lines).transpose()))
}

fn next(lines: &mut Lines<impl BufRead>) -> Result<Option<HeaderEntry>, EntryError> {
    let Some((number, line)) = lines.next()? else { return Ok(None) };
    let read = object(line).and_then(|object| {
        let absent = missing(|place| object.0[place].is_some() || place == PREVIOUS_BLOCK_HASH);
        if !absent.is_empty() {
            return Err(format!("no key {}", absent.join(", ")));
        }
        entry(&object.0, number)
    });
    read.map(Some).map_err(|what| in_line(number, what))
}

/// The index of `previousblockhash` in the field names. Genesis does not have this key.
const PREVIOUS_BLOCK_HASH: usize = 1;

fn object(line: &str) -> Result<Object<'_>, String> {
    serde_json::from_str(line).map_err(|error| {
        if !line.trim_start().starts_with('{') {
            return format!("expected a JSON object, got {}", short(line));
        }
        // The message of `serde_json` is not used, because it names Rust types.
        let column = error.column();
        if error.is_eof() {
            format!("the line ends within its JSON object, at column {column}")
        } else {
            format!("this is no JSON object of text and numbers, from column {column} on")
        }
    })
}

/// The fields of a JSON object that describe a header.
struct Object<'a>(FieldTexts<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
        let mut fields = FieldTexts::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match place_of(&key) {
                Some(place) => fields[place] = map.next_value::<Scalar<'de>>()?.0,
                None => {
                    let _: IgnoredAny = map.next_value()?;
                }
            }
        }
        Ok(Object(fields))
    }
}

/// A JSON string or number as text; `None` for `null`.
struct Scalar<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar(None))
    }
}
