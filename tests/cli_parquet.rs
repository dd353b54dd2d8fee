//! `export` and `import` of Parquet, run as users run them.
#![cfg(feature = "parquet")]

mod support;

use lightclient::cli::export::Exported;
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::Field;
use parquet::schema::parser::parse_message_type;
use serde_json::json;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use support::chain::fixture;
use support::files::{import, mainnet, report, text};
use support::run::Program;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

fn program() -> Program {
    Program::new(BINARY)
}

fn metadata(file: &Path) -> ParquetMetaData {
    let file = File::open(file).expect("the file");
    SerializedFileReader::new(file).expect("Parquet").metadata().clone()
}

fn group_rows(file: &Path) -> Vec<i64> {
    metadata(file).row_groups().iter().map(|group| group.num_rows()).collect()
}

#[test]
fn parquet_brings_back_the_same_chain() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("headers.parquet");
    let exported = source.run(&["export", text(&file), "--json"]).expect_success();
    let exported: Exported = serde_json::from_str(&exported.stdout).expect("the object");
    assert_eq!((exported.format.as_str(), exported.headers), ("parquet", 32_260));
    let target = program();
    let imported = report(&import(&target, &file, &[]).expect_success());
    assert_eq!((imported.height, imported.headers_added), (32_259, 32_259));
    let (before, after) = (folder.path().join("before.bin"), folder.path().join("after.bin"));
    let _ = source.run(&["export", text(&before)]).expect_success();
    let _ = target.run(&["export", text(&after)]).expect_success();
    let whole = fs::read(fixture("mainnet-0000000-0032259.bin")).expect("the fixture");
    assert!(fs::read(before).expect("it") == whole && fs::read(after).expect("it") == whole);
    let range = program();
    let ranged = report(&import(&range, &file, &["--to", "5000"]).expect_success());
    assert_eq!(ranged.height, 5000);
    assert!(ranged.bytes_received < imported.bytes_received, "it stops early");
}

#[test]
fn parquet_has_a_row_group_for_each_period_with_the_columns_of_csv_in_zstd() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("headers.parquet");
    let _ = source.run(&["export", text(&file)]).expect_success();
    assert_eq!(group_rows(&file), [2016; 16].iter().copied().chain([4]).collect::<Vec<_>>());
    let data = metadata(&file);
    let names = data.file_metadata().schema_descr().columns().iter().map(|column| column.name());
    let names: Vec<&str> = names.collect();
    let csv = source.run(&["export", "-", "--format", "csv", "--to", "0"]).expect_success().stdout;
    assert_eq!(names.join(","), csv.lines().next().expect("the names"));
    let mut chunks = data.row_groups().iter().flat_map(|group| group.columns());
    assert!(chunks.all(|chunk| matches!(chunk.compression(), Compression::ZSTD(_))));
    let part = folder.path().join("part");
    let range = ["--format", "parquet", "--from", "1000", "--to", "5000"];
    let _ = source.run(&[&["export", text(&part)][..], &range].concat()).expect_success();
    assert_eq!(group_rows(&part), [1016, 2016, 969]);
}

#[test]
fn a_row_of_parquet_says_what_query_says() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("headers.parquet");
    let _ = source.run(&["export", text(&file), "--from", "32256"]).expect_success();
    let reader = SerializedFileReader::new(File::open(&file).expect("it")).expect("Parquet");
    let row = reader.get_row_iter(None).expect("rows").next().expect("a row").expect("a row");
    let said = source.run(&["query", "32256", "--json"]).expect_success().json();
    let mut compared = 0;
    for (name, field) in row.get_column_iter() {
        let value = match field {
            Field::Str(text) => json!(text),
            Field::Int(number) => json!(number),
            Field::Long(number) => json!(number),
            Field::Double(number) => json!(number),
            Field::TimestampMillis(time) => json!(time / 1000),
            other => panic!("{name} is {other}"),
        };
        if name == "difficulty" {
            assert_eq!(value.as_f64(), said[name].as_f64(), "{name}");
        } else {
            assert_eq!(value, said[name], "{name}");
        }
        compared += 1;
    }
    assert_eq!(compared, 12);
    assert!(matches!(row.get_column_iter().nth(5), Some((_, Field::TimestampMillis(_)))), "time");
}

#[test]
fn parquet_goes_to_standard_output_but_cannot_come_from_standard_input() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let (file, piped) = (folder.path().join("headers.parquet"), folder.path().join("piped"));
    let _ = source.run(&["export", text(&file), "--to", "4000"]).expect_success();
    let mut command = source.command(&["export", "-", "--format", "parquet", "--to", "4000"]);
    let ended = command.stdout(File::create(&piped).expect("a file")).status().expect("it runs");
    assert!(ended.success());
    let bytes = fs::read(&file).expect("the file");
    assert!(fs::read(&piped).expect("the file") == bytes);
    let refused = program().run_with_input(&["import", "-", "--format", "parquet"], &bytes);
    let refused = refused.expect_code(2);
    assert!(refused.stderr.contains("read from its end"), "{}", refused.stderr);
}

/// A file of one row group of one header, with columns that `change` has changed.
fn other(file: &Path, change: impl Fn(&str) -> String, rows: usize) {
    let schema = "message m { required binary merkleroot (STRING); optional int64 nonce;
        required int64 time (TIMESTAMP(MICROS,true)); required int32 version;
        optional binary previousblockhash (STRING); required binary bits (STRING); }";
    let schema = parse_message_type(&change(schema)).expect("a schema");
    let out = File::create(file).expect("a file");
    let mut out = SerializedFileWriter::new(out, Arc::new(schema), Arc::default()).expect("it");
    let mut group = out.next_row_group().expect("a group");
    let root = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";
    let (mut text, mut number) = ([root, "1d00ffff"].into_iter(), [2_083_236_893].into_iter());
    while let Some(mut column) = group.next_column().expect("a column") {
        match column.untyped() {
            ColumnWriter::ByteArrayColumnWriter(column) => {
                let optional = column.get_descriptor().max_def_level() > 0;
                let value = if optional { None } else { text.next() };
                let values = vec![value.unwrap_or_default().into(); rows];
                let nulls = vec![0; rows];
                let levels = optional.then_some(&nulls[..]);
                column.write_batch(if optional { &[] } else { &values[..] }, levels, None)
            }
            ColumnWriter::Int64ColumnWriter(column) => {
                let values = vec![number.next().unwrap_or(1_231_006_505_000_000); rows];
                column.write_batch(&values, Some(&vec![1; rows]), None)
            }
            ColumnWriter::Int32ColumnWriter(column) => {
                column.write_batch(&vec![1; rows], None, None)
            }
            ColumnWriter::DoubleColumnWriter(column) => {
                column.write_batch(&vec![1.0; rows], None, None)
            }
            _ => panic!("the schema has no such column"),
        }
        .expect("values");
        column.close().expect("a column");
    }
    group.close().expect("a group");
    out.close().expect("a file");
}

#[test]
fn parquet_of_other_writers_is_read_and_what_is_no_header_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("other.parquet");
    other(&file, str::to_owned, 1);
    assert_eq!(report(&import(&program(), &file, &[]).expect_success()).height, 0);
    let same = str::to_owned;
    let replaced = |from: &'static str, to: &'static str| move |text: &str| text.replace(from, to);
    let refused = |said: &str| {
        let failed = import(&program(), &file, &[]).expect_code(1);
        assert!(failed.stderr.contains(said), "{said}: {}", failed.stderr);
        assert_eq!(failed.stderr.lines().count(), 1, "{}", failed.stderr);
    };
    other(&file, replaced("nonce", "number"), 1);
    refused("footer: expected a column nonce, there is none");
    other(&file, replaced("int32 version", "double version"), 1);
    refused("column version: expected whole numbers of 32 or 64 bits, got DOUBLE");
    other(&file, replaced("required binary bits", "optional binary bits"), 1);
    refused("row 1: bits: expected a value, got null");
    other(&file, replaced("MICROS", "MILLIS"), 1);
    refused("row 1: time: expected a number of 32 bits, got 1231006505000");
    other(&file, same, (1 << 20) + 1);
    refused("row group 1: expected at most 1048576 rows, got 1048577");
    fs::write(&file, "height,hash,version\n0,x,1\n").expect("a file");
    refused("footer: this is no Parquet, or cut short");
    fs::write(&file, "").expect("a file");
    refused("other.parquet: the file is empty");
    other(&file, same, 0);
    refused("other.parquet holds no header: nothing to import");
}
