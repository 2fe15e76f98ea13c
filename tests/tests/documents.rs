//! Documents promise only what the code keeps.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;
use shared::domain::FailureCode;
use shared::telemetry::{Metric, calls};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn the_table_of_metrics_has_every_metric_with_its_kind_and_help() {
    let services =
        [calls::ALL, stream_relay::METRICS, dispatcher::METRICS, confirmer::METRICS].concat();
    let document = read("docs/metrics.md");
    for metric in &services {
        let Metric { name, help, .. } = metric;
        let row = document
            .lines()
            .find(|line| line.starts_with(&format!("| {name} | {} |", metric.kind())))
            .unwrap_or_else(|| panic!("{name} is missing, or of another kind"));
        assert!(row.ends_with(&format!("| {help} |")), "{name} has another help: {row}");
    }
    let rows = document.lines().filter(|line| {
        ["counter", "gauge", "histogram"].iter().any(|kind| line.contains(&format!("| {kind} |")))
    });
    assert_eq!(rows.count(), services.len(), "a row names a metric that is gone");
}

#[test]
fn metric_names_start_with_their_service_and_say_their_unit() {
    for (prefix, metrics) in [
        ("stream_relay_", stream_relay::METRICS),
        ("dispatcher_", dispatcher::METRICS),
        ("confirmer_", confirmer::METRICS),
    ] {
        for metric in metrics {
            assert!(metric.name.starts_with(prefix), "{}", metric.name);
            let total = metric.name.ends_with("_total");
            assert_eq!(total, metric.kind() == "counter", "{}", metric.name);
        }
    }
}

/// Names of all test functions in the workspace.
fn tests_in(folder: &Path, found: &mut BTreeSet<String>) {
    let test = Regex::new(r"#\[(?:tokio::)?test[^\]]*\]\s*(?:async )?fn (\w+)").unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            tests_in(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.extend(test.captures_iter(&text).map(|name| name[1].to_owned()));
        }
    }
}

#[test]
fn every_invariant_names_tests_that_exist() {
    let mut tests = BTreeSet::new();
    tests_in(&root(), &mut tests);
    let document = read("ARCHITECTURE.md");
    for number in 1..=12 {
        let start = document.find(&format!("**INV-{number}.")).unwrap();
        let section = &document[start..];
        let section = section.get(..section[5..].find("**INV-").map_or(section.len(), |i| i + 5));
        let shown = section.unwrap().split("Shown by:").nth(1).unwrap();
        let shown = shown.lines().next().unwrap();
        let named = shown.split('`').skip(1).step_by(2);
        let named: Vec<_> = named.filter(|name| name.contains('_')).collect();
        assert!(!named.is_empty(), "INV-{number} names no test");
        for name in named {
            assert!(tests.contains(name), "INV-{number} names {name}, which is no test");
        }
    }
}

#[test]
fn every_failure_code_has_a_page_in_the_runbook() {
    let runbook = read("docs/runbooks/dead-letters.md");
    for code in FailureCode::ALL {
        let headed =
            runbook.lines().any(|line| line.starts_with('#') && line.contains(code.as_str()));
        assert!(headed, "{code} has no section");
    }
}

#[test]
fn no_figure_is_left_out() {
    for file in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md", "docs/local.md"] {
        assert!(!read(file).contains("<!--"), "{file} still has a marker");
    }
    for entry in fs::read_dir(root().join("docs/adr")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("<!--"), "{} still has a marker", path.display());
    }
}

#[test]
fn relative_links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#:]+)(?:#[^)]*)?\)").unwrap();
    for file in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "docs/local.md",
        "docs/metrics.md",
        "docs/runbooks/dead-letters.md",
        "docs/runbooks/preflight.md",
        "docs/adr/README.md",
    ] {
        let folder = root().join(file).parent().unwrap().to_owned();
        for target in link.captures_iter(&read(file)) {
            assert!(folder.join(&target[1]).exists(), "{file} links to {}", &target[1]);
        }
    }
}
