//! The house rules that a program can check.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod imports;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use imports::Modules;

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

/// The first line and the number of lines of each function. The code is formatted, so that a
/// function ends with the brace below its first letter.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut functions = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let is_function = code.split("fn ").next().is_some_and(|before| {
            before.len() < code.len()
                && before.split(' ').all(|word| {
                    ["", "pub", "pub(crate)", "pub(super)", "const", "async"].contains(&word)
                })
        });
        let opens = lines[start..].iter().find(|line| line.ends_with([';', '{', '}']));
        let has_body = opens.is_some_and(|line| line.ends_with('{'));
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let length = lines[start..].iter().position(|line| *line == end);
        if let Some(length) = length.filter(|_| is_function && has_body) {
            functions.push((*line, length + 1));
        }
    }
    functions
}

#[test]
fn no_function_is_longer_than_70_lines() {
    let (mut count, mut long) = (0, Vec::new());
    for (path, text) in repository(&[".rs"]) {
        let functions = functions(&text);
        count += functions.len();
        let too_long = functions.into_iter().filter(|(_, lines)| *lines > 70);
        long.extend(too_long.map(|(line, lines)| format!("{}: {lines}: {line}", path.display())));
    }
    assert!(count > 1_000, "only {count} functions were found");
    assert!(long.is_empty(), "{}", long.join("\n"));
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

#[test]
fn no_modules_of_a_crate_use_each_other_in_a_circle() {
    let mut circles = Vec::new();
    for package in CRATES {
        let src = root().join(package).join("src");
        let modules = Modules::read(&src, &sources(&src));
        circles.extend(modules.circles().into_iter().map(|circle| (package, circle)));
    }
    assert!(circles.is_empty(), "{circles:#?}");
}

/// All files of the repository with one of these endings, by their paths in it, but for the
/// list of words itself and what tells of times before.
fn repository(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let relative = path.strip_prefix(root()).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            let apart = ["target", "CHANGELOG.md", "words.rs", "corpus"].contains(&name);
            if apart || name.starts_with('.') || relative.starts_with("docs/adr") {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push((relative.to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn no_name_is_one_that_the_glossary_forbids() {
    let wrong = words::wrong_names(&repository(&[".rs"]));
    assert!(wrong.is_empty(), "{} names:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_prose_has_a_word_that_the_glossary_forbids() {
    let wrong = words::wrong_prose(&repository(&[".rs", ".md", ".tf", ".env", ".yaml", ".yml"]));
    assert!(wrong.is_empty(), "{} places:\n{}", wrong.len(), wrong.join("\n"));
}

/// The name of the type that a line of code defines.
fn defined_type(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub").map_or(line, |rest| {
        rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest)
    });
    let (kind, rest) = line.trim_start().split_once(' ')?;
    let name = rest.split(|c: char| !c.is_alphanumeric()).next()?;
    matches!(kind, "struct" | "enum" | "trait").then_some(name)
}

/// `sqs-fifo` is a crate for everybody, whose names are SQS's own.
#[test]
fn no_two_things_of_the_product_have_one_type_name() {
    let is_product = |path: &Path| {
        let for_tests = ["tests", "testing", "simulation", "benches"];
        let mut parts = path.strip_prefix(root()).unwrap().iter();
        let file = path.file_stem().unwrap().to_str().unwrap();
        let of_tests = file.ends_with("tests") || for_tests.contains(&file);
        !of_tests && !parts.any(|part| for_tests.iter().any(|name| part == *name))
    };
    let mut places: std::collections::BTreeMap<String, Vec<PathBuf>> = Default::default();
    for package in CRATES.iter().filter(|package| **package != "local/sqs-fifo") {
        let files = sources(&root().join(package).join("src"));
        for (path, text) in files.into_iter().filter(|(path, _)| is_product(path)) {
            let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for name in product.lines().filter_map(defined_type) {
                places.entry(name.to_owned()).or_default().push(path.clone());
            }
        }
    }
    assert!(places.len() > 500, "only {} types were found", places.len());
    places.retain(|_, defined| defined.len() > 1);
    assert!(places.is_empty(), "one name for several types: {places:#?}");
}
