//! Documents promise only what the code keeps.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{FailureCode, PaymentId, Status};
use regex_lite::Regex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use shared::payments::StoredPayment;
use shared::telemetry::{Metric, Metrics, Samples, calls, process};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The metrics by what their names begin with.
const METRICS: [(&str, &[Metric]); 5] = [
    ("dueflow_", calls::ALL),
    ("", process::ALL),
    ("dueflow_stream_relay_", stream_relay::METRICS),
    ("dueflow_dispatcher_", dispatcher::METRICS),
    ("dueflow_confirmer_", confirmer::METRICS),
];

/// What several services have, or what is told of the whole installation.
const SHARED_NAMES: [&str; 3] = ["dueflow_last_success_", "dueflow_batch_", "dueflow_queue_"];

fn metrics() -> Vec<Metric> {
    METRICS.iter().flat_map(|(_, metrics)| *metrics).copied().collect()
}

#[test]
fn the_table_of_metrics_has_every_metric_with_its_kind_labels_and_help() {
    let document = read("docs/metrics.md");
    for metric in metrics() {
        let labels = match metric.label() {
            Some((label, values)) => format!("{label}: {}", values.join(", ")),
            None if metric.name == "dueflow_build_info" => "version, revision".to_owned(),
            None => "none".to_owned(),
        };
        let Metric { name, help, .. } = metric;
        let row = format!("| {name} | {} | {labels} | {help} |", metric.kind());
        assert!(document.lines().any(|line| line == row), "docs/metrics.md lacks the row\n{row}");
    }
    let rows = document.lines().filter(|line| {
        ["counter", "gauge", "histogram"].iter().any(|kind| line.contains(&format!("| {kind} |")))
    });
    assert_eq!(rows.count(), metrics().len(), "a row names a metric that is gone");
}

#[test]
fn metric_names_begin_with_dueflow_and_their_service_and_end_with_their_base_unit() {
    let word = Regex::new("^[a-z]+(_[a-z]+)*$").unwrap();
    let other_units = ["milli", "millis", "ms", "micros", "minutes", "hours", "days", "kb", "mib"];
    for (prefix, metrics) in METRICS {
        for metric in metrics {
            let name = metric.name;
            let process = name.strip_prefix("process_").filter(|_| prefix.is_empty());
            assert!(name.starts_with("dueflow_") || process.is_some(), "{name}");
            let shared = SHARED_NAMES.iter().any(|shared| name.starts_with(shared));
            assert!((name.starts_with(prefix) || shared) && word.is_match(name), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind() == "counter", "{name}");
            assert!(metric.kind() != "histogram" || name.ends_with("_seconds"), "{name}");
            let unit = name.trim_end_matches("_total").rsplit('_').next().unwrap();
            assert!(!other_units.contains(&unit), "{name} is not in a base unit");
            assert!(!name.contains("milli"), "{name} is not in a base unit");
            let (label, values) = metric.label().unwrap_or(("none", &[]));
            assert!(values.iter().chain([&label]).all(|text| word.is_match(text)), "{name}");
        }
    }
}

#[test]
fn every_series_is_on_the_page_with_0_before_anything_has_happened() {
    let page = Metrics::install(&metrics()).unwrap().render();
    for metric in metrics() {
        let Metric { name, help, .. } = metric;
        let count = if metric.kind() == "histogram" { "_count" } else { "" };
        let series: Vec<_> = match metric.label() {
            Some((label, all)) => all.iter().map(|one| format!("{{{label}=\"{one}\"}}")).collect(),
            None => vec![String::new()],
        };
        if metric.is_zero_at_start() && !name.starts_with("process_") {
            for series in series {
                let line = format!("{name}{count}{series} 0");
                assert!(page.lines().any(|at| at == line), "{line} is missing in\n{page}");
            }
        }
        if page.contains(&format!("\n{name}")) {
            let kind = format!("# HELP {name} {help}\n# TYPE {name} {}\n", metric.kind());
            assert!(page.contains(&kind), "{kind} is missing in\n{page}");
        }
    }
    let of = |name: &str| Samples::parse(&page).sum(name);
    assert_eq!(of("dueflow_build_info"), 1.0);
    for metric in process::ALL.iter().filter(|_| Path::new("/proc/self").exists()) {
        assert!(of(metric.name) > 0.0 || metric.name == "process_cpu_seconds_total", "{metric:?}");
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

/// The ids of the invariants that a document states, each as often as it does.
fn invariants(document: &str, form: &str) -> Vec<u32> {
    let id = Regex::new(form).unwrap();
    id.captures_iter(document).map(|id| id[1].parse().unwrap()).collect()
}

#[test]
fn the_architecture_lists_each_invariant_once_and_in_order() {
    let stated = invariants(&read("docs/invariants.md"), r"\*\*INV-(\d+)\. ");
    let listed = invariants(&read("ARCHITECTURE.md"), r"(?m)^\| INV-(\d+) \|");
    let last = u32::try_from(stated.len()).unwrap();
    assert!(last >= 18, "{stated:?}");
    assert_eq!(stated, (1..=last).collect::<Vec<_>>());
    assert_eq!(listed, stated);
}

#[test]
fn every_invariant_names_tests_that_exist() {
    let mut tests = BTreeSet::new();
    tests_in(&root(), &mut tests);
    let document = read("docs/invariants.md");
    for number in invariants(&document, r"\*\*INV-(\d+)\. ") {
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

/// Every identifier of the workspace's code.
fn identifiers(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            identifiers(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            found.extend(words.map(str::to_owned));
        }
    }
}

#[test]
fn documents_name_only_functions_and_types_that_exist() {
    let mut code = BTreeSet::new();
    identifiers(&root(), &mut code);
    let named = r"`((?:\w+::)+\w+|[A-Z][a-z]+[A-Za-z]*|(?:an?|the|every|no|what|of)_[a-z_]+)`";
    let named = Regex::new(named).unwrap();
    let mut count = 0;
    for file in [
        "ARCHITECTURE.md",
        "docs/invariants.md",
        "docs/guards.md",
        "shared/design.md",
        "stream-relay/design.md",
        "dispatcher/design.md",
        "confirmer/design.md",
        "tests/design.md",
    ] {
        for name in named.captures_iter(&read(file)) {
            for part in name[1].split("::") {
                assert!(code.contains(part), "{file} names {}: there is no {part}", &name[1]);
            }
            count += 1;
        }
    }
    assert!(count > 100, "only {count} names were found");
}

/// The modules at the top of a crate, without those of its tests.
fn modules(package: &str) -> BTreeSet<String> {
    let src = root().join(package).join("src");
    let declared = Regex::new(r"(?m)^(?:pub(?:\([^)]*\))? )?mod (\w+);").unwrap();
    let file = ["lib.rs", "main.rs"].map(|name| src.join(name));
    let text = fs::read_to_string(file.iter().find(|file| file.exists()).unwrap()).unwrap();
    let names = declared.captures_iter(&text).map(|name| name[1].to_owned());
    names.filter(|name| name != "tests" && !name.ends_with("_tests")).collect()
}

#[test]
fn the_code_map_has_every_crate_and_every_module_and_no_other() {
    let manifest = read("Cargo.toml");
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let members = members.split('"').skip(1).step_by(2);
    let tree: BTreeSet<_> = members
        .flat_map(|package| {
            let modules = modules(package).into_iter();
            modules.map(move |module| (package.to_owned(), module))
        })
        .collect();
    let row = Regex::new(r"(?m)^\| (?:`([\w/-]+)`)? ?\| `(\w+)` \|").unwrap();
    let document = read("ARCHITECTURE.md");
    let (mut map, mut package) = (BTreeSet::new(), String::new());
    for row in row.captures_iter(&document) {
        if let Some(named) = row.get(1) {
            named.as_str().clone_into(&mut package);
        }
        assert!(
            map.insert((package.clone(), row[2].to_owned())),
            "{package} has {} twice",
            &row[2]
        );
    }
    let missing: Vec<_> = tree.difference(&map).collect();
    let gone: Vec<_> = map.difference(&tree).collect();
    assert!(missing.is_empty() && gone.is_empty(), "missing: {missing:?}, gone: {gone:?}");
}

#[test]
fn what_everybody_reads_is_short() {
    for (file, kilobytes) in [("README.md", 10), ("ARCHITECTURE.md", 20)] {
        let bytes = read(file).len();
        assert!(bytes <= kilobytes * 1024, "{file} has {bytes} bytes");
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
    let in_folder = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let documents: Vec<_> = names.filter(|name| name.ends_with(".md")).collect();
        documents.into_iter().map(|name| format!("{folder}/{name}")).collect::<Vec<_>>()
    };
    let folders = [".", "docs", "docs/adr", "docs/cli", "docs/runbooks", "shared", "stream-relay"];
    let mut documents = folders.map(in_folder).concat();
    documents
        .extend(["dispatcher", "confirmer", "tests", "local/sqs-fifo"].map(in_folder).concat());
    assert!(documents.iter().any(|file| file.ends_with("the-day.md")));
    for file in &documents {
        let folder = root().join(file).parent().unwrap().to_owned();
        for target in link.captures_iter(&read(file)) {
            assert!(folder.join(&target[1]).exists(), "{file} links to {}", &target[1]);
        }
    }
}

/// The block of a language in the item contract.
fn contract(language: &str) -> String {
    let document = read("docs/item-contract.md");
    let block = document.split(&format!("```{language}\n")).nth(1).unwrap();
    block.split("\n```").next().unwrap().to_owned()
}

/// An item from DynamoDB's JSON.
fn item_of(json: &Value) -> HashMap<String, AttributeValue> {
    let value = |value: &Value| match (value["S"].as_str(), value["N"].as_str()) {
        (Some(text), None) => AttributeValue::S(text.to_owned()),
        (None, Some(digits)) => AttributeValue::N(digits.to_owned()),
        _ => panic!("{value} is neither a text nor a number"),
    };
    json.as_object().unwrap().iter().map(|(name, of)| (name.clone(), value(of))).collect()
}

/// Reads an item as dueflow does, and compares its keys with its other attributes.
fn assert_is_payment(item: &HashMap<String, AttributeValue>) -> StoredPayment {
    let stored = StoredPayment::from_item(item).unwrap();
    let payment = &stored.payment;
    assert_eq!((stored.status, stored.attempts), (Status::Scheduled, 0));
    assert_eq!(stored.updated_at, payment.created_at);
    let (account, due, id) = (&payment.account, payment.due, payment.id);
    for (name, expected) in [
        ("PK", format!("ACCOUNT#{account}")),
        ("SK", format!("{due}#{id}")),
        ("DueShard", format!("{due}#{:02}", id.due_shard(16))),
        ("DueKey", format!("{account}#{id}")),
    ] {
        assert_eq!(item[name].as_s().unwrap(), &expected, "{name}");
    }
    stored
}

#[test]
fn the_item_of_the_contract_is_a_payment() {
    let item = item_of(&serde_json::from_str(&contract("json")).unwrap());
    assert_is_payment(&item);
    let document = read("docs/item-contract.md");
    let optional = |name: &str| name == "DataBlob" || name == "BlobDigest";
    let rows = Regex::new(r"(?m)^\| `(\w+)` \| [SN] \|").unwrap();
    let table = document.split("## Insert once").next().unwrap();
    let named: BTreeSet<_> = rows.captures_iter(table).map(|row| row[1].to_owned()).collect();
    let has: BTreeSet<_> = item.keys().cloned().collect();
    assert!(has.is_subset(&named), "{has:?} and {named:?}");
    for name in named.iter().filter(|name| !optional(name)) {
        let mut without = item.clone();
        without.remove(name);
        let is_key = ["PK", "SK", "DueShard", "DueKey"].contains(&name.as_str());
        let read = StoredPayment::from_item(&without);
        assert!(is_key || read.is_err(), "{name} is not required: {read:?}");
    }
}

/// The table of shards: id, of 16, of 10.
fn vectors() -> Vec<(PaymentId, String, String)> {
    let row = Regex::new(r"(?m)^\| `([0-9a-f-]{36})` \| `(\d\d)` \| `(\d\d)` \|$").unwrap();
    let document = read("docs/item-contract.md");
    let rows = row.captures_iter(&document);
    rows.map(|row| (row[1].parse().unwrap(), row[2].to_owned(), row[3].to_owned())).collect()
}

#[test]
fn the_shards_of_the_contract_are_the_codes() {
    let vectors = vectors();
    assert!(vectors.len() >= 5);
    for (id, of_16, of_10) in vectors {
        assert_eq!(format!("{:02}", id.due_shard(16)), of_16, "{id}");
        assert_eq!(format!("{:02}", id.due_shard(10)), of_10, "{id}");
    }
}

/// Without Python there is nothing to run; the vectors are compared all the same.
#[test]
fn the_python_of_the_contract_makes_payments_that_dueflow_reads() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("contract.py"), contract("python")).unwrap();
    let ids: Vec<_> = vectors().iter().map(|(id, ..)| id.to_string()).collect();
    let program = "\
import contract, json, sys
ids = sys.argv[1:]
made = contract.new_payment_id()
blob, digest = contract.blob_item(made, 'ACC-1', '2026-11-24', 'h\u{e9}')
typed = lambda item: {k: {'N': str(v)} if isinstance(v, int) else {'S': v} for k, v in item.items()}
payment = contract.payment_item(made, 'ACC-1', '2026-11-24', 1250, 'EUR', 'BEN-1', blob='x')
shards = [[contract.due_shard(i), contract.due_shard(i, 10)] for i in ids]
print(json.dumps([shards, typed(payment), typed(blob), digest]))";
    let output = Command::new("python3")
        .args(["-B", "-c", program])
        .args(&ids)
        .current_dir(folder.path())
        .output();
    let Ok(output) = output else {
        println!("there is no python3 here");
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    let made: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
    for ((id, of_16, of_10), shards) in vectors().into_iter().zip(made[0].as_array().unwrap()) {
        assert_eq!((&shards[0], &shards[1]), (&of_16.into(), &of_10.into()), "{id}");
    }
    let stored = assert_is_payment(&item_of(&made[1]));
    assert_eq!(stored.payment.amount.minor_units(), 1_250);
    let blob = item_of(&made[2]);
    assert_eq!(blob["PK"].as_s().unwrap(), "BLOB#ACC-1");
    assert_eq!(blob["SK"].as_s().unwrap(), &format!("2026-11-24#{}", stored.payment.id));
    assert!(blob["ExpiresAt"].as_n().unwrap().parse::<i64>().unwrap() >= 1_830_000_000);
    let digest = Sha256::digest("h\u{e9}".as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(made[3], digest.as_str());
}
