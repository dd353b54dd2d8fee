//! Completes messages for people, so that the commands in a message can be pasted, and its heights have separators.

use crate::format::count;

/// The start of a command that a message advises.
const COMMAND: &str = "`lightclient ";

/// The words before a command that another process runs. Such a command is no advice, so no options are added to it.
const RUNNING: &str = "in use by ";

/// A height with at least this many digits gets separators.
const MIN_DIGITS: usize = 4;

/// Commands that choose their peers, so that they take `--connect` and `--proxy`.
const PEER_COMMANDS: [&str; 7] =
    ["sync", "serve", "peers", "block", "tx", "proof create", "mempool"];

/// Completes messages from lower layers, which know neither the command line nor how numbers are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wording {
    options: String,
    peer_options: String,
}

impl Wording {
    /// Makes a wording that adds `options` to every command that a message advises, and also `peer_options` to commands
    /// that choose their peers. Both are quoted for a shell, with a space before each option.
    pub(crate) fn new(options: String, peer_options: String) -> Self {
        Self { options, peer_options }
    }

    /// Completes the commands and heights in a message.
    pub(crate) fn apply(&self, text: &str) -> String {
        self.with_options(&with_separators(text))
    }

    fn with_options(&self, text: &str) -> String {
        let mut parts = text.split(COMMAND);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_running = out.ends_with(RUNNING);
            out.push_str(COMMAND);
            let whole = part.split_once('`').filter(|_| !is_running);
            let Some((command, rest)) = whole else {
                out.push_str(part);
                continue;
            };
            out.push_str(command);
            out.push_str(&self.options);
            if takes_peers(command) {
                out.push_str(&self.peer_options);
            }
            out.push('`');
            out.push_str(rest);
        }
        out
    }
}

fn takes_peers(command: &str) -> bool {
    let rest = PEER_COMMANDS.iter().find_map(|name| command.strip_prefix(name));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Adds separators to each number of at least [`MIN_DIGITS`] digits that follows the word "height" or "heights".
fn with_separators(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_height = false;
    for word in text.split_inclusive(' ') {
        let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
        let (number, rest) = word.split_at(digits);
        let is_number = rest.chars().next().is_none_or(|c| " ,:;.)".contains(c))
            && !rest.starts_with(|c: char| {
                ",.".contains(c) && rest[1..].starts_with(|c: char| c.is_ascii_digit())
            });
        match number.parse::<u64>() {
            Ok(value) if is_height && is_number && digits >= MIN_DIGITS => {
                out.push_str(&count(value));
                out.push_str(rest);
            }
            _ => out.push_str(word),
        }
        let word = word.trim_end().trim_start_matches('(');
        // The number in `height 5000`, and both numbers in `heights 0 to 5000`.
        is_height = matches!(word, "height" | "heights")
            || is_height && (digits > 0 || word == "to" || word == "and");
        if !matches!(word, "height" | "heights" | "to" | "and") && digits == 0 {
            is_height = false;
        }
    }
    out
}

/// Quotes a text as one word of a POSIX shell. A text with control characters becomes a `$'…'` of bash and zsh.
pub(crate) fn shell_quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    if text.chars().any(char::is_control) {
        return format!("$'{}'", text.chars().map(ansi_c_quoted).collect::<String>());
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Writes a character as it stands between `$'` and `'` in bash and zsh.
fn ansi_c_quoted(c: char) -> String {
    match c {
        '\'' | '\\' => format!("\\{c}"),
        c if c.is_control() => {
            let text = c.to_string();
            text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
        }
        c => c.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Wording, shell_quoted};

    #[test]
    fn only_advised_commands_get_the_options() {
        let wording = Wording::new(" --regtest".to_owned(), " --connect a".to_owned());
        for (text, expected) in [
            ("run `lightclient sync` first", "run `lightclient sync --regtest --connect a` first"),
            (
                "`lightclient verify --repair`, then `lightclient sync`",
                "`lightclient verify --repair --regtest`, then `lightclient sync --regtest --connect a`",
            ),
            ("see `lightclient tx 00`", "see `lightclient tx 00 --regtest --connect a`"),
            ("`lightclient txt`", "`lightclient txt --regtest`"),
            ("lightclient sync", "lightclient sync"),
            ("is in use by `lightclient sync`: wait", "is in use by `lightclient sync`: wait"),
            ("an open `lightclient sync", "an open `lightclient sync"),
            ("`bitcoin-cli help`", "`bitcoin-cli help`"),
        ] {
            assert_eq!(wording.apply(text), expected);
        }
    }

    #[test]
    fn heights_get_separators_and_other_numbers_do_not() {
        for (text, expected) in [
            ("damaged at height 32260: run", "damaged at height 32,260: run"),
            ("(stored are heights 0 to 32259 of", "(stored are heights 0 to 32,259 of"),
            ("height 999, port 8333", "height 999, port 8333"),
            ("height 32,259 of process 12345", "height 32,259 of process 12345"),
            ("at height 5000 from 10.0.0.1:8333", "at height 5,000 from 10.0.0.1:8333"),
            ("height 1231006505e", "height 1231006505e"),
        ] {
            assert_eq!(Wording::default().apply(text), expected);
        }
    }

    #[test]
    fn words_are_quoted_if_a_shell_would_change_them() {
        for (text, quoted) in [
            ("/data/chain-1", "/data/chain-1"),
            ("/my data", "'/my data'"),
            ("/it's", r"'/it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
            ("a\nb", r"$'a\x0ab'"),
            ("ü\u{1b}'", r"$'ü\x1b\''"),
        ] {
            assert_eq!(shell_quoted(text), quoted);
        }
    }
}
