//! What a query names, against the metrics of the services.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{AggregateExpr, Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use shared::telemetry::{calls, process};

/// Labels that Prometheus gives every series.
const OF_TARGET: [&str; 2] = ["instance", "job"];

/// The series that exist, by name: their own labels with all values. A label without a list may
/// have any value.
pub(crate) struct Exported(HashMap<String, HashMap<String, Vec<String>>>);

impl Exported {
    /// Those of the services, Prometheus' own, and `recorded` by rules.
    pub(crate) fn new(recorded: &[(String, Vec<String>)]) -> Self {
        let mut series: HashMap<String, HashMap<String, Vec<String>>> = HashMap::new();
        let services = [stream_relay::METRICS, dispatcher::METRICS, confirmer::METRICS];
        for metric in services.into_iter().flatten().chain(calls::ALL).chain(process::ALL) {
            let mut add = |suffix: &str, more: Option<(&str, &[&str])>| {
                // One name may be of several services, each with values of its own.
                let known = series.entry(format!("{}{suffix}", metric.name)).or_default();
                for (label, values) in metric.label().into_iter().chain(more) {
                    let values = values.iter().map(|value| (*value).to_owned());
                    known.entry(label.to_owned()).or_default().extend(values);
                }
            };
            if metric.kind() == "histogram" {
                add("_bucket", Some(("le", &[])));
                ["_sum", "_count"].iter().for_each(|suffix| add(suffix, None));
            } else {
                add("", None);
            }
        }
        series.insert("up".to_owned(), HashMap::new());
        for (name, labels) in recorded {
            let labels = labels.iter().map(|label| (label.clone(), Vec::new()));
            series.insert(name.clone(), labels.collect());
        }
        Self(series)
    }

    /// What `query` names and nobody exports; Grafana's variables count as Prometheus takes them.
    pub(crate) fn faults(&self, query: &str) -> Vec<String> {
        let expression = match promql_parser::parser::parse(&filled_in(query)) {
            Ok(expression) => expression,
            Err(error) => return vec![error],
        };
        let mut check = Check { exported: self, faults: Vec::new() };
        let Ok(_) = walk_expr(&mut check, &expression);
        check.faults
    }
}

/// A query with Grafana's variables replaced.
pub(crate) fn filled_in(query: &str) -> String {
    query.replace("$__rate_interval", "1m")
}

struct Check<'a> {
    exported: &'a Exported,
    faults: Vec<String>,
}

impl Check<'_> {
    fn selector(&mut self, selector: &VectorSelector) {
        let name = selector.name.clone().unwrap_or_default();
        let Some(labels) = self.exported.0.get(&name) else {
            return self.faults.push(format!("no service exports {name:?}"));
        };
        for Matcher { op, name: label, value } in &selector.matchers.matchers {
            if OF_TARGET.contains(&label.as_str()) {
                continue;
            }
            let Some(known) = labels.get(label) else {
                self.faults.push(format!("{name} has no label {label:?}"));
                continue;
            };
            let wanted = match op {
                MatchOp::Equal | MatchOp::NotEqual => vec![value.as_str()],
                MatchOp::Re(_) | MatchOp::NotRe(_) => value.split('|').collect(),
            };
            let unknown = wanted
                .iter()
                .filter(|value| !known.is_empty() && !known.iter().any(|known| known == *value));
            for value in unknown {
                self.faults.push(format!("{name}: {label} is never {value:?}"));
            }
        }
    }

    /// The labels by which something is grouped must be there.
    fn aggregate(&mut self, aggregate: &AggregateExpr) {
        let Some(modifier) = &aggregate.modifier else { return };
        let known = self.labels_in(&aggregate.expr);
        let unknown = modifier.labels().labels.iter().filter(|label| {
            !known.contains(label.as_str()) && !OF_TARGET.contains(&label.as_str())
        });
        let fault = |label| format!("nothing in `{}` has a label {label:?}", aggregate.expr);
        let faults: Vec<_> = unknown.map(fault).collect();
        self.faults.extend(faults);
    }

    fn labels_in(&self, expression: &Expr) -> BTreeSet<&str> {
        let mut named = Names(Vec::new());
        let Ok(_) = walk_expr(&mut named, expression);
        let labels = named.0.iter().filter_map(|name| self.exported.0.get(name));
        labels.flat_map(HashMap::keys).map(String::as_str).collect()
    }
}

impl ExprVisitor for Check<'_> {
    type Error = Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Infallible> {
        if let Expr::Aggregate(aggregate) = expression {
            self.aggregate(aggregate);
        }
        if let Some(selector) = selector(expression) {
            self.selector(selector);
        }
        Ok(true)
    }
}

/// The names in an expression.
struct Names(Vec<String>);

impl ExprVisitor for Names {
    type Error = Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Infallible> {
        self.0.extend(selector(expression).and_then(|selector| selector.name.clone()));
        Ok(true)
    }
}

fn selector(expression: &Expr) -> Option<&VectorSelector> {
    match expression {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        _ => None,
    }
}

#[test]
fn a_renamed_metric_a_wrong_label_and_a_wrong_value_are_noticed() {
    let exported = Exported::new(&[]);
    let faults = |query: &str| exported.faults(query).join("; ");
    let good = "sum by (result) (rate(dueflow_dispatcher_submissions_total[$__rate_interval]))";
    assert_eq!(faults(good), "");
    let renamed = "rate(dueflow_dispatcher_submitted_total[5m])";
    assert!(faults(renamed).contains("dueflow_dispatcher_submitted_total"));
    let label = r#"dueflow_dispatcher_submissions_total{outcome="settled"}"#;
    assert!(faults(label).contains("no label \"outcome\""), "{}", faults(label));
    for wrong in [r#"="paid""#, r#"=~"settled|paid""#, r#"!="paid""#] {
        let value = format!("dueflow_dispatcher_submissions_total{{result{wrong}}}");
        assert!(faults(&value).contains("never \"paid\""), "{}", faults(&value));
    }
    let group = "sum by (outcome) (rate(dueflow_dispatcher_submissions_total[5m]))";
    assert!(faults(group).contains("label \"outcome\""), "{}", faults(group));
    let bucket = "dueflow_dispatcher_submission_duration_seconds";
    assert_eq!(faults(&format!("rate({bucket}_bucket[5m])")), "");
    assert!(!faults(bucket).is_empty(), "a histogram has no series of its own name");
    assert!(!faults("sum(").is_empty());
}
