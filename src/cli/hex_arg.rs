//! Reads hex digits as people paste them and as programs print them.

/// Returns the hex digits of a text, without white space around them, the quotes of a JSON string, and `0x`.
pub(super) fn hex_digits(text: &str) -> &str {
    let text = text.trim();
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    without_0x(quoted.unwrap_or(text).trim())
}

/// Returns the text without `0x` at its start.
pub(super) fn without_0x(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::hex_digits;

    #[test]
    fn digits_are_found_in_quotes_and_after_0x() {
        for text in ["0aff", " 0aff\n", "0x0aff", "\"0aff\"\n", "\"0X0aff\""] {
            assert_eq!(hex_digits(text), "0aff", "{text}");
        }
        for (text, digits) in [("", ""), ("\"\"", ""), ("\"", "\""), ("\"0aff", "\"0aff")] {
            assert_eq!(hex_digits(text), digits, "{text}");
        }
    }
}
