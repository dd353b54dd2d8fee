//! The arrows of ARCHITECTURE.md, kept true.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

mod layers;
mod source;

use layers::{Crate, Module, circles};
use source::Named;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What pure code may name of other crates and of std. All else could be a clock, randomness (as in a `HashMap`), I/O or
/// logging. `rayon` shares hashing between threads, which no result shows.
const PURE_MAY_NAME: [&str; 23] = [
    "bech32",
    "bs58",
    "num_bigint",
    "rayon",
    "ripemd",
    "sha2",
    "thiserror",
    "std::cmp",
    "std::collections::BTreeMap",
    "std::collections::BTreeSet",
    "std::collections::VecDeque",
    "std::error::Error",
    "std::fmt",
    "std::iter",
    "std::mem",
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "std::ops",
    "std::slice",
    "std::str",
    "std::time::Duration",
];

/// Layers whose code names nothing but that, and each other.
const PURE: [&str; 6] = ["primitives", "wire", "script", "chain", "spv", "sync"];

/// What the code of other layers must not reach for.
const MUST_NOT: [(&str, &[&str]); 6] = [
    ("output", &["sled", "tokio"]),
    ("net", &["sled"]),
    ("store", &["tokio", "std::net", "SystemTime"]),
    ("chainstate", &["tokio", "std::net"]),
    ("query", &["tokio", "std::net"]),
    ("node", &["clap", "println!", "print!", "indicatif"]),
];

/// The layer that all others may use whose arrows lead there, directly or over others.
const GROUND: &str = "primitives";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

type Arrows = BTreeSet<(String, String)>;

/// The arrows that ARCHITECTURE.md draws: lines such as `a → b, c → d`, several on a line with wide gaps between them.
fn drawn() -> Arrows {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let drawing = text.split("```").find(|block| block.contains('→')).unwrap();
    let mut arrows = Arrows::new();
    for chain in drawing.lines().flat_map(|line| line.split("   ")) {
        let ends: Vec<Vec<&str>> =
            chain.split('→').map(|end| end.split(',').map(str::trim).collect()).collect();
        for pair in ends.windows(2) {
            let (from, to) = (&pair[0], &pair[1]);
            let both = from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to)));
            arrows.extend(both.map(|(from, to)| (from.to_owned(), to.to_owned())));
        }
    }
    arrows.retain(|(_, to)| to != "nothing");
    arrows
}

/// The arrows that the code has, each with a file that has it.
fn used(modules: &Crate) -> BTreeMap<(String, String), &str> {
    let mut used = BTreeMap::new();
    for (path, Module { file, names, .. }) in &modules.0 {
        let Some(from) = path.first() else { continue };
        for to in names.iter().filter_map(|named| modules.layer(path, &named.path)) {
            used.insert((from.clone(), to), file.as_str());
        }
    }
    used.retain(|(from, to), _| from != to);
    used
}

fn leads_to_the_ground(from: &str, arrows: &Arrows) -> bool {
    let mut next = arrows.iter().filter(|arrow| arrow.0 == from).map(|arrow| arrow.1.as_str());
    next.any(|to| to == GROUND || leads_to_the_ground(to, arrows))
}

#[test]
fn every_arrow_that_code_uses_is_drawn() {
    let (drawn, modules) = (drawn(), Crate::read());
    for (arrow, file) in used(&modules) {
        let (from, to) = &arrow;
        let fine = drawn.contains(&arrow) || to == GROUND && leads_to_the_ground(from, &drawn);
        assert!(fine, "{file} uses {to}, and ARCHITECTURE.md draws no arrow from {from} to it");
    }
}

#[test]
fn every_arrow_that_is_drawn_is_used() {
    let modules = Crate::read();
    let used = used(&modules);
    for arrow in drawn() {
        let (from, to) = &arrow;
        assert!(used.contains_key(&arrow), "no file of {from} uses {to}: the arrow is not true");
    }
}

#[test]
fn every_folder_is_a_layer_of_the_drawing() {
    let folders = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap().path());
    let folders = folders.filter(|path| path.is_dir());
    let mut folders: BTreeSet<String> =
        folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    folders.insert("main".to_owned());
    // Only tests and the fuzzer have it.
    folders.remove("fuzz");
    // Some have no arrow from them, and one none to it.
    let layers: BTreeSet<String> = drawn().into_iter().flat_map(|(from, to)| [from, to]).collect();
    assert_eq!(folders, layers);
}

#[test]
fn pure_layers_have_no_clock_no_randomness_and_no_io() {
    let modules = Crate::read();
    for (path, Module { file, names, code }) in &modules.0 {
        if !path.first().is_some_and(|layer| PURE.contains(&layer.as_str())) {
            continue;
        }
        for named in names.iter().filter(|named| modules.target(path, &named.path).is_none()) {
            let name = named.path.join("::");
            let may =
                |allowed: &&str| name == **allowed || name.starts_with(&format!("{allowed}::"));
            let fine = !names_a_crate(named) || PURE_MAY_NAME.iter().any(may);
            assert!(fine, "{file} uses {name}, which pure code may not");
        }
        for word in ["println!", "eprintln!", "print!", "eprint!"] {
            assert!(!has_word(code, word), "{file} uses {word}");
        }
    }
}

/// Whether the path is one of another crate, and not of a type, a lint or a generic function.
fn names_a_crate(named: &Named) -> bool {
    const NONE: [&str; 12] =
        ["u8", "u16", "u32", "u64", "u128", "usize", "i32", "i64", "f64", "char", "str", "clippy"];
    let first = &named.path[0];
    named.path.len() > 1 && first.starts_with(char::is_lowercase) && !NONE.contains(&&**first)
}

#[test]
fn layers_keep_out_of_what_is_not_theirs() {
    for (path, Module { file, code, .. }) in &Crate::read().0 {
        let Some(layer) = path.first() else { continue };
        let forbidden = MUST_NOT.iter().filter(|(name, _)| name == layer).flat_map(|(_, not)| *not);
        for word in forbidden {
            assert!(!has_word(code, word), "{file} uses {word}");
        }
    }
}

fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let modules = Crate::read();
    let circle = circles(&modules.uses()).pop_first();
    assert_eq!(circle, None, "each of these uses all others");
}

/// Shown with `--nocapture`.
#[test]
fn circles_of_files_are_counted() {
    let modules = Crate::read();
    let uses = modules.uses();
    let circles = circles(&uses);
    println!("{} circles of files that use each other", circles.len());
    for circle in circles {
        println!("circle of {}", circle.len());
        for file in &circle {
            for (other, items) in uses[file].iter().filter(|(other, _)| circle.contains(*other)) {
                let items: Vec<&str> = items.iter().map(String::as_str).collect();
                println!("  {file} uses {other}: {}", items.join(", "));
            }
        }
    }
}

#[test]
fn no_file_is_longer_than_400_lines() {
    for folder in ["src", "tests", "benches", "examples"] {
        for path in rust_files(&root().join(folder)) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 400, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn every_test_that_the_security_review_names_exists() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let files = ["src", "tests"].into_iter().flat_map(|folder| rust_files(&root().join(folder)));
    let sources: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    let rows = page.lines().filter(|line| line.starts_with("| ")).map(|line| line.rsplit('|'));
    let cells = rows.filter_map(|mut cells| cells.nth(1));
    let names: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let tests: Vec<&str> = names.into_iter().filter(|name| name.matches('_').count() > 2).collect();
    assert!(tests.len() > 30, "{tests:?}");
    for name in tests {
        assert!(sources.contains(&format!("fn {name}(")), "{name}");
    }
}
