//! Reads the files in `fixtures/`.

use crate::primitives::{HEADER_LEN, Header, Work, hex};

/// One row of the table of first and last headers of mainnet's periods.
pub(super) struct PeriodRow {
    pub(super) height: u32,
    pub(super) chainwork: Work,
    pub(super) header: Header,
}

/// Returns mainnet's headers from genesis to height 32,259.
pub(super) fn mainnet_first() -> Vec<Header> {
    decode_all(include_bytes!("../../../fixtures/mainnet-0000000-0032259.bin"))
}

/// Height of the first header of [`mainnet_modern`].
pub(super) const MODERN_START: u32 = 822_528;

/// Returns mainnet's headers from height 822,528 to 826,659.
pub(super) fn mainnet_modern() -> Vec<Header> {
    decode_all(include_bytes!("../../../fixtures/mainnet-0822528-0826659.bin"))
}

/// Height of [`mainnet_stale`].
pub(super) const STALE_HEIGHT: u32 = 823_226;

/// Returns the header of mainnet's stale block at height 823,226.
pub(super) fn mainnet_stale() -> Header {
    decode_all(include_bytes!("../../../fixtures/mainnet-stale-0823226.bin"))[0]
}

/// Returns testnet3's headers from genesis to height 2,099.
pub(super) fn testnet3_first() -> Vec<Header> {
    decode_all(include_bytes!("../../../fixtures/testnet3-0000000-0002099.bin"))
}

/// Returns the first and last header of each of mainnet's first 300 periods, with the chain's work there.
pub(super) fn mainnet_periods() -> Vec<PeriodRow> {
    let text = include_str!("../../../fixtures/mainnet-epoch-boundaries-0000000-0604799.csv");
    text.lines().skip(1).map(parse_row).collect()
}

fn parse_row(line: &str) -> PeriodRow {
    let columns: Vec<&str> = line.split(',').collect();
    PeriodRow {
        height: columns[0].parse().unwrap(),
        chainwork: columns[1].parse().unwrap(),
        header: Header::decode(&hex::decode_array(columns[2]).unwrap()),
    }
}

fn decode_all(bytes: &[u8]) -> Vec<Header> {
    let (chunks, rest) = bytes.as_chunks::<HEADER_LEN>();
    assert!(rest.is_empty(), "a whole number of headers");
    chunks.iter().map(Header::decode).collect()
}
