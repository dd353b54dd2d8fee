//! `export` of Parquet files, run as users run them.

use crate::support::chain::regtest_chain;
use crate::support::files::{mainnet, text};
use crate::support::run::Program;
use lightclient::testing::Exported;
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::json;
use std::fs::{self, File};
use std::path::Path;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");

fn metadata(file: &Path) -> ParquetMetaData {
    let file = File::open(file).expect("the file");
    SerializedFileReader::new(file).expect("Parquet").metadata().clone()
}

fn group_rows(file: &Path) -> Vec<i64> {
    metadata(file).row_groups().iter().map(|group| group.num_rows()).collect()
}

#[test]
fn parquet_has_the_columns_of_csv_in_zstd_with_bounds_of_every_row_group() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("headers.parquet");
    let exported = source.run(&["export", text(&file), "--json"]).expect_success();
    let exported: Exported = serde_json::from_str(&exported.stdout).expect("the object");
    assert_eq!((exported.format.as_str(), exported.headers), ("parquet", 32_260));
    assert_eq!(group_rows(&file), [32_260]);
    let data = metadata(&file);
    let names = data.file_metadata().schema_descr().columns().iter().map(|column| column.name());
    let names: Vec<&str> = names.collect();
    let csv = source.run(&["export", "-", "--format", "csv", "--to", "0"]).expect_success().stdout;
    assert_eq!(names.join(","), csv.lines().next().expect("the names"));
    for chunk in data.row_group(0).columns() {
        assert!(matches!(chunk.compression(), Compression::ZSTD(_)));
        assert!(chunk.statistics().is_some_and(|bounds| bounds.min_bytes_opt().is_some()));
    }
    let part = folder.path().join("part");
    let range = ["--format", "parquet", "--from", "1000", "--to", "5000"];
    let _ = source.run(&[&["export", text(&part)][..], &range].concat()).expect_success();
    assert_eq!(group_rows(&part), [4001]);
}

#[test]
fn row_groups_have_131072_rows_on_a_network_of_short_periods() {
    let source = Program::new(BINARY).with("--regtest");
    let folder = tempfile::tempdir().expect("a folder");
    let (raw, file) = (folder.path().join("chain.bin"), folder.path().join("chain.parquet"));
    let headers = regtest_chain(131_100, 1, 600);
    let bytes: Vec<u8> = headers.iter().flat_map(|header| header.encode()).collect();
    fs::write(&raw, bytes).expect("a file");
    let _ = source.run(&["import", text(&raw)]).expect_success();
    let _ = source.run(&["export", text(&file)]).expect_success();
    assert_eq!(group_rows(&file), [131_072, 29]);
    let refused = source.run(&["import", text(&file)]).expect_code(2);
    assert!(refused.stderr.contains("cannot be imported"), "{}", refused.stderr);
}

#[test]
fn a_row_of_parquet_has_the_values_of_query() {
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
fn parquet_goes_to_standard_output() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let (file, piped) = (folder.path().join("headers.parquet"), folder.path().join("piped"));
    let _ = source.run(&["export", text(&file), "--to", "4000"]).expect_success();
    let mut command = source.command(&["export", "-", "--format", "parquet", "--to", "4000"]);
    let ended = command.stdout(File::create(&piped).expect("a file")).status().expect("it runs");
    assert!(ended.success());
    let bytes = fs::read(&file).expect("the file");
    assert!(fs::read(&piped).expect("the file") == bytes);
}
