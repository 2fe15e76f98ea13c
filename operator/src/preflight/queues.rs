//! Queues as they should be.

use std::collections::BTreeMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use indicatif::HumanCount;
use serde_json::Value;
use shared::resources::QueueDefinition;

use super::check::{Check, CheckResult};
use super::format::cause;

/// A queue's attributes by SQS's names.
pub(super) type FoundAttributes = BTreeMap<String, String>;

const REDRIVE: &str = "RedrivePolicy";
const REMEDY: &str = "dueflow setup";

/// Reads all attributes of a queue; `None` when there is no such queue.
///
/// # Errors
/// Why they could not be read.
pub(super) async fn read(client: &Client, name: &str) -> Result<Option<FoundAttributes>, String> {
    let url = match client.get_queue_url().queue_name(name).send().await {
        Ok(output) => output.queue_url,
        Err(error) => match error.as_service_error() {
            Some(refused) if refused.is_queue_does_not_exist() => return Ok(None),
            Some(_) | None => return Err(cause(&error)),
        },
    };
    let request = client.get_queue_attributes().set_queue_url(url);
    let output = request.attribute_names(QueueAttributeName::All).send().await;
    let attributes = output.map_err(|error| cause(&error))?.attributes.unwrap_or_default();
    Ok(Some(
        attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect(),
    ))
}

/// One result for each difference, or one that says that there is none.
pub(super) fn evaluate(
    wanted: &QueueDefinition,
    found: Option<&FoundAttributes>,
) -> Vec<CheckResult> {
    let QueueDefinition { name, attributes, redrive } = wanted;
    let Some(found) = found else {
        return vec![CheckResult::no_go(Check::Queue, format!("{name}: missing"), "", REMEDY)];
    };
    let mut wrong: Vec<CheckResult> = attributes
        .iter()
        .filter(|(attribute, value)| !is_met(attribute, value, found))
        .map(|(attribute, value)| difference(name, attribute, value, found))
        .collect();
    let policy = found.get(REDRIVE);
    wrong.extend(redrive.as_ref().and_then(|(target, deliveries)| {
        let policy = policy.and_then(|policy| serde_json::from_str::<Value>(policy).ok());
        evaluate_redrive(name, target, *deliveries, policy.as_ref())
    }));
    if wrong.is_empty() {
        let figure = match redrive {
            Some((target, deliveries)) => format!(
                "{name}: FIFO, high throughput, redrive to {target} after {} deliveries",
                HumanCount((*deliveries).into())
            ),
            None => format!("{name}: FIFO, high throughput"),
        };
        return vec![CheckResult::go(Check::Queue, figure, "")];
    }
    wrong
}

fn is_met(attribute: &str, wanted: &str, found: &FoundAttributes) -> bool {
    let is = |value: Option<&String>| value.is_some_and(|value| value == wanted);
    match attribute {
        // A key of the bank's own is encryption too, and takes the place of SQS's.
        "SqsManagedSseEnabled" => {
            is(found.get(attribute))
                || found.get("KmsMasterKeyId").is_some_and(|key| !key.is_empty())
        }
        _ => is(found.get(attribute)),
    }
}

/// What only costs time or protection warns; what breaks order, exactly-once work or the
/// keeping of messages stops.
fn difference(queue: &str, attribute: &str, wanted: &str, found: &FoundAttributes) -> CheckResult {
    let value = found.get(attribute).map_or("not set", String::as_str);
    let figure = format!("{queue}: {attribute} is {value}");
    match attribute {
        // Receivers name their own visibility timeout, senders their own deduplication ids.
        "VisibilityTimeout" | "ContentBasedDeduplication" | "SqsManagedSseEnabled" => {
            CheckResult::warn(Check::Queue, figure, wanted, REMEDY)
        }
        "FifoQueue" => {
            let remedy = "delete it when it is empty, then dueflow setup";
            CheckResult::no_go(Check::Queue, figure, wanted, remedy)
        }
        _ => CheckResult::no_go(Check::Queue, figure, wanted, REMEDY),
    }
}

fn evaluate_redrive(
    queue: &str,
    target: &str,
    deliveries: u32,
    policy: Option<&Value>,
) -> Option<CheckResult> {
    let needed = format!("to {target} after {} deliveries", HumanCount(deliveries.into()));
    let no_go = |words: String| {
        Some(CheckResult::no_go(Check::Queue, format!("{queue}: {words}"), needed.clone(), REMEDY))
    };
    let Some(policy) = policy else {
        return no_go("no redrive to a dead-letter queue".to_owned());
    };
    let arn = policy["deadLetterTargetArn"].as_str().unwrap_or_default();
    let found_target = arn.rsplit(':').next().unwrap_or_default();
    // SQS gives back the number as it was set: as a number or as a text.
    let count = &policy["maxReceiveCount"];
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or_default();
    if found_target == target && count == u64::from(deliveries) {
        return None;
    }
    no_go(format!("redrive to {found_target} after {} deliveries", HumanCount(count)))
}

#[cfg(test)]
mod tests {
    use super::super::check::{Severity, overall};
    use super::*;

    fn payments() -> QueueDefinition {
        let mut queues = shared::resources::queues(&"dueflow".parse().unwrap());
        queues.remove(queues.iter().position(|queue| queue.redrive.is_some()).unwrap())
    }

    const POLICY: &str = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-south-2:1:dueflow-payments-dlq.fifo","maxReceiveCount":1000}"#;

    fn as_wanted() -> FoundAttributes {
        let attributes = payments().attributes.into_iter();
        let mut attributes: FoundAttributes = attributes.map(|(n, v)| (n.to_owned(), v)).collect();
        attributes.insert(REDRIVE.to_owned(), POLICY.to_owned());
        attributes
    }

    fn with(attribute: &str, value: Option<&str>) -> Vec<CheckResult> {
        let mut found = as_wanted();
        found.remove(attribute);
        found.extend(value.map(|value| (attribute.to_owned(), value.to_owned())));
        evaluate(&payments(), Some(&found))
    }

    #[test]
    fn a_queue_as_setup_makes_it_is_go_and_a_missing_one_is_a_no_go() {
        assert_eq!(overall(&evaluate(&payments(), Some(&as_wanted()))), Severity::Go);
        assert_eq!(overall(&evaluate(&payments(), None)), Severity::NoGo);
        let text = POLICY.replace("1000", "\"1000\"");
        assert_eq!(overall(&with(REDRIVE, Some(&text))), Severity::Go);
    }

    #[test]
    fn each_difference_is_a_line_that_says_how_grave_it_is() {
        for (attribute, value, severity) in [
            ("FifoQueue", None, Severity::NoGo),
            ("DeduplicationScope", Some("queue"), Severity::NoGo),
            ("FifoThroughputLimit", Some("perQueue"), Severity::NoGo),
            ("MessageRetentionPeriod", Some("345600"), Severity::NoGo),
            ("ContentBasedDeduplication", Some("true"), Severity::Warn),
            ("VisibilityTimeout", Some("30"), Severity::Warn),
            ("SqsManagedSseEnabled", Some("false"), Severity::Warn),
            (REDRIVE, None, Severity::NoGo),
            (REDRIVE, Some("nonsense"), Severity::NoGo),
            (REDRIVE, Some(&POLICY.replace("1000", "999")), Severity::NoGo),
            (REDRIVE, Some(&POLICY.replace("-dlq", "-other")), Severity::NoGo),
        ] {
            let results = with(attribute, value);
            assert_eq!(results.len(), 1, "{results:?}");
            assert_eq!(results[0].severity, severity, "{attribute}: {results:?}");
        }
    }

    #[test]
    fn a_key_of_the_banks_own_is_encryption_too() {
        let mut found = as_wanted();
        found.insert("SqsManagedSseEnabled".to_owned(), "false".to_owned());
        found.insert("KmsMasterKeyId".to_owned(), "alias/bank".to_owned());
        assert_eq!(overall(&evaluate(&payments(), Some(&found))), Severity::Go);
    }
}
