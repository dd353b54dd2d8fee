//! Queries and answers as bytes.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of a message's head.
const HEAD_LEN: usize = 12;

/// Shortest entry of any section: a question about the root.
const MIN_ENTRY_LEN: usize = 5;

/// Which addresses are asked for.
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

/// What a message from the server says to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The addresses; none if the name has none of that family.
    Addresses(Vec<IpAddr>),
    /// There is more than fits in a datagram: to be asked again over TCP.
    Truncated,
    /// There is no such name.
    NoSuchName,
    /// The server would not or could not answer, and says so with this code.
    Refused(String),
}

/// A name that no query can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadName;

/// The bytes of a query for the addresses of a name.
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

/// What a message says to the query of that id, name and family; `None` if it is no answer to it.
///
/// # Security
/// The claimed numbers of records are held against the message's length before the parser makes room for them.
pub(super) fn answer(bytes: &[u8], id: u16, name: &str, family: Family) -> Option<Answer> {
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
        _ if packet.has_flags(PacketFlag::TRUNCATION) => Answer::Truncated,
        RCODE::NoError => Answer::Addresses(addresses(&packet, &asked, family)),
        RCODE::NameError => Answer::NoSuchName,
        code => Answer::Refused(format!("{code:?}")),
    })
}

/// Whether the records that the head claims could be in the message.
fn is_plausible(bytes: &[u8]) -> bool {
    let Some((head, body)) = bytes.split_at_checked(HEAD_LEN) else { return false };
    let counts = head[4..].chunks_exact(2);
    let claimed: usize =
        counts.map(|count| usize::from(count[0]) << 8 | usize::from(count[1])).sum();
    claimed * MIN_ENTRY_LEN <= body.len()
}

/// The addresses of the name, or of the one that it is an alias of.
fn addresses(packet: &Packet<'_>, asked: &Name<'_>, family: Family) -> Vec<IpAddr> {
    let mut names = vec![asked.clone()];
    let mut found = Vec::new();
    // A server lists an alias before what it stands for (RFC 1034 section 3.6.2), so one pass is enough.
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

#[cfg(test)]
mod tests {
    use super::{Answer, BadName, Family, answer, query};
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

    fn alias(family: Family, name: &str) -> Option<Answer> {
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
    fn an_alias_is_followed_and_names_have_no_case() {
        let both = Answer::Addresses(vec![[1, 2, 3, 4].into(), [5, 6, 7, 8].into()]);
        assert_eq!(alias(Family::Ipv4, "www.example.test"), Some(both.clone()));
        assert_eq!(alias(Family::Ipv4, "WWW.example.TEST."), Some(both));
    }

    #[test]
    fn an_answer_to_another_query_is_none() {
        assert_eq!(alias(Family::Ipv6, "www.example.test"), None);
        assert_eq!(alias(Family::Ipv4, "example.test"), None);
        assert_eq!(answer(&bytes(ALIAS), 0xbeee, "www.example.test", Family::Ipv4), None);
        let mut query = bytes(ALIAS);
        query[2] = 0x01;
        assert_eq!(answer(&query, 0xbeef, "www.example.test", Family::Ipv4), None, "no response");
    }

    #[test]
    fn records_of_names_not_asked_for_are_left_out() {
        let other =
            ALIAS.replace("c00c 0005 0001 0000003c 0002 c010", "c00c 0005 0001 0000003c 0002 c018");
        let found = answer(&bytes(&other), 0xbeef, "www.example.test", Family::Ipv4);
        assert_eq!(found, Some(Answer::Addresses(Vec::new())));
    }

    #[test]
    fn the_servers_codes_are_told_apart() {
        let with_flags = |flags: &str| {
            let text = format!("beef {flags} 0001 0000 0000 0000 0473656564 00 0001 0001");
            answer(&bytes(&text), 0xbeef, "seed", Family::Ipv4).unwrap()
        };
        assert_eq!(with_flags("8180"), Answer::Addresses(Vec::new()));
        assert_eq!(with_flags("8183"), Answer::NoSuchName);
        assert_eq!(with_flags("8380"), Answer::Truncated);
        assert_eq!(with_flags("8182"), Answer::Refused("ServerFailure".to_owned()));
    }

    #[test]
    fn more_records_than_the_message_can_hold_are_refused_before_there_is_room_made_for_them() {
        let text = "beef 8180 0001 ffff ffff ffff 0473656564 00 0001 0001";
        assert_eq!(answer(&bytes(text), 0xbeef, "seed", Family::Ipv4), None);
    }

    proptest! {
        #[test]
        fn a_message_cut_or_changed_anywhere_is_no_panic(
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
        fn any_bytes_are_no_answer_to_a_query_they_do_not_repeat(message: Vec<u8>) {
            prop_assert_eq!(answer(&message, 0xbeef, "www.example.test", Family::Ipv4), None);
        }
    }
}
