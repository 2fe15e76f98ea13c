//! A copy of the sources in which guards are removed, one at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::patch::Patch;

/// What became of the named test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It failed.
    Noticed,
    /// It passed: nothing shows this guard.
    Unnoticed,
    /// The patch does not compile, or the test was not found.
    NotTried,
}

/// The copy.
pub(crate) struct Scratch {
    sources: PathBuf,
    copy: PathBuf,
}

/// Folders of the repository that builds need, and its files.
const LEFT_OUT: [&str; 3] = ["target", ".git", "fuzz"];

impl Scratch {
    /// Brings the copy up to date. It stays, so that the next run builds little.
    pub(crate) fn of(sources: &Path) -> Self {
        let copy = sources.join("target/guards");
        copy_folder(sources, &copy);
        Self { sources: sources.to_owned(), copy }
    }

    /// Removes a guard, runs the test that should notice, and puts the guard back.
    pub(crate) fn without(&self, patch: &Patch) -> Seen {
        let files: Vec<_> = patch.sources().into_iter().map(|(file, _)| file).collect();
        for file in &files {
            let whole = fs::read_to_string(self.sources.join(file)).unwrap();
            fs::write(self.copy.join(file), patch.applied_to(file, &whole)).unwrap();
        }
        let seen = self.judge(patch);
        for file in &files {
            fs::copy(self.sources.join(file), self.copy.join(file)).unwrap();
        }
        seen
    }

    fn judge(&self, patch: &Patch) -> Seen {
        let built = self.cargo(patch, &["--no-run"]);
        if !built.status.success() {
            println!("{}", String::from_utf8_lossy(&built.stderr));
            return Seen::NotTried;
        }
        let ran = self.cargo(patch, &["--", &patch.test]);
        let said = String::from_utf8_lossy(&ran.stdout);
        let of =
            |end: &str| said.lines().any(|line| line.contains(&patch.test) && line.ends_with(end));
        match (ran.status.success(), of("FAILED"), of("ok")) {
            (false, true, _) => Seen::Noticed,
            (true, _, true) => Seen::Unnoticed,
            (false | true, _, _) => Seen::NotTried,
        }
    }

    fn cargo(&self, patch: &Patch, more: &[&str]) -> Output {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&self.copy).args(["test", "-p", &patch.package]);
        match patch.target.as_str() {
            "lib" => cargo.arg("--lib"),
            target => cargo.args(["--test", target]),
        };
        cargo.env("CARGO_TARGET_DIR", self.copy.join("target")).args(more).output().unwrap()
    }
}

/// Copies what differs, so that the rest is not built again, and deletes what is gone.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(to).unwrap() {
        let entry = entry.unwrap();
        let gone = !from.join(entry.file_name()).exists();
        if gone && entry.path().is_file() {
            fs::remove_file(entry.path()).unwrap();
        } else if gone && entry.file_name() != "target" {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if source.is_dir() {
            copy_folder(&source, &target);
        } else if fs::read(&source).unwrap() != fs::read(&target).unwrap_or_default() {
            fs::copy(&source, &target).unwrap();
        }
    }
}
