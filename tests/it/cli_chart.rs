//! `chart` on real mainnet headers, run as users run it.

use crate::support::chain::fixture;
use crate::support::run::Program;
use std::fs;
use std::path::Path;

/// The program with the 32,260 mainnet headers of the fixture stored.
fn mainnet() -> Program {
    let program = Program::new(env!("CARGO_BIN_EXE_lightclient"));
    let file = fixture("mainnet-0000000-0032259.bin");
    let file = file.to_str().expect("the path is text");
    let _ = program.run(&["import", file, "--min-chain-work", "0"]).expect_success();
    program
}

const CHARTS: [&str; 4] = ["difficulty", "hashrate", "interval", "versions"];

fn drawn(program: &Program, name: &str, args: &[&str]) -> Vec<u8> {
    let file = program.data_dir().join(name);
    let path = file.to_str().expect("the path is text");
    let said = program.run(&[args, &["--out", path]].concat()).expect_success().stdout;
    assert!(said.starts_with("drew ") && said.trim_end().ends_with(path), "{said}");
    fs::read(&file).expect("the chart was written")
}

/// How many points the longest line of an SVG has.
fn points(svg: &str) -> usize {
    let paths = svg.split(" d=\"").skip(1).map(|path| path.split('"').next().unwrap_or_default());
    let commands = paths.map(|path| path.matches(|c: char| c.is_ascii_alphabetic()).count());
    commands.max().unwrap_or(0)
}

#[test]
fn every_chart_is_drawn_as_svg_as_png_and_on_the_terminal() {
    let program = mainnet();
    for chart in CHARTS {
        for scale in [None, Some("--log")] {
            let args: Vec<&str> = ["chart", chart].into_iter().chain(scale).collect();
            let svg = String::from_utf8(drawn(&program, "chart.svg", &args)).expect("text");
            assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>"), "{svg}");
            assert!(svg.contains("Heights 0 to 32,259, 2009-01-03 to 2009-12-30: "), "{svg}");
            // A step or a band takes two corners for a point.
            assert!((1..=3000).contains(&points(&svg)), "{chart}: {} points", points(&svg));
            assert!(svg.contains(">Apr 2009</text>") && svg.len() < 40_000, "{svg}");
            let png = drawn(&program, "chart.PNG", &args);
            assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.len() > 5000, "{}", png.len());
            let text = program.run(&args).expect_success().stdout;
            assert!(text.contains("Apr 2009") && text.contains("Heights 0 to 32,259"), "{text}");
        }
    }
}

#[test]
fn a_chart_of_few_blocks_shows_each_of_them() {
    let program = mainnet();
    let range = ["chart", "interval", "--from", "-300", "--to", "tip"];
    let svg = String::from_utf8(drawn(&program, "few.svg", &range)).expect("text");
    let dots = svg.split("class=\"dots\" d=\"").nth(1).expect("dots");
    assert_eq!(dots.split('"').next().map(|path| path.matches("h0").count()), Some(300));
    let one = program.run(&["chart", "difficulty", "--from", "7", "--to", "7", "--json"]);
    let one = one.expect_success().json();
    assert_eq!((&one["from"], &one["to"], &one["file"]), (&7.into(), &7.into(), &().into()));
    assert!(one["description"].as_str().is_some_and(|text| text.contains("first 1, last 1")));
}

#[test]
fn what_cannot_be_drawn_is_told() {
    let program = mainnet();
    let wrong = program.run(&["chart", "price"]).expect_code(2);
    assert!(wrong.stderr.contains("expected one of difficulty, hashrate"), "{}", wrong.stderr);
    let wrong = program.run(&["chart", "interval", "--out", "chart.gif"]).expect_code(2);
    assert!(wrong.stderr.contains("ends in .svg or .png"), "{}", wrong.stderr);
    assert!(!Path::new("chart.gif").exists());
    let beyond = program.run(&["chart", "interval", "--to", "32260"]).expect_code(6);
    assert!(beyond.stderr.contains("height 32,260 is not stored"), "{}", beyond.stderr);
    let folder = program.data_dir().join("missing/chart.svg");
    let lost = program.run(&["chart", "interval", "--out", folder.to_str().expect("text")]);
    assert!(lost.expect_code(1).stderr.contains("cannot write "));
}
