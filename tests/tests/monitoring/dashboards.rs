//! The dashboards.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::exported::Exported;
use crate::root;
use crate::rules::recorded;

/// The dashboards by their file names.
pub(crate) fn dashboards() -> Vec<(String, Value)> {
    let files = fs::read_dir(root().join("infra/monitoring/dashboards")).unwrap();
    let mut all: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
        })
        .collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

fn panels(dashboard: &Value) -> &[Value] {
    dashboard["panels"].as_array().unwrap()
}

/// The queries of a dashboard, with the titles of their panels.
pub(crate) fn queries(dashboard: &Value) -> Vec<(&str, &str)> {
    let mut queries = Vec::new();
    for panel in panels(dashboard) {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().unwrap();
        queries.extend(targets.iter().map(|target| (title, target["expr"].as_str().unwrap())));
    }
    queries
}

#[test]
fn dashboards_ask_only_for_what_services_export() {
    let exported = Exported::new(&recorded());
    for (file, dashboard) in dashboards() {
        for (title, query) in queries(&dashboard) {
            let faults = exported.faults(query);
            assert!(faults.is_empty(), "{file}, {title}: {query}: {faults:?}");
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    let mut uids = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        assert_eq!(dashboard["uid"].as_str(), Some(file.as_str()));
        assert!(uids.insert(file.clone()));
        assert!(dashboard["description"].as_str().is_some_and(|text| !text.is_empty()), "{file}");
        let mut ids = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
            assert!(unit.is_some_and(|unit| !unit.is_empty()), "{file}, {title}: no unit");
            let description = panel["description"].as_str();
            assert!(description.is_some_and(|d| !d.is_empty()), "{file}, {title}: no description");
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{file}, {title}: no query");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{file}, {title}: its id is taken");
            let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{file}, {title} is too wide");
        }
    }
}

#[test]
fn no_panel_lies_on_another() {
    for (file, dashboard) in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in panels(&dashboard) {
            let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{file}, {}", panel["title"]);
                }
            }
        }
    }
}
