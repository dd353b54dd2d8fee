//! The scripted peer without a real client: what it could send at most. It must not be what limits the others.

use crate::support::client::RawClient;
use crate::support::script::Script;
use crate::table::{Row, Sample, Table};
use crate::world::World;
use lightclient::chain::params;
use lightclient::primitives::Network;
use std::time::Duration;

/// Answers that are asked for in one run: 1.6 GB.
const ANSWERS: usize = 10_000;

/// Asks for the same 2000 headers again and again, four requests ahead, and counts the bytes.
pub(crate) fn run(world: &mut World, table: &mut Table, headers: u32) {
    let chain = world.chain(headers);
    let peer = Script::honest().start(&chain.shared);
    let genesis = params(Network::Regtest).genesis.hash();
    let mut rates = Vec::new();
    let samples = (0..world.options.runs)
        .map(|_| {
            let (client, _) = RawClient::shake_hands(peer.address(), Network::Regtest);
            let (bytes, elapsed) = client.drain(genesis, ANSWERS, 4);
            rates.push(Duration::from_secs(1).as_nanos() * bytes as u128 / elapsed.as_nanos());
            Sample { elapsed, cpu: Duration::ZERO, peak: 0, disk: 0 }
        })
        .collect();
    let rate = crate::table::median(rates) / 1_000_000;
    table.push(Row {
        case: "peer".to_owned(),
        who: "scripted peer",
        headers: 0,
        samples,
        remark: format!(
            "{ANSWERS} messages of 2000 headers to a client that only counts: {rate} MB/s"
        ),
    });
}
