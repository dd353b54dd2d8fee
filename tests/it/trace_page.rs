//! The handshake in `docs/trace.md` is what it says it is.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use lightclient::chain::params;
use lightclient::primitives::{Network, hex};
use lightclient::wire::{FrameDecoder, MAX_PAYLOAD, Message};

const PAGE: &str = include_str!("../../docs/trace.md");

/// The messages of the page's dumps, with the line of fields before each.
fn messages() -> Vec<(String, Message)> {
    let (mut found, mut told) = (Vec::new(), String::new());
    let mut decoder = FrameDecoder::new(params(Network::Regtest).magic, MAX_PAYLOAD);
    for line in PAGE.lines() {
        if line.starts_with("DEBUG ") {
            line.clone_into(&mut told);
        } else if let Some((bytes, _)) = line.strip_prefix("  00").and_then(|l| l.split_once('|')) {
            // Two digits more of the place, then the bytes.
            let digits: String = bytes[2..].split_whitespace().collect();
            decoder.push(&hex::decode(&digits).unwrap());
            // Length and checksum of the whole message are checked here.
            if let Some(frame) = decoder.next_frame().unwrap() {
                let size = frame.payload.len();
                assert!(
                    told.contains(&format!("command={} size={size} ", frame.command)),
                    "{told}"
                );
                found.push((told.clone(), Message::decode(frame.command, frame.payload).unwrap()));
            }
        }
    }
    assert!(!decoder.is_mid_message());
    found
}

#[test]
fn each_dump_of_the_page_is_a_whole_message_with_the_fields_above_it() {
    let messages = messages();
    assert_eq!(messages.len(), 14);
    for (told, message) in &messages {
        let expected = match message {
            Message::Version(version) => format!(
                "version={} services={} user_agent={} start_height={} relay={}",
                version.version,
                version.services.names().join("|"),
                version.user_agent_text(),
                version.start_height,
                version.relay
            ),
            Message::Ping(Some(nonce)) | Message::Pong(nonce) => format!("nonce={nonce:016x}"),
            Message::SendCmpct(wish) => {
                format!("announce={} version={}", wish.announce, wish.version)
            }
            Message::FeeFilter(rate) => format!("sat_per_kvb={rate}"),
            _ => String::new(),
        };
        assert!(told.ends_with(&format!(" fields={expected}")), "{told}");
    }
}

#[test]
fn what_the_page_says_of_the_first_message_is_so() {
    let messages = messages();
    let Message::Version(ours) = &messages[0].1 else { panic!("{messages:?}") };
    assert_eq!(ours.receiver.socket_addr().to_string(), "127.0.0.1:18444");
    assert_eq!((ours.services.0, ours.time), (0, 0x6b01_aab6));
    assert_eq!(ours.user_agent.len(), 19);
    let Message::Version(theirs) = &messages[1].1 else { panic!("{messages:?}") };
    let bits: Vec<u32> = (0..64).filter(|bit| theirs.services.0 >> bit & 1 == 1).collect();
    assert_eq!(bits, [0, 2, 3, 10, 11, 28]);
}
