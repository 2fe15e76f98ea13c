//! What is left of the days before.

use domain::DueDate;

use super::check::{Check, CheckResult};
use super::counting::PaymentCount;
use super::format::several;

fn words(counted: PaymentCount) -> String {
    let least = if counted.cut > 0 { "at least " } else { "" };
    format!("{least}{}", several(counted.payments, "payment"))
}

/// Whether yesterday's PROCESSED payments are in the archive: those that are not are still in
/// the table.
pub(super) fn evaluate_archive(yesterday: DueDate, processed: PaymentCount) -> CheckResult {
    let figure = format!("{} of {yesterday} PROCESSED and not archived", words(processed));
    if processed.payments == 0 && processed.cut == 0 {
        return CheckResult::go(Check::Archive, figure, "");
    }
    let remedy = format!("dueflow archive run --date {yesterday}");
    CheckResult::warn(Check::Archive, figure, "none", remedy)
}

/// Whether payments of the days before have not ended, or FAILED: tonight they come on top.
pub(super) fn evaluate_unfinished(days: u16, open: PaymentCount) -> CheckResult {
    let figure = format!(
        "{} of the {} before today SCHEDULED, PENDING or FAILED",
        words(open),
        several(days.into(), "day")
    );
    if open.payments == 0 && open.cut == 0 {
        return CheckResult::go(Check::Unfinished, figure, "");
    }
    let remedy = "dueflow dlq list for those that FAILED; the others: see that relay, dispatchers \
                  and confirmers run, and docs/runbooks/preflight.md";
    CheckResult::warn(Check::Unfinished, figure, "none", remedy)
}

#[cfg(test)]
mod tests {
    use super::super::check::Severity;
    use super::*;

    #[test]
    fn one_payment_that_is_left_is_a_warning_with_what_to_do() {
        let day: DueDate = "2026-11-23".parse().unwrap();
        for (payments, cut, severity, word) in [
            (0, 0, Severity::Go, "0 payments"),
            (1, 0, Severity::Warn, "1 payment"),
            (0, 1, Severity::Warn, "at least 0 payments"),
            (14_000, 1, Severity::Warn, "at least 14,000 payments"),
        ] {
            let counted = PaymentCount { payments, cut };
            for result in [evaluate_archive(day, counted), evaluate_unfinished(16, counted)] {
                assert_eq!(result.severity, severity, "{result:?}");
                assert!(result.figure.starts_with(word), "{result:?}");
                assert_eq!(result.remedy.is_some(), severity == Severity::Warn);
            }
        }
        let remedy = evaluate_archive(day, PaymentCount { payments: 1, cut: 0 }).remedy.unwrap();
        assert_eq!(remedy, "dueflow archive run --date 2026-11-23");
    }
}
