//! Which file of a crate uses which, read from `use` declarations and paths that begin with
//! `crate` or `super`; names that a module passes on count for the file that defines them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The modules of a crate, by their paths (`queue::api`; the root is empty).
pub(crate) struct Modules {
    texts: BTreeMap<Module, Text>,
}

type Module = Vec<String>;

/// What a module says of others.
#[derive(Default)]
struct Text {
    /// The trees of its `use` declarations.
    uses: Vec<String>,
    /// The trees that it passes on (`pub use`).
    passed_on: Vec<String>,
    /// Paths elsewhere that begin with `crate` or `super`.
    inline: Vec<Module>,
}

impl Modules {
    /// Of the files below `src`, without tests.
    pub(crate) fn read(src: &Path, files: &[(std::path::PathBuf, String)]) -> Self {
        let mut texts = BTreeMap::new();
        for (path, text) in files {
            let relative = path.strip_prefix(src).unwrap().with_extension("");
            let mut module: Module =
                relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            let is_test = module.iter().any(|part| {
                part == "tests" || part == "testing" || part == "simulation" || part == "fuzzing"
            });
            if is_test || module.last().is_some_and(|name| name.ends_with("_tests")) {
                continue;
            }
            if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
                module.pop();
            }
            let tests = ["#[cfg(test)]\nmod ", "#[cfg(test)]\npub"];
            let end = tests.iter().filter_map(|start| text.find(start)).min();
            let product = &text[..end.unwrap_or(text.len())];
            let code: String = product
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(|line| format!("{line}\n"))
                .collect();
            texts.entry(module).or_insert_with(Text::default).read(&code);
        }
        Self { texts }
    }

    /// The modules that use each other, each group once.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let edges: BTreeMap<&Module, BTreeSet<Module>> =
            self.texts.keys().map(|module| (module, self.used_by(module))).collect();
        let reach = |from: &Module| {
            let mut seen = BTreeSet::new();
            let mut open = vec![from.clone()];
            while let Some(module) = open.pop() {
                for next in edges.get(&module).into_iter().flatten() {
                    if seen.insert(next.clone()) {
                        open.push(next.clone());
                    }
                }
            }
            seen
        };
        let reached: BTreeMap<_, _> = edges.keys().map(|module| (*module, reach(module))).collect();
        let mut circles = BTreeSet::new();
        for (module, reachable) in &reached {
            let back = reachable.iter().filter(|other| reached[other].contains(*module));
            let circle: Vec<_> = back.map(|module| module.join("::")).collect();
            if !circle.is_empty() {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// The modules that `module` uses, without itself.
    fn used_by(&self, module: &Module) -> BTreeSet<Module> {
        let used = self.paths(module).into_iter().filter_map(|path| self.defining(path, 0));
        used.filter(|used| used != module).collect()
    }

    /// Every path of a module's text that leads into its own crate, from the root.
    fn paths(&self, module: &Module) -> Vec<Module> {
        let text = &self.texts[module];
        let used = text.uses.iter().flat_map(|tree| expanded(tree));
        let paths = used.chain(text.inline.iter().cloned());
        paths.filter_map(|path| self.absolute(module, path)).collect()
    }

    fn absolute(&self, module: &Module, path: Module) -> Option<Module> {
        let mut at = module.clone();
        let mut path = path.into_iter().peekable();
        match path.peek()?.as_str() {
            "crate" => {
                at.clear();
                path.next();
            }
            "self" => {
                path.next();
            }
            "super" => {
                while path.next_if(|part| part == "super").is_some() {
                    at.pop();
                }
            }
            child => {
                let mut below = module.clone();
                below.push(child.to_owned());
                self.texts.get(&below)?;
            }
        }
        at.extend(path);
        Some(at)
    }

    /// The module that defines what `path` names.
    fn defining(&self, path: Module, depth: u32) -> Option<Module> {
        let known = (0..=path.len()).rev().find(|&end| self.texts.contains_key(&path[..end]))?;
        let (module, rest) = path.split_at(known);
        let module = module.to_vec();
        let Some(name) = rest.first().filter(|_| depth < 8) else { return Some(module) };
        for path in self.texts[&module].passed_on.iter().flat_map(|tree| expanded(tree)) {
            if path.last() == Some(name) {
                let path = self.absolute(&module, path)?;
                return self.defining(path, depth + 1);
            }
        }
        Some(module)
    }
}

impl Text {
    fn read(&mut self, code: &str) {
        let mut rest = code;
        while let Some(line) = rest.lines().next() {
            let start = line.trim_start();
            let public = start.starts_with("pub");
            let used = start.split_once("use ").filter(|(before, _)| {
                let restricted = before.starts_with("pub(") && before.ends_with(") ");
                before.is_empty() || *before == "pub " || restricted
            });
            let taken = if used.is_some() {
                let statement = rest.split(';').next().unwrap();
                let tree = statement.split_once("use ").unwrap().1.to_owned();
                if public { &mut self.passed_on } else { &mut self.uses }.push(tree);
                statement.len() + 1
            } else {
                self.inline.extend(inline(line));
                line.len() + 1
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }
}

/// The paths of a line that begin with `crate` or `super`.
fn inline(line: &str) -> Vec<Module> {
    let in_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let texts = line.split(|letter| !in_path(letter));
    let paths = texts.map(|text| text.split("::").map(str::to_owned).collect::<Module>());
    paths.filter(|path| path.len() > 1 && ["crate", "super"].contains(&path[0].as_str())).collect()
}

/// The paths of a `use` tree, without `as`.
fn expanded(tree: &str) -> Vec<Module> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap();
        let path = path.split("::").map(|part| part.trim().to_owned());
        return vec![path.filter(|part| part != "*").collect()];
    };
    let prefix: Module = tree[..open]
        .split("::")
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    let inner = &tree[open + 1..tree.rfind('}').unwrap()];
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for letter in inner.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if letter == ',' && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut().unwrap().push(letter);
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    let paths = parts.flat_map(|part| expanded(part));
    paths
        .map(|path| {
            let path = path.into_iter().filter(|part| part != "self");
            prefix.iter().cloned().chain(path).collect()
        })
        .collect()
}
