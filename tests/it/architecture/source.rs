//! Reads source files as far as the architecture's rules need it: code without comments, strings and tests, and the
//! paths that it names. It knows Rust as `rustfmt` writes it, not all of Rust.

use std::collections::HashMap;

/// The attributes of items that only tests and the fuzzer have, without the contents of their literals.
const FOR_FUZZER: [&str; 2] =
    ["#[cfg(any(test, feature = \"\"))]", "#[cfg(all(feature = \"\", any(test, feature = \"\")))]"];

/// Returns the code of a file, to its end, without comments, the contents of literals, and items under `#[cfg(test)]`
/// or that the fuzzer has besides; and the names of the files that are modules under these.
pub(super) fn code(text: &str) -> (String, Vec<String>) {
    let code = without_comments(text);
    without_tests(&FOR_FUZZER.iter().fold(code, |code, other| code.replace(other, "#[cfg(test)]")))
}

fn without_comments(text: &str) -> String {
    let (mut code, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(next) = rest.chars().next() {
        let in_word = code.ends_with(is_word);
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest).filter(|_| !in_word) {
            code.push_str("\"\"");
            length
        } else if next == '"' {
            code.push_str("\"\"");
            quoted(rest, '"')
        } else if next == '\'' && (rest[1..].starts_with('\\') || is_char_literal(rest)) {
            code.push_str("' '");
            quoted(rest, '\'')
        } else {
            code.push(next);
            next.len_utf8()
        };
        rest = &rest[length..];
    }
    code
}

/// Returns whether the quote begins a character and not a lifetime.
fn is_char_literal(text: &str) -> bool {
    text.chars().nth(2) == Some('\'')
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let bytes = &text.as_bytes()[at..];
        (depth, at) = match bytes {
            [b'/', b'*', ..] => (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth - 1, at + 2),
            _ => (depth, at + 1),
        };
        if depth == 0 {
            break;
        }
    }
    at
}

fn raw_string(text: &str) -> Option<usize> {
    let opening = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let marks = opening.bytes().take_while(|byte| *byte == b'#').count();
    let inside = opening[marks..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    let length = inside.find(&end).expect("the compiler has seen its end") + end.len();
    Some(text.len() - inside.len() + length)
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = true; // as the first quote is
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn without_tests(code: &str) -> (String, Vec<String>) {
    let (mut kept, mut modules, mut rest) = (String::with_capacity(code.len()), Vec::new(), code);
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let (item, next) = after.split_at(item_length(after));
        rest = next;
        let mut words = item.split_whitespace();
        if words.any(|word| word == "mod")
            && let Some(name) = words.next().and_then(|name| name.strip_suffix(';'))
        {
            modules.push(name.to_owned());
        }
    }
    kept.push_str(rest);
    (kept, modules)
}

/// The length of the item at the beginning: up to a semicolon, or to the end of its braces.
fn item_length(code: &str) -> usize {
    let mut open = 0;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open -= 1,
            _ => {}
        }
        if open == 0 && (c == ';' || c == '}') {
            return at + 1;
        }
    }
    code.len()
}

/// A path that code names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: Vec<String>,
    /// By which name the file knows it from then on, if it is imported; `*` is all.
    pub(super) import: Option<String>,
    /// Whether it is imported for others: `pub use`, with any limit.
    pub(super) reexport: bool,
}

/// Returns the paths of two parts and more that the code names, and all that it imports. Paths that begin with an imported
/// name are spelt out.
pub(super) fn paths(code: &str) -> Vec<Named> {
    let words = words(code);
    let (mut found, mut at, mut public) = (Vec::new(), 0, false);
    while at < words.len() {
        let starts = at == 0 || words[at - 1] != "::";
        if words[at] == "use" {
            at += 1;
            use_tree(&words, &mut at, &[], public, &mut found);
        } else if starts && is_name(words[at]) && words.get(at + 1) == Some(&"::") {
            let path = inline(&words, &mut at);
            found.push(Named { path, import: None, reexport: false });
        } else {
            let limit = public && matches!(words[at], "(" | ")" | "crate" | "super");
            public = words[at] == "pub" || limit;
            at += 1;
        }
    }
    spell_out(found)
}

fn spell_out(mut found: Vec<Named>) -> Vec<Named> {
    let imports: HashMap<String, Vec<String>> = found
        .iter()
        .filter_map(|named| Some((named.import.clone()?, named.path.clone())))
        .collect();
    for named in found.iter_mut().filter(|named| named.import.is_none()) {
        if let Some(start) = imports.get(&named.path[0]) {
            named.path.splice(..1, start.iter().cloned());
        }
    }
    found
}

/// The words of code: names, `::`, and other characters one by one.
fn words(code: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), code.trim_start());
    while let Some(first) = rest.chars().next() {
        let length = match first {
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        words.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    words
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn inline(words: &[&str], at: &mut usize) -> Vec<String> {
    let mut path = vec![words[*at].to_owned()];
    *at += 1;
    while words.get(*at) == Some(&"::") && words.get(*at + 1).is_some_and(|word| is_name(word)) {
        path.push(words[*at + 1].to_owned());
        *at += 2;
    }
    path
}

fn use_tree(
    words: &[&str],
    at: &mut usize,
    start: &[String],
    reexport: bool,
    found: &mut Vec<Named>,
) {
    let mut path = start.to_vec();
    let import = loop {
        let word = words[*at];
        *at += 1;
        match word {
            "::" => {}
            "{" => {
                while words[*at] != "}" {
                    use_tree(words, at, &path, reexport, found);
                    *at += usize::from(words[*at] == ",");
                }
                *at += 1;
                return;
            }
            "as" => {
                *at += 1;
                break words[*at - 1];
            }
            "*" => break "*",
            // `use a::{self}` is `use a`.
            "self" if !path.is_empty() => {}
            name => path.push(name.to_owned()),
        }
        if !matches!(words[*at], "::" | "as") && word != "::" {
            break path.last().expect("a name was read");
        }
    };
    let import = Some(import.to_owned());
    found.push(Named { path, import, reexport });
}

#[test]
fn code_after_a_test_item_is_read() {
    let text = r##"
        //! crate::a
        use crate::b::{self, c::D as E, f::*}; /* crate::g /* nested */ */
        const S: &str = "crate::h \" // {"; const R: &str = r#"crate::i " "#; const C: char = '"';
        #[cfg(test)]
        fn only<'a>(x: [u8; 3]) -> [u8; 2] { crate::j::k() }
        #[cfg(test)]
        mod tests;
        #[cfg(any(test, feature = "fuzzing"))]
        #[allow(clippy::unwrap_used, reason = "mod x;")]
        pub(crate) mod fuzz;
        pub(super) use self::l::M;
        fn after() { b::n::<u8>(); E::o(); std::mem::take(x) }
        #[cfg(test)]
        mod more { use super::p; }
    "##;
    let (code, tests) = code(text);
    assert_eq!(tests, ["tests", "fuzz"]);
    let named: Vec<String> = paths(&code).iter().map(|named| named.path.join("::")).collect();
    assert_eq!(
        named,
        [
            "crate::b",
            "crate::b::c::D",
            "crate::b::f",
            "self::l::M",
            "crate::b::n",
            "crate::b::c::D::o",
            "std::mem::take"
        ]
    );
}
