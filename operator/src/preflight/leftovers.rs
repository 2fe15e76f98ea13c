//! What is left of the days before.

use domain::DueDate;

use super::counting::Counted;
use super::figures::several;
use super::finding::{Check, Finding};

fn words(counted: Counted) -> String {
    let least = if counted.cut > 0 { "at least " } else { "" };
    format!("{least}{}", several(counted.payments, "payment"))
}

/// Whether yesterday's PROCESSED payments are in the archive: those that are not are still in
/// the table.
pub(super) fn judge_archive(yesterday: DueDate, processed: Counted) -> Finding {
    let figure = format!("{} of {yesterday} PROCESSED and not archived", words(processed));
    if processed.payments == 0 && processed.cut == 0 {
        return Finding::go(Check::Archive, figure, "");
    }
    let remedy = format!("dueflow archive run --date {yesterday}");
    Finding::warn(Check::Archive, figure, "none", remedy)
}

/// Whether payments of the days before have not ended, or FAILED: tonight they come on top.
pub(super) fn judge_leftovers(days: u16, open: Counted) -> Finding {
    let figure = format!(
        "{} of the {} before today SCHEDULED, PENDING or FAILED",
        words(open),
        several(days.into(), "day")
    );
    if open.payments == 0 && open.cut == 0 {
        return Finding::go(Check::Leftovers, figure, "");
    }
    let remedy = "dueflow dlq list for those that FAILED; the others: see that relay, dispatchers \
                  and confirmers run, and docs/runbooks/preflight.md";
    Finding::warn(Check::Leftovers, figure, "none", remedy)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn one_payment_that_is_left_is_a_warning_with_what_to_do() {
        let day: DueDate = "2026-11-23".parse().unwrap();
        for (payments, cut, verdict, word) in [
            (0, 0, Verdict::Go, "0 payments"),
            (1, 0, Verdict::Warn, "1 payment"),
            (0, 1, Verdict::Warn, "at least 0 payments"),
            (14_000, 1, Verdict::Warn, "at least 14,000 payments"),
        ] {
            let counted = Counted { payments, cut };
            for finding in [judge_archive(day, counted), judge_leftovers(16, counted)] {
                assert_eq!(finding.verdict, verdict, "{finding:?}");
                assert!(finding.figure.starts_with(word), "{finding:?}");
                assert_eq!(finding.remedy.is_some(), verdict == Verdict::Warn);
            }
        }
        let remedy = judge_archive(day, Counted { payments: 1, cut: 0 }).remedy.unwrap();
        assert_eq!(remedy, "dueflow archive run --date 2026-11-23");
    }
}
