use super::{BATCH, MAX_FOOTER, ParquetHeaders};
use crate::cli::files::parquet::ParquetWriter;
use crate::cli::files::read::Fault;
use crate::node::HeaderInfo;
use crate::primitives::{HEADER_LEN, Header};
use parquet::basic::Encoding;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs;
use std::io::Write;
use std::sync::Arc;

/// The first real headers.
fn headers(count: usize) -> Vec<Header> {
    let bytes = fs::read("fixtures/mainnet-0000000-0032259.bin").unwrap();
    let bytes = bytes.chunks_exact(HEADER_LEN).take(count);
    bytes.map(|bytes| Header::decode(bytes.try_into().unwrap())).collect()
}

fn written(headers: &[Header], interval: u32) -> Vec<u8> {
    let infos = headers.iter().zip(0_u32..).map(|(header, height)| HeaderInfo {
        hash: header.hash().to_string(),
        confirmations: 1,
        height,
        version: header.version,
        version_hex: format!("{:08x}", header.version),
        merkleroot: header.merkle_root.to_string(),
        time: header.time,
        mediantime: header.time,
        nonce: header.nonce,
        bits: format!("{:08x}", header.bits),
        target: String::new(),
        difficulty: 1.0,
        chainwork: format!("{height:064x}"),
        transaction_count: None,
        previousblockhash: (height > 0).then(|| header.prev.to_string()),
        nextblockhash: None,
    });
    let (mut writer, mut bytes) = (ParquetWriter::new(interval).unwrap(), Vec::new());
    writer.write(&mut bytes, infos.collect()).unwrap();
    writer.finish(&mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<Header>, String> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let told = |fault| match fault {
        Fault::Io(error) => error.to_string(),
        Fault::Content { place, what } => format!("{place}: {what}"),
    };
    let headers = ParquetHeaders::open(file, bytes.len() as u64, Arc::default());
    headers.map_err(told)?.map(|header| header.map_err(told)).collect()
}

#[test]
fn headers_come_back_in_groups_and_batches_of_any_length() {
    let all = headers(2 * BATCH + 3);
    for (count, interval) in [(1, 1), (50, 7), (2 * BATCH + 3, 2016), (2 * BATCH + 3, 100_000)] {
        assert_eq!(read(&written(&all[..count], interval)).unwrap(), all[..count], "{count}");
    }
    assert_eq!(read(&written(&[], 2016)).unwrap(), []);
}

/// As others write: nothing compressed, every column with nulls, in pages of both versions, with dictionaries.
fn loose(headers: &[Header], version: WriterVersion, dictionary: bool) -> Vec<u8> {
    let schema = "message m { optional int32 version; optional binary previousblockhash (STRING);
        optional binary merkleroot (STRING); optional int64 time; optional binary bits (STRING);
        optional int64 nonce; optional binary hash (STRING); }";
    let properties = WriterProperties::builder()
        .set_writer_version(version)
        .set_encoding(Encoding::PLAIN)
        .set_dictionary_enabled(dictionary);
    let (schema, properties) = (parse_message_type(schema).unwrap(), properties.build());
    let mut file =
        SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).unwrap();
    let mut group = file.next_row_group().unwrap();
    let (mut texts, mut numbers) = (loose_texts(headers).into_iter(), loose_numbers(headers));
    let all = vec![1; headers.len()];
    while let Some(mut column) = group.next_column().unwrap() {
        match column.untyped() {
            ColumnWriter::ByteArrayColumnWriter(column) => {
                let texts = texts.next().unwrap();
                let levels: Vec<i16> = texts.iter().map(|text| text.is_some().into()).collect();
                let texts: Vec<ByteArray> =
                    texts.iter().flatten().map(|text| text.as_str().into()).collect();
                column.write_batch(&texts, Some(&levels), None)
            }
            ColumnWriter::Int64ColumnWriter(column) => {
                column.write_batch(&numbers.remove(0), Some(&all), None)
            }
            ColumnWriter::Int32ColumnWriter(column) => {
                column.write_batch(&vec![1; headers.len()], Some(&all), None)
            }
            _ => panic!("the schema has no such column"),
        }
        .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    file.into_inner().unwrap()
}

fn loose_texts(headers: &[Header]) -> [Vec<Option<String>>; 4] {
    [
        headers.iter().map(|h| (h.prev.0 != [0; 32]).then(|| h.prev.to_string())).collect(),
        headers.iter().map(|h| Some(h.merkle_root.to_string())).collect(),
        headers.iter().map(|h| Some(format!("{:08x}", h.bits))).collect(),
        headers.iter().map(|h| Some(h.hash().to_string())).collect(),
    ]
}

fn loose_numbers(headers: &[Header]) -> Vec<Vec<i64>> {
    vec![
        headers.iter().map(|h| i64::from(h.time)).collect(),
        headers.iter().map(|h| i64::from(h.nonce)).collect(),
    ]
}

/// Every byte is changed in two ways: what is read is what was written, or nothing at all.
fn change_every_byte(good: &[u8], headers: &[Header]) {
    assert_eq!(read(good).unwrap(), headers);
    let mut refused = 0;
    for at in 0..good.len() {
        for mask in [1 << (at % 8), 0xff] {
            let mut bad = good.to_vec();
            bad[at] ^= mask;
            match read(&bad) {
                Ok(read) => assert_eq!(read, headers, "byte {at}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > good.len() / 2, "{refused} of {}", 2 * good.len());
}

#[test]
fn no_changed_byte_makes_another_header_or_a_panic() {
    let headers = headers(12);
    change_every_byte(&written(&headers, 6), &headers);
}

#[test]
fn no_changed_byte_of_another_writer_makes_another_header_or_a_panic() {
    let headers = headers(5);
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for dictionary in [false, true] {
            change_every_byte(&loose(&headers, version, dictionary), &headers);
        }
    }
}

#[test]
fn no_length_of_a_file_that_is_cut_short_is_taken() {
    let good = written(&headers(24), 12);
    for length in 0..good.len() {
        assert!(read(&good[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_footer_is_bounded_before_it_is_read() {
    let mut bytes = written(&headers(1), 12);
    let at = bytes.len() - 8;
    for (length, said) in [(u32::MAX, "got 4294967295"), (0, ""), (1, "")] {
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        let error = read(&bytes).unwrap_err();
        assert!(error.starts_with("footer: ") && error.contains(said), "{error}");
    }
    // A file may be as large as it likes without its footer being so.
    let file = tempfile::tempfile().unwrap();
    file.set_len(5 << 30).unwrap();
    let tail = [&u32::to_le_bytes(5 << 20)[..], b"PAR1"].concat();
    std::os::unix::fs::FileExt::write_all_at(&file, &tail, (5 << 30) - 8).unwrap();
    let opened = ParquetHeaders::open(file, 5 << 30, Arc::default());
    let said = format!("expected at most {MAX_FOOTER} bytes, got {}", 5 << 20);
    assert!(matches!(opened, Err(Fault::Content { what, .. }) if what == said));
}
