//! Which day is to be opened next: pure.

use std::collections::BTreeSet;

use domain::DueDate;

/// Farthest back that a day is opened, whatever was missed: as far as `DUEFLOW_SWEEP_DAYS` may
/// reach.
const FARTHEST: u16 = 366;

/// What is known of the days.
#[derive(Debug, Default)]
pub(super) struct DayStates {
    /// Opened to their end.
    pub(super) opened: BTreeSet<DueDate>,
    /// Begun and not ended.
    pub(super) begun: BTreeSet<DueDate>,
}

impl DayStates {
    /// The oldest day up to `today` that is not open yet. Besides the `window` of days before
    /// today these are the days after the last one that was opened, and those that were begun:
    /// relays that were away for longer than the window miss no day.
    pub(super) fn unopened(&self, today: DueDate, window: u16) -> Option<DueDate> {
        let follows = self.opened.last().map(|last| last.days_after(1));
        let first = [Some(today.days_before(window)), self.begun.first().copied(), follows];
        let first = first.into_iter().flatten().min()?;
        let mut day = first.max(today.days_before(FARTHEST));
        while day <= today {
            if !self.opened.contains(&day) {
                return Some(day);
            }
            day = day.days_after(1);
        }
        None
    }

    /// Open days that nobody needs to remember: before the window, and not the last one.
    pub(super) fn past(&self, today: DueDate, window: u16) -> impl Iterator<Item = DueDate> {
        let first = today.days_before(window).days_before(1);
        let last = self.opened.last().copied();
        self.opened.iter().copied().filter(move |day| *day < first && Some(*day) != last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> DueDate {
        text.parse().unwrap()
    }

    fn days(opened: &[&str], begun: &[&str]) -> DayStates {
        let all = |texts: &[&str]| texts.iter().map(|text| day(text)).collect();
        DayStates { opened: all(opened), begun: all(begun) }
    }

    #[test]
    fn the_oldest_day_that_is_not_open_comes_first() {
        let today = day("2026-11-24");
        let next = |days: DayStates| days.unopened(today, 2).map(|day| day.to_string());
        let is = |day: &str| Some(day.to_owned());
        assert_eq!(next(days(&[], &[])), is("2026-11-22"));
        assert_eq!(next(days(&["2026-11-22"], &[])), is("2026-11-23"));
        assert_eq!(next(days(&["2026-11-22", "2026-11-24"], &[])), is("2026-11-23"));
        assert_eq!(next(days(&["2026-11-22", "2026-11-23", "2026-11-24"], &[])), None);
        assert_eq!(next(days(&["2026-11-22"], &["2026-11-23"])), is("2026-11-23"));
        // Away for longer than the window.
        assert_eq!(next(days(&["2026-11-10"], &[])), is("2026-11-11"));
        assert_eq!(next(days(&["2026-11-10"], &["2026-11-11"])), is("2026-11-11"));
        // A clock went back.
        let open = ["2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25"];
        assert_eq!(next(days(&open, &[])), None);
        // However long it was.
        assert_eq!(next(days(&["2020-01-01"], &[])), is("2025-11-23"));
    }

    #[test]
    fn open_days_are_forgotten_once_they_are_past_but_never_the_last() {
        let today = day("2026-11-24");
        let past =
            |days: DayStates| days.past(today, 2).map(|day| day.to_string()).collect::<Vec<_>>();
        let open = ["2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22", "2026-11-24"];
        assert_eq!(past(days(&open, &[])), ["2026-11-19", "2026-11-20"]);
        assert_eq!(past(days(&["2026-11-01"], &[])), Vec::<String>::new());
    }
}
