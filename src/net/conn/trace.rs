//! Logs messages. Nothing is formatted unless the log level asks for it.

use super::handle::Context;
use crate::wire::{
    Command, DecodeError, GetHeaders, HeadersMessage, Message, Version, encode_frame, safe_text,
};
use std::fmt::{self, Write};

/// Whether a message was sent or received.
#[derive(Clone, Copy, Debug)]
pub(super) enum MessageDirection {
    Sent,
    Received,
}

impl fmt::Display for MessageDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sent => "sent",
            Self::Received => "received",
        })
    }
}

/// Logs a message. `size` is the length of its payload in bytes.
pub(super) fn message(
    direction: MessageDirection,
    context: &Context,
    message: &Message,
    size: usize,
) {
    let (peer, command, fields) = (&context.address, message.command(), Fields(message));
    tracing::debug!(target: "p2p", %direction, %peer, %command, size, %fields);
}

/// Logs a message that is encoded already. Its fields are decoded only if the log level asks for them.
pub(super) fn encoded(
    direction: MessageDirection,
    context: &Context,
    command: Command,
    payload: &[u8],
) {
    let (peer, size) = (&context.address, payload.len());
    let fields = EncodedFields(command, payload);
    tracing::debug!(target: "p2p", %direction, %peer, %command, size, %fields);
}

/// Logs a message that could not be decoded.
pub(super) fn undecoded(context: &Context, command: Command, size: usize, error: &DecodeError) {
    let (peer, direction) = (&context.address, MessageDirection::Received);
    tracing::debug!(target: "p2p", %direction, %peer, %command, size, %error);
}

/// Returns a hex dump of a message, if the log level asks for it.
pub(super) fn dump(magic: [u8; 4], command: Command, payload: &[u8]) -> Option<String> {
    let enabled = tracing::enabled!(target: "p2p::hex", tracing::Level::TRACE);
    enabled.then(|| hex_dump(&frame(magic, command, payload)))
}

/// Logs the result of [`dump`].
pub(super) fn bytes(
    direction: MessageDirection,
    context: &Context,
    command: Command,
    dump: Option<String>,
) {
    if let Some(dump) = dump {
        let peer = &context.address;
        tracing::trace!(target: "p2p::hex", %direction, %peer, %command, bytes = %dump);
    }
}

/// Returns the whole message. Its header follows from the arguments: no other header is accepted.
fn frame(magic: [u8; 4], command: Command, payload: &[u8]) -> Vec<u8> {
    let payload = payload.to_vec();
    encode_frame(magic, &Message::Unknown { command, payload })
}

/// Formats bytes as lines of sixteen, with the offset before them and the ASCII text after them.
fn hex_dump(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 5);
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let hex = |half: &[u8]| half.iter().map(|byte| format!(" {byte:02x}")).collect::<String>();
        let (left, right) = bytes.split_at(bytes.len().min(8));
        let ascii = bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        });
        let ascii: String = ascii.collect();
        let (at, left, right) = (line * 16, hex(left), hex(right));
        // Writing into a String does not fail.
        let _ = write!(text, "\n  {at:04x} {left:24} {right:24}  |{ascii}|");
    }
    text
}

/// Shows the main fields of a message. A list is shown by its length and, if useful, its first or last item.
struct Fields<'a>(&'a Message);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Message::Version(version) => write_version(f, version),
            Message::Ping(Some(nonce)) | Message::Pong(nonce) => write!(f, "nonce={nonce:016x}"),
            Message::GetHeaders(request) => write_request(f, request),
            Message::Headers(headers) => write_headers(f, headers),
            Message::Addr(list) => write!(f, "count={}", list.len()),
            Message::AddrV2(list) => write!(f, "count={}", list.len()),
            Message::Inv(list) | Message::GetData(list) | Message::NotFound(list) => {
                write!(f, "count={}", list.len())?;
                list.first().map_or(Ok(()), |i| write!(f, " first={:?}:{}", i.kind, i.hash))
            }
            Message::FeeFilter(rate) => write!(f, "sat_per_kvb={rate}"),
            Message::SendCmpct(s) => write!(f, "announce={} version={}", s.announce, s.version),
            Message::Reject(r) => write!(f, "code={:#04x} reason={}", r.code, r.reason_text()),
            Message::Tx(_) | Message::Block(_) | Message::MerkleBlock(_) => {
                write_transactions(self.0, f)
            }
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

/// The fields of a message that is encoded already.
struct EncodedFields<'a>(Command, &'a [u8]);

impl fmt::Display for EncodedFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = Message::decode(self.0, self.1.to_vec());
        message.map_or(Ok(()), |message| Fields(&message).fmt(f))
    }
}

fn write_version(f: &mut fmt::Formatter<'_>, version: &Version) -> fmt::Result {
    write!(
        f,
        "version={} services={} user_agent={} start_height={} relay={}",
        version.version,
        version.services.names().join("|"),
        safe_text(&version.user_agent_text()),
        version.start_height,
        version.relay
    )
}

fn write_request(f: &mut fmt::Formatter<'_>, request: &GetHeaders) -> fmt::Result {
    write!(f, "locator={}", request.locator.len())?;
    request.locator.first().map_or(Ok(()), |hash| write!(f, " from={hash}"))?;
    write!(f, " stop={}", request.stop)
}

fn write_headers(f: &mut fmt::Formatter<'_>, message: &HeadersMessage) -> fmt::Result {
    let HeadersMessage { headers, foreign } = message;
    write!(f, "count={}", headers.len())?;
    headers.first().map_or(Ok(()), |header| write!(f, " after={}", header.prev))?;
    headers.last().map_or(Ok(()), |header| write!(f, " last={}", header.hash()))?;
    foreign.map_or(Ok(()), |_| write!(f, " foreign={}", headers.len()))
}

/// Writes the fields of messages that carry transactions.
fn write_transactions(message: &Message, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    use super::{Context, Fields, MessageDirection, bytes, dump, hex_dump, message};
    use crate::net::TrafficCounters;
    use crate::net::tests::config;
    use crate::primitives::{BlockHash, PeerId};
    use crate::wire::{Command, GetHeaders, HeadersMessage, Message};
    use std::fs;
    use std::sync::Arc;
    use tempfile::NamedTempFile;
    use tracing::Level;

    fn context() -> Context {
        Context {
            peer: PeerId(3),
            address: "192.0.2.1:8333".into(),
            config: Arc::new(config()),
            counters: TrafficCounters::default(),
        }
    }

    /// Returns what a log of this level contains for a ping that was sent.
    fn logged(level: Level) -> String {
        let file = NamedTempFile::new().unwrap();
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .without_time()
            .with_ansi(false)
            .with_writer(Arc::new(file.reopen().unwrap()))
            .finish();
        tracing::subscriber::with_default(log, || {
            message(MessageDirection::Sent, &context(), &Message::Ping(Some(0xabc)), 8);
            let dump =
                dump([0xf9, 0xbe, 0xb4, 0xd9], Command::PING, &[0xbc, 0x0a, 0, 0, 0, 0, 0, 0]);
            assert_eq!(dump.is_some(), level == Level::TRACE);
            bytes(MessageDirection::Sent, &context(), Command::PING, dump);
        });
        fs::read_to_string(file.path()).unwrap()
    }

    #[test]
    fn the_debug_log_has_the_main_fields_and_the_trace_log_the_bytes_too() {
        let line = "DEBUG p2p: direction=sent peer=192.0.2.1:8333 command=ping size=8 \
                    fields=nonce=0000000000000abc\n";
        assert_eq!(logged(Level::DEBUG), line);
        let hex = "TRACE p2p::hex: direction=sent peer=192.0.2.1:8333 command=ping bytes=\n  \
            0000  f9 be b4 d9 70 69 6e 67  00 00 00 00 00 00 00 00  |....ping........|\n  \
            0010  08 00 00 00 a6 08 7f 7a  bc 0a 00 00 00 00 00 00  |.......z........|\n";
        assert_eq!(logged(Level::TRACE), format!("{line}{hex}"));
        assert_eq!(logged(Level::INFO), "");
    }

    #[test]
    fn the_last_line_of_a_dump_is_as_wide_as_the_others() {
        let lines = hex_dump(&[0x41; 17]);
        let lines: Vec<&str> = lines.lines().skip(1).collect();
        assert_eq!(lines[1], format!("  0010  41{:48}|A|", ""));
        assert_eq!(lines[0].find('|'), lines[1].find('|'));
        assert_eq!(hex_dump(&[]), "");
    }

    #[test]
    fn lists_are_shown_by_their_length_and_ends() {
        let stop = BlockHash([0xab; 32]);
        let request = GetHeaders { version: 1, locator: vec![BlockHash::ZERO; 3], stop };
        assert_eq!(
            Fields(&Message::GetHeaders(request)).to_string(),
            format!("locator=3 from={} stop={stop}", BlockHash::ZERO)
        );
        let empty = Message::Headers(HeadersMessage {
            headers: Vec::new(),
            foreign: Some(BlockHash::ZERO),
        });
        assert_eq!(Fields(&empty).to_string(), "count=0 foreign=0");
    }
}
