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

const ROOMS: [&str; 6] = ["shared", "stream-relay", "dispatcher", "confirmer", "operator", "local"];

#[test]
fn services_depend_on_shared_and_on_no_other_room() {
    for (room, allowed) in [
        ("shared", &[][..]),
        ("local", &[]),
        ("stream-relay", &["shared"]),
        ("dispatcher", &["shared"]),
        ("confirmer", &["shared"]),
    ] {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
        for other in ROOMS {
            let depends = dependencies.lines().any(|line| line.starts_with(&format!("{other} =")));
            assert_eq!(depends, allowed.contains(&other), "{room} and {other}");
        }
    }
}

#[test]
fn the_domain_imports_no_io() {
    let forbidden = [
        "aws_",
        "reqwest",
        "axum",
        "hyper",
        "tokio",
        "tracing",
        "metrics::",
        "std::net",
        "std::fs",
        "std::io",
        "std::env",
        "std::process",
        "std::thread",
        "SystemTime",
        "Timestamp::now",
        "Instant",
        "crate::aws",
        "crate::payments",
        "crate::queue",
        "crate::telemetry",
        "crate::transaction",
        "crate::config",
        "crate::service",
    ];
    for (path, text) in sources(&root().join("shared/src/domain")) {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for word in forbidden {
                assert!(!line.contains(word), "{} uses {word}: {line}", path.display());
            }
        }
    }
}

#[test]
fn every_main_is_shorter_than_60_lines_and_no_file_longer_than_500() {
    for room in ROOMS {
        for (path, text) in sources(&root().join(room).join("src")) {
            let limit = if path.ends_with("src/main.rs") { 60 } else { 500 };
            let lines = text.lines().count();
            assert!(lines <= limit, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn no_file_is_a_room_for_everything() {
    for room in ROOMS {
        for (path, _) in sources(&root().join(room)) {
            for name in ["utils.rs", "util.rs", "helpers.rs", "common_utils.rs", "misc.rs"] {
                assert!(!path.ends_with(name), "{}", path.display());
            }
        }
    }
}
