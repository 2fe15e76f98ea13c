//! Words that the glossary forbids, in names and in prose.

use std::path::{Path, PathBuf};

const LIST: &str = include_str!("words.tsv");

/// A word that is not to be used.
struct Banned {
    word: &'static str,
    place: &'static str,
    instead: &'static str,
}

/// What is wrong with the names of `files`, which have paths relative to the repository.
pub(crate) fn wrong_names(files: &[(PathBuf, String)]) -> Vec<String> {
    wrong(files, "name", |path, text| {
        let file = (0, path.file_stem().unwrap().to_str().unwrap().to_owned());
        let lines = text.lines().enumerate().flat_map(|(number, line)| {
            let code = line.split("//").next().unwrap();
            let outside_strings = code.split('"').step_by(2);
            outside_strings
                .flat_map(words)
                .map(move |name| (number + 1, name.to_owned()))
                .collect::<Vec<_>>()
        });
        std::iter::once(file).chain(lines).collect()
    })
}

/// What is wrong with the prose of `files`.
pub(crate) fn wrong_prose(files: &[(PathBuf, String)]) -> Vec<String> {
    wrong(files, "text", |_, text| {
        let lines = text.lines().enumerate();
        let lines = lines.map(|(number, line)| {
            let words: Vec<_> = words(line).map(str::to_lowercase).collect();
            (number + 1, format!(" {} ", words.join(" ")))
        });
        lines.collect()
    })
}

/// Where a banned word of `kind` is among the names or lines that `parts` finds in each file.
fn wrong(
    files: &[(PathBuf, String)],
    kind: &str,
    parts: impl Fn(&Path, &str) -> Vec<(usize, String)>,
) -> Vec<String> {
    let banned = banned(kind);
    let mut wrong = Vec::new();
    for (path, text) in files {
        let here = |banned: &&Banned| banned.place == "*" || path.starts_with(banned.place);
        let here: Vec<_> = banned.iter().filter(here).collect();
        for (line, part) in parts(path, text) {
            for banned in here.iter().filter(|banned| banned.is_in(kind, &part)) {
                let Banned { word, instead, .. } = banned;
                wrong.push(format!("{}:{line}: {word}: {instead}", path.display()));
            }
        }
    }
    wrong
}

/// Identifiers, or words of prose.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let parts = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    parts.filter(|part| !part.is_empty())
}

impl Banned {
    fn is_in(&self, kind: &str, part: &str) -> bool {
        if kind == "text" {
            return part.contains(&format!(" {} ", self.word));
        }
        match (self.word.strip_prefix('*'), self.word.strip_suffix('*')) {
            (None, None) => part == self.word,
            (None, Some(start)) => part.starts_with(start),
            (Some(end), None) => part.ends_with(end),
            (Some(_), Some(_)) => part.contains(self.word.trim_matches('*')),
        }
    }
}

fn banned(kind: &str) -> Vec<Banned> {
    let rows = LIST.lines().filter(|line| !line.starts_with('#'));
    let rows = rows.map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter(|row| row[0] == kind)
        .map(|row| {
            let [_, word, place, instead] = row[..] else { panic!("{row:?} has no four columns") };
            Banned { word, place, instead }
        })
        .collect()
}

#[test]
fn a_word_of_the_list_is_found_in_names_and_in_prose_and_only_in_its_place() {
    let file = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
    let files = [
        file("operator/src/a.rs", "fn bury_failed() {} // bury\nlet outbox = 1;"),
        file("local/src/parcel.rs", "struct Outbox;"),
        file("ledger/src/a.rs", "struct Outbox; fn dead_letter() {}"),
    ];
    let wrong = wrong_names(&files);
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(wrong[0].starts_with("operator/src/a.rs:1: bury*"), "{wrong:?}");
    assert!(wrong[1].starts_with("local/src/parcel.rs:0: parcel"), "{wrong:?}");
    assert_eq!(wrong_prose(&files), ["operator/src/a.rs:1: bury: dead-letter"]);
}
