//! A patch that removes one guard: four lines that say what it is, then the usual form, with
//! whole lines and without numbers of lines. The lines that go, with those around them, must be
//! in the file exactly once.

use std::fs;
use std::path::Path;

/// What removes one guard.
#[derive(Debug)]
pub(crate) struct Patch {
    /// Its file's name, without the ending.
    pub(crate) name: String,
    /// What the guard says.
    guard: String,
    /// The invariants that it keeps.
    pub(crate) keeps: Vec<String>,
    /// What the architecture calls it.
    pub(crate) place: String,
    /// The crate of the test.
    pub(crate) package: String,
    /// Its target: `lib`, or the name of an integration test.
    pub(crate) target: String,
    /// The test.
    pub(crate) test: String,
    hunks: Vec<Hunk>,
}

#[derive(Debug, Default)]
struct Hunk {
    file: String,
    old: String,
    new: String,
}

impl Patch {
    pub(crate) fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        let (head, body) = text.split_once("\n\n").unwrap();
        let field = |field: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(field));
            line.unwrap_or_else(|| panic!("{name} has no {field}")).trim().to_owned()
        };
        let test = field("Test:");
        let [package, target, test] = test.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{name}: Test: <crate> <lib or integration test> <name>")
        };
        Self {
            guard: field("Guard:"),
            keeps: field("Keeps:").split(", ").map(str::to_owned).collect(),
            place: field("Where:"),
            package: package.to_owned(),
            target: target.to_owned(),
            test: test.to_owned(),
            hunks: hunks(body),
            name,
        }
    }

    /// The number of the first invariant it keeps.
    pub(crate) fn first_invariant(&self) -> u32 {
        self.keeps[0].trim_start_matches("INV-").parse().unwrap()
    }

    /// Its row in `docs/guards.md`.
    pub(crate) fn row(&self) -> String {
        let Self { name, guard, keeps, place, test, .. } = self;
        let place = place.replace('`', "");
        format!("| {} | {guard} | {place} | `{test}` | `{name}` |", keeps.join(", "))
    }

    /// The files it changes, each once.
    pub(crate) fn sources(&self) -> Vec<(&str, usize)> {
        let mut files: Vec<(&str, usize)> = Vec::new();
        for hunk in &self.hunks {
            match files.iter_mut().find(|(file, _)| *file == hunk.file) {
                Some((_, hunks)) => *hunks += 1,
                None => files.push((&hunk.file, 1)),
            }
        }
        files
    }

    /// A file without the guard.
    pub(crate) fn applied_to(&self, file: &str, text: &str) -> String {
        let mut text = text.to_owned();
        for Hunk { old, new, .. } in self.hunks.iter().filter(|hunk| hunk.file == file) {
            let times = text.matches(old.as_str()).count();
            assert_eq!(times, 1, "{}: {file} holds this {times} times:\n{old}", self.name);
            text = text.replace(old, new);
        }
        text
    }
}

fn hunks(body: &str) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let mut file = String::new();
    for line in body.lines() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            path.clone_into(&mut file);
        } else if line.starts_with("@@") {
            hunks.push(Hunk { file: file.clone(), ..Hunk::default() });
        } else if let Some(hunk) = hunks.last_mut().filter(|_| !line.starts_with("--- a/")) {
            let (sign, rest) = line.split_at(1);
            let both = sign == " ";
            if both || sign == "-" {
                hunk.old += &format!("{rest}\n");
            }
            if both || sign == "+" {
                hunk.new += &format!("{rest}\n");
            }
        }
    }
    hunks
}
