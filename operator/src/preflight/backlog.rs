//! Messages in the queues before the batch.

use std::time::Duration;

use super::check::{Check, CheckResult};
use super::format::{several, time};
use super::load::BatchLoad;
use super::queues::FoundAttributes;

/// A backlog that takes at most this long at tonight's rate is ordinary.
const ORDINARY: Duration = Duration::from_secs(60);

/// Messages in a queue, visible, in flight or delayed; `None` when the attributes do not say. SQS
/// calls the numbers approximate: they are exact about a minute after the last change.
pub(super) fn messages(attributes: &FoundAttributes) -> Option<u64> {
    let count = |name: &str| attributes.get(name)?.parse::<u64>().ok();
    let beside = ["ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"];
    let visible = count("ApproximateNumberOfMessages")?;
    Some(visible + beside.into_iter().filter_map(count).sum::<u64>())
}

/// The dead-letter queue must be empty: each dead letter is a payment that waits for a person.
pub(super) fn evaluate_dead_letters(queue: &str, dead_letters: u64) -> CheckResult {
    let figure = format!("{queue}: {}", several(dead_letters, "dead letter"));
    if dead_letters == 0 {
        return CheckResult::go(Check::DeadLetters, figure, "");
    }
    let remedy = "dueflow dlq list, then docs/runbooks/dead-letters.md";
    CheckResult::no_go(Check::DeadLetters, figure, "none", remedy)
}

/// Messages that wait in a queue are processed before tonight's payments of the same accounts.
pub(super) fn evaluate(queue: &str, waiting: u64, load: &BatchLoad) -> CheckResult {
    let takes = Duration::from_secs_f64(waiting as f64 / load.rate());
    let figure = format!(
        "{queue}: {} waiting, {} at tonight's rate",
        several(waiting, "message"),
        time(takes)
    );
    let needed = format!("at most {} of work", time(ORDINARY));
    let remedy = "see that dispatchers and confirmers run and the transaction service answers; \
                  wait until the queue is empty";
    if takes <= ORDINARY {
        CheckResult::go(Check::Backlog, figure, needed)
    } else if takes <= load.window / 2 {
        CheckResult::warn(Check::Backlog, figure, needed, remedy)
    } else {
        CheckResult::no_go(Check::Backlog, figure, needed, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Severity;
    use super::super::load::tests::a_million;
    use super::*;

    #[test]
    fn one_dead_letter_is_one_too_many() {
        assert_eq!(evaluate_dead_letters("q", 0).severity, Severity::Go);
        assert_eq!(evaluate_dead_letters("q", 1).severity, Severity::NoGo);
    }

    #[test]
    fn a_backlog_may_be_a_minutes_work_and_not_half_of_the_window() {
        // 555.6 a second: 33,333 in a minute, 500,000 in a quarter of an hour.
        for (waiting, severity) in [
            (0, Severity::Go),
            (33_333, Severity::Go),
            (33_334, Severity::Warn),
            (500_000, Severity::Warn),
            (500_001, Severity::NoGo),
        ] {
            assert_eq!(evaluate("q", waiting, &a_million()).severity, severity, "{waiting}");
        }
    }

    #[test]
    fn messages_in_flight_and_messages_delayed_are_waiting_too() {
        let attributes = [
            ("ApproximateNumberOfMessages", "3"),
            ("ApproximateNumberOfMessagesNotVisible", "4"),
            ("ApproximateNumberOfMessagesDelayed", "5"),
        ];
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let attributes: FoundAttributes = attributes.into_iter().map(own).collect();
        assert_eq!(messages(&attributes), Some(12));
        assert_eq!(messages(&FoundAttributes::new()), None);
    }
}
