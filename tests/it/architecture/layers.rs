//! The files of `src/`, and which of them a path that code names leads to.

use super::source::{Named, code, paths};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module of the crate that is a file, without its tests.
#[derive(Debug)]
pub(super) struct Module {
    /// Below `src/`.
    pub(super) file: String,
    pub(super) code: String,
    pub(super) names: Vec<Named>,
}

/// All modules by their path in the crate: `["net", "pool"]`; that of `lib.rs` is empty, and `main.rs` is `["main"]`.
#[derive(Debug)]
pub(super) struct Crate(pub(super) BTreeMap<Vec<String>, Module>);

impl Crate {
    /// Reads every file of `src/` that is not a test.
    pub(super) fn read() -> Self {
        let (mut modules, mut tests) = (BTreeMap::new(), BTreeSet::new());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for path in super::rust_files(&source) {
            let file = path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
            let mut module: Vec<String> =
                file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            if matches!(module.last().unwrap().as_str(), "mod" | "lib") {
                module.pop();
            }
            let (code, of_tests) = code(&fs::read_to_string(&path).unwrap());
            tests.extend(of_tests.into_iter().map(|name| child(&module, &name)));
            let names = paths(&code);
            modules.insert(module, Module { file, code, names });
        }
        modules.retain(|module, _| !(1..=module.len()).any(|end| tests.contains(&module[..end])));
        Self(modules)
    }

    /// Returns the module of this crate that a path leads to when it is named in `from`: where the item is written, not
    /// where it is passed on. `None` is another crate.
    pub(super) fn target(&self, from: &[String], path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" | "lightclient" => Vec::new(),
            "self" => from.to_vec(),
            "super" => from[..from.len() - 1].to_vec(),
            name => self.below(from, name)?,
        };
        Some(self.descend(start, rest))
    }

    /// Returns the layer that a path names: the one that passes an item on, not the one that it passes it on from.
    pub(super) fn layer(&self, from: &[String], path: &[String]) -> Option<String> {
        let head = path
            .iter()
            .take_while(|part| matches!(part.as_str(), "crate" | "lightclient" | "super" | "self"))
            .count();
        let end = path.len().min(head + 1);
        self.target(from, &path[..end])?.into_iter().next()
    }

    fn descend(&self, mut module: Vec<String>, path: &[String]) -> Vec<String> {
        for (at, name) in path.iter().enumerate() {
            if name == "super" {
                module.pop();
                continue;
            }
            let Some(next) = self.below(&module, name) else { break };
            if !next.starts_with(&module) || next.len() > module.len() + 1 {
                // It is passed on from elsewhere, by whatever name.
                return self.descend(next, &path[at + 1..]);
            }
            module = next;
        }
        module
    }

    /// What `name` is in a module: a module below it, or what it passes on.
    fn below(&self, module: &[String], name: &str) -> Option<Vec<String>> {
        let below = child(module, name);
        if self.0.contains_key(&below) {
            return Some(below);
        }
        let passed_on = self.0[module].names.iter().find(|named| {
            named.reexport && named.import.as_deref() == Some(name) && named.path.len() > 1
        })?;
        self.target(module, &passed_on.path)
    }

    /// Returns each file, the files whose items it uses, and which items of each those are. What a module passes on from
    /// below itself does not count.
    pub(super) fn uses(&self) -> BTreeMap<&str, BTreeMap<&str, BTreeSet<String>>> {
        let mut uses: BTreeMap<&str, BTreeMap<&str, BTreeSet<String>>> = BTreeMap::new();
        for (from, module) in &self.0 {
            for named in &module.names {
                let Some(target) = self.target(from, &named.path) else { continue };
                if target == *from || named.reexport && target.starts_with(from) {
                    continue;
                }
                let of = uses.entry(&module.file).or_default();
                let item = named.path.last().expect("a path has parts");
                of.entry(&self.0[&target].file).or_default().insert(item.clone());
            }
        }
        uses
    }
}

fn child(module: &[String], name: &str) -> Vec<String> {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// Returns the circles: groups of files each of which uses, over others of the group, all others of it.
pub(super) fn circles<'a>(
    uses: &BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<String>>>,
) -> BTreeSet<BTreeSet<&'a str>> {
    let reached = |from: &'a str| {
        let (mut reached, mut waiting) = (BTreeSet::new(), vec![from]);
        while let Some(file) = waiting.pop() {
            let next = uses.get(file).into_iter().flat_map(BTreeMap::keys).copied();
            waiting.extend(next.filter(|next| reached.insert(*next)));
        }
        reached
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        uses.keys().map(|file| (*file, reached(file))).collect();
    let circle = |file: &&'a str| -> BTreeSet<&'a str> {
        let back = |other: &&&str| reached.get(**other).is_some_and(|files| files.contains(file));
        reached[*file].iter().filter(back).copied().collect()
    };
    uses.keys().map(circle).filter(|circle| circle.len() > 1).collect()
}
