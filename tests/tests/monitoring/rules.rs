//! The alert rules, and that each has a test.

use std::collections::BTreeSet;

use regex_lite::Regex;
use yaml_rust2::{Yaml, YamlLoader};

use crate::exported::Exported;
use crate::runbooks::{section_exists, takes};
use crate::{read, root};

/// Where the rules are.
pub(crate) const RULES: &str = "infra/monitoring/rules/dueflow.yml";
/// Where they are tested.
pub(crate) const RULE_TESTS: &str = "infra/monitoring/rules/tests/dueflow.yml";

fn rules() -> Vec<Yaml> {
    let documents = YamlLoader::load_from_str(&read(RULES)).unwrap();
    let groups = documents[0]["groups"].as_vec().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_vec().unwrap().clone()).collect()
}

fn alerts() -> Vec<(String, Yaml)> {
    let named = |rule: Yaml| rule["alert"].as_str().map(str::to_owned).map(|name| (name, rule));
    rules().into_iter().filter_map(named).collect()
}

/// The series that rules record, with the labels that they are grouped by.
pub(crate) fn recorded() -> Vec<(String, Vec<String>)> {
    let by = Regex::new(r"^sum by \(([a-z_, ]+)\)").unwrap();
    let of = |rule: Yaml| {
        let name = rule["record"].as_str()?.to_owned();
        let grouped = by.captures(rule["expr"].as_str()?)?;
        Some((name, grouped[1].split(", ").map(str::to_owned).collect()))
    };
    rules().into_iter().filter_map(of).collect()
}

#[test]
fn rules_name_only_what_services_export() {
    let exported = Exported::new(&recorded());
    for rule in rules() {
        let expression = rule["expr"].as_str().unwrap();
        let faults = exported.faults(expression);
        assert!(faults.is_empty(), "{expression}: {faults:?}");
    }
}

#[test]
fn every_alert_says_how_urgent_it_is_what_it_means_what_to_run_and_where_to_read_on() {
    for (name, rule) in alerts() {
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["page", "ticket"].contains(&severity), "{name}: severity {severity:?}");
        for text in ["summary", "description"] {
            let text = rule["annotations"][text].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{name} lacks an annotation");
        }
        let command = rule["annotations"]["command"].as_str().unwrap_or_default();
        takes(command).unwrap_or_else(|error| panic!("{name}: {error}"));
        let runbook = rule["annotations"]["runbook"].as_str().unwrap_or_default();
        let (page, anchor) = runbook.split_once('#').unwrap_or_else(|| panic!("{name}: {runbook}"));
        assert!(root().join(page).is_file(), "{name}: there is no {page}");
        assert!(section_exists(&read(page), anchor), "{name}: {page} has no section #{anchor}");
    }
}

#[test]
fn every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
    let documents = YamlLoader::load_from_str(&read(RULE_TESTS)).unwrap();
    let (mut firing, mut quiet) = (BTreeSet::new(), BTreeSet::new());
    for test in documents[0]["tests"].as_vec().unwrap() {
        let series = test["input_series"].as_vec().unwrap();
        let about = test["name"].as_str().unwrap();
        let about = about.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
        assert!(!series.is_empty(), "{about} has no input");
        for step in test["promql_expr_test"].as_vec().unwrap() {
            let samples = step["exp_samples"].as_vec().unwrap();
            let names = samples.iter().filter_map(|sample| sample["labels"].as_str());
            let names: Vec<_> = names.map(|labels| labels.split('"').nth(1).unwrap()).collect();
            if !names.contains(&about.as_str()) {
                quiet.insert(about.clone());
            }
            firing.extend(names.into_iter().map(str::to_owned));
        }
    }
    for (name, _) in alerts() {
        assert!(firing.contains(&name), "{name} fires in no test");
        assert!(quiet.contains(&name), "no test of {name} shows when it does not fire");
    }
}
