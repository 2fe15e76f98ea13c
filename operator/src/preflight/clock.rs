//! This machine's clock beside those of the services it talks to.

use super::check::{Check, CheckResult};

/// Seconds of difference that are no difference: the header has whole seconds, and an answer
/// takes its time.
const GO: u64 = 5;

/// Seconds of difference at which a payment may be taken for due on the wrong day. AWS refuses
/// signatures that are five minutes off (AWS General Reference, "Signature Version 4").
const WARN: u64 = 60;

/// Judges how many seconds the clocks of others are ahead of this machine's; `None` for one
/// that does not say.
pub(super) fn evaluate(clocks: &[(&str, Option<i64>)]) -> CheckResult {
    let words = |(who, ahead): &(&str, Option<i64>)| match ahead {
        Some(ahead) => format!("{who} {ahead:+} s"),
        None => format!("{who} not reported"),
    };
    let figure = clocks.iter().map(words).collect::<Vec<_>>().join(", ");
    let needed = format!("at most {GO} s apart");
    let remedy = "synchronise the clocks (chrony, systemd-timesyncd): it decides what is due today, \
                  and AWS refuses signatures that are 5 min off";
    let known = clocks.iter().filter_map(|(_, ahead)| ahead.map(i64::unsigned_abs));
    match known.max() {
        None => CheckResult::warn(Check::Clock, figure, needed, "compare the clock by hand"),
        Some(..=GO) => CheckResult::go(Check::Clock, figure, needed),
        Some(..=WARN) => CheckResult::warn(Check::Clock, figure, needed, remedy),
        Some(_) => CheckResult::no_go(Check::Clock, figure, needed, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Severity;
    use super::*;

    #[test]
    fn a_clock_may_be_five_seconds_off_and_not_more_than_a_minute() {
        for (ahead, severity) in [
            (0, Severity::Go),
            (5, Severity::Go),
            (-5, Severity::Go),
            (6, Severity::Warn),
            (-6, Severity::Warn),
            (60, Severity::Warn),
            (61, Severity::NoGo),
            (-61, Severity::NoGo),
        ] {
            assert_eq!(
                evaluate(&[("A", Some(0)), ("B", Some(ahead))]).severity,
                severity,
                "{ahead}"
            );
        }
    }

    #[test]
    fn a_clock_that_is_not_reported_leaves_the_others_to_judge_by() {
        assert_eq!(evaluate(&[("A", None), ("B", Some(1))]).severity, Severity::Go);
        assert_eq!(evaluate(&[("A", None), ("B", None)]).severity, Severity::Warn);
    }
}
