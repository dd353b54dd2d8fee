//! Refuses requests that a browser sends for a page of another site.
//!
//! # Security
//! A page of another site can make the browser send requests to any address, including this computer's. `Origin` and
//! `Sec-Fetch-Site`, which browsers set and pages cannot change, reveal these requests. A site can also let its own
//! name point to this computer (DNS rebinding). `Host` then contains that name, which the user has not allowed.

use crate::config::HostPort;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use std::net::{IpAddr, Ipv6Addr};

/// Returns why a request without credentials is refused; `None` if it is accepted.
pub(super) fn refusal(
    headers: &HeaderMap,
    uri: &Uri,
    allowed_hosts: &[HostPort],
) -> Option<&'static str> {
    let host = match headers.get(HOST) {
        // A host that is not text is on no list.
        Some(host) => Some(host.to_str().unwrap_or_default()),
        None => uri.authority().map(|authority| authority.as_str()),
    };
    // A request of HTTP/1.0 may have no host, but no browser sends such requests.
    if let Some(host) = host
        && !is_address_or_localhost(host)
        && !allowed_hosts.iter().any(|allowed| is_named(host, allowed))
    {
        return Some(
            "Unknown host: use an IP address or localhost, or serve with --rpc-allow-host\n",
        );
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(origin) = text(ORIGIN.as_str())
        && origin.split_once("://").map(|(_, host)| host) != host
    {
        return Some("Cross-site request refused\n");
    }
    let is_cross_site = matches!(text("sec-fetch-site"), Some("cross-site" | "same-site"));
    // Navigation is allowed: a user may follow a link on another site.
    if is_cross_site && text("sec-fetch-mode") != Some("navigate") {
        return Some("Cross-site request refused\n");
    }
    None
}

fn is_address_or_localhost(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(ip, _)| ip.parse::<Ipv6Addr>().is_ok());
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Returns whether a `Host` header names an allowed host. If `allowed` has no port, any port matches.
fn is_named(host: &str, allowed: &HostPort) -> bool {
    host.parse::<HostPort>().is_ok_and(|HostPort { host, port }| {
        host.eq_ignore_ascii_case(&allowed.host) && (allowed.port.is_none() || allowed.port == port)
    })
}

#[cfg(test)]
mod tests {
    use super::refusal;
    use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};

    fn refused(headers: &[(&str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        let allowed = ["node.example", "proxy.example:8443"].map(|text| text.parse().unwrap());
        refusal(&HeaderMap::from_iter(headers), &Uri::from_static("/"), &allowed).is_some()
    }

    #[test]
    fn host_names_that_the_user_has_allowed_are_accepted() {
        for host in ["node.example", "Node.Example:8332", "proxy.example:8443"] {
            assert!(!refused(&[("host", host)]), "{host}");
        }
        for host in ["proxy.example", "proxy.example:1", "x.node.example", "node.example."] {
            assert!(refused(&[("host", host)]), "{host}");
        }
        let host = ("host", "node.example");
        assert!(refused(&[host, ("origin", "https://evil.example")]));
    }

    #[test]
    fn addresses_and_localhost_are_accepted_and_names_that_anybody_can_own_are_refused() {
        for host in
            ["127.0.0.1:8332", "[::1]:8332", "[::1]", "localhost", "LOCALHOST:1", "10.0.0.1"]
        {
            assert!(!refused(&[("host", host)]), "{host}");
        }
        for host in
            ["evil.example", "evil.example:8332", "localhost.evil.example", "[evil]", "", "évil"]
        {
            assert!(refused(&[("host", host)]), "{host}");
        }
        assert!(!refused(&[]));
    }

    #[test]
    fn pages_of_other_sites_may_only_link_to_us() {
        let host = ("host", "127.0.0.1:8332");
        assert!(refused(&[host, ("origin", "https://evil.example")]));
        assert!(refused(&[host, ("origin", "null")]));
        assert!(!refused(&[host, ("origin", "http://127.0.0.1:8332")]));
        assert!(refused(&[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]));
        assert!(!refused(&[
            host,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate")
        ]));
        assert!(!refused(&[host, ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")]));
    }
}
