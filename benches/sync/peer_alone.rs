//! The scripted peer without a real client: what it could send at most, and that it holds the rate it was given. It
//! must not be what limits the others.

use crate::support::client::RawClient;
use crate::support::script::Script;
use crate::table::{Row, Sample, Table, median, times};
use crate::world::World;
use lightclient::chain::params;
use lightclient::primitives::Network;
use std::time::Duration;

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
            let (bytes, elapsed) = client.drain(genesis, answers, 4);
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
