//! Checks hints and addresses of peers, which users write as text.

use crate::chain::Hints;
use crate::config::HostPort;
use crate::net::PeerAddress;
use std::fmt::Write;

/// Checks that hints are read back as they were written, and that their heights ascend. The text may also be the
/// address of a peer.
pub(super) fn run_hints(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    run_address(text);
    let hints = match Hints::parse(text) {
        Ok(hints) => hints,
        Err(error) => return assert!(!error.to_string().contains('\n'), "{error}"),
    };
    let mut written = String::new();
    for point in hints.points() {
        writeln!(written, "{} {}", point.height, point.hash).unwrap();
        assert_eq!(hints.at_or_below(point.height), Some(*point));
    }
    assert!(hints.points().is_sorted_by(|one, next| one.height < next.height));
    assert_eq!(Hints::parse(&written), Ok(hints));
}

/// Checks that an address of a peer is read back from its displayed form.
fn run_address(text: &str) {
    if let Ok(address) = text.parse::<HostPort>() {
        assert_eq!(address.to_string().parse::<HostPort>().unwrap(), address);
    }
    if let Ok(address) = text.parse::<PeerAddress>() {
        assert_eq!(address.to_string().parse::<PeerAddress>().unwrap(), address);
    }
}
