//! The parameters of methods: their names and types, and Bitcoin Core's checks of them before a method runs.
//!
//! Source: Bitcoin Core `transformNamedArguments` (`rpc/server.cpp`), `RPCHelpMan::HandleRequest` and
//! `RPCArg::MatchesType` (`rpc/util.cpp`).

use super::error::{RpcCode, RpcError};
use crate::primitives::{BlockHash, Txid, hex};
use serde_json::{Map, Value};
use std::str::FromStr;

/// The parameters of a call as the client sent them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RpcArguments {
    /// In the method's order.
    Positional(Vec<serde_json::Value>),
    /// By name, in the order of the call. A name may occur several times.
    Named(Vec<(String, serde_json::Value)>),
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RpcType {
    /// A number.
    Number,
    /// A string.
    Text,
    /// True or false.
    Bool,
    /// An array.
    Array,
    /// Any type, which the method checks.
    Any,
}

impl RpcType {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Text => "string",
            Self::Bool => "bool",
            Self::Array => "array",
            Self::Any => "any",
        }
    }

    fn is_type_of(self, value: &Value) -> bool {
        self == Self::Any || self.name() == type_name(value)
    }
}

/// Returns Bitcoin Core's name of a value's type.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A parameter of a method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RpcParam {
    /// Its names, separated by `|`. `help` shows only the first one.
    pub names: &'static str,
    /// Its type.
    pub kind: RpcType,
    /// Whether a call must give it.
    pub required: bool,
    /// What it is, for `help`.
    pub about: &'static str,
}

impl RpcParam {
    /// Returns the name that `help` shows.
    pub(super) fn name(&self) -> &'static str {
        self.all_names().next().unwrap_or(self.names)
    }

    fn all_names(&self) -> impl Iterator<Item = &'static str> {
        self.names.split('|')
    }
}

/// The parameters of a call, in the method's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RpcParams(Vec<Value>);

impl RpcParams {
    /// Puts arguments into a method's order and checks their types.
    ///
    /// # Errors
    /// A name is unknown, a parameter is given twice or has the wrong type, or the number of parameters is wrong. For a
    /// wrong number the error is `None`, and the caller replies with the method's help.
    pub(super) fn new(
        arguments: RpcArguments,
        params: &[RpcParam],
    ) -> Result<Self, Option<RpcError>> {
        let values = match arguments {
            RpcArguments::Positional(values) => values,
            RpcArguments::Named(named) => in_order(named, params)?,
        };
        let required = params.iter().filter(|param| param.required).count();
        if values.len() < required || values.len() > params.len() {
            return Err(None);
        }
        check_types(&values, params)?;
        Ok(Self(values))
    }

    fn value(&self, at: usize) -> &Value {
        self.0.get(at).unwrap_or(&Value::Null)
    }

    /// Returns whether a parameter was given and is not null.
    pub(crate) fn has(&self, at: usize) -> bool {
        !self.value(at).is_null()
    }

    /// Returns a parameter; null if it was not given.
    pub(crate) fn any(&self, at: usize) -> &Value {
        self.value(at)
    }

    /// Returns a string; empty if it was not given.
    pub(crate) fn text(&self, at: usize) -> &str {
        self.value(at).as_str().unwrap_or_default()
    }

    /// Returns a boolean, if it was given.
    pub(crate) fn bool(&self, at: usize) -> Option<bool> {
        self.value(at).as_bool()
    }

    /// Returns a whole number, if it was given.
    ///
    /// # Errors
    /// The number is not whole, or out of the type's range. The message is Bitcoin Core's.
    pub(crate) fn integer<T: TryFrom<i64>>(&self, at: usize) -> Result<Option<T>, RpcError> {
        let value = self.value(at);
        if value.is_null() {
            return Ok(None);
        }
        // serde_json reads -0 as a float.
        let is_minus_zero = value.as_f64().map(f64::to_bits) == Some((-0.0_f64).to_bits());
        let number = if is_minus_zero { Some(0) } else { value.as_i64() };
        let number = number.and_then(|number| T::try_from(number).ok());
        let error = || RpcError::new(RpcCode::Misc, "JSON integer out of range");
        number.map(Some).ok_or_else(error)
    }

    /// Returns the verbosity: a number, or true for 1 and false for 0; `None` if it was not given.
    ///
    /// Source: Bitcoin Core `ParseVerbosity`.
    ///
    /// # Errors
    /// The value is neither a number nor a boolean, or is a number that [`RpcParams::integer`] does not accept.
    pub(crate) fn verbosity(&self, at: usize) -> Result<Option<i32>, RpcError> {
        match self.value(at) {
            Value::Bool(verbose) => Ok(Some(i32::from(*verbose))),
            Value::Null | Value::Number(_) => self.integer(at),
            other => Err(wrong_type(other, "number")),
        }
    }

    /// Decodes a parameter of hex digits. As in Bitcoin Core's `ParseHexV`, there must be at least one byte.
    ///
    /// # Errors
    /// The text is empty or not hex. The message contains `name`, the parameter's name.
    pub(crate) fn hex(&self, at: usize, name: &str) -> Result<Vec<u8>, RpcError> {
        let text = self.text(at);
        let bytes = hex::decode(text).ok().filter(|bytes| !bytes.is_empty());
        bytes.ok_or_else(|| not_hex(text, name))
    }

    /// Returns a block's hash.
    ///
    /// # Errors
    /// As [`parse_hash`].
    pub(crate) fn block_hash(&self, at: usize, name: &str) -> Result<BlockHash, RpcError> {
        parse_hash(self.text(at), name)
    }

    /// Returns a transaction's id.
    ///
    /// # Errors
    /// As [`parse_hash`].
    pub(crate) fn txid(&self, at: usize, name: &str) -> Result<Txid, RpcError> {
        parse_hash(self.text(at), name)
    }
}

/// Parses a hash as Bitcoin Core's `ParseHashV` does.
///
/// # Errors
/// The text is not 64 hex digits. The message contains `name`, the parameter's name.
pub(crate) fn parse_hash<T: FromStr>(text: &str, name: &str) -> Result<T, RpcError> {
    if text.len() != 64 {
        let got = text.len();
        let message = format!("{name} must be of length 64 (not {got}, for '{text}')");
        return Err(RpcError::invalid(message));
    }
    text.parse().map_err(|_| not_hex(text, name))
}

/// Returns the error for a value of the wrong type. The message is Bitcoin Core's.
pub(crate) fn wrong_type(value: &Value, expected: &str) -> RpcError {
    let got = type_name(value);
    let message = format!("JSON value of type {got} is not of expected type {expected}");
    RpcError::new(RpcCode::TypeError, message)
}

fn not_hex(text: &str, name: &str) -> RpcError {
    RpcError::invalid(format!("{name} must be hexadecimal string (not '{text}')"))
}

fn in_order(
    arguments: Vec<(String, Value)>,
    params: &[RpcParam],
) -> Result<Vec<Value>, Option<RpcError>> {
    let invalid = |message: String| Some(RpcError::invalid(message));
    let mut named = Map::new();
    for (name, value) in arguments {
        if named.contains_key(&name) {
            return Err(invalid(format!("Parameter {name} specified multiple times")));
        }
        named.insert(name, value);
    }
    let mut values = Vec::new();
    if let Some(Value::Array(positional)) = named.get_mut("args") {
        values = std::mem::take(positional);
        named.remove("args");
    }
    let positional = values.len();
    for (at, param) in params.iter().enumerate() {
        // A second name of the same parameter is left over, and so it is unknown.
        let Some(value) = param.all_names().find_map(|name| named.remove(name)) else { continue };
        if at < positional {
            return Err(invalid(format!(
                "Parameter {} specified twice both as positional and named argument",
                param.names
            )));
        }
        values.resize(at + 1, Value::Null);
        values[at] = value;
    }
    match named.keys().next() {
        Some(name) => Err(invalid(format!("Unknown named parameter {name}"))),
        None => Ok(values),
    }
}

fn check_types(values: &[Value], params: &[RpcParam]) -> Result<(), Option<RpcError>> {
    let mut wrong = Map::new();
    for (at, param) in params.iter().enumerate() {
        let value = values.get(at).unwrap_or(&Value::Null);
        if (value.is_null() && !param.required) || param.kind.is_type_of(value) {
            continue;
        }
        let (got, expected) = (type_name(value), param.kind.name());
        let message = format!("JSON value of type {got} is not of expected type {expected}");
        wrong.insert(format!("Position {} ({})", at + 1, param.names), Value::String(message));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, format);
    serde::Serialize::serialize(&wrong, &mut writer)
        .map_err(|error| Some(RpcError::internal(&error)))?;
    let text = String::from_utf8_lossy(&text);
    Err(Some(RpcError::new(RpcCode::TypeError, format!("Wrong type passed:\n{text}"))))
}

#[cfg(test)]
mod tests {
    use super::{RpcArguments, RpcParam, RpcParams, RpcType};
    use crate::server::rpc::error::{RpcCode, RpcError};
    use serde_json::{Value, json};

    const PARAMS: &[RpcParam] = &[
        RpcParam { names: "hash", kind: RpcType::Text, required: true, about: "" },
        RpcParam { names: "verbosity|verbose", kind: RpcType::Any, required: false, about: "" },
        RpcParam { names: "count", kind: RpcType::Number, required: false, about: "" },
    ];

    fn read(params: Value) -> Result<RpcParams, Option<RpcError>> {
        let arguments = match params {
            Value::Array(values) => RpcArguments::Positional(values),
            Value::Object(named) => RpcArguments::Named(named.into_iter().collect()),
            other => panic!("{other}"),
        };
        RpcParams::new(arguments, PARAMS)
    }

    #[test]
    fn names_aliases_and_positions_give_the_same_parameters() {
        let expected = read(json!(["ab", 1, 5])).unwrap();
        assert_eq!(read(json!({"count": 5, "verbose": 1, "hash": "ab"})).unwrap(), expected);
        assert_eq!(read(json!({"args": ["ab", 1], "count": 5})).unwrap(), expected);
        let left_out = read(json!({"count": 5, "hash": "ab"})).unwrap();
        assert!(!left_out.has(1) && left_out.integer::<u32>(2) == Ok(Some(5)));
    }

    #[test]
    fn a_name_that_occurs_twice_is_an_error_and_args_must_be_an_array() {
        let twice = vec![("count".to_owned(), json!(1)), ("count".to_owned(), json!(2))];
        let error = RpcParams::new(RpcArguments::Named(twice), PARAMS).unwrap_err().unwrap();
        assert_eq!(error.message, "Parameter count specified multiple times");
        let error = read(json!({"args": "ab"})).unwrap_err().unwrap();
        assert_eq!(error.message, "Unknown named parameter args");
    }

    #[test]
    fn wrong_parameters_get_the_messages_of_bitcoin_core() {
        let message = |params| read(params).unwrap_err().map(|error| (error.code, error.message));
        let error = |code, text: &str| Some((code, text.to_owned()));
        assert_eq!(message(json!([])), None);
        assert_eq!(message(json!(["ab", 1, 5, 6])), None);
        assert_eq!(message(json!({"hash": "ab", "x": 1})), error(-8, "Unknown named parameter x"));
        assert_eq!(
            message(json!({"args": ["ab"], "hash": "ab"})),
            error(-8, "Parameter hash specified twice both as positional and named argument")
        );
        assert_eq!(
            message(json!({"hash": "ab", "verbosity": 1, "verbose": 1})),
            error(-8, "Unknown named parameter verbose")
        );
        assert_eq!(
            message(json!([5, 1, "x"])),
            error(
                -3,
                "Wrong type passed:\n{\n    \"Position 1 (hash)\": \"JSON value of type number is not of expected \
                 type string\",\n    \"Position 3 (count)\": \"JSON value of type string is not of expected type number\"\n}"
            )
        );
    }

    #[test]
    fn numbers_are_whole_and_in_range() {
        for wrong in [json!(1.5), json!(3_000_000_000_i64), json!(1e99)] {
            let params = read(json!(["ab", null, wrong])).unwrap();
            assert_eq!(params.integer::<i32>(2).unwrap_err().message, "JSON integer out of range");
        }
    }

    #[test]
    fn verbosity_is_a_number_or_a_boolean() {
        let verbosity = |value: Value| read(json!(["ab", value])).unwrap().verbosity(1);
        assert_eq!(verbosity(json!(true)), Ok(Some(1)));
        assert_eq!(verbosity(json!(false)), Ok(Some(0)));
        assert_eq!(verbosity(json!(2)), Ok(Some(2)));
        assert_eq!(verbosity(json!(null)), Ok(None));
        let message = "JSON value of type string is not of expected type number";
        assert_eq!(verbosity(json!("1")), Err(RpcError::new(RpcCode::TypeError, message)));
    }

    #[test]
    fn hashes_have_64_hex_digits() {
        let message =
            |text: &str| read(json!([text])).unwrap().block_hash(0, "hash").unwrap_err().message;
        assert_eq!(message("ab"), "hash must be of length 64 (not 2, for 'ab')");
        let no_hex = "x".repeat(64);
        assert_eq!(message(&no_hex), format!("hash must be hexadecimal string (not '{no_hex}')"));
    }
}
