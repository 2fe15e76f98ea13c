//! Each guard is shown alone: a patch in `tests/guards` removes one, and the test that the patch
//! names must fail. `just guards` does so, in a copy of the sources, for all of them or for those
//! whose file names contain a word (`just guards archive`); what is here runs with every test
//! and sees to it that the patches still fit, and that the list in `docs/guards.md` is complete.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod patch;
mod scratch;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use patch::Patch;
use regex_lite::Regex;
use scratch::{Scratch, Seen};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// All patches, by the invariants they touch and their names.
fn patches() -> Vec<Patch> {
    let entries = fs::read_dir(root().join("tests/guards")).unwrap();
    let mut patches: Vec<_> = entries.map(|entry| Patch::read(&entry.unwrap().path())).collect();
    patches.sort_by_key(|patch| (patch.first_invariant(), patch.name.clone()));
    patches
}

#[test]
fn every_guard_can_be_removed_and_names_a_test_that_is_there() {
    for patch in patches() {
        let sources = patch.sources();
        for (file, _) in &sources {
            patch.applied_to(file, &read(file));
        }
        let function = format!("fn {}(", patch.test);
        let mut there = false;
        for file in rust_files(&root().join(&patch.package)) {
            there |= fs::read_to_string(file).unwrap().contains(&function);
        }
        assert!(there, "{}: {} has no test {}", patch.name, patch.package, patch.test);
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_document_lists_every_guard_and_the_test_that_notices_its_removal() {
    let expected: Vec<_> = patches().iter().map(Patch::row).collect();
    let document = read("docs/guards.md");
    let rows: Vec<_> = document.lines().filter(|line| line.starts_with("| INV-")).collect();
    assert!(rows == expected, "the table of docs/guards.md should be\n{}", expected.join("\n"));
}

/// Guards that the architecture names and that no patch removes: `docs/guards.md` says why.
fn listed_as_not_removed() -> BTreeSet<String> {
    let document = read("docs/guards.md");
    let section = document.split("## Not removed").nth(1).unwrap();
    let named = Regex::new(r"`([^`]+)`").unwrap();
    named.captures_iter(section).map(|name| name[1].to_owned()).collect()
}

#[test]
fn every_guard_that_an_invariant_names_is_removed_once() {
    let invariants = read("docs/invariants.md");
    let (patches, excepted) = (patches(), listed_as_not_removed());
    let invariant = Regex::new(r"\*\*(INV-\d+)\. ").unwrap();
    let named = Regex::new(r"`([^`]+)`").unwrap();
    let sections: Vec<_> = invariant.captures_iter(&invariants).collect();
    assert!(sections.len() >= 13);
    for (section, next) in sections.iter().zip(sections.iter().skip(1).map(Some).chain([None])) {
        let start = section.get(0).unwrap().start();
        let end = next.map_or(invariants.len(), |next| next.get(0).unwrap().start());
        let kept = invariants[start..end].split("- Kept by:").nth(1).unwrap();
        let kept = kept.split("\n- ").next().unwrap();
        for name in named.captures_iter(kept) {
            let (id, name) = (&section[1], &name[1]);
            if root().join(name).is_dir() {
                continue;
            }
            let mine = |patch: &&Patch| patch.keeps.iter().any(|keeps| keeps == id);
            let removed = patches.iter().filter(mine).any(|patch| patch.place.contains(name));
            assert!(
                removed || excepted.contains(name),
                "{id} is kept by {name}: no patch removes it"
            );
        }
    }
}

/// Minutes: each removal builds a crate. `just guards`.
#[test]
#[ignore = "builds the workspace once for each guard"]
fn each_guard_is_noticed_when_it_is_removed() {
    let only = std::env::var("DUEFLOW_GUARDS").unwrap_or_default();
    let patches: Vec<_> =
        patches().into_iter().filter(|patch| patch.name.contains(only.as_str())).collect();
    assert!(!patches.is_empty(), "no guard's name contains {only}");
    let scratch = Scratch::of(&root());
    let mut unnoticed = Vec::new();
    for patch in &patches {
        let seen = scratch.without(patch);
        println!("{:?}: {} ({})", seen, patch.name, patch.test);
        if seen != Seen::Noticed {
            unnoticed.push((seen, &patch.name));
        }
    }
    println!("{} of {} guards are noticed", patches.len() - unnoticed.len(), patches.len());
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}
