//! The arrows of ARCHITECTURE.md, kept true.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer, and which others its code may name.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("primitives", &[]),
    ("wire", &["primitives"]),
    ("script", &["primitives"]),
    ("chain", &["primitives"]),
    ("sync", &["chain", "primitives"]),
    ("store", &["chain", "primitives"]),
    ("net", &["wire", "primitives"]),
    ("config", &["chain", "primitives"]),
    ("output", &[]),
    ("node", &["net", "sync", "store", "chain", "wire", "script", "config", "primitives"]),
    (
        "cli",
        &["config", "output", "node", "store", "sync", "chain", "wire", "script", "primitives"],
    ),
];

/// What each layer's code must not reach for.
const MUST_NOT: [(&str, &[&str]); 9] = [
    ("primitives", PURE),
    ("wire", PURE),
    ("script", PURE),
    ("chain", PURE),
    ("sync", PURE),
    ("output", &["sled", "tokio"]),
    ("net", &["sled"]),
    ("store", &["tokio", "std::net", "SystemTime"]),
    ("node", &["clap", "println!", "print!", "indicatif"]),
];

const PURE: &[&str] = &[
    "tokio",
    "sled",
    "rand",
    "tracing",
    "chrono",
    "SystemTime",
    "Instant",
    "std::fs",
    "std::io",
    "std::env",
    "std::thread",
    "TcpStream",
];

fn source(layer: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(layer)
}

/// The code of a file without comments and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.lines().take_while(|line| line.trim() != "#[cfg(test)]" || is_mod_line(&text));
    code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// A `mod tests;` is no reason to stop reading: what follows it is code.
fn is_mod_line(text: &str) -> bool {
    text.contains("#[cfg(test)]\nmod tests;\n")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("tests.rs")
        {
            found.push(path);
        }
    }
}

fn layer_code() -> BTreeMap<&'static str, Vec<(PathBuf, String)>> {
    MAY_USE
        .iter()
        .map(|(layer, _)| {
            let mut found = Vec::new();
            files(&source(layer), &mut found);
            assert!(!found.is_empty(), "the layer {layer} has no code");
            (*layer, found.into_iter().map(|path| (path.clone(), code(&path))).collect())
        })
        .collect()
}

/// The layers that code names as `crate::LAYER`.
fn named(code: &str) -> Vec<String> {
    let after = code.split("crate::").skip(1);
    after
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn every_folder_is_a_layer_of_the_drawing() {
    let mut folders: Vec<String> = fs::read_dir(source(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    let mut layers: Vec<&str> = MAY_USE.iter().map(|(layer, _)| *layer).collect();
    layers.sort_unstable();
    assert_eq!(folders, layers);
}

#[test]
fn no_layer_names_one_that_it_has_no_arrow_to() {
    for (layer, files) in layer_code() {
        let allowed = MAY_USE.iter().find(|(name, _)| *name == layer).unwrap().1;
        for (path, code) in files {
            for name in named(&code) {
                let fine = name == layer || allowed.contains(&name.as_str());
                assert!(fine, "{} uses crate::{name}", path.display());
            }
        }
    }
}

#[test]
fn pure_layers_have_no_clock_no_randomness_and_no_io() {
    let code = layer_code();
    for (layer, forbidden) in MUST_NOT {
        for (path, code) in &code[layer] {
            for word in forbidden {
                let found = code.match_indices(word).any(|(at, _)| {
                    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                });
                assert!(!found, "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        all_files(&root.join(folder), &mut found);
    }
    for path in found {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}

fn all_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
