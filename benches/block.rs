//! What a block of 2 MB costs: decoding it, and holding it to its header.
//!
//! The first figures are the floor: every byte is hashed for the txids (but for witnesses) and again for the wtxids.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lightclient::CheckedBlock;
use lightclient::chain::params;
use lightclient::primitives::{Network, sha256d};
use lightclient::wire::{Block, TxView};
use std::hint::black_box;

const BLOCK: &[u8] = include_bytes!("../fixtures/mainnet-0831332.bin");
const HEIGHT: u32 = 831_332;

fn block(criterion: &mut Criterion) {
    let decoded = Block::decode(BLOCK.to_vec()).expect("a real block");
    let hash = decoded.header().hash();
    let mut group = criterion.benchmark_group("block");
    group.throughput(Throughput::Bytes(u64::try_from(BLOCK.len()).expect("a length")));
    group.bench_function("yardstick: sha256d of its bytes", |bencher| {
        bencher.iter(|| sha256d(black_box(BLOCK)));
    });
    group.bench_function("yardstick: txids and wtxids, one thread", |bencher| {
        let ids = |tx: TxView<'_>| tx.txid().0[0] ^ tx.wtxid().0[0];
        bencher.iter(|| decoded.transactions().map(ids).fold(0, |a, b| a ^ b));
    });
    group.bench_function("decode", |bencher| {
        bencher.iter_batched(|| BLOCK.to_vec(), Block::decode, BatchSize::LargeInput);
    });
    let whole = |bytes: Vec<u8>| {
        let block = Block::decode(bytes).expect("a real block");
        CheckedBlock::check(block, &hash, HEIGHT, params(Network::Mainnet)).expect("a real block")
    };
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    group.bench_function("decode and check, one thread", |bencher| {
        let on_one = |bytes| one.install(|| whole(bytes));
        bencher.iter_batched(|| BLOCK.to_vec(), on_one, BatchSize::LargeInput);
    });
    group.bench_function("decode and check", |bencher| {
        bencher.iter_batched(|| BLOCK.to_vec(), whole, BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(benches, block);
criterion_main!(benches);
