//! The house rules that a program can check.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All Rust files below `folder`, with their text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// Folders of the crates; the last part of each is the crate's name.
const CRATES: [&str; 10] = [
    "domain",
    "shared",
    "import",
    "stream-relay",
    "dispatcher",
    "confirmer",
    "operator",
    "demo",
    "local",
    "local/sqs-fifo",
];

/// The names under `[dependencies]` in the manifest of `package`.
fn dependencies(package: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split_once(" = "));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn services_depend_on_domain_and_shared_and_on_no_other_crate() {
    for (package, allowed) in [
        ("domain", &[][..]),
        ("local/sqs-fifo", &[]),
        ("local", &["sqs-fifo"]),
        ("shared", &["domain"]),
        ("import", &["domain", "shared"]),
        ("stream-relay", &["domain", "shared"]),
        ("dispatcher", &["domain", "shared"]),
        ("confirmer", &["domain", "shared"]),
        ("demo", &["domain", "local", "shared"]),
    ] {
        let dependencies = dependencies(package);
        let own = dependencies
            .iter()
            .filter(|name| CRATES.iter().any(|folder| folder.rsplit('/').next() == Some(name)));
        assert_eq!(own.collect::<Vec<_>>(), allowed, "{package}");
    }
}

#[test]
fn the_domain_depends_on_no_crate_that_does_io_and_reads_no_clock() {
    let pure = ["iso_currency", "jiff", "serde", "sha2", "thiserror", "uuid"];
    assert_eq!(dependencies("domain"), pure);
    let forbidden = [
        "std::net",
        "std::fs",
        "std::io",
        "std::env",
        "std::process",
        "std::thread",
        "std::time::Instant",
        "SystemTime",
        "Timestamp::now",
        "Zoned::now",
    ];
    for (path, text) in sources(&root().join("domain/src")) {
        let product = text.split("#[cfg(test)]").next().unwrap();
        let code = product.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for word in forbidden {
                assert!(!line.contains(word), "{} uses {word}: {line}", path.display());
            }
        }
    }
}

#[test]
fn every_main_is_shorter_than_60_lines_and_no_file_longer_than_500() {
    for package in CRATES {
        for (path, text) in sources(&root().join(package).join("src")) {
            let limit = if path.ends_with("src/main.rs") { 60 } else { 500 };
            let lines = text.lines().count();
            assert!(lines <= limit, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn no_file_is_a_place_for_everything() {
    for package in CRATES {
        for (path, _) in sources(&root().join(package)) {
            for name in ["utils.rs", "util.rs", "helpers.rs", "common_utils.rs", "misc.rs"] {
                assert!(!path.ends_with(name), "{}", path.display());
            }
        }
    }
}
