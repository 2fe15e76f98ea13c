//! This machine's clock beside those of the services it talks to.

use super::finding::{Check, Finding};

/// Seconds of difference that are no difference: the header has whole seconds, and an answer
/// takes its time.
const GO: u64 = 5;

/// Seconds of difference at which a payment may be taken for due on the wrong day. AWS refuses
/// signatures that are five minutes off (AWS General Reference, "Signature Version 4").
const WARN: u64 = 60;

/// Judges how many seconds the clocks of others are ahead of this machine's; `None` for one
/// that does not say.
pub(super) fn judge(clocks: &[(&str, Option<i64>)]) -> Finding {
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
        None => Finding::warn(Check::Clock, figure, needed, "compare the clock by hand"),
        Some(..=GO) => Finding::go(Check::Clock, figure, needed),
        Some(..=WARN) => Finding::warn(Check::Clock, figure, needed, remedy),
        Some(_) => Finding::no_go(Check::Clock, figure, needed, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_clock_may_be_five_seconds_off_and_not_more_than_a_minute() {
        for (ahead, verdict) in [
            (0, Verdict::Go),
            (5, Verdict::Go),
            (-5, Verdict::Go),
            (6, Verdict::Warn),
            (-6, Verdict::Warn),
            (60, Verdict::Warn),
            (61, Verdict::NoGo),
            (-61, Verdict::NoGo),
        ] {
            assert_eq!(judge(&[("A", Some(0)), ("B", Some(ahead))]).verdict, verdict, "{ahead}");
        }
    }

    #[test]
    fn a_clock_that_is_not_reported_leaves_the_others_to_judge_by() {
        assert_eq!(judge(&[("A", None), ("B", Some(1))]).verdict, Verdict::Go);
        assert_eq!(judge(&[("A", None), ("B", None)]).verdict, Verdict::Warn);
    }
}
