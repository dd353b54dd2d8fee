//! What `import` takes and what it says: files of other tools, damaged files, wrong clocks.

use crate::support::chain::{fixture, fork_chain, mainnet_start, regtest_chain};
use crate::support::faketime::{library, with_clock};
use crate::support::files::{import, mainnet, report, text};
use crate::support::run::Program;
use lightclient::Stopped;
use lightclient::primitives::Header;
use std::fs;
use std::path::PathBuf;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const MAINNET: &str = "mainnet-0000000-0032259.bin";

fn program() -> Program {
    Program::new(BINARY)
}

fn start() -> Vec<u8> {
    fs::read(fixture(MAINNET)).expect("the fixture")
}

fn bytes(headers: &[Header]) -> Vec<u8> {
    headers.iter().flat_map(Header::encode).collect()
}

/// A file in a folder of its own, which goes with the first value.
fn file(name: &str, content: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("a file");
    (folder, path)
}

/// The one line that a file is refused with.
fn refused(name: &str, content: impl AsRef<[u8]>, more: &[&str]) -> String {
    let (_folder, path) = file(name, content);
    let ended = import(&program(), &path, more).expect_code(1);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    ended.stderr
}

fn assert_said(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

#[test]
fn hex_digits_are_recognised_with_any_file_name_and_line_length() {
    let digits: String = start()[..80 * 300].iter().map(|byte| format!("{byte:02X}")).collect();
    let lines: Vec<&str> = (0..300).map(|at| &digits[at * 160..][..160]).collect();
    let (prefixed, rows) = (format!("0x{}", lines.join("\r\n0x")), lines.join("\n").to_lowercase());
    for (name, content) in
        [("one.hex", &digits), ("rows.hex", &rows), ("x.txt", &rows), ("0x.csv", &prefixed)]
    {
        let (_folder, path) = file(name, content);
        assert_eq!(report(&import(&program(), &path, &[]).expect_success()).height, 299, "{name}");
    }
    let printed = mainnet(BINARY).run(&["query", "0..99", "--raw"]).expect_success().stdout;
    let (_folder, path) = file("printed", printed);
    assert_eq!(report(&import(&program(), &path, &[]).expect_success()).height, 99);
    let said = refused("cut.hex", &digits[..160 * 9 + 3], &[]);
    assert_said(
        &said,
        &["line 1: expected 160 hex digits, got 3", "8 headers before it were added"],
    );
    let said = refused("bad.hex", format!("{}\nxyz", lines[..2].join("\n")), &[]);
    assert_said(&said, &["line 3: expected hex digits, got `x`"]);
}

#[test]
fn the_error_for_bytes_before_the_headers_says_how_many_to_skip() {
    let content = [&b"OTSH\xff\x00\x17\x80abcdefghijkl"[..], &start()[..8000]].concat();
    let said = refused("ots.bin", &content, &[]);
    assert_said(&said, &["bytes 0 to 19 are no header, headers start at 20: --skip 20"]);
    let (_folder, path) = file("ots.bin", &content);
    let taken = import(&program(), &path, &["--skip", "20"]).expect_success();
    assert_eq!(report(&taken).height, 99);
}

#[test]
fn other_kinds_of_files_are_recognised() {
    let mut sparse = start()[..80 * 20].to_vec();
    sparse[..80 * 9].fill(0);
    let csv = fs::read(fixture("semicolon.csv")).expect("the fixture");
    let block = fs::read(fixture("mainnet-0831332.bin")).expect("the fixture");
    let blk = [&b"\xf9\xbe\xb4\xd9\x00\x10\x00\x00"[..], &block].concat();
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(csv.iter().flat_map(|b| [*b, 0])).collect();
    for (name, content, parts) in [
        ("sparse.bin", &sparse, &["zeros up to height 8", "byte 720", "--skip 720"][..]),
        ("zeros.bin", &vec![0; 8000], &["8000 bytes, all of them zeros"]),
        ("block.bin", &block, &["a block with its transactions, not headers"]),
        ("blk.bin", &blk, &["blocks of mainnet, not headers"]),
        ("text.bin", &csv, &["the file is text", "height;hash;version", "--format csv"]),
        ("raw.csv", &start(), &["not csv but raw headers of 80 bytes: --format bin"]),
        ("raw.jsonl", &start(), &["not jsonl but raw headers of 80 bytes: --format bin"]),
        ("utf16.csv", &utf16, &["the text is UTF-16: save it as UTF-8"]),
        ("gz.bin", &b"\x1f\x8b\x08\x00".to_vec(), &["a gzip file: unpack it first"]),
        ("noise.bin", &vec![0x91; 160], &["no proof of work"]),
    ] {
        let said = refused(name, content, &[]);
        assert_said(&said, parts);
        assert!(!said.contains("is not stored"), "{said}");
    }
    let said = refused("sparse.bin", &sparse, &["--skip", "160"]);
    assert_said(&said, &["zeros up to height 8", "byte 720, height 9", "--skip 720"]);
    let electrum = import(&program().with("--regtest"), &fixture("electrum-Z.bin"), &[]);
    assert_eq!(report(&electrum.expect_success()).height, 13);
}

#[test]
fn missing_or_doubled_bytes_are_located_and_headers_before_them_are_kept() {
    let start = start();
    let (before, at) = ("9,999 headers before it were added", 80 * 10_000);
    let missing = [&start[..at + 40], &start[at + 50..]].concat();
    let doubled = [&start[..at + 40], &start[at + 33..]].concat();
    let sparse = [&start[..at], &[0; 800][..], &start[at + 800..]].concat();
    let gap = [&start[..at], &start[at + 160..]].concat();
    for (content, what) in [
        (
            missing,
            "height 10,000: no header starts at byte 800000, headers continue at byte 800070",
        ),
        (
            doubled,
            "height 10,000: no header starts at byte 800000, headers continue at byte 800087",
        ),
        (sparse, "height 10,000: zeros from byte 800000 on (a sparse file)"),
        (gap, "header 10001: header 000000007136b5c4"),
    ] {
        assert_said(&refused("damaged.bin", content, &[]), &[what, before]);
    }
    let twice = [&start[..at], &start[at - 800..]].concat();
    let (_folder, path) = file("twice.bin", twice);
    assert_eq!(report(&import(&program(), &path, &[]).expect_success()).height, 32_259);
}

#[test]
fn tables_are_read_as_other_tools_write_them() {
    let semicolon = fs::read_to_string(fixture("semicolon.csv")).expect("the fixture");
    let pandas = fs::read_to_string(fixture("pandas-index.csv")).expect("the fixture");
    let marked = format!("\u{feff}{}", semicolon.replace('\n', "\r\n"));
    let tabs = semicolon.replace(';', "\t");
    let iso = pandas.replacen(",1231006505,", ",2009-01-03 18:15:05,", 1);
    let iso = iso.replacen(",1231469665,", ",2009-01-09T02:54:25+00:00,", 1);
    let upper = semicolon.replace("1d00ffff", "0x1D00FFFF");
    let quoted = semicolon.replace(";1d00ffff;", ";\"1d00ffff\";");
    for content in [semicolon, pandas, marked, tabs, iso, upper, quoted] {
        let (_folder, path) = file("headers.csv", &content);
        let taken = import(&program(), &path, &[]).expect_success();
        assert_eq!(report(&taken).height, 299, "{}", &content[..200]);
    }
    let lines = mainnet(BINARY).run(&["export", "jsonl", "-", "--to", "9"]).expect_success().stdout;
    let (_folder, path) = file("marked.jsonl", format!("\u{feff}{}", lines.replace('\n', "\r\n")));
    assert_eq!(report(&import(&program(), &path, &[]).expect_success()).height, 9);
}

#[test]
fn with_to_a_file_that_ends_there_is_a_complete_import_beside_a_longer_stored_chain() {
    let (stored, path) = (mainnet(BINARY), fixture("semicolon.csv"));
    for to in ["298", "299"] {
        let imported = stored.run(&["import", text(&path), "--to", to, "--json"]).expect_success();
        assert_eq!(report(&imported).stopped, Stopped::StopHeight, "{to}");
    }
    let _ = stored.run(&["import", text(&path), "--to", "300"]).expect_code(1);
    // As many headers as the height of --to, but some of them are on a side branch.
    let chain = regtest_chain(40, 1, 600);
    let side = fork_chain(&chain, 30, 5, 2).split_off(31);
    let (_folder, path) = file("branch.bin", bytes(&[chain, side].concat()));
    let args = ["import", text(&path), "--to", "45", "--min-chain-work", "0xffff"];
    let short = program().with("--regtest").run(&args).expect_code(1);
    assert!(short.stderr.contains("it ends at height 40"), "{}", short.stderr);
}

#[test]
fn a_path_that_is_no_readable_file_is_named_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing");
    let said = program().run(&["import", text(&missing)]).expect_code(1).stderr;
    assert!(said.contains("No such file or directory"), "{said}");
    let said = program().run(&["import", text(folder.path())]).expect_code(1).stderr;
    assert!(said.contains("name a file"), "{said}");
}

#[test]
fn errors_about_a_table_without_known_columns_name_its_first_line() {
    let table = fs::read_to_string(fixture("semicolon.csv")).expect("the fixture");
    let rows = table.split_once('\n').expect("lines").1;
    let said = refused("rows.csv", rows, &[]);
    assert_said(&said, &["line 1: expected the names of the columns (version, ", "found \"0"]);
    let said = refused("part.csv", table.replacen(";merkleroot", ";root", 1), &[]);
    assert_said(&said, &["line 1: no column merkleroot: found \"height\", \"hash\"", "\"root\""]);
    let said = refused("time.csv", table.replacen("1231469665", "noon", 1), &[]);
    assert_said(&said, &["line 3: time: expected Unix seconds", "got \"noon\""]);
    for said in [refused("a.jsonl", "{\"version\":[1]}\n", &[]), refused("b.jsonl", "7\n", &[])] {
        assert_said(&said, &["line 1: "]);
        assert!(!said.contains("struct") && !said.contains("invalid type"), "{said}");
    }
}

#[test]
fn a_column_that_contradicts_its_header_is_reported_with_both_values() {
    let table = fs::read_to_string(fixture("semicolon.csv")).expect("the fixture");
    let kept = "the 4 headers before it were added, up to height 4";
    let said = refused("height.csv", table.replacen("\n5;", "\n6;", 1), &[]);
    assert_said(&said, &["line 7: height: expected 5, got 6", kept]);
    let hash = "000000009b7262315dbf071787ad3656097b892abffd1f95a1a022f896f533fc";
    let said = refused("hash.csv", table.replacen(&format!("\n5;{hash}"), "\n5;00", 1), &[]);
    assert_said(&said, &["line 7: hash: expected 64 hex digits, got \"00\"", kept]);
    let wrong = hash.replace("fc", "fd");
    let said = refused("hash.csv", table.replacen(hash, &wrong, 1), &[]);
    assert_said(&said, &[&format!("line 7: hash: expected {hash}, got {wrong}"), kept]);
    let said = refused("time.csv", table.replacen(";1231471428;", ";1231471429;", 1), &[]);
    assert_said(&said, &["line 7: hash: expected ", kept]);
    let header: String = start()[..80].iter().map(|byte| format!("{byte:02x}")).collect();
    let said = refused("both.csv", format!("header,nonce\n{header},7\n"), &[]);
    assert_said(&said, &["line 2: nonce: expected 2083236893 as in the header, got 7"]);
}

#[test]
fn several_branches_in_any_order_become_side_branches_and_the_rest_is_counted() {
    let target = program().with("--regtest");
    let chain = regtest_chain(40, 1, 600);
    let (one, two) = (fork_chain(&chain, 30, 5, 2), fork_chain(&chain, 20, 3, 3));
    let stranger = fork_chain(&chain, 36, 3, 4);
    let fork = |headers: &[Header], at: usize| headers[headers.len() - at..].to_vec();
    let (_folder, path) = file("chain.bin", bytes(&chain));
    assert_eq!(report(&import(&target, &path, &[]).expect_success()).height, 40);
    let mut stale: Vec<Header> = fork(&two, 3).into_iter().rev().collect();
    stale.extend(fork(&one, 5));
    let (_folder, path) = file("stale.bin", bytes(&stale));
    let taken = report(&import(&target, &path, &[]).expect_success());
    assert_eq!((taken.height, taken.headers_added), (40, 0));
    let sides = |target: &Program| {
        let status = target.run(&["status", "--json"]).expect_success().json();
        status["side_branches"].as_array().map(Vec::len)
    };
    assert_eq!(sides(&target), Some(2));
    let fresh = program().with("--regtest");
    let part = [bytes(&chain), bytes(&fork(&one, 5)), bytes(&fork(&stranger, 2))].concat();
    let (_folder, path) = file("part.bin", part);
    let ended = import(&fresh, &path, &[]).expect_code(1);
    let kept = "the 40 headers before it were added, up to height 40, and one side branch was kept";
    assert_said(&ended.stderr, &["header 47: ", "2 of the file's headers are left out", kept]);
    assert_eq!(sides(&fresh), Some(1));
}

#[test]
fn a_branch_with_its_newest_header_first_is_one_branch() {
    let target = program().with("--regtest");
    let chain = regtest_chain(40, 1, 600);
    let (_folder, path) = file("chain.bin", bytes(&chain));
    import(&target, &path, &[]).expect_success();
    let mut branch = fork_chain(&chain, 30, 5, 2).split_off(31);
    branch.reverse();
    let (_folder, path) = file("stale.bin", bytes(&branch));
    let said =
        target.run(&["import", text(&path), "--min-chain-work", "0"]).expect_success().stdout;
    assert_said(&said, &["0 headers added", "others are kept on a side branch"]);
}

#[test]
fn hex_digits_with_a_byte_order_mark_are_recognised_with_any_extension() {
    let digits: String = start()[..80 * 10].iter().map(|byte| format!("{byte:02x}")).collect();
    for name in ["marked.bin", "marked.hex", "marked.csv"] {
        let (_folder, path) = file(name, format!("\u{feff}{digits}"));
        assert_eq!(report(&import(&program(), &path, &[]).expect_success()).height, 9, "{name}");
    }
}

#[test]
fn the_error_for_a_json_array_says_how_to_make_lines_of_it() {
    let array = mainnet(BINARY).run(&["query", "0..0", "--json"]).expect_success().stdout;
    assert!(array.starts_with('['), "{array}");
    for name in ["array.jsonl", "array.bin"] {
        let said = refused(name, &array, &[]);
        assert_said(&said, &["a JSON array, not JSON Lines", "`jq -c '.[]'`"]);
    }
}

#[test]
fn stale_blocks_of_a_chain_that_is_not_stored_are_counted() {
    let ended = import(&mainnet(BINARY), &fixture("stale-blocks.csv"), &[]).expect_code(1);
    let said = ["line 2: header 0000000000000000000", "23 of the file's headers are left out"];
    assert_said(&ended.stderr, &said);
}

#[test]
fn hints_and_settings_are_read_with_a_byte_order_mark_and_crlf_and_utf16_is_named() {
    for hints in ["bom.hints", "crlf.hints"] {
        let hints = fixture(hints);
        let _ = import(&program(), &fixture(MAINNET), &["--hints", text(&hints)]).expect_success();
    }
    let config = fixture("utf16.toml");
    let ended = program().run(&["status", "--config", text(&config)]).expect_code(2);
    assert_said(&ended.stderr, &["the text is UTF-16: save it as UTF-8"]);
}

#[test]
fn with_a_clock_behind_the_error_names_the_clock_and_advises_no_option() {
    let Some(library) = library("import at a wrong clock") else { return };
    let target = with_clock(program(), &library, "@2009-06-01 00:00:00");
    let ended = target.run(&["import", text(&fixture(MAINNET)), "--json"]).expect_code(1);
    let report = report(&ended);
    assert_eq!((report.stopped, report.headers_added), (Stopped::Clock, u64::from(report.height)));
    assert!((10_000..20_000).contains(&report.height), "{}", report.height);
    assert_said(&ended.stderr, &["ahead of this computer's clock (2009-06-01 00:00 UTC)"]);
    assert!(!ended.stderr.contains("min-chain-work"), "{}", ended.stderr);
    let (_folder, path) = file("genesis.bin", bytes(&mainnet_start()[..2]));
    let low = mainnet(BINARY).run(&["import", text(&path)]).expect_code(1);
    assert_said(
        &low.stderr,
        &["below the minimum chain work", "run `lightclient sync --data-dir "],
    );
    assert!(!low.stderr.contains("--min-chain-work"), "{}", low.stderr);
}
