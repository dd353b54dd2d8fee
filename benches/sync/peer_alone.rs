//! The scripted peer without a real client: what it could send at most, and that it holds the rate it was given. It
//! must not be what limits the others.

use crate::support::client::RawClient;
use crate::support::script::Script;
use crate::table::{Row, Sample, Table, median, times};
use crate::world::World;
use lightclient::chain::params;
use lightclient::primitives::{BlockHash, Network};
use lightclient::wire::MESSAGE_HEADER_LEN;
use std::io::Read;
use std::time::{Duration, Instant};

/// Asks for the same 2000 headers again and again, four requests ahead, and counts the bytes.
pub(crate) fn run(world: &mut World, table: &mut Table, headers: u32) {
    // 1.6 GB at any rate, 4.9 MB at 20 Mbit/s.
    drain(world, table, headers, 10_000, None);
    drain(world, table, headers, 30, Some(2_500_000.0));
}

fn drain(world: &mut World, table: &mut Table, headers: u32, answers: usize, rate: Option<f64>) {
    let chain = world.chain(headers);
    let script = Script::honest();
    let peer = match rate {
        Some(rate) => script.rate(rate).round_trip(Duration::from_millis(100)).start(&chain.shared),
        None => script.start(&chain.shared),
    };
    let genesis = params(Network::Regtest).genesis.hash();
    let mut sizes = Vec::new();
    let samples: Vec<Sample> = (0..world.options.runs)
        .map(|_| {
            let (client, _) = RawClient::shake_hands(peer.address(), Network::Regtest);
            let (bytes, elapsed) = count_bytes(client, genesis, answers, 4);
            sizes.push(f64::from(u32::try_from(bytes).expect("below 4 GB")));
            Sample { elapsed, cpu: Duration::ZERO, peak: 0, disk: 0 }
        })
        .collect();
    let bytes = sizes[0];
    let took = median(samples.iter().map(|sample| sample.elapsed).collect());
    let speed = match rate {
        None => format!("{:.0} MB/s", bytes / took.as_secs_f64() / 1e6),
        Some(rate) => {
            let ideal = Duration::from_secs_f64(bytes / rate + 0.1);
            format!("100 ms and 20 Mbit/s: {} what the line takes", times(took, ideal))
        }
    };
    let remark =
        format!("{answers} messages of 2000 headers to a client that only counts; {speed}");
    table.push(Row { case: "peer".to_owned(), who: "scripted peer", headers: 0, samples, remark });
}

/// How fast the peer answers: asks for the same headers `times` times, a few requests ahead, and only counts the
/// bytes that come back. Gives the bytes and the time from the first request to the last byte.
pub(crate) fn count_bytes(
    mut client: RawClient,
    from: BlockHash,
    times: usize,
    ahead: usize,
) -> (usize, Duration) {
    let mut buffer = vec![0; 1 << 20];
    let start = Instant::now();
    for _ in 0..ahead.min(times) {
        client.ask(from, BlockHash::ZERO);
    }
    let (mut bytes, mut answers, mut left) = (0, 0, Span::default());
    while answers < times {
        let length = client.stream.read(&mut buffer).expect("the peer goes on sending");
        bytes += length;
        for _ in 0..left.whole_headers_messages(&buffer[..length]) {
            answers += 1;
            if answers + ahead <= times {
                client.ask(from, BlockHash::ZERO);
            }
        }
    }
    (bytes, start.elapsed())
}

/// Follows the lengths of messages through a stream without looking at their payloads.
#[derive(Debug, Default)]
struct Span {
    head: Vec<u8>,
    payload: usize,
}

impl Span {
    fn whole_headers_messages(&mut self, mut bytes: &[u8]) -> usize {
        let mut whole = 0;
        while !bytes.is_empty() {
            let wanted = MESSAGE_HEADER_LEN.saturating_sub(self.head.len());
            let (head, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.head.extend_from_slice(head);
            bytes = rest;
            let Some((head, _)) = self.head.split_first_chunk::<MESSAGE_HEADER_LEN>() else {
                break;
            };
            if wanted > 0 {
                let length = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
                self.payload = usize::try_from(length).expect("usize has at least 32 bits");
            }
            let taken = self.payload.min(bytes.len());
            self.payload -= taken;
            bytes = &bytes[taken..];
            if self.payload == 0 {
                whole += usize::from(head[4..].starts_with(b"headers\0"));
                self.head.clear();
            }
        }
        whole
    }
}
