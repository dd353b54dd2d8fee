//! Counts the reasons why peers could not be used, since hundreds of peers may fail for the same reason.

use crate::net::{Disconnect, OtherProtocol};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

/// Up to this many failures are listed one by one, with their addresses. More than this many are counted by kind.
const MAX_LISTED: usize = 4;

/// Why peers could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// The error of the proxy, without which no peer can be reached; `None` if the proxy has not failed.
    proxy: Option<String>,
    /// Problems before any peer was dialled, such as DNS seeds without an address.
    remarks: Vec<String>,
    kinds: BTreeMap<FailureKind, FailureTally>,
    /// The last failures of any kind, up to [`MAX_LISTED`].
    last: Vec<String>,
    count: usize,
}

/// A kind of failure. The failures of one kind are reported together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum FailureKind {
    OtherProtocol(OtherProtocol),
    NoRoute,
    Refused,
    TimedOut,
    HungUp,
    /// The peer disconnected before it sent the data that is named here.
    DisconnectedEarly(&'static str),
    OtherNetwork,
    NotReachedByProxy,
    /// The peer is still being dialled.
    Undecided,
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct FailureTally {
    count: usize,
    addresses: BTreeSet<String>,
    /// The last failure of this kind, with its address.
    last: String,
}

impl FailureKind {
    fn of(reason: &Disconnect) -> Self {
        match reason {
            Disconnect::OtherProtocol { protocol } => Self::OtherProtocol(*protocol),
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

    /// Describes `count` failures of this kind.
    fn describe(self, count: usize) -> String {
        match self {
            Self::OtherProtocol(OtherProtocol::Http) => {
                format!("{count} answered HTTP: a login page or a proxy?")
            }
            Self::OtherProtocol(protocol) => format!("{count} answered {protocol}"),
            Self::NoRoute => format!("{count} had no route"),
            Self::Refused => format!("{count} refused the connection"),
            Self::TimedOut => format!("{count} did not answer in time"),
            Self::HungUp => format!("{count} hung up"),
            Self::DisconnectedEarly(what) => {
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
    /// Adds a connection that ended, or could not be made.
    pub(super) fn add(&mut self, address: &str, reason: &Disconnect) {
        match reason {
            Disconnect::Proxy(error) => self.proxy = Some(error.to_string()),
            reason => self.count(address, FailureKind::of(reason), &reason.to_string()),
        }
    }

    /// Adds a peer that disconnected before it had sent `what`.
    pub(super) fn add_disconnected_early(
        &mut self,
        address: &str,
        what: &'static str,
        reason: &Disconnect,
    ) {
        let text = format!("disconnected without sending {what}: {reason}");
        self.count(address, FailureKind::DisconnectedEarly(what), &text);
    }

    /// Adds a peer that could not be used for any other reason.
    pub(super) fn add_other(&mut self, address: &str, reason: &str) {
        self.count(address, FailureKind::Other, reason);
    }

    /// Adds a peer that was given up before its handshake was complete.
    pub(super) fn add_handshake_timeout(&mut self, address: &str, waited: Duration) {
        let text = format!("no complete handshake within {} s", waited.as_secs());
        self.count(address, FailureKind::TimedOut, &text);
    }

    /// Adds a peer that is still being dialled.
    pub(super) fn add_undecided(&mut self, address: &str) {
        self.count(address, FailureKind::Undecided, "no connection yet");
    }

    /// Adds something that went wrong before any peer was dialled. A repeated remark is ignored.
    pub(super) fn add_remark(&mut self, remark: &str) {
        if self.remarks.iter().all(|known| known != remark) {
            self.remarks.push(remark.to_owned());
        }
    }

    fn count(&mut self, address: &str, kind: FailureKind, reason: &str) {
        let text = format!("{address} ({reason})");
        self.count += 1;
        if self.last.len() == MAX_LISTED {
            self.last.remove(0);
        }
        self.last.push(text.clone());
        let tally = self.kinds.entry(kind).or_default();
        tally.count += 1;
        tally.addresses.insert(address.to_owned());
        tally.last = text;
    }

    /// Returns whether nothing has failed.
    pub fn is_empty(&self) -> bool {
        self.proxy.is_none() && self.remarks.is_empty() && self.count == 0
    }

    /// Returns whether the proxy failed, and no peer failed for another reason.
    pub fn only_proxy_failed(&self) -> bool {
        self.proxy.is_some() && self.count == 0
    }

    /// Returns whether most failures, and more than four, are HTTP answers. A network that shows a login page first
    /// (captive portal) answers every connection with HTTP.
    pub fn suggest_captive_portal(&self) -> bool {
        let http = self
            .kinds
            .get(&FailureKind::OtherProtocol(OtherProtocol::Http))
            .map_or(0, |tally| tally.count);
        http > MAX_LISTED && http * 2 > self.count
    }

    /// Returns the lines to show: the proxy's fault, or else the remarks, and then the failures. Up to four failures are
    /// listed one by one. More than four are counted by kind, the kind with the most addresses first. A kind with one
    /// address shows that address.
    pub fn lines(&self) -> Vec<String> {
        // With a broken proxy no address can be found either. A line about that would only distract.
        let remarks = if self.proxy.is_some() { &[] } else { &self.remarks[..] };
        let mut lines: Vec<String> = self.proxy.iter().chain(remarks).cloned().collect();
        if self.count <= MAX_LISTED {
            lines.extend(counted(&self.last));
            return lines;
        }
        let mut kinds: Vec<(&FailureKind, &FailureTally)> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.addresses.len()));
        // Each kind is counted by address, since one peer may be dialled several times.
        lines.extend(kinds.into_iter().map(|(kind, tally)| match (tally.addresses.len(), kind) {
            (1, _) => times(&tally.last, tally.count),
            (peers, FailureKind::Other) => {
                format!("{}, such as {}", kind.describe(peers), tally.last)
            }
            (peers, _) => kind.describe(peers),
        }));
        lines
    }
}

/// Returns each text once, with the number of times that it occurs if that is more than one.
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
    /// Writes the lines, separated by semicolons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::Failures;
    use crate::net::{Disconnect, OtherProtocol};
    use std::io::ErrorKind;

    fn unreachable(kind: ErrorKind, text: &str) -> Disconnect {
        Disconnect::Unreachable { kind, text: text.to_owned() }
    }

    #[test]
    fn answers_of_a_login_page_are_counted_and_not_listed() {
        let mut failures = Failures::default();
        let http = Disconnect::OtherProtocol { protocol: OtherProtocol::Http };
        (0..112).for_each(|at| failures.add(&format!("1.2.3.{at}:8333"), &http));
        let no_route = unreachable(ErrorKind::NetworkUnreachable, "Network is unreachable");
        (0..25).for_each(|at| failures.add(&format!("[2001::{at}]:8333"), &no_route));
        let expected = ["112 answered HTTP: a login page or a proxy?", "25 had no route"];
        assert_eq!(failures.lines(), expected);
        assert!(failures.suggest_captive_portal() && !failures.only_proxy_failed());
    }

    #[test]
    fn few_failures_and_a_kind_with_one_address_are_listed_with_their_addresses() {
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
        let often = "a:1 (cannot connect: Connection refused), 10 times";
        assert_eq!(failures.lines(), [often, "b:1 (offers nothing)"]);
        failures.add("c:1", &refused);
        assert_eq!(failures.lines(), ["2 refused the connection", "b:1 (offers nothing)"]);
        assert!(!failures.suggest_captive_portal());
    }

    #[test]
    fn peers_that_connect_and_disconnect_are_counted_by_address() {
        let mut failures = Failures::default();
        (0..4).for_each(|_| {
            failures.add_disconnected_early("a:1", "new headers", &Disconnect::Closed)
        });
        let once = "a:1 (disconnected without sending new headers: closed by peer), 4 times";
        assert_eq!(failures.lines(), [once]);
        (0..4).for_each(|_| {
            failures.add_disconnected_early("a:1", "new headers", &Disconnect::Closed)
        });
        assert_eq!(failures.lines(), [once.replace('4', "8")]);
        failures.add_disconnected_early("b:1", "new headers", &Disconnect::Closed);
        let several = "2 peers connected and disconnected without sending new headers";
        assert_eq!(failures.lines(), [several]);
    }

    #[test]
    fn a_repeated_remark_is_listed_once() {
        let mut failures = Failures::default();
        (0..3).for_each(|_| failures.add_remark("the DNS seeds named no address"));
        assert_eq!(failures.lines(), ["the DNS seeds named no address"]);
        assert!(!failures.is_empty());
    }
}
