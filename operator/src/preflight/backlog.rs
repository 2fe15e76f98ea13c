//! What lies in the queues before the batch.

use std::time::Duration;

use super::figures::{several, time};
use super::finding::{Check, Finding};
use super::load::Load;
use super::queues::Attributes;

/// A backlog that is gone within so long is the day's ordinary work.
const ORDINARY: Duration = Duration::from_secs(60);

/// Messages in a queue, in somebody's hand or not; `None` when the attributes do not say. SQS
/// calls the numbers approximate: they are exact about a minute after the last change.
pub(super) fn messages(attributes: &Attributes) -> Option<u64> {
    let count = |name: &str| attributes.get(name)?.parse::<u64>().ok();
    let beside = ["ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"];
    let visible = count("ApproximateNumberOfMessages")?;
    Some(visible + beside.into_iter().filter_map(count).sum::<u64>())
}

/// The dead-letter queue must be empty: an account's letter is a payment that somebody waits for.
pub(super) fn judge_dead_letters(queue: &str, letters: u64) -> Finding {
    let figure = format!("{queue}: {}", several(letters, "letter"));
    if letters == 0 {
        return Finding::go(Check::DeadLetters, figure, "");
    }
    let remedy = "dueflow dlq list, then docs/runbooks/dead-letters.md";
    Finding::no_go(Check::DeadLetters, figure, "none", remedy)
}

/// What waits in a queue is worked off before tonight's payments of the same accounts.
pub(super) fn judge(queue: &str, waiting: u64, load: &Load) -> Finding {
    let takes = Duration::from_secs_f64(waiting as f64 / load.rate());
    let figure = format!(
        "{queue}: {} waiting, {} at tonight's rate",
        several(waiting, "message"),
        time(takes)
    );
    let needed = format!("at most {} of work", time(ORDINARY));
    let remedy = "see that dispatchers and confirmers run and the transaction service answers; \
                  wait until it is worked off";
    if takes <= ORDINARY {
        Finding::go(Check::Backlog, figure, needed)
    } else if takes <= load.window / 2 {
        Finding::warn(Check::Backlog, figure, needed, remedy)
    } else {
        Finding::no_go(Check::Backlog, figure, needed, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::load::tests::a_million;
    use super::*;

    #[test]
    fn one_dead_letter_is_one_too_many() {
        assert_eq!(judge_dead_letters("q", 0).verdict, Verdict::Go);
        assert_eq!(judge_dead_letters("q", 1).verdict, Verdict::NoGo);
    }

    #[test]
    fn a_backlog_may_be_a_minutes_work_and_not_half_of_the_window() {
        // 555.6 a second: 33,333 in a minute, 500,000 in a quarter of an hour.
        for (waiting, verdict) in [
            (0, Verdict::Go),
            (33_333, Verdict::Go),
            (33_334, Verdict::Warn),
            (500_000, Verdict::Warn),
            (500_001, Verdict::NoGo),
        ] {
            assert_eq!(judge("q", waiting, &a_million()).verdict, verdict, "{waiting}");
        }
    }

    #[test]
    fn messages_in_hand_and_messages_delayed_are_waiting_too() {
        let attributes = [
            ("ApproximateNumberOfMessages", "3"),
            ("ApproximateNumberOfMessagesNotVisible", "4"),
            ("ApproximateNumberOfMessagesDelayed", "5"),
        ];
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let attributes: Attributes = attributes.into_iter().map(own).collect();
        assert_eq!(messages(&attributes), Some(12));
        assert_eq!(messages(&Attributes::new()), None);
    }
}
