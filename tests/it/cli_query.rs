//! `query` and `status` on real mainnet headers, run as users run them.

use crate::support::chain::{fixture, fork_chain, mainnet_start, regtest_chain};
use crate::support::run::Program;
use lightclient::primitives::{Header, hex};
use lightclient::testing::HeaderInfo;
use lightclient::testing::Status;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

const TIP: &str = "000000008a5b32a0610b2b0eeb5390e30e157324bf28c09ab83ccbb99184c38b";
const LAST: u32 = 32_259;

/// The program with the 32,260 mainnet headers of the fixture stored.
fn mainnet() -> Program {
    let program = Program::new(env!("CARGO_BIN_EXE_lightclient"));
    let file = fixture("mainnet-0000000-0032259.bin");
    let file = file.to_str().expect("the path is text");
    let _ = program.run(&["import", file, "--min-chain-work", "0"]).expect_success();
    program
}

fn info(program: &Program, what: &str) -> HeaderInfo {
    let found = program.run(&["query", what, "--json"]).expect_success();
    serde_json::from_str(&found.stdout).expect("the object of a header")
}

#[test]
fn one_header_by_height_hash_tip_and_negative_number() {
    let program = mainnet();
    let change = info(&program, "32256");
    assert_eq!(change.bits, "1d00d86a");
    assert_eq!(change.difficulty.to_string(), "1.182899534312841");
    assert_eq!(change.confirmations, 4);
    assert_eq!(change.nextblockhash, Some(info(&program, "32257").hash));
    let tip = info(&program, "tip");
    assert_eq!((tip.height, tip.hash.as_str(), tip.confirmations), (LAST, TIP, 1));
    assert_eq!(tip.nextblockhash, None);
    assert_eq!(info(&program, "-1"), tip);
    assert_eq!(info(&program, TIP), tip);
    assert_eq!(info(&program, "-32260").height, 0);
    assert_eq!(info(&program, "0").previousblockhash, None);
    let text = program.run(&["query", "32256"]).expect_success().stdout;
    assert!(text.contains("bits         1d00d86a\n"), "{text}");
    assert!(text.contains("time         1262153464  2009-12-30 06:11:04 UTC\n"), "{text}");
}

/// The value that a field of the text output has.
fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name:?} in {text}")).trim().to_owned()
}

#[test]
fn printed_values_are_accepted_as_arguments() {
    let program = mainnet();
    let text = program.run(&["query", "32000"]).expect_success().stdout;
    let hash = field(&text, "hash");
    let height = field(&text, "height").split("  ").next().expect("a height").to_owned();
    let time = field(&text, "time").split("  ").nth(1).expect("a time").to_owned();
    assert_eq!((height.as_str(), time.as_str()), ("32,000", "2009-12-28 18:38:16 UTC"));
    for what in [&height, "tip-259", "-260", &format!("0x{hash}"), &hash.to_uppercase()] {
        assert_eq!(info(&program, what).hash, hash, "{what}");
    }
    let at = program.run(&["query", "--json", "--at", &time]).expect_success().json();
    assert_eq!(at["height"], 32_000);
    let rows = program.run(&["query", &format!("{height}..{hash}")]).expect_success().stdout;
    assert_eq!(rows.lines().count(), 2, "{rows}");
    let export = ["export", "-", "--format", "bin", "--from", &height, "--to", "tip-258"];
    let bytes = program.command(&export).output().expect("it runs").stdout;
    let expected: Vec<u8> =
        mainnet_start()[32_000..=32_001].iter().flat_map(Header::encode).collect();
    assert!(bytes == expected, "{} bytes", bytes.len());
    // Nobody answers there: what counts is that the txid was understood.
    let txid = format!("0X{}", hash.to_uppercase());
    let tx = ["tx", &txid, "--block", "tip-40,000", "--connect", "127.0.0.1:1"];
    let missing = program.run(&tx).expect_code(6);
    assert!(
        missing.stderr.contains("-40,001 (tip-40,000) is before genesis"),
        "{}",
        missing.stderr
    );
}

#[test]
fn a_range_is_streamed_whole_and_in_order() {
    let program = mainnet();
    let all = program.run(&["query", "..", "--json"]).expect_success();
    let all: Vec<HeaderInfo> = serde_json::from_str(&all.stdout).expect("an array of headers");
    let headers = mainnet_start();
    assert_eq!(all.len(), headers.len());
    for ((info, header), height) in all.iter().zip(&headers).zip(0..) {
        assert_eq!((info.height, &info.hash), (height, &header.hash().to_string()));
        assert_eq!(info.confirmations, i64::from(LAST - height) + 1);
        let first = all.len().min(info.height as usize).saturating_sub(10);
        let mut times: Vec<u32> =
            headers[first..=info.height as usize].iter().map(|header| header.time).collect();
        times.sort_unstable();
        assert_eq!(info.mediantime, times[times.len() / 2], "height {height}");
    }
    for pair in all.windows(2) {
        assert_eq!(pair[1].previousblockhash.as_ref(), Some(&pair[0].hash));
        assert_eq!(pair[0].nextblockhash.as_ref(), Some(&pair[1].hash));
    }
    let last = program.run(&["query", "-3..-2"]).expect_success().stdout;
    let rows: Vec<&str> = last.lines().collect();
    assert_eq!(rows.len(), 3, "{last}");
    assert!(rows[0].trim_start().starts_with("height"), "{last}");
    assert!(rows[1].trim_start().starts_with("32,257  2009-12-30"), "{last}");
}

#[test]
fn chain_work_is_that_of_the_fixture_at_every_period_boundary() {
    let program = mainnet();
    let table = fixture("mainnet-epoch-boundaries-0000000-0604799.csv");
    let table = fs::read_to_string(table).expect("the fixture");
    let mut compared = 0;
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if cells[0].parse::<u32>().expect("a height") > LAST {
            break;
        }
        let info = info(&program, cells[0]);
        assert_eq!(info.chainwork, cells[1], "height {}", cells[0]);
        compared += 1;
    }
    assert_eq!(compared, 33);
}

#[test]
fn raw_headers_are_the_fixtures_bytes() {
    let program = mainnet();
    let raw = program.run(&["query", "0..", "--raw"]).expect_success().stdout;
    let bytes: Vec<u8> = raw.lines().flat_map(|line| hex::decode(line).expect("hex")).collect();
    let file = fs::read(fixture("mainnet-0000000-0032259.bin")).expect("the fixture");
    assert!(bytes == file, "the bytes differ");
    let one = program.run(&["query", "7", "--raw", "--json"]).expect_success().json();
    assert_eq!(one, hex::encode(&mainnet_start()[7].encode()));
}

/// The highest header at or before a time, found the slow way.
fn last_at_or_before(headers: &[Header], time: u32) -> Option<u32> {
    let at = headers.iter().rposition(|header| header.time <= time)?;
    Some(u32::try_from(at).expect("a height"))
}

#[test]
fn the_last_block_at_or_before_a_time_is_found_where_times_run_backwards_too() {
    let program = mainnet();
    let headers = mainnet_start();
    let backwards =
        headers.windows(2).filter(|pair| pair[1].time < pair[0].time).map(|p| p[1].time);
    let mut times: Vec<u32> = backwards.step_by(60).flat_map(|t| [t - 1, t, t + 1]).collect();
    times.extend([
        headers[0].time,
        headers[1].time - 1,
        headers[32_259].time,
        headers[32_259].time + 1,
    ]);
    assert!(times.len() > 20, "{}", times.len());
    for time in times {
        let found = program.run(&["query", "--at", &time.to_string(), "--json"]).expect_success();
        let height = last_at_or_before(&headers, time).expect("not before genesis");
        assert_eq!(found.json()["height"], height, "time {time}");
    }
    let by_date = |text: &str| {
        program.run(&["query", "--json", "--at", text]).expect_success().json()["height"].clone()
    };
    assert_eq!(by_date("2009-01-09"), 0);
    assert_eq!(by_date("2009-01-09 02:54:25"), 1);
    assert_eq!(by_date("2009-01-09T03:54:25+01:00"), 1);
    let early = program.run(&["query", "--at", "2008-10-31"]).expect_code(6);
    assert!(early.stderr.contains("no block is that old: the first is of 2009-01-03"));
    let late = program.run(&["query", "--at", "2020-01-01"]).expect_success();
    assert!(late.stderr.contains("warning: the stored chain ends at height 32,259"), "{late:?}");
    for (time, said) in [
        ("2999-01-01", "2999-01-01 00:00:00 UTC is in the future"),
        ("1262156580000", "Unix time is in seconds, 1262156580?"),
        ("2009-02-30", "there is no 2009-02-30: that month has 28 days"),
    ] {
        let refused = program.run(&["query", "--at", time]).expect_code(2);
        assert!(refused.stderr.contains(said), "{time}: {}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
}

#[test]
fn a_header_beside_the_chain_is_found_by_its_hash() {
    let program = Program::new(env!("CARGO_BIN_EXE_lightclient")).with("--regtest");
    let chain = regtest_chain(30, 1, 600);
    let fork = fork_chain(&chain, 20, 5, 2);
    for headers in [&chain[..], &fork[21..]] {
        let bytes: Vec<u8> = headers.iter().flat_map(Header::encode).collect();
        let _ =
            program.run_with_input(&["import", "-", "--format", "bin"], &bytes).expect_success();
    }
    let last = fork.last().expect("a header").hash().to_string();
    for (range, said) in [
        (
            format!("{last}..tip"),
            "is on a side branch: a range covers the best chain only: give a height",
        ),
        ("5..3".to_owned(), "from height 5 to 3: give the lower height first"),
    ] {
        let refused = program.run(&["query", &range]).expect_code(2).stderr;
        assert!(refused.contains(said), "{refused}");
    }
    let side = info(&program, &last);
    assert_eq!((side.height, side.confirmations), (25, -1));
    assert_eq!(side.previousblockhash, Some(fork[24].hash().to_string()));
    assert_eq!(side.nextblockhash, None);
    assert_eq!(side.chainwork, info(&program, "25").chainwork);
    assert_eq!(side.mediantime, fork[20].time);
    let status = program.run(&["status", "--json"]).expect_success();
    let status: Status = serde_json::from_str(&status.stdout).expect("the status object");
    assert_eq!(status.side_branches.len(), 1);
    assert_eq!(status.side_branches[0].hash.to_string(), last);
    assert_eq!((status.side_branches[0].fork_height, status.side_branches[0].length), (20, 5));
    assert!(status.next_retarget.is_none());
}

#[test]
fn the_status_has_the_keys_of_its_contract() {
    let program = mainnet();
    let status = program.run(&["status", "--json"]).expect_success().json();
    let keys = "network height hash time chainwork difficulty hashrate next_retarget side_branches \
        size_on_disk last_sync running following peers data_dir low_work tip_age_s";
    let keys: Vec<&str> = keys.split(' ').collect();
    for key in &keys {
        assert!(status.get(*key).is_some(), "{key}");
    }
    assert_eq!(status["low_work"], true);
    assert_eq!(status.as_object().expect("an object").len(), keys.len());
    assert_eq!(status["data_dir"], program.data_dir().to_str().expect("text"));
    assert_eq!((&status["following"], &status["peers"]), (&false.into(), &0.into()));
    assert!(status["tip_age_s"].as_i64().is_some_and(|age| age > 500_000_000));
    assert_eq!((&status["height"], &status["hash"]), (&LAST.into(), &TIP.into()));
    assert_eq!(status["next_retarget"]["height"], 34_272);
    assert_eq!(status["next_retarget"]["blocks_left"], 2_013);
    assert_eq!(status["running"], false);
    assert!(status["last_sync"].is_null());
    let text = program.run(&["status"]).expect_success().stdout;
    // Three blocks into the period its speed tells nothing.
    assert!(status["next_retarget"]["estimated_change_percent"].is_null());
    let retarget = "next retarget  at height 34,272, in 2,013 blocks, about 2010-01-13\n";
    assert!(text.contains(retarget), "{text}");
    assert!(text.contains("caught up      never\n"), "{text}");
    assert!(text.contains("               below the minimum of 0x"), "{text}");
    assert!(text.contains("2009-12-30 07:03:00 UTC (6,"), "{text}");
    let settings = Program::at(env!("CARGO_BIN_EXE_lightclient"), program.data_dir());
    let settings = settings.env("LIGHTCLIENT_MIN_CHAIN_WORK", "0x7e01acd42dd2");
    let status = settings.run(&["status", "--json"]).expect_success().json();
    assert_eq!(status["low_work"], false, "by the minimum that is set");
}

#[test]
fn a_tip_older_than_max_age_is_exit_code_1() {
    let program = mainnet();
    let age = |most: &str| program.run(&["status", "--json", "--max-age", most]);
    let old = age("2h").expect_code(1);
    assert_eq!(old.json()["height"], LAST);
    assert!(old.stderr.contains("error: the tip, at height 32,259, is 6,"), "{}", old.stderr);
    assert!(old.stderr.contains(" old, more than 2 h: run `lightclient sync"), "{}", old.stderr);
    let _ = age("100000 days").expect_success();
    let wrong = age("soon").expect_code(2);
    assert!(wrong.stderr.contains("expected a span of time as 90s"), "{}", wrong.stderr);
}

#[test]
fn the_error_for_a_missing_header_names_the_stored_heights() {
    let program = mainnet();
    let hash = "00000000000000000000000000000000000000000000000000000000000000ff";
    for (what, said) in [
        ("32260", "height 32,260 is not stored: the stored chain ends at height 32,259"),
        ("-32261", "-32,261 (tip-32,260) is before genesis"),
        ("0..40000", "height 40,000 is not stored"),
        (hash, "no stored header has the hash"),
    ] {
        let missing = program.run(&["query", what]).expect_code(6);
        assert!(missing.stderr.starts_with(&format!("error: {said}")), "{}", missing.stderr);
        assert_eq!((missing.stderr.lines().count(), missing.stdout.as_str()), (1, ""));
    }
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let program = mainnet();
    let mut command = program.command(&["query", ".."]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let ended = child.wait_with_output().expect("it ends");
    assert!(line.contains("height"), "{line}");
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0));
}

#[test]
fn colours_are_used_only_where_they_are_wanted() {
    let program = mainnet();
    let is_colored = |program: &Program, args: &[&str]| {
        program.run(args).expect_success().stdout.contains('\u{1b}')
    };
    assert!(!is_colored(&program, &["query", "tip"]));
    assert!(is_colored(&program, &["query", "tip", "--color", "always"]));
    let no_color = Program::at(env!("CARGO_BIN_EXE_lightclient"), program.data_dir());
    let no_color = no_color.env("NO_COLOR", "1");
    assert!(!is_colored(&no_color, &["query", "tip"]));
    assert!(is_colored(&no_color, &["query", "tip", "--color=always"]));
    let error = program.run(&["query", "99999", "--color", "always"]).expect_code(6);
    assert!(error.stderr.contains("\u{1b}["));
}

#[test]
fn nothing_is_answered_from_a_database_whose_last_part_cannot_be_read() {
    const STORED: u32 = 400;
    let program = Program::new(env!("CARGO_BIN_EXE_lightclient"));
    let (file, last) = (fixture("mainnet-0000000-0032259.bin"), STORED.to_string());
    let file = file.to_str().expect("the path is text");
    program.run(&["import", file, "--to", &last, "--min-chain-work", "0"]).expect_success();
    let database = program.data_dir().join("mainnet/headers/db");
    let mut bytes = fs::read(&database).expect("the database");
    // The header of the only segment, and the head of its first message.
    bytes[..24].fill(b'X');
    fs::write(&database, bytes).expect("a write");
    for args in
        [&["status"][..], &["query", "tip"], &["query", "5"], &["export", "-", "--format", "bin"]]
    {
        let refused = program.run(args).expect_code(5);
        assert!(
            refused.stdout.is_empty() && refused.stderr.contains("verify --repair"),
            "{args:?}"
        );
    }
    let found = program.run(&["verify", "--json"]).expect_code(5).json();
    assert_eq!(found["ok"], false);
    program.run(&["verify", "--repair"]).expect_success();
    assert_eq!(info(&program, "tip").height, STORED);
}
