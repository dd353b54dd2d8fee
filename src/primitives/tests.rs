//! Tests of targets, work and headers with Bitcoin Core's vectors, and comparisons with the `bitcoin` crate.

use crate::primitives::{BlockHash, Header, MerkleRoot, Target, TargetError, Work, sha256d};
use num_bigint::BigUint;
use proptest::array::uniform32;
use proptest::prelude::{Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

/// Returns the target that `bits` stand for by definition: mantissa × 256^(exponent − 3), truncated.
fn naive_from_bits(bits: u32) -> Result<BigUint, TargetError> {
    let exponent = bits >> 24;
    let mantissa = BigUint::from(bits & 0x007f_ffff);
    let value = (mantissa << (8 * exponent)) >> 24u32;
    if value == BigUint::ZERO {
        return Err(TargetError::Zero);
    }
    if value.bits() > 256 {
        return Err(TargetError::Overflow);
    }
    if bits & 0x0080_0000 != 0 {
        return Err(TargetError::Negative);
    }
    Ok(value)
}

/// Generates bits with any exponent, and mantissas with any number of leading zeros.
fn any_bits() -> impl Strategy<Value = u32> {
    let near = (0u32..=40, any::<u32>(), 0u32..=24);
    prop_oneof![
        any::<u32>(),
        near.prop_map(|(exponent, low, shift)| exponent << 24 | (low & 0x00ff_ffff) >> shift),
    ]
}

/// Generates targets of any length from 0 to 32 bytes.
fn any_target() -> impl Strategy<Value = Target> {
    (uniform32(any::<u8>()), 0usize..=32).prop_map(|(mut bytes, kept)| {
        bytes[kept..].fill(0);
        Target::from_le_bytes(bytes)
    })
}

fn theirs(target: Target) -> bitcoin::Target {
    bitcoin::Target::from_le_bytes(target.to_le_bytes())
}

#[test]
fn compact_forms_decode_as_in_bitcoin_cores_own_test() {
    let zero = [
        0x0000_0000,
        0x0012_3456,
        0x0100_3456,
        0x0200_0056,
        0x0300_0000,
        0x0400_0000,
        0x0092_3456,
        0x0180_3456,
        0x0280_0056,
        0x0380_0000,
        0x0480_0000,
    ];
    for bits in zero {
        assert_eq!(Target::from_bits(bits), Err(TargetError::Zero), "{bits:08x}");
    }
    let values = [
        (0x0112_3456, 0x12u32, 0x0112_0000),
        (0x0212_3456, 0x1234, 0x0212_3400),
        (0x0312_3456, 0x0012_3456, 0x0312_3456),
        (0x0412_3456, 0x1234_5600, 0x0412_3456),
        (0x0500_9234, 0x9234_0000, 0x0500_9234),
    ];
    for (bits, value, again) in values {
        let target = Target::from_bits(bits).unwrap();
        assert_eq!(target.to_biguint(), BigUint::from(value), "{bits:08x}");
        assert_eq!(target.to_bits(), again, "{bits:08x}");
    }
    for bits in [0x01fe_dcba, 0x0492_3456] {
        assert_eq!(Target::from_bits(bits), Err(TargetError::Negative), "{bits:08x}");
    }
    let large = Target::from_bits(0x2012_3456).unwrap();
    assert_eq!(large.to_biguint(), BigUint::from(0x0012_3456u32) << 232);
    assert_eq!(large.to_bits(), 0x2012_3456);
    assert_eq!(Target::from_bits(0xff12_3456), Err(TargetError::Overflow));
}

#[test]
fn a_mantissa_with_its_top_bit_set_moves_one_byte() {
    let target = Target::from_biguint(&BigUint::from(0x80u8)).unwrap();
    assert_eq!(target.to_bits(), 0x0200_8000);
    assert_eq!(Target::from_bits(0x0200_8000), Ok(target));
    assert_eq!(Target::from_le_bytes([0xff; 32]).to_bits(), 0x2100_ffff);
    assert_eq!(Target::from_le_bytes([0; 32]).to_bits(), 0);
}

#[test]
fn overflow_starts_at_the_first_digit_above_256_bits() {
    for bits in [0x2100_ffff, 0x2200_00ff, 0x207f_ffff] {
        assert!(Target::from_bits(bits).is_ok(), "{bits:08x}");
    }
    for bits in [0x2101_0000, 0x2200_0100, 0x2300_0001] {
        assert_eq!(Target::from_bits(bits), Err(TargetError::Overflow), "{bits:08x}");
    }
}

#[test]
fn the_work_of_unusable_bits_is_zero() {
    for bits in [0, 0x0492_3456, 0xff12_3456] {
        assert_eq!(Work::of_bits(bits), Work::default(), "{bits:08x}");
    }
    assert_eq!(Work::of_bits(0x207f_ffff).to_be_bytes()[31], 2);
    assert_eq!(Work::of_bits(0x1d00_ffff).to_string(), format!("{:064x}", 0x1_0001_0001u64));
}

#[test]
fn the_work_of_headers_is_the_sum_of_their_works() {
    let bits = [0x1d00_ffff, 0x1d00_ffff, 0x1702_40c3, 0x1d00_ffff, 0, 0x207f_ffff, 0x207f_ffff];
    let headers = bits.map(|bits| Header {
        version: 1,
        prev: BlockHash::ZERO,
        merkle_root: MerkleRoot([0; 32]),
        time: 0,
        bits,
        nonce: 0,
    });
    for count in 0..=headers.len() {
        let mut sum = Work::default();
        headers[..count].iter().for_each(|header| sum += &Work::of_bits(header.bits));
        assert_eq!(Work::of_headers(&headers[..count]), sum, "{count} headers");
    }
}

#[test]
fn work_is_read_with_or_without_leading_zeros_and_prefix() {
    let work = Work::of_bits(0x1702_40c3);
    assert_eq!(work.to_string().parse(), Ok(work.clone()));
    assert_eq!("0x10".parse::<Work>().unwrap().to_be_bytes()[31], 16);
    assert_eq!("0X10".parse::<Work>(), "0x10".parse::<Work>());
    assert_eq!("f".parse::<Work>().unwrap().to_be_bytes()[31], 15);
    for text in ["", "0x", "g", "-1", "é", &"0".repeat(65)] {
        assert!(text.parse::<Work>().is_err(), "{text:?}");
    }
}

#[test]
fn a_difference_of_works_is_never_negative() {
    let (one, hundred) = (Work::of_bits(0x1d00_ffff), Work::of_bits(0x1d00_ffff).times(100));
    let mut sum = hundred.clone();
    sum += &one;
    assert_eq!(sum, one.times(101));
    assert_eq!(&sum - &hundred, one);
    assert_eq!(&hundred - &sum, Work::default());
    assert!((hundred.to_f64() - 4_295_032_833.0 * 100.0).abs() < 1.0);
    assert_eq!(Work::from_be_bytes(&[0xff; 32]).to_be_bytes(), [0xff; 32]);
}

proptest! {
    #[test]
    fn any_bits_mean_what_the_format_says(bits in any_bits()) {
        let got = Target::from_bits(bits).map(Target::to_biguint);
        prop_assert_eq!(got, naive_from_bits(bits));
    }

    #[test]
    fn usable_bits_mean_what_the_bitcoin_crate_says(bits in any_bits()) {
        if let Ok(target) = Target::from_bits(bits) {
            let compact = bitcoin::CompactTarget::from_consensus(bits);
            prop_assert_eq!(theirs(target), bitcoin::Target::from_compact(compact));
        }
    }

    #[test]
    fn a_target_encodes_as_in_the_bitcoin_crate(target in any_target()) {
        prop_assert_eq!(target.to_bits(), theirs(target).to_compact_lossy().to_consensus());
    }

    #[test]
    fn decoding_what_was_encoded_only_truncates(target in any_target()) {
        match Target::from_bits(target.to_bits()) {
            Ok(again) => {
                prop_assert!(again <= target);
                prop_assert_eq!(again.to_bits(), target.to_bits());
                let lost = target.to_biguint() - again.to_biguint();
                prop_assert!(lost << 15u32 < target.to_biguint() + 1u8);
            }
            Err(error) => {
                prop_assert_eq!(error, TargetError::Zero);
                prop_assert_eq!(target, Target::from_le_bytes([0; 32]));
            }
        }
    }

    #[test]
    fn work_is_that_of_the_bitcoin_crate(target in any_target()) {
        let work = Work::of_target(target);
        if target.to_biguint() > BigUint::from(1u8) && target != Target::from_le_bytes([0xff; 32]) {
            prop_assert_eq!(work.to_be_bytes(), theirs(target).to_work().to_be_bytes());
        }
        let exact = (BigUint::from(1u8) << 256u32) / (target.to_biguint() + 1u8);
        if exact.bits() <= 256 {
            prop_assert_eq!(BigUint::from_bytes_be(&work.to_be_bytes()), exact);
        }
    }

    #[test]
    fn a_hash_meets_a_target_that_is_no_smaller_as_an_integer(
        target in any_target(), hash in uniform32(any::<u8>()), kept in 0usize..=32,
    ) {
        let mut hash = hash;
        hash[kept..].fill(0);
        let expected = BigUint::from_bytes_le(&hash) <= target.to_biguint();
        prop_assert_eq!(target.is_met_by(&BlockHash(hash)), expected);
        prop_assert!(target.is_met_by(&BlockHash(target.to_le_bytes())));
    }

    #[test]
    fn targets_are_ordered_as_integers(a in any_target(), b in any_target()) {
        prop_assert_eq!(a.cmp(&b), a.to_biguint().cmp(&b.to_biguint()));
    }

    #[test]
    fn headers_encode_and_hash_as_in_the_bitcoin_crate(
        version in any::<i32>(), prev in uniform32(any::<u8>()), root in uniform32(any::<u8>()),
        time in any::<u32>(), bits in any::<u32>(), nonce in any::<u32>(),
    ) {
        let (prev, merkle_root) = (BlockHash(prev), MerkleRoot(root));
        let header = Header { version, prev, merkle_root, time, bits, nonce };
        let bytes = header.encode();
        prop_assert_eq!(Header::decode(&bytes), header);
        let theirs: bitcoin::block::Header = bitcoin::consensus::deserialize(&bytes).unwrap();
        prop_assert_eq!(bitcoin::consensus::serialize(&theirs), bytes);
        prop_assert_eq!(theirs.version.to_consensus(), version);
        prop_assert_eq!(theirs.nonce, nonce);
        prop_assert_eq!(theirs.block_hash().to_string(), header.hash().to_string());
        prop_assert_eq!(header.hash().0, sha256d(&bytes));
    }
}
