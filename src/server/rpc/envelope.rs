//! Reads calls and writes replies: single calls and batches, JSON-RPC 1.0, 1.1 and 2.0.
//!
//! Source: Bitcoin Core `HTTPReq_JSONRPC` (`httprpc.cpp`), `JSONRPCRequest::parse` and `JSONRPCReplyObj`
//! (`rpc/request.cpp`).

use super::error::{RpcCode, RpcError};
use super::method::RpcResult;
use super::params::RpcArguments;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The calls in a body.
#[derive(Debug)]
pub(super) enum RpcBody<'a> {
    /// One call.
    Single(RpcCall<'a>, RpcRequest<'a>),
    /// Several calls, answered in their order.
    Batch(Vec<&'a RawValue>),
}

/// Reads a body.
///
/// # Errors
/// The body is not JSON, or neither an object nor an array; or a batch has more than `most` calls.
pub(super) fn read_body(body: &[u8], most: usize) -> Result<RpcBody<'_>, RpcError> {
    let parse_error = |message: &str| RpcError::new(RpcCode::ParseError, message);
    let not_json = |_| parse_error("Parse error");
    match body.trim_ascii_start().first() {
        Some(b'{') => {
            let (call, request) = RpcCall::of(serde_json::from_slice(body).map_err(not_json)?);
            Ok(RpcBody::Single(call, request))
        }
        Some(b'[') => {
            let calls: Vec<&RawValue> = serde_json::from_slice(body).map_err(not_json)?;
            if calls.len() > most {
                let got = calls.len();
                return Err(RpcError::new(
                    RpcCode::InvalidRequest,
                    format!("A batch may have {most} calls at most, not {got}"),
                ));
            }
            Ok(RpcBody::Batch(calls))
        }
        _ => {
            serde_json::from_slice::<&RawValue>(body).map_err(not_json)?;
            Err(parse_error("Top-level object parse error"))
        }
    }
}

/// The version of JSON-RPC that a call speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RpcVersion {
    /// 1.0, 1.1 or none: replies have both `result` and `error`, one of them null, and the error of a single call is
    /// an HTTP error too.
    #[default]
    Legacy,
    /// 2.0: replies have either `result` or `error`, and calls without an id get no reply, except for a single call
    /// that is not valid.
    Two,
}

/// The method and the parameters of a call, or the error if the call is not valid.
pub(super) type RpcRequest<'a> = Result<(Cow<'a, str>, RpcArguments), RpcError>;

/// The parts of a call that its reply depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct RpcCall<'a> {
    /// Its id, as the client sent it.
    pub id: Option<&'a RawValue>,
    /// Its version.
    pub version: RpcVersion,
}

impl<'a> RpcCall<'a> {
    /// The id and version of the reply if no call could be read.
    pub(super) const UNREAD: RpcCall<'static> =
        RpcCall { id: Some(RawValue::NULL), version: RpcVersion::Legacy };

    /// Reads a call. If `text` is not an object, the reply has the version and the id of `before`, the previous call of
    /// the batch, as in Bitcoin Core.
    pub(super) fn read(text: &'a RawValue, before: Self) -> (Self, RpcRequest<'a>) {
        match serde_json::from_str(text.get()) {
            Ok(fields) => Self::of(fields),
            Err(_) => (before, Err(invalid_request("Invalid Request object"))),
        }
    }

    fn of(fields: CallFields<'a>) -> (Self, RpcRequest<'a>) {
        let call = |version| Self { id: fields.id, version };
        let version = match version_of(fields.jsonrpc) {
            Ok(version) => version,
            Err(error) => return (call(RpcVersion::Legacy), Err(error)),
        };
        let request =
            method_of(fields.method).and_then(|method| Ok((method, arguments_of(fields.params)?)));
        (call(version), request)
    }

    /// Returns whether the call is a notification: it has version 2.0 and no id.
    pub(super) fn is_notification(&self) -> bool {
        self.version == RpcVersion::Two && self.id.is_none()
    }

    /// Appends the reply, in the order of keys that Bitcoin Core writes.
    pub(super) fn push_reply(&self, reply: &mut String, result: &RpcResult) {
        let is_legacy = self.version == RpcVersion::Legacy;
        *reply += if is_legacy { "{" } else { "{\"jsonrpc\":\"2.0\"," };
        match result {
            Ok(result) => {
                *reply += "\"result\":";
                *reply += result;
                *reply += if is_legacy { ",\"error\":null" } else { "" };
            }
            Err(error) => {
                *reply += if is_legacy { "\"result\":null,\"error\":" } else { "\"error\":" };
                *reply += &serde_json::to_string(error).expect("an error can be written as JSON");
            }
        }
        if let Some(id) = self.id {
            *reply += ",\"id\":";
            *reply += id.get();
        }
        *reply += "}";
    }
}

/// The fields of a call that are used, as the client sent them.
#[derive(Default)]
struct CallFields<'a> {
    id: Option<&'a RawValue>,
    jsonrpc: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum CallField {
    Id,
    Jsonrpc,
    Method,
    Params,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for CallFields<'a> {
    /// Unlike a derived implementation, takes the first of fields with the same name, and tells null from a missing
    /// field.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CallVisitor)
    }
}

struct CallVisitor;

impl<'de> Visitor<'de> for CallVisitor {
    type Value = CallFields<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = CallFields::default();
        while let Some(field) = map.next_key()? {
            let value = map.next_value()?;
            match field {
                CallField::Id => drop(fields.id.get_or_insert(value)),
                CallField::Jsonrpc => drop(fields.jsonrpc.get_or_insert(value)),
                CallField::Method => drop(fields.method.get_or_insert(value)),
                CallField::Params => drop(fields.params.get_or_insert(value)),
                CallField::Other => {}
            }
        }
        Ok(fields)
    }
}

/// Named parameters in the client's order. A name may occur several times, which `RpcParams` refuses.
struct NamedArguments(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for NamedArguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = NamedArguments;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(NamedArguments(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

fn invalid_request(message: &str) -> RpcError {
    RpcError::new(RpcCode::InvalidRequest, message)
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

fn version_of(value: Option<&RawValue>) -> Result<RpcVersion, RpcError> {
    let Some(value) = value.filter(|value| !is_null(value)) else { return Ok(RpcVersion::Legacy) };
    let text = serde_json::from_str::<Cow<'_, str>>(value.get())
        .map_err(|_| invalid_request("jsonrpc field must be a string"))?;
    match &*text {
        "1.0" | "1.1" => Ok(RpcVersion::Legacy),
        "2.0" => Ok(RpcVersion::Two),
        _ => Err(invalid_request("JSON-RPC version not supported")),
    }
}

fn method_of(value: Option<&RawValue>) -> Result<Cow<'_, str>, RpcError> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let value = value.filter(|value| !is_null(value));
    let value = value.ok_or_else(|| invalid_request("Missing method"))?;
    let text: Result<Text<'_>, _> = serde_json::from_str(value.get());
    text.map(|text| text.0).map_err(|_| invalid_request("Method must be a string"))
}

fn arguments_of(value: Option<&RawValue>) -> Result<RpcArguments, RpcError> {
    let wrong = || invalid_request("Params must be an array or object");
    let Some(value) = value.filter(|value| !is_null(value)) else {
        return Ok(RpcArguments::Positional(Vec::new()));
    };
    // serde_json refuses values nested more than 127 levels deep. No method has a parameter that deep.
    match value.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(value.get()).map(RpcArguments::Positional),
        Some(b'{') => serde_json::from_str(value.get())
            .map(|NamedArguments(named)| RpcArguments::Named(named)),
        _ => return Err(wrong()),
    }
    .map_err(|_| RpcError::new(RpcCode::ParseError, "Parse error"))
}

#[cfg(test)]
mod tests {
    use super::{RpcBody, RpcCall, read_body};
    use crate::server::rpc::error::RpcError;
    use crate::server::rpc::params::RpcArguments;
    use serde_json::json;
    use serde_json::value::RawValue;

    fn call(text: &str) -> (Result<String, RpcError>, String) {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        let (call, request) = RpcCall::read(&raw, RpcCall::UNREAD);
        let method = request.map(|(method, _)| method.into_owned());
        let mut reply = String::new();
        call.push_reply(&mut reply, &method.clone().map(|_| "7".to_owned()));
        (method, reply)
    }

    #[test]
    fn replies_have_the_keys_of_the_calls_version() {
        let reply = |text: &str| call(text).1;
        assert_eq!(reply(r#"{"method":"a","id":"x"}"#), r#"{"result":7,"error":null,"id":"x"}"#);
        assert_eq!(reply(r#"{"method":"a"}"#), r#"{"result":7,"error":null}"#);
        assert_eq!(
            reply(r#"{"jsonrpc":"2.0","method":"a","id":null}"#),
            r#"{"jsonrpc":"2.0","result":7,"id":null}"#
        );
        assert_eq!(
            reply(r#"{"id":1,"method":"a","x":{"id":2},"\u0069d":3}"#),
            r#"{"result":7,"error":null,"id":1}"#
        );
        assert_eq!(
            reply(r#"{"jsonrpc":"2.0","id":[1, 2]}"#),
            r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Missing method"},"id":[1, 2]}"#
        );
        assert_eq!(
            reply(r#"{"jsonrpc":"1.0","id":1,"method":5}"#),
            r#"{"result":null,"error":{"code":-32600,"message":"Method must be a string"},"id":1}"#
        );
    }

    #[test]
    fn invalid_calls_get_the_messages_of_bitcoin_core() {
        for (text, message) in [
            ("5", "Invalid Request object"),
            (r#"{"jsonrpc":2}"#, "jsonrpc field must be a string"),
            (r#"{"jsonrpc":"3.0"}"#, "JSON-RPC version not supported"),
            (r#"{"method":"a","params":5}"#, "Params must be an array or object"),
        ] {
            assert_eq!(call(text).0.unwrap_err().message, message, "{text}");
        }
    }

    #[test]
    fn a_body_is_an_object_or_a_bounded_array() {
        assert!(matches!(read_body(b" {} ", 2), Ok(RpcBody::Single(..))));
        assert!(matches!(read_body(b"[1,2]", 2), Ok(RpcBody::Batch(calls)) if calls.len() == 2));
        let message = |body: &[u8]| read_body(body, 2).unwrap_err().message;
        assert_eq!(message(b"[1,2,3]"), "A batch may have 2 calls at most, not 3");
        assert_eq!(message(b"7"), "Top-level object parse error");
        assert_eq!(message(b"{"), "Parse error");
        assert_eq!(message(b""), "Parse error");
        for text in ["{} x", "[1] x", "\u{c}{}", r#"{"\ud800":1}"#, "\"a", "7 7"] {
            assert_eq!(message(text.as_bytes()), "Parse error", "{text}");
        }
        assert_eq!(message(b"{\"a\":\"\xff\"}"), "Parse error");
    }

    #[test]
    fn deeply_nested_parameters_are_refused() {
        let deep =
            format!(r#"{{"method":"a","params":[{}1{}]}}"#, "[".repeat(9_999), "]".repeat(9_999));
        assert_eq!(call(&deep).0.unwrap_err().message, "Parse error");
    }

    #[test]
    fn parameters_keep_their_form() {
        let raw = RawValue::from_string(r#"{"method":"a","params":{"b":1}}"#.to_owned()).unwrap();
        let (_, arguments) = RpcCall::read(&raw, RpcCall::UNREAD).1.unwrap();
        assert!(
            matches!(arguments, RpcArguments::Named(pairs) if pairs[0] == ("b".to_owned(), json!(1)))
        );
    }
}
