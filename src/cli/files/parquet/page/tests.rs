use super::check_texts;
use super::{MAX_DICTIONARY, MAX_PAGE, Pages, Source};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::SchemaDescriptor;
use std::io::Write;
use std::sync::Arc;

/// A number as Thrift writes it, as the value of the field after the last.
fn field(number: u64) -> Vec<u8> {
    let (mut bytes, mut left) = (vec![0x15], number << 1);
    while left >= 0x80 {
        bytes.push(u8::try_from(left & 0x7f).unwrap() | 0x80);
        left >>= 7;
    }
    bytes.push(u8::try_from(left).unwrap());
    bytes
}

/// A page of a kind: its header's sizes, the struct of its kind with these numbers, its bytes.
fn page(kind: u64, sizes: [u64; 2], numbers: &[u64], body: &[u8]) -> Vec<u8> {
    let mut bytes = [field(kind), field(sizes[0]), field(sizes[1])].concat();
    let id = match kind {
        0 => 5_u8,
        2 => 7,
        _ => 8,
    };
    bytes.push(((id - 3) << 4) | 12);
    bytes.extend(numbers.iter().flat_map(|number| field(*number)));
    bytes.extend([0, 0]);
    bytes.extend(body);
    bytes
}

fn read(bytes: &[u8], compression: Compression) -> Result<Vec<Page>, String> {
    let schema = parse_message_type("message m { required int32 a; }").unwrap();
    let schema = SchemaDescriptor::new(Arc::new(schema));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let size = bytes.len() as u64;
    let chunk = ColumnChunkMetaData::builder(schema.column(0))
        .set_compression(compression)
        .set_data_page_offset(0)
        .set_total_compressed_size(i64::try_from(size).unwrap())
        .build()
        .unwrap();
    let source = Source { file: Arc::new(file), size, read: Arc::default() };
    let mut pages = Pages::new(source, &chunk, false).map_err(|error| error.to_string())?;
    let mut read = Vec::new();
    while let Some(page) = pages.get_next_page().map_err(|error| error.to_string())? {
        read.push(page);
    }
    Ok(read)
}

#[test]
fn a_page_is_as_long_as_its_header_says_or_refused() {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let text = [7_u8; 1000];
    let packed = zstd::bulk::compress(&text, 1).unwrap();
    let length = packed.len() as u64;
    let good = page(0, [1000, length], &[250, 0, 3, 3], &packed);
    assert_eq!(read(&good, zstd).unwrap()[0].buffer().as_ref(), text);
    for said in [999, 1001, MAX_PAGE + 1, 0x7fff_ffff] {
        let bad = page(0, [said, length], &[250, 0, 3, 3], &packed);
        assert!(read(&bad, zstd).is_err(), "{said}");
    }
    let short = page(0, [1000, length + 1], &[250, 0, 3, 3], &packed);
    assert!(read(&short, zstd).unwrap_err().contains("expected at most 16777216"));
    let snappy = snap::raw::Encoder::new().compress_vec(&text).unwrap();
    let sizes = [1000, snappy.len() as u64];
    let good = page(0, sizes, &[250, 0, 3, 3], &snappy);
    assert_eq!(read(&good, Compression::SNAPPY).unwrap()[0].buffer().as_ref(), text);
    let bad = page(0, [1001, sizes[1]], &[250, 0, 3, 3], &snappy);
    assert!(read(&bad, Compression::SNAPPY).unwrap_err().contains("to 1000 bytes, not 1001"));
    assert!(read(&good, Compression::LZ4).unwrap_err().contains("LZ4 compression is not read"));
}

#[test]
fn a_dictionary_comes_first_once_and_is_small() {
    let plain = Compression::UNCOMPRESSED;
    let dictionary = page(2, [5, 5], &[1, 0], &[1, 0, 0, 0, 65]);
    let values = page(0, [3, 3], &[8, 8, 3, 3], &[0, 16, 0]);
    let both = [&dictionary[..], &values].concat();
    assert_eq!(read(&both, plain).unwrap().len(), 2);
    assert!(read(&values, plain).unwrap_err().contains("no dictionary comes before"));
    let twice = [&dictionary[..], &dictionary].concat();
    assert!(read(&twice, plain).unwrap_err().contains("a page of kind 2"));
    for (bytes, count) in [(5, 1 << 18), (MAX_DICTIONARY + 1, 1)] {
        let body = vec![0; usize::try_from(bytes).unwrap()];
        let big = page(2, [bytes, bytes], &[count, 0], &body);
        assert!(read(&big, plain).unwrap_err().contains("a dictionary of"), "{bytes} {count}");
    }
}

#[test]
fn what_has_no_safe_decoder_is_refused() {
    let plain = Compression::UNCOMPRESSED;
    for encoding in [3, 4, 5, 6, 7, 9, 99] {
        let page = page(0, [3, 3], &[8, encoding, 3, 3], &[0; 3]);
        assert!(read(&page, plain).unwrap_err().contains("is not read"), "{encoding}");
    }
    let index = page(1, [3, 3], &[], &[0; 3]);
    assert!(read(&index, plain).unwrap_err().contains("a page of kind 1"));
    // Second version: values, nulls, rows, encoding, bytes of definition and of repetition levels.
    let good = page(3, [3, 3], &[1, 0, 1, 0, 2, 0], &[0; 3]);
    assert_eq!(read(&good, plain).unwrap().len(), 1);
    for bad in [[1, 0, 1, 0, 4, 0], [1, 0, 1, 0, 2, 1], [1, 2, 1, 0, 2, 0]] {
        let page = page(3, [3, 3], &bad, &[0; 3]);
        assert!(read(&page, plain).unwrap_err().contains("contradicts itself"), "{bad:?}");
    }
}

#[test]
fn texts_are_whole_before_they_are_decoded() {
    let good = [2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0];
    for (length, count, exact, whole) in [
        (10, 2, true, true),
        (10, 2, false, true),
        (10, 1, true, false),
        (10, 3, true, false),
        (10, 3, false, true),
        (9, 2, false, false),
        (8, 2, false, false),
        (6, 1, true, true),
        (5, 1, false, false),
        (0, 0, true, true),
    ] {
        let mut bytes = good[..length].to_vec();
        let checked = check_texts(&mut bytes, 0, count, exact);
        assert_eq!(checked.is_ok(), whole, "{length} {count} {exact}");
    }
    let mut bytes = good.to_vec();
    check_texts(&mut bytes, 0, 4, false).unwrap();
    assert_eq!(bytes, [&good[..], &[0; 8]].concat(), "room for those that a level may claim");
    assert!(check_texts(&mut good.to_vec(), usize::MAX, 2, false).is_err());
}
