//! What checking headers costs: proof of work and links, then the rules that need ancestors.
//!
//! The first figure is the yardstick: double SHA-256 of the same bytes and nothing else.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lightclient::chain::{
    Accepted, Ancestors, Branch, HeaderTree, LinkedBatch, link_batch, params,
};
use lightclient::primitives::{BlockHash, HEADER_LEN, Header, Network, Work, sha256d};
use lightclient::testing::resume_branch;
use std::collections::HashMap;
use std::convert::Infallible;
use std::hint::black_box;

const MAINNET: &[u8] = include_bytes!("../fixtures/mainnet-0000000-0032259.bin");

/// Later than every header of the fixture.
const NOW: u32 = 1_767_225_600;

fn raw() -> &'static [[u8; HEADER_LEN]] {
    MAINNET.as_chunks::<HEADER_LEN>().0
}

fn headers() -> Vec<Header> {
    raw().iter().map(Header::decode).collect()
}

fn linked(headers: &[Header]) -> LinkedBatch {
    link_batch(params(Network::Mainnet), headers.to_vec()).0
}

fn validate(criterion: &mut Criterion) {
    let headers = &headers()[1..];
    let mut group = criterion.benchmark_group("validate");
    group.throughput(Throughput::Elements(u64::try_from(headers.len()).expect("a count")));
    group.bench_function("yardstick: sha256d of the bytes", |bencher| {
        bencher.iter(|| raw()[1..].iter().map(|raw| sha256d(raw)[31]).fold(0, |a, b| a ^ b));
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| raw()[1..].iter().map(Header::decode).collect::<Vec<Header>>());
    });
    group.bench_function("link_batch", |bencher| {
        let copy = || headers.to_vec();
        let link = |headers| link_batch(params(Network::Mainnet), headers);
        bencher.iter_batched(copy, link, BatchSize::LargeInput);
    });
    let batch = linked(headers);
    group.bench_function("Branch::extend", |bencher| {
        let start = || (Branch::genesis(params(Network::Mainnet)), batch.clone());
        let extend = |(mut branch, batch): (Branch, LinkedBatch)| {
            let checked = branch.extend(batch, NOW);
            (branch, checked)
        };
        bencher.iter_batched(start, extend, BatchSize::LargeInput);
    });
    group.finish();
}

/// An active chain that is genesis and nothing more.
struct GenesisOnly(HashMap<BlockHash, u32>);

impl Ancestors for GenesisOnly {
    type Error = Infallible;

    fn height_of(&self, hash: &BlockHash) -> Result<Option<u32>, Infallible> {
        Ok(self.0.get(hash).copied())
    }

    fn headers(&self, _: u32, _: u32) -> Result<Vec<Header>, Infallible> {
        Ok(vec![params(Network::Mainnet).genesis])
    }

    fn chainwork(&self, _: u32) -> Result<Work, Infallible> {
        Ok(Branch::genesis(params(Network::Mainnet)).chainwork().clone())
    }
}

/// A tree with all of the fixture as a side branch, beside an active end that is said to have more work.
fn tree_with_long_side(headers: &[Header]) -> (HeaderTree, GenesisOnly) {
    let mainnet = params(Network::Mainnet);
    let mountain = Work::of_bits(0x1702_40c3);
    let period = vec![Header { nonce: 0, ..headers[0] }; 2016];
    let active = resume_branch(mainnet, 2_000_000, mountain, &period).expect("enough ancestors");
    let mut tree = HeaderTree::new(active);
    let ancestors = GenesisOnly(HashMap::from([(headers[0].hash(), 0)]));
    let (accepted, _) =
        tree.accept(linked(&headers[1..]), &ancestors, NOW).expect("nothing is read that can fail");
    assert!(matches!(accepted, Accepted::Side { .. }));
    (tree, ancestors)
}

/// What one more message of a single header costs while a long side branch is kept.
fn side(criterion: &mut Criterion) {
    let headers = headers();
    let short = headers.len() - 2;
    let mut group = criterion.benchmark_group("beside a side branch of 32,257 headers");
    let (tree, ancestors) = tree_with_long_side(&headers[..short]);
    let cases = [
        ("one more on its end", linked(&headers[short..=short])),
        ("one it has in its middle", linked(&headers[16_000..16_001])),
        ("an orphan", linked(&headers[short + 1..])),
    ];
    for (name, batch) in cases {
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let start = || (tree.clone(), batch.clone());
            let accept = |(mut tree, batch): (HeaderTree, LinkedBatch)| {
                let answer = tree.accept(black_box(batch), &ancestors, NOW);
                (tree, answer)
            };
            bencher.iter_batched(start, accept, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, validate, side);
criterion_main!(benches);
