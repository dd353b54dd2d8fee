//! Log lines for messages. Nothing is formatted unless someone listens.

use super::event::PeerId;
use crate::primitives::hex;
use crate::wire::{Command, DecodeError, Message};
use std::fmt;

/// Which way a message went, as the log says it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Sent,
    Received,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sent => "sent",
            Self::Received => "received",
        })
    }
}

/// A message that was sent or received, with the length of its payload in bytes.
pub(super) fn message(way: Way, peer: PeerId, message: &Message, size: usize) {
    let command = message.command();
    tracing::debug!(target: "p2p", direction = %way, %peer, %command, size, fields = %Fields(message));
}

/// A message received that could not be decoded.
pub(super) fn undecoded(peer: PeerId, command: Command, size: usize, error: &DecodeError) {
    tracing::debug!(target: "p2p", direction = %Way::Received, %peer, %command, size, %error);
}

/// The bytes of a payload.
pub(super) fn payload(way: Way, peer: PeerId, command: Command, payload: &[u8]) {
    tracing::trace!(
        target: "p2p::hex", direction = %way, %peer, %command, payload = hex::encode(payload)
    );
}

/// The fields of a message worth a line: lists by their length and ends.
struct Fields<'a>(&'a Message);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Message::Version(v) => write!(
                f,
                "version={} services={} user_agent={} start_height={} relay={}",
                v.version,
                v.services.names().join("|"),
                v.user_agent_text(),
                v.start_height,
                v.relay
            ),
            Message::Ping(Some(nonce)) | Message::Pong(nonce) => write!(f, "nonce={nonce:016x}"),
            Message::GetHeaders(r) => {
                write!(f, "locator={}", r.locator.len())?;
                r.locator.first().map_or(Ok(()), |hash| write!(f, " from={hash}"))?;
                write!(f, " stop={}", r.stop)
            }
            Message::Headers(m) => {
                write!(f, "count={}", m.headers.len())?;
                m.headers.first().map_or(Ok(()), |header| write!(f, " after={}", header.prev))?;
                m.headers.last().map_or(Ok(()), |header| write!(f, " last={}", header.hash()))?;
                m.foreign.map_or(Ok(()), |_| write!(f, " foreign={}", m.headers.len()))
            }
            Message::Addr(list) => write!(f, "count={}", list.len()),
            Message::AddrV2(list) => write!(f, "count={}", list.len()),
            Message::Inv(list) | Message::GetData(list) | Message::NotFound(list) => {
                write!(f, "count={}", list.len())?;
                list.first().map_or(Ok(()), |i| write!(f, " first={:?}:{}", i.kind, i.hash))
            }
            Message::FeeFilter(rate) => write!(f, "sat_per_kvb={rate}"),
            Message::SendCmpct(s) => write!(f, "announce={} version={}", s.announce, s.version),
            Message::Reject(r) => write!(f, "code={:#04x} reason={}", r.code, r.reason_text()),
            Message::Tx(_) | Message::Block(_) | Message::MerkleBlock(_) => transactions(self.0, f),
            Message::Verack
            | Message::Ping(None)
            | Message::SendHeaders
            | Message::GetAddr
            | Message::SendAddrV2
            | Message::WtxidRelay
            | Message::Unknown { .. } => Ok(()),
        }
    }
}

/// The fields of messages that carry transactions.
fn transactions(message: &Message, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match message {
        Message::Tx(tx) => write!(f, "txid={}", tx.view().txid()),
        Message::Block(b) => write!(f, "hash={} transactions={}", b.header().hash(), b.len()),
        Message::MerkleBlock(m) => {
            write!(f, "hash={} transactions={}", m.header.hash(), m.transaction_count)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, PeerId, Way, message, payload};
    use crate::primitives::BlockHash;
    use crate::wire::{Command, GetHeaders, Headers, Message};
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
    use tracing::Level;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a log of that level says about a ping that was sent.
    fn logged(level: Level) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .without_time()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(log, || {
            message(Way::Sent, PeerId(3), &Message::Ping(Some(0xabc)), 8);
            payload(Way::Sent, PeerId(3), Command::PING, &[0xbc, 0x0a]);
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_log_has_direction_peer_command_size_and_fields_and_bytes_when_asked_for() {
        let line = "DEBUG p2p: direction=sent peer=3 command=ping size=8 \
                    fields=nonce=0000000000000abc\n";
        assert_eq!(logged(Level::DEBUG), line);
        let hex = "TRACE p2p::hex: direction=sent peer=3 command=ping payload=\"bc0a\"\n";
        assert_eq!(logged(Level::TRACE), format!("{line}{hex}"));
        assert_eq!(logged(Level::INFO), "");
    }

    #[test]
    fn lists_are_told_by_their_length_and_ends() {
        let stop = BlockHash([0xab; 32]);
        let request = GetHeaders { version: 1, locator: vec![BlockHash::ZERO; 3], stop };
        assert_eq!(
            Fields(&Message::GetHeaders(request)).to_string(),
            format!("locator=3 from={} stop={stop}", BlockHash::ZERO)
        );
        let empty =
            Message::Headers(Headers { headers: Vec::new(), foreign: Some(BlockHash::ZERO) });
        assert_eq!(Fields(&empty).to_string(), "count=0 foreign=0");
    }
}
