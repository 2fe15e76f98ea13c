//! Says which commit a build was made from: `BUILD_REVISION` if it is set, else what git says of
//! a release build. Other builds do not ask, so that a commit does not build everything anew.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=BUILD_REVISION");
    let given = env::var("BUILD_REVISION").ok().filter(|revision| !revision.is_empty());
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let revision = given.or_else(|| is_release.then(head).flatten());
    println!("cargo::rustc-env=DUEFLOW_BUILT_FROM={}", revision.as_deref().unwrap_or("unknown"));
}

/// The commit that is checked out, if git is there and this folder is the repository's own: a
/// copy within another repository is not.
fn head() -> Option<String> {
    let arguments = ["rev-parse", "--show-prefix", "--git-path", "logs/HEAD", "HEAD"];
    let output = Command::new("git").args(arguments).output().ok()?;
    let lines = String::from_utf8(output.stdout).ok()?;
    let [prefix, log, revision] = lines.lines().collect::<Vec<_>>()[..] else { return None };
    if !output.status.success() || prefix != "shared/" {
        return None;
    }
    println!("cargo::rerun-if-changed={log}");
    Some(revision.to_owned())
}
