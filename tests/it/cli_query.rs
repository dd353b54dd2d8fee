//! `query` and `status` on real mainnet headers, run as users run them.

use crate::support::chain::{fixture, fork_chain, mainnet_start, regtest_chain};
use crate::support::run::Program;
use lightclient::cli::status::Status;
use lightclient::node::HeaderInfo;
use lightclient::primitives::{Header, hex};
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
    assert!(rows[1].trim_start().starts_with("32257  2009-12-30"), "{last}");
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
    times.extend([headers[0].time, headers[1].time - 1, headers[32_259].time, u32::MAX]);
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
    let late = program.run(&["query", "--at", "2030-01-01"]).expect_success();
    assert!(late.stderr.starts_with("warning: the stored chain ends at height 32259"));
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
    let keys = [
        "network",
        "height",
        "hash",
        "time",
        "chainwork",
        "difficulty",
        "hashrate",
        "next_retarget",
        "side_branches",
        "size_on_disk",
        "last_sync",
        "running",
    ];
    for key in keys {
        assert!(status.get(key).is_some(), "{key}");
    }
    // Only where there is something to say.
    assert_eq!(status["low_work"], true);
    assert_eq!(status.as_object().expect("an object").len(), keys.len() + 1);
    assert_eq!((&status["height"], &status["hash"]), (&LAST.into(), &TIP.into()));
    assert_eq!(status["next_retarget"]["height"], 34_272);
    assert_eq!(status["next_retarget"]["blocks_left"], 2_013);
    assert_eq!(status["running"], false);
    assert!(status["last_sync"].is_null());
    let text = program.run(&["status"]).expect_success().stdout;
    assert!(text.contains("next retarget  at height 34,272, in 2,013 blocks, about -42.20 %\n"));
    assert!(text.contains("caught up      never\n"), "{text}");
    assert!(text.contains("               below the minimum of 0x"), "{text}");
    assert!(text.contains("2009-12-30 07:03:00 UTC, 6,"), "{text}");
    let settings = Program::at(env!("CARGO_BIN_EXE_lightclient"), program.data_dir());
    let settings = settings.env("LIGHTCLIENT_MIN_CHAIN_WORK", "0x7e01acd42dd2");
    let status = settings.run(&["status", "--json"]).expect_success().json();
    assert!(status.get("low_work").is_none(), "by the minimum that is set");
}

#[test]
fn what_is_not_stored_is_told_with_what_is() {
    let program = mainnet();
    let hash = "00000000000000000000000000000000000000000000000000000000000000ff";
    for (what, said) in [
        ("32260", "height 32260 is not stored: the stored chain ends at height 32259"),
        ("-32261", "-32261 is before genesis"),
        ("0..40000", "height 40000 is not stored"),
        (hash, "no stored header has the hash"),
    ] {
        let missing = program.run(&["query", what]).expect_code(6);
        assert!(missing.stderr.starts_with(&format!("error: {said}")), "{}", missing.stderr);
        assert_eq!((missing.stderr.lines().count(), missing.stdout.as_str()), (1, ""));
    }
}

#[test]
fn a_reader_that_has_enough_ends_the_program_quietly() {
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
