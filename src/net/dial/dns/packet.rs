//! Encodes DNS queries and decodes answers.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of a message's header.
const HEAD_LEN: usize = 12;

/// Length of the shortest entry of any section: a question about the root.
const MIN_ENTRY_LEN: usize = 5;

/// The kind of addresses to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `A` records.
    Ipv4,
    /// `AAAA` records.
    Ipv6,
}

impl Family {
    fn record_type(self) -> TYPE {
        match self {
            Self::Ipv4 => TYPE::A,
            Self::Ipv6 => TYPE::AAAA,
        }
    }
}

/// The server's answer to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DnsAnswer {
    /// The addresses; none if the name has none of this family.
    Addresses(Vec<IpAddr>),
    /// The answer does not fit in a datagram, so the query has to be repeated over TCP.
    Truncated,
    /// The name does not exist.
    NoSuchName,
    /// The server did not answer the question, but returned this code.
    Refused(String),
}

/// The name is not a valid host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadName;

/// Encodes a query for the addresses of a name.
pub(super) fn query(id: u16, name: &str, family: Family) -> Result<Vec<u8>, BadName> {
    let name = Name::new(name).map_err(|_| BadName)?;
    if !name.is_valid_hostname() {
        return Err(BadName);
    }
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let kind = QTYPE::TYPE(family.record_type());
    packet.questions.push(Question::new(name, kind, QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().map_err(|_| BadName)
}

/// Decodes the answer to the query with this id, name and family; `None` if the message is not an answer to it.
///
/// # Security
/// The claimed numbers of records are compared with the message's length before the parser reserves memory for them.
pub(super) fn answer(bytes: &[u8], id: u16, name: &str, family: Family) -> Option<DnsAnswer> {
    if !is_plausible(bytes) {
        return None;
    }
    let packet = Packet::parse(bytes).ok()?;
    let asked = Name::new(name).ok()?;
    let [question] = &packet.questions[..] else { return None };
    let same_question = question.qname == asked
        && question.qtype == QTYPE::TYPE(family.record_type())
        && question.qclass == QCLASS::CLASS(CLASS::IN);
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) || !same_question {
        return None;
    }
    Some(match packet.rcode() {
        _ if packet.has_flags(PacketFlag::TRUNCATION) => DnsAnswer::Truncated,
        RCODE::NoError => DnsAnswer::Addresses(addresses(&packet, &asked, family)),
        RCODE::NameError => DnsAnswer::NoSuchName,
        code => DnsAnswer::Refused(format!("{code:?}")),
    })
}

/// Returns whether the message is long enough for the records that its header claims.
fn is_plausible(bytes: &[u8]) -> bool {
    let Some((head, body)) = bytes.split_at_checked(HEAD_LEN) else { return false };
    let counts = head[4..].chunks_exact(2);
    let claimed: usize =
        counts.map(|count| usize::from(count[0]) << 8 | usize::from(count[1])).sum();
    claimed * MIN_ENTRY_LEN <= body.len()
}

/// Returns the addresses of a name, or of the name that it is an alias of.
fn addresses(packet: &Packet<'_>, asked: &Name<'_>, family: Family) -> Vec<IpAddr> {
    let mut names = vec![asked.clone()];
    let mut found = Vec::new();
    // A server lists an alias before the records of its target (RFC 1034 section 3.6.2), so one pass is enough.
    for record in packet.answers.iter().filter(|record| record.class == CLASS::IN) {
        if !names.contains(&record.name) {
            continue;
        }
        match (&record.rdata, family) {
            (RData::CNAME(alias), _) => names.push(alias.0.clone()),
            (RData::A(a), Family::Ipv4) => found.push(Ipv4Addr::from_bits(a.address).into()),
            (RData::AAAA(a), Family::Ipv6) => found.push(Ipv6Addr::from_bits(a.address).into()),
            _ => {}
        }
    }
    found
}

/// The fuzzer's target: answers to two queries, and names to query.
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, reason = "all of it is a test")]
pub(crate) fn fuzz(bytes: &[u8]) {
    for family in [Family::Ipv4, Family::Ipv6] {
        if let Some(DnsAnswer::Addresses(found)) = answer(bytes, 0xbeef, "www.example.test", family)
        {
            assert!(found.iter().all(|ip| ip.is_ipv4() == (family == Family::Ipv4)));
            // A record has a name, a type, a class, a lifetime, a length and an address.
            assert!(found.len() * (1 + 10 + 4) <= bytes.len());
        }
        let Ok(name) = std::str::from_utf8(bytes) else { continue };
        let Ok(mut message) = query(0xbeef, name, family) else { continue };
        assert!(message.len() <= HEAD_LEN + 255 + 4);
        assert_eq!(answer(&message, 0xbeef, name, family), None, "it is no response");
        message[2] |= 0x80;
        let empty = DnsAnswer::Addresses(Vec::new());
        assert_eq!(answer(&message, 0xbeef, name, family), Some(empty));
    }
}

#[cfg(test)]
mod tests {
    use super::{BadName, DnsAnswer, Family, answer, query};
    use crate::primitives::hex;
    use proptest::{prop_assert_eq, proptest};

    /// A captured answer: `www.example.test` is an alias of `example.test`, which has two addresses.
    const ALIAS: &str = "beef 8180 0001 0003 0000 0000 \
        03777777 076578616d706c65 0474657374 00 0001 0001 \
        c00c 0005 0001 0000003c 0002 c010 \
        c010 0001 0001 0000003c 0004 01020304 \
        c010 0001 0001 0000003c 0004 05060708";

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(&text.replace(' ', "")).unwrap()
    }

    fn alias(family: Family, name: &str) -> Option<DnsAnswer> {
        answer(&bytes(ALIAS), 0xbeef, name, family)
    }

    #[test]
    fn a_query_has_the_bytes_of_rfc_1035() {
        let expected = "beef 0100 0001 0000 0000 0000 0278 39 0473656564 00 001c 0001";
        assert_eq!(query(0xbeef, "x9.seed", Family::Ipv6), Ok(bytes(expected)));
        assert_eq!(query(0xbeef, "x9.seed.", Family::Ipv6), Ok(bytes(expected)), "absolute");
        for bad in ["", ".", "a b", &"a".repeat(64), &"abc.".repeat(70)] {
            assert_eq!(query(1, bad, Family::Ipv4), Err(BadName), "{bad:?}");
        }
    }

    #[test]
    fn an_alias_is_followed_and_the_case_of_names_does_not_matter() {
        let both = DnsAnswer::Addresses(vec![[1, 2, 3, 4].into(), [5, 6, 7, 8].into()]);
        assert_eq!(alias(Family::Ipv4, "www.example.test"), Some(both.clone()));
        assert_eq!(alias(Family::Ipv4, "WWW.example.TEST."), Some(both));
    }

    #[test]
    fn an_answer_to_another_query_does_not_count() {
        assert_eq!(alias(Family::Ipv6, "www.example.test"), None);
        assert_eq!(alias(Family::Ipv4, "example.test"), None);
        assert_eq!(answer(&bytes(ALIAS), 0xbeee, "www.example.test", Family::Ipv4), None);
        let mut query = bytes(ALIAS);
        query[2] = 0x01;
        assert_eq!(answer(&query, 0xbeef, "www.example.test", Family::Ipv4), None, "no response");
    }

    #[test]
    fn records_of_other_names_are_left_out() {
        let other =
            ALIAS.replace("c00c 0005 0001 0000003c 0002 c010", "c00c 0005 0001 0000003c 0002 c018");
        let found = answer(&bytes(&other), 0xbeef, "www.example.test", Family::Ipv4);
        assert_eq!(found, Some(DnsAnswer::Addresses(Vec::new())));
    }

    #[test]
    fn the_servers_codes_are_distinguished() {
        let with_flags = |flags: &str| {
            let text = format!("beef {flags} 0001 0000 0000 0000 0473656564 00 0001 0001");
            answer(&bytes(&text), 0xbeef, "seed", Family::Ipv4).unwrap()
        };
        assert_eq!(with_flags("8180"), DnsAnswer::Addresses(Vec::new()));
        assert_eq!(with_flags("8183"), DnsAnswer::NoSuchName);
        assert_eq!(with_flags("8380"), DnsAnswer::Truncated);
        assert_eq!(with_flags("8182"), DnsAnswer::Refused("ServerFailure".to_owned()));
    }

    #[test]
    fn a_message_too_short_for_its_claimed_records_is_refused_before_memory_is_reserved() {
        let text = "beef 8180 0001 ffff ffff ffff 0473656564 00 0001 0001";
        assert_eq!(answer(&bytes(text), 0xbeef, "seed", Family::Ipv4), None);
    }

    proptest! {
        #[test]
        fn a_truncated_or_changed_message_causes_no_panic(
            end in 0usize..200, at in 0usize..200, byte: u8,
        ) {
            let mut message = bytes(ALIAS);
            message.truncate(end);
            if let Some(changed) = message.get_mut(at) {
                *changed = byte;
            }
            answer(&message, 0xbeef, "www.example.test", Family::Ipv4);
        }

        #[test]
        fn bytes_that_do_not_repeat_the_query_are_no_answer(message: Vec<u8>) {
            prop_assert_eq!(answer(&message, 0xbeef, "www.example.test", Family::Ipv4), None);
        }
    }
}
