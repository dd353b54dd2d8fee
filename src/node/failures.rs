//! Why peers could not be used, counted: hundreds of them may have failed in the same way.

use crate::net::{Disconnect, Spoken};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

/// So many failures are listed one by one, with their addresses; of more, those of one kind are counted.
const LISTED: usize = 4;

/// Why peers could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// The proxy's fault, in whose face no peer is to blame.
    proxy: Option<String>,
    /// What was wrong before any peer was dialled.
    remarks: Vec<String>,
    kinds: BTreeMap<Kind, Tally>,
    /// The last ones, of whatever kind.
    last: Vec<String>,
    count: usize,
}

/// Failures that are one and the same to whoever reads of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Spoken(Spoken),
    NoRoute,
    Refused,
    TimedOut,
    HungUp,
    /// Connected, and gone before it sent what is named.
    Left(&'static str),
    OtherNetwork,
    NotReachedByProxy,
    /// It is still being dialled.
    Undecided,
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    count: usize,
    addresses: BTreeSet<String>,
    /// The last one, with its address.
    last: String,
}

impl Kind {
    fn of(reason: &Disconnect) -> Self {
        match reason {
            Disconnect::OtherProtocol { spoken } => Self::Spoken(*spoken),
            Disconnect::Unreachable { kind, .. } => match kind {
                ErrorKind::NetworkUnreachable
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkDown
                | ErrorKind::AddrNotAvailable => Self::NoRoute,
                ErrorKind::ConnectionRefused => Self::Refused,
                ErrorKind::TimedOut => Self::TimedOut,
                ErrorKind::Other => Self::NotReachedByProxy,
                _ => Self::Other,
            },
            Disconnect::ConnectTimeout { .. } | Disconnect::HandshakeTimeout { .. } => {
                Self::TimedOut
            }
            Disconnect::HungUp | Disconnect::Closed | Disconnect::Broken { .. } => Self::HungUp,
            Disconnect::WrongNetwork { .. } => Self::OtherNetwork,
            _ => Self::Other,
        }
    }

    /// What so many of them did.
    fn words(self, count: usize) -> String {
        match self {
            Self::Spoken(Spoken::Http) => {
                format!("{count} answered HTTP: a login page or a proxy?")
            }
            Self::Spoken(spoken) => format!("{count} answered {spoken}"),
            Self::NoRoute => format!("{count} had no route"),
            Self::Refused => format!("{count} refused the connection"),
            Self::TimedOut => format!("{count} did not answer in time"),
            Self::HungUp => format!("{count} hung up"),
            Self::Left(what) => {
                format!("{count} peers connected and disconnected without sending {what}")
            }
            Self::OtherNetwork => format!("{count} are on another network"),
            Self::NotReachedByProxy => format!("{count} could not be reached through the proxy"),
            Self::Undecided => format!("{count} have not answered yet"),
            Self::Other => format!("{count} failed in other ways"),
        }
    }
}

impl Failures {
    /// A connection ended, or was never made.
    pub(super) fn add(&mut self, address: &str, reason: &Disconnect) {
        match reason {
            Disconnect::Proxy(error) => self.proxy = Some(error.to_string()),
            reason => self.count(address, Kind::of(reason), &reason.to_string()),
        }
    }

    /// A peer disconnected before it had sent what was wanted.
    pub(super) fn add_left(&mut self, address: &str, what: &'static str, reason: &Disconnect) {
        let text = format!("disconnected without sending {what}: {reason}");
        self.count(address, Kind::Left(what), &text);
    }

    /// A peer was of no use, for a reason of its own.
    pub(super) fn add_other(&mut self, address: &str, reason: &str) {
        self.count(address, Kind::Other, reason);
    }

    /// A peer was given up while its handshake was under way.
    pub(super) fn add_late(&mut self, address: &str, waited: Duration) {
        let text = format!("no complete handshake within {} s", waited.as_secs());
        self.count(address, Kind::TimedOut, &text);
    }

    /// A peer is still being dialled.
    pub(super) fn add_undecided(&mut self, address: &str) {
        self.count(address, Kind::Undecided, "no connection yet");
    }

    /// Something was wrong before any peer was dialled; said once.
    pub(super) fn remark(&mut self, remark: &str) {
        if self.remarks.iter().all(|known| known != remark) {
            self.remarks.push(remark.to_owned());
        }
    }

    fn count(&mut self, address: &str, kind: Kind, reason: &str) {
        let text = format!("{address} ({reason})");
        self.count += 1;
        if self.last.len() == LISTED {
            self.last.remove(0);
        }
        self.last.push(text.clone());
        let tally = self.kinds.entry(kind).or_default();
        tally.count += 1;
        tally.addresses.insert(address.to_owned());
        tally.last = text;
    }

    /// Whether nothing is known to have failed.
    pub fn is_empty(&self) -> bool {
        self.proxy.is_none() && self.remarks.is_empty() && self.count == 0
    }

    /// Whether only the proxy stood in the way.
    pub fn blame_the_proxy(&self) -> bool {
        self.proxy.is_some() && self.count == 0
    }

    /// Whether most of those that were dialled answered as a network's login page does.
    pub fn look_captive(&self) -> bool {
        let http = self.kinds.get(&Kind::Spoken(Spoken::Http)).map_or(0, |tally| tally.count);
        http > LISTED && http * 2 > self.count
    }

    /// One short line for each reason, the most frequent first; a single failure with its address.
    pub fn lines(&self) -> Vec<String> {
        // Without a proxy that works no address can be found: to say so as well would only distract.
        let remarks = if self.proxy.is_some() { &[] } else { &self.remarks[..] };
        let mut lines: Vec<String> = self.proxy.iter().chain(remarks).cloned().collect();
        if self.count <= LISTED {
            lines.extend(counted(&self.last));
            return lines;
        }
        let mut kinds: Vec<(&Kind, &Tally)> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.count));
        lines.extend(kinds.into_iter().map(|(kind, tally)| match (tally.count, kind) {
            (1, _) => tally.last.clone(),
            // One peer may be dialled several times.
            (count, Kind::Left(_)) => match tally.addresses.len() {
                1 => times(&tally.last, count),
                peers => kind.words(peers),
            },
            (count, Kind::Other) => format!("{}, as {}", kind.words(count), tally.last),
            (count, _) => kind.words(count),
        }));
        lines
    }
}

/// Each text once, with how often it comes.
fn counted(texts: &[String]) -> Vec<String> {
    let mut lines: Vec<(&String, usize)> = Vec::new();
    for text in texts {
        match lines.iter_mut().find(|(known, _)| *known == text) {
            Some((_, count)) => *count += 1,
            None => lines.push((text, 1)),
        }
    }
    lines.into_iter().map(|(text, count)| times(text, count)).collect()
}

fn times(text: &str, count: usize) -> String {
    if count == 1 { text.to_owned() } else { format!("{text}, {count} times") }
}

impl fmt::Display for Failures {
    /// The lines as one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::Failures;
    use crate::net::{Disconnect, Spoken};
    use std::io::ErrorKind;

    fn unreachable(kind: ErrorKind, text: &str) -> Disconnect {
        Disconnect::Unreachable { kind, text: text.to_owned() }
    }

    #[test]
    fn behind_a_login_page_its_answers_are_counted_and_not_listed() {
        let mut failures = Failures::default();
        let http = Disconnect::OtherProtocol { spoken: Spoken::Http };
        (0..112).for_each(|at| failures.add(&format!("1.2.3.{at}:8333"), &http));
        let no_route = unreachable(ErrorKind::NetworkUnreachable, "Network is unreachable");
        (0..25).for_each(|at| failures.add(&format!("[2001::{at}]:8333"), &no_route));
        let expected = ["112 answered HTTP: a login page or a proxy?", "25 had no route"];
        assert_eq!(failures.lines(), expected);
        assert!(failures.look_captive() && !failures.blame_the_proxy());
    }

    #[test]
    fn a_few_failures_are_listed_with_their_addresses_and_a_single_one_of_many_keeps_its() {
        let mut failures = Failures::default();
        assert!(failures.is_empty());
        let refused = unreachable(ErrorKind::ConnectionRefused, "Connection refused");
        failures.add("a:1", &refused);
        failures.add_other("b:1", "offers nothing");
        assert_eq!(
            failures.to_string(),
            "a:1 (cannot connect: Connection refused); b:1 (offers nothing)"
        );
        (0..9).for_each(|_| failures.add("a:1", &refused));
        assert_eq!(failures.lines(), ["10 refused the connection", "b:1 (offers nothing)"]);
        assert!(!failures.look_captive());
    }

    #[test]
    fn peers_that_connect_and_disconnect_are_counted_by_address() {
        let mut failures = Failures::default();
        (0..4).for_each(|_| failures.add_left("a:1", "new headers", &Disconnect::Closed));
        let once = "a:1 (disconnected without sending new headers: closed by peer), 4 times";
        assert_eq!(failures.lines(), [once]);
        (0..4).for_each(|_| failures.add_left("a:1", "new headers", &Disconnect::Closed));
        assert_eq!(failures.lines(), [once.replace('4', "8")]);
        failures.add_left("b:1", "new headers", &Disconnect::Closed);
        let several = "2 peers connected and disconnected without sending new headers";
        assert_eq!(failures.lines(), [several]);
    }

    #[test]
    fn remarks_are_made_once() {
        let mut failures = Failures::default();
        (0..3).for_each(|_| failures.remark("the DNS seeds named no address"));
        assert_eq!(failures.lines(), ["the DNS seeds named no address"]);
        assert!(!failures.is_empty());
    }
}
