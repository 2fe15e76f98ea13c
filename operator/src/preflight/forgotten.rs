//! What has left sight: payments that have not ended, due before the days that are swept, and
//! those whose dead letter SQS deletes soon (INV-17).

use std::sync::Arc;

use domain::{DueDate, Status};
use jiff::{SignedDuration, Timestamp};
use shared::payments::{DueDay, PaymentsError, PaymentsTable};

use super::check::{Check, CheckResult};
use super::format::several;
use crate::payments::OPEN;

/// Most pages of 4,000 entries of the index that are read.
const PAGES: usize = 1_000;
/// Most FAILED payments that are read for their age.
const MOST_READ: u64 = 20_000;
/// SQS deletes a dead letter after 14 days; one that is older than this has three days left.
const OLD_DEAD_LETTER: SignedDuration = SignedDuration::from_hours(11 * 24);

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Forgotten {
    /// SCHEDULED, PENDING and FAILED payments due before the swept days.
    pub(super) old: u64,
    /// FAILED for longer than [`OLD_DEAD_LETTER`].
    pub(super) failed_long_ago: u64,
    /// Not all was read.
    pub(super) cut: bool,
}

/// Counts them. `first` is the first day that is swept.
pub(super) async fn count(
    table: &Arc<PaymentsTable>,
    first: DueDate,
    now: Timestamp,
) -> Result<Forgotten, PaymentsError> {
    let mut forgotten = Forgotten { cut: true, ..Forgotten::default() };
    let (mut cursor, mut failed) = (None, std::collections::BTreeSet::new());
    for _ in 0..PAGES {
        let page = table.open_page(&OPEN, cursor).await?;
        for ((day, status), payments) in page.counts {
            if day < first {
                forgotten.old += payments;
            }
            if status == Status::Failed {
                failed.insert(day);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            forgotten.cut = false;
            break;
        }
    }
    let mut read = 0;
    for day in failed {
        let mut rest = DueDay::new(Arc::clone(table) as _, day, Status::Failed);
        while let Some(page) = rest.next().await? {
            read += page.len() as u64;
            let stored = page.iter().filter_map(|(_, stored)| stored.as_ref().ok());
            let old = stored.filter(|stored| {
                stored.status == Status::Failed
                    && now.duration_since(stored.updated_at) > OLD_DEAD_LETTER
            });
            forgotten.failed_long_ago += old.count() as u64;
            if read >= MOST_READ {
                forgotten.cut = true;
                return Ok(forgotten);
            }
        }
    }
    Ok(forgotten)
}

/// Whether anything has left sight, or soon will.
pub(super) fn evaluate(days: u16, forgotten: Forgotten) -> Vec<CheckResult> {
    let Forgotten { old, failed_long_ago, cut } = forgotten;
    let least = if cut { "at least " } else { "" };
    let needed = "none";
    let old = {
        let payments = several(old, "payment");
        let figure = format!(
            "{least}{payments} SCHEDULED, PENDING or FAILED, due more than {} ago",
            several(days.into(), "day")
        );
        if old_is_none(forgotten) {
            CheckResult::go(Check::Forgotten, figure, "")
        } else {
            // Without --older-than, which goes by the age of the status.
            CheckResult::warn(Check::Forgotten, figure, needed, "dueflow payments open")
        }
    };
    let dead_letters = {
        let figure = format!(
            "{least}{} FAILED for more than 11 days: SQS deletes their dead letters within 3 days",
            several(failed_long_ago, "payment")
        );
        if failed_long_ago == 0 && !cut {
            CheckResult::go(Check::Forgotten, figure, "")
        } else {
            let remedy = "dueflow payments open --status FAILED --older-than 11d, and dueflow dlq \
                          list: replay or close them";
            CheckResult::warn(Check::Forgotten, figure, needed, remedy)
        }
    };
    vec![old, dead_letters]
}

fn old_is_none(forgotten: Forgotten) -> bool {
    forgotten.old == 0 && !forgotten.cut
}

#[cfg(test)]
mod tests {
    use super::super::check::Severity;
    use super::*;

    #[test]
    fn one_forgotten_payment_or_letter_is_a_warning_and_so_is_what_was_not_counted() {
        use Severity::{Go, Warn};
        for (old, failed_long_ago, cut, severities) in [
            (0, 0, false, [Go, Go]),
            (1, 0, false, [Warn, Go]),
            (0, 1, false, [Go, Warn]),
            (0, 0, true, [Warn, Warn]),
        ] {
            let results = evaluate(16, Forgotten { old, failed_long_ago, cut });
            let found: Vec<_> = results.iter().map(|result| result.severity).collect();
            assert_eq!(found, severities, "{results:?}");
        }
        let results = evaluate(16, Forgotten { old: 2, failed_long_ago: 3, cut: false });
        assert!(results[0].figure.starts_with("2 payments"), "{results:?}");
        assert!(results[1].figure.starts_with("3 payments FAILED"), "{results:?}");
    }
}
