//! `export`, `import` and `verify`, run as users run them.

use crate::support::chain::{fixture, fork_chain, mainnet_start, regtest_chain};
use crate::support::files::{import, mainnet, report, text};
use crate::support::run::Program;
use crate::support::wait::poll_for;
use lightclient::Stopped;
use lightclient::chain::Hints;
use lightclient::primitives::Header;
use lightclient::testing::Exported;
use lightclient::testing::SyncReport;
use lightclient::testing::Verified;
use lightclient::testing::count;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_lightclient");
const LAST: u32 = 32_259;

fn program() -> Program {
    Program::new(BINARY)
}

fn raw(program: &Program) -> String {
    program.run(&["query", "..", "--raw"]).expect_success().stdout
}

/// A file of raw headers in a folder.
fn bin_file(folder: &Path, name: &str, headers: &[Header]) -> PathBuf {
    let path = folder.join(name);
    let bytes: Vec<u8> = headers.iter().flat_map(Header::encode).collect();
    fs::write(&path, bytes).expect("a file");
    path
}

#[test]
fn every_format_brings_back_the_same_chain() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let whole = raw(&source);
    for format in ["bin", "hex", "csv", "jsonl"] {
        let file = folder.path().join(format!("headers.{format}"));
        let exported = source.run(&["export", text(&file), "--json"]).expect_success();
        let exported: Exported = serde_json::from_str(&exported.stdout).expect("the object");
        assert_eq!((exported.from, exported.to, exported.headers), (0, LAST, 32_260), "{format}");
        let target = program();
        let imported = report(&import(&target, &file, &[]).expect_success());
        assert_eq!((imported.height, imported.headers_added), (LAST, 32_259), "{format}");
        assert_eq!((imported.stopped, imported.peers), (Stopped::CaughtUp, 0), "{format}");
        assert_eq!(imported.bytes_received, fs::metadata(&file).expect("the file").len());
        assert!(raw(&target) == whole, "{format}");
        let again = report(&import(&target, &file, &[]).expect_success());
        assert_eq!((again.headers_added, again.hash), (0, imported.hash), "{format}");
    }
    let left = fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(left, 4, "no partial file is left");
}

#[test]
fn standard_input_and_output_can_be_used_as_files() {
    let (source, target) = (mainnet(BINARY), program());
    let bytes = fs::read(fixture("mainnet-0000000-0032259.bin")).expect("the fixture");
    let args = ["import", "-", "--format", "bin", "--min-chain-work", "0"];
    let _ = target.run_with_input(&args, &bytes).expect_success();
    let csv = source.run(&["export", "-", "--format", "csv"]).expect_success().stdout;
    assert_eq!(csv.lines().count(), 32_261);
    assert!(csv.starts_with(
        "height,hash,version,versionHex,merkleroot,time,mediantime,nonce,bits,difficulty,chainwork,\
         previousblockhash\n0,000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f,1,"
    ));
    let lines = ["export", "-", "--format", "jsonl", "--from", "-2"];
    let lines = target.run(&lines).expect_success().json_lines();
    assert_eq!(lines.len(), 2);
    let tip = source.run(&["query", "tip", "--json"]).expect_success().json();
    assert_eq!(lines[1], tip);
}

#[test]
fn exported_hints_are_the_ends_of_periods_and_import_checks_them() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("my.hints");
    let told = source.run(&["export", "hints", text(&file)]).expect_success().stdout;
    assert!(told.starts_with("exported 16 hints of 32,260 headers (0 to 32,259) to "), "{told}");
    for (from, to, hints) in [(2015, 4031, 2), (2016, 4030, 0), (0, 2014, 0), (4031, 4031, 1)] {
        let (from, to) = (from.to_string(), to.to_string());
        let args = ["export", "hints", text(&file), "--json", "--from", &from, "--to", &to];
        let told = source.run(&args).expect_success().json();
        let lines = fs::read_to_string(&file).expect("the file").lines().count();
        assert_eq!(
            (told["hints"].as_u64(), lines),
            (Some(hints), usize::try_from(hints).expect("a few")),
            "{from} to {to}"
        );
    }
    let _ = source.run(&["export", "hints", text(&file)]).expect_success();
    let content = fs::read_to_string(&file).expect("the file");
    let hints = Hints::parse(&content).expect("hints");
    assert_eq!(hints.points().len(), 16);
    assert!(
        content
            .starts_with("2015 00000000693067b0e6b440bc51450b9f3850561b07f6d3c021c54fbd6abb9763\n")
    );
    let headers = fixture("mainnet-0000000-0032259.bin");
    let good = import(&program(), &headers, &["--hints", text(&file)]).expect_success();
    assert_eq!(report(&good).height, LAST);
    fs::write(&file, content.replace("\n4031 00000000f", "\n4031 00000000e")).expect("a file");
    let target = program();
    let refused = import(&target, &headers, &["--hints", text(&file)]).expect_code(1);
    assert!(refused.stderr.contains("height 4,031: hints: expected 00000000e037ad09"));
    assert!(refused.stderr.contains("4,030 headers before it were added"), "{}", refused.stderr);
    let none = import(&target, &headers, &["--hints", "none"]).expect_success();
    assert_eq!(report(&none).headers_added, u64::from(LAST) - 4030);
    fs::write(&file, "2015 nonsense").expect("a file");
    let _ = import(&target, &headers, &["--hints", text(&file)]).expect_code(2);
}

#[test]
fn a_bad_header_ends_the_import_and_good_headers_before_it_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut headers = mainnet_start();
    headers[20_000].nonce ^= 1;
    let file = bin_file(folder.path(), "bad.bin", &headers);
    let target = program();
    let refused = import(&target, &file, &[]).expect_code(1);
    assert_eq!(refused.stderr.lines().count(), 1);
    for said in
        ["bad.bin: height 20,000: high-hash: expected hash at most", "19,999 headers before"]
    {
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    let fixed = import(&target, &fixture("mainnet-0000000-0032259.bin"), &[]).expect_success();
    assert_eq!(report(&fixed).headers_added, 12_260);
}

#[test]
fn errors_about_unreadable_files_name_the_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = fs::read(fixture("mainnet-0000000-0032259.bin")).expect("the fixture");
    let tip = &mainnet_start()[1].hash().to_string();
    let row = format!("version,previousblockhash,merkleroot,time,bits,nonce,hash\n1,{tip},x");
    for (name, content, said) in [
        (
            "cut.bin",
            &bytes[..837],
            "header 11: expected 80 bytes, got 37: 837 bytes are not a multiple of 80",
        ),
        ("no.jsonl", b"{\"version\":1}\n", "line 1: no key merkleroot, time, bits, nonce"),
        ("html.csv", b"\n<html>\n<body>\n", "line 2: expected the names of the columns (version, "),
        ("row.csv", row.as_bytes(), "line 2: expected 7 columns, got 3"),
        ("one.jsonl", b"\n\nhello", "line 3: expected a JSON object, got \"hello\""),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, content).expect("a file");
        let failed = import(&program(), &file, &[]).expect_code(1);
        assert!(failed.stderr.contains(said), "{}", failed.stderr);
        assert_eq!(failed.stderr.lines().count(), 1, "{}", failed.stderr);
    }
    let target = program();
    let _ = import(&target, &folder.path().join("cut.bin"), &[]).expect_code(1);
    let kept = target.run(&["query", "tip", "--json"]).expect_success().json();
    assert_eq!(kept["height"], 9);
    let _ = import(&target, &folder.path().join("gone.bin"), &[]).expect_code(1);
    let _ = import(&target, folder.path(), &["--format", "bin"]).expect_code(1);
}

#[test]
fn a_file_without_a_header_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in [("empty.bin", ""), ("empty.jsonl", "\n\n"), ("empty.csv", "hash\n")] {
        let file = folder.path().join(name);
        fs::write(&file, content).expect("a file");
        let failed = import(&program(), &file, &[]).expect_code(1);
        let told = format!("error: {} holds no header: nothing to import\n", file.display());
        assert_eq!(failed.stderr, told);
    }
    let failed = program().run_with_input(&["import", "-", "--format", "bin"], b"").expect_code(1);
    assert!(failed.stderr.contains("standard input ended without a header"), "{}", failed.stderr);
}

#[test]
fn a_changed_value_in_a_table_is_an_error() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("headers.csv");
    let _ = source.run(&["export", text(&file), "--to", "9"]).expect_success();
    let content = fs::read_to_string(&file).expect("the file");
    fs::write(&file, content.replacen(",1231469665,", ",1231469666,", 1)).expect("a file");
    let failed = import(&program(), &file, &[]).expect_code(1);
    assert!(failed.stderr.contains("line 3: hash: expected "), "{}", failed.stderr);
}

#[test]
fn the_file_of_another_network_is_recognised_by_its_genesis() {
    let file = fixture("testnet3-0000000-0002099.bin");
    let refused = import(&program(), &file, &[]).expect_code(1);
    assert!(refused.stderr.contains("is testnet3's genesis, not mainnet's"), "{}", refused.stderr);
    let taken = import(&program().with("--testnet3"), &file, &[]).expect_success();
    assert_eq!(report(&taken).height, 2099);
}

#[test]
fn a_part_of_the_chain_needs_what_comes_before_it() {
    let (folder, target) = (tempfile::tempdir().expect("a folder"), program());
    let file = fixture("mainnet-0822528-0826659.bin");
    let refused = import(&target, &file, &[]).expect_code(1);
    assert!(refused.stderr.contains("does not connect: its parent"), "{}", refused.stderr);
    let headers = mainnet_start();
    let first = bin_file(folder.path(), "first.bin", &headers[..100]);
    let second = bin_file(folder.path(), "second.bin", &headers[90..200]);
    assert_eq!(report(&import(&target, &first, &[]).expect_success()).headers_added, 99);
    assert_eq!(report(&import(&target, &second, &[]).expect_success()).headers_added, 100);
    let whole = fixture("mainnet-0000000-0032259.bin");
    let range =
        report(&import(&target, &whole, &["--from", "150", "--to", "299"]).expect_success());
    assert_eq!((range.height, range.headers_added), (299, 100));
    assert_eq!(range.stopped, Stopped::StopHeight);
}

#[test]
fn a_branch_with_more_work_becomes_the_chain_and_one_with_less_a_side_branch() {
    let (folder, target) = (tempfile::tempdir().expect("a folder"), program().with("--regtest"));
    let chain = regtest_chain(40, 1, 600);
    let (short, long) = (fork_chain(&chain, 30, 5, 2), fork_chain(&chain, 35, 10, 3));
    let chain = bin_file(folder.path(), "chain.bin", &chain);
    let short = bin_file(folder.path(), "short.bin", &short);
    let long = bin_file(folder.path(), "long.bin", &long);
    assert_eq!(report(&import(&target, &chain, &[]).expect_success()).height, 40);
    let beside = report(&import(&target, &short, &[]).expect_success());
    assert_eq!((beside.height, beside.headers_added, beside.reorgs), (40, 0, 0));
    let over = report(&import(&target, &long, &[]).expect_success());
    assert_eq!((over.height, over.headers_added, over.reorgs), (45, 10, 1));
    let status = target.run(&["status", "--json"]).expect_success().json();
    assert_eq!(status["side_branches"].as_array().map(Vec::len), Some(2));
}

#[test]
fn an_imported_chain_with_too_little_work_is_kept_but_reported_as_incomplete() {
    let target = program();
    let file = fixture("mainnet-0000000-0032259.bin");
    let ended = target.run(&["import", text(&file), "--json"]).expect_code(1);
    assert_eq!(report(&ended).stopped, Stopped::LowWork);
    assert!(ended.stderr.contains("below the minimum chain work"), "{}", ended.stderr);
    assert_eq!(target.run(&["query", "tip", "--json"]).expect_success().json()["height"], LAST);
}

#[test]
fn an_interrupted_import_keeps_its_headers_and_says_so() {
    let target = program();
    let mut command = target.command(&["import", "-", "--format", "bin", "--json", "-v"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    let bytes = fs::read(fixture("mainnet-0000000-0032259.bin")).expect("the fixture");
    stdin.write_all(&bytes[..80 * 20_000]).expect("it reads");
    // The lock is taken after the signals are listened to.
    poll_for("the lock", Duration::from_secs(10), || {
        let lock = fs::read_to_string(target.data_dir().join("mainnet/lock")).ok()?;
        (!lock.is_empty()).then_some(())
    });
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let mut said = BufReader::new(child.stderr.take().expect("piped")).lines();
    assert!(
        said.any(|line| line.is_ok_and(|line| line.contains("finishing; press Ctrl-C again"))),
        "it noticed"
    );
    drop(stdin);
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(130));
    let report: SyncReport = serde_json::from_slice(&ended.stdout).expect("the report");
    assert_eq!(report.stopped, Stopped::Interrupted);
    // What still was in the pipe, or was read ahead, may be left there.
    assert!((13_000..20_000).contains(&report.height), "{}", report.height);
    let tip = target.run(&["query", "tip", "--json"]).expect_success().json();
    assert_eq!(tip["height"], report.height);
}

#[test]
fn with_to_a_part_of_the_chain_is_a_complete_import() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("headers");
    let export = ["export", "csv", text(&file), "--from", "0", "--to", "100"];
    let _ = source.run(&export).expect_success();
    let target = program();
    let part = target.run(&["import", "csv", text(&file), "--to", "100"]).expect_success();
    assert!(part.stdout.contains("mainnet at height 100: "), "{}", part.stdout);
    let short = program().run(&["import", "csv", text(&file)]).expect_code(1);
    assert!(short.stderr.contains("with work 0x6500650065, below the minimum"), "{}", short.stderr);
    let last = source.run(&["export", "-", "--format", "bin", "--from", "tip"]).expect_success();
    assert!(!last.stdout.is_empty());
    let rows = source.run(&["query", "32258..tip"]).expect_success().stdout;
    assert_eq!(rows.lines().count(), 3, "{rows}");
}

#[test]
fn an_incomplete_line_is_reported_once_with_its_number() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("headers.jsonl");
    let _ = source.run(&["export", text(&file), "--to", "9"]).expect_success();
    let whole = fs::read_to_string(&file).expect("the file");
    fs::write(&file, &whole[..whole.len() - 20]).expect("a file");
    let cut = import(&program(), &file, &[]).expect_code(1);
    let said = "headers.jsonl, line 10: the line ends within its JSON object, at column ";
    assert!(cut.stderr.contains(said), "{}", cut.stderr);
}

#[test]
fn an_export_that_fails_leaves_the_old_file() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("headers.bin");
    fs::write(&file, "old").expect("a file");
    let _ = source.run(&["export", text(&file), "--to", "40000"]).expect_code(6);
    assert_eq!(fs::read_to_string(&file).expect("the file"), "old");
    let _ = source.run(&["export", text(&file), "--from", "5", "--to", "4"]).expect_code(2);
    let nowhere = folder.path().join("no/such/folder.bin");
    let failed = source.run(&["export", text(&nowhere)]).expect_code(1);
    assert!(failed.stderr.contains("no/such/folder.bin: No such file"), "{}", failed.stderr);
    assert!(failed.stderr.starts_with("error: cannot write "), "{}", failed.stderr);
    assert!(failed.stderr.ends_with(": check the path\n"), "{}", failed.stderr);
    let _ = source.run(&["export", text(folder.path()), "--format", "bin"]).expect_code(1);
    let _ = source.run(&["export", text(&file), "--to", "1"]).expect_success();
    assert_eq!(fs::metadata(&file).expect("the file").len(), 160);
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
}

#[test]
fn verify_finds_damage_and_repair_keeps_what_is_good() {
    let program = mainnet(BINARY);
    let good = program.run(&["verify"]).expect_success();
    assert_eq!(good.stdout, "mainnet: 32,260 headers checked, all good up to height 32,259\n");
    let database = program.data_dir().join("mainnet/headers/db");
    let mut bytes = fs::read(&database).expect("the database");
    let root = mainnet_start()[20_000].merkle_root.0;
    let places: Vec<_> = (0..bytes.len() - 31).filter(|at| bytes[*at..][..32] == root).collect();
    assert!(!places.is_empty(), "the header is in there");
    places.iter().for_each(|at| bytes[*at] ^= 1);
    fs::write(&database, bytes).expect("a write");
    let found = program.run(&["verify", "--json"]).expect_code(5);
    let found: Verified = serde_json::from_str(&found.stdout).expect("the object");
    assert!(!found.ok && found.set_aside.is_none());
    let fault = found.fault.expect("a fault");
    assert_eq!((fault.rule.as_str(), fault.got.as_str()), ("stored-page", "a page cannot be read"));
    // Whoever meets the fault says the same of it, in words of this program's. It depends on sled's layout whether the page was
    // among what it wrote last; then nothing is read from the database.
    let folder = program.data_dir().display().to_string();
    let page = format!(
        "error: stored data is damaged at height {}: a page cannot be read: run `lightclient verify \
         --repair --data-dir {folder}`\n",
        count(u64::from(fault.height)),
    );
    let told = program.run(&["query", "20000"]).expect_code(5).stderr;
    let database = format!(
        "error: the database in {folder}/mainnet/headers is damaged and does not open: run `lightclient verify \
         --repair --data-dir {folder}` to set it aside and keep every header that can be read\n"
    );
    assert!([page, database].contains(&told), "{told}");
    for args in [&["query", "19970..20010"][..], &["export", "-", "--format", "bin"]] {
        assert_eq!(program.run(args).expect_code(5).stderr, told, "{args:?}");
    }
    let text = program.run(&["verify"]).expect_code(5);
    assert!(text.stdout.contains("fault at height") && text.stderr.contains("verify --repair"));
    let repaired = program.run(&["verify", "--repair", "--json"]).expect_success();
    let repaired: Verified = serde_json::from_str(&repaired.stdout).expect("the object");
    assert!(repaired.set_aside.is_some_and(|aside| Path::new(&aside).exists()));
    let after = program.run(&["verify", "--json"]).expect_success();
    let after: Verified = serde_json::from_str(&after.stdout).expect("the object");
    assert_eq!((after.ok, after.height), (true, repaired.height));
    let again = import(&program, &fixture("mainnet-0000000-0032259.bin"), &[]).expect_success();
    assert_eq!(report(&again).height, LAST);
}

#[test]
fn replacing_a_file_is_a_warning_and_no_clobber_keeps_the_file() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("headers.bin");
    let export = |more: &[&str]| source.run(&[&["export", text(&file)][..], more].concat());
    assert!(!export(&["--to", "9"]).expect_success().stderr.contains("replaced"));
    let kept = export(&["--no-clobber"]).expect_code(1);
    assert!(kept.stderr.contains("exists, and --no-clobber keeps it"), "{}", kept.stderr);
    assert_eq!(fs::metadata(&file).expect("the file").len(), 800);
    let replaced = export(&["--to", "10"]).expect_success();
    assert!(replaced.stderr.contains("existed and was replaced"), "{}", replaced.stderr);
    assert_eq!(fs::metadata(&file).expect("the file").len(), 880);
}

#[test]
fn an_export_to_an_open_file_is_added_to_what_it_holds() {
    let (source, folder) = (mainnet(BINARY), tempfile::tempdir().expect("a folder"));
    let log = folder.path().join("log");
    for (name, lines) in [("/dev/stdout", 12), ("/proc/self/fd/1", 12), ("/dev/stderr", 13)] {
        fs::write(&log, "held before\n").expect("a file");
        let open = || File::options().append(true).open(&log).expect("the file");
        let mut command = source.command(&["export", "csv", name, "--to", "9"]);
        assert!(command.stdout(open()).stderr(open()).status().expect("it runs").success());
        let text = fs::read_to_string(&log).expect("the file");
        assert!(text.starts_with("held before\nheight,"), "{name}: {text}");
        assert_eq!(text.lines().count(), lines, "{name}: {text}");
    }
}
