//! Whether the batch that is scheduled already is spread well: over the partitions of the
//! index, and over accounts.

use std::time::Duration;

use domain::{AccountId, DueDate};

use indicatif::HumanCount;

use super::check::{Check, CheckResult};
use super::counting::PaymentCount;
use super::format::{several, time};
use super::load::BatchLoad;

/// Most payments of a partition over the mean of all.
const SKEW: f64 = 1.2;

/// Payments per partition from which on chance alone stays far below [`SKEW`]: it scatters by
/// the root of the number, 3 % of 1,000.
const ENOUGH: u64 = 1_000;

/// Calls of one kind per second that a FIFO queue takes for one group (Amazon SQS Developer
/// Guide, "Message quotas", without batches). At the worst each call carries one payment.
const GROUP_CALLS: u32 = 300;

/// Most messages of a FIFO queue that SQS looks through for one that may be delivered (Amazon SQS
/// Developer Guide, "FIFO queue delivery logic").
const LOOKED_THROUGH: u64 = 120_000;

/// Whether an account has so many payments that SQS sees nobody behind them. An opening lets its
/// accounts take turns; what is inserted on its day is queued as it comes.
pub(super) fn evaluate_turns(largest: Option<(&AccountId, u64)>) -> CheckResult {
    let check = Check::LargestAccount;
    let Some((account, payments)) = largest.filter(|(_, payments)| *payments > LOOKED_THROUGH)
    else {
        let figure = format!("no account has more than {}", several(LOOKED_THROUGH, "payment"));
        return CheckResult::go(check, figure, "");
    };
    let figure = format!("{account}: {} of a day", several(payments, "payment"));
    let needed = format!(
        "at most {}: SQS looks through so many messages and sees no account behind them",
        HumanCount(LOOKED_THROUGH)
    );
    let remedy = "insert them before their day: its opening lets the accounts take turns. On the \
                  day itself insert the other accounts' payments first";
    CheckResult::warn(check, figure, needed, remedy)
}

/// Whether the payments of `day` are spread evenly over the partitions.
pub(super) fn evaluate_skew(day: DueDate, partitions: &[PaymentCount]) -> CheckResult {
    let check = Check::Skew;
    let PaymentCount { payments, cut } = PaymentCount::sum(partitions);
    let total = format!("{} SCHEDULED for {day}", several(payments, "payment"));
    let needed = format!("at most {SKEW} (largest partition over the mean)");
    if cut > 0 {
        let figure = format!("{total} at least, in {} partitions more than was counted", cut);
        let remedy = "count them with the AWS CLI if partitions are throttled";
        return CheckResult::warn(check, figure, needed, remedy);
    }
    let mean = payments as f64 / partitions.len().max(1) as f64;
    if mean < ENOUGH as f64 {
        return CheckResult::go(check, format!("{total}: too few to evaluate"), needed);
    }
    let most = partitions.iter().map(|counted| counted.payments).max().unwrap_or(0);
    let skew = most as f64 / mean;
    let figure = format!(
        "{total}: largest of {} partitions {}, mean {}: {skew:.2}",
        partitions.len(),
        HumanCount(most),
        HumanCount(mean.round() as u64)
    );
    if skew <= SKEW {
        return CheckResult::go(check, figure, needed);
    }
    let remedy = "see that all writers use DUEFLOW_DUE_SHARDS and the formula of ARCHITECTURE.md, \
                  and ids of version 7";
    CheckResult::warn(check, figure, needed, remedy)
}

/// Whether the payments of the largest account can pass one after the other: an account is
/// one group of the queue. `latency` is that of the transaction service, if it is known.
pub(super) fn evaluate_largest_account(
    largest: Option<(&AccountId, u64)>,
    latency: Option<Duration>,
    load: &BatchLoad,
) -> CheckResult {
    let check = Check::LargestAccount;
    let Some((account, payments)) = largest else {
        return CheckResult::go(check, "nothing is scheduled yet", "");
    };
    let each = latency.unwrap_or_default().max(Duration::from_secs(1) / GROUP_CALLS);
    let takes = each.mul_f64(payments as f64);
    let figure = format!(
        "{account}: {} one after the other × {} = {}",
        several(payments, "payment"),
        time(each),
        time(takes)
    );
    let needed = format!("at most half of {}", time(load.window));
    let remedy = "spread its payments over several accounts or over the day, or insert them first";
    if takes <= load.window / 2 {
        CheckResult::go(check, figure, needed)
    } else if takes <= load.window {
        CheckResult::warn(check, figure, needed, remedy)
    } else {
        CheckResult::no_go(check, figure, needed, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Severity;
    use super::super::load::tests::a_million;
    use super::*;

    fn skew(partitions: &[u64]) -> Severity {
        let whole = |payments: &u64| PaymentCount { payments: *payments, cut: 0 };
        let counted: Vec<_> = partitions.iter().map(whole).collect();
        evaluate_skew("2026-11-24".parse().unwrap(), &counted).severity
    }

    #[test]
    fn the_largest_partition_holds_at_most_a_fifth_more_than_the_mean() {
        assert_eq!(skew(&[62_500; 16]), Severity::Go);
        assert_eq!(skew(&[1_200, 800]), Severity::Go);
        assert_eq!(skew(&[1_201, 799]), Severity::Warn);
        assert_eq!(skew(&[60, 0]), Severity::Go, "too few to evaluate");
        assert_eq!(skew(&[0; 16]), Severity::Go, "nothing scheduled yet");
    }

    #[test]
    fn what_was_not_counted_to_the_end_is_not_judged() {
        let counted =
            [PaymentCount { payments: 5_000, cut: 1 }, PaymentCount { payments: 5_000, cut: 0 }];
        let result = evaluate_skew("2026-11-24".parse().unwrap(), &counted);
        assert_eq!(result.severity, Severity::Warn);
        assert!(result.figure.contains("at least"), "{result:?}");
    }

    #[test]
    fn an_account_that_fills_what_sqs_looks_through_is_warned_of() {
        let account = AccountId::parse("ACC-1").unwrap();
        for (payments, severity) in [(120_000, Severity::Go), (120_001, Severity::Warn)] {
            assert_eq!(evaluate_turns(Some((&account, payments))).severity, severity, "{payments}");
        }
        assert_eq!(evaluate_turns(None).severity, Severity::Go);
    }

    #[test]
    fn an_accounts_payments_pass_one_after_the_other_within_the_window() {
        let account = AccountId::parse("ACC-1").unwrap();
        // 1,800 s: at 20 ms each half of it are 45,000 payments, all of it 90,000.
        let twenty = Some(Duration::from_millis(20));
        for (payments, latency, severity) in [
            (45_000, twenty, Severity::Go),
            (45_001, twenty, Severity::Warn),
            (90_000, twenty, Severity::Warn),
            (90_001, twenty, Severity::NoGo),
            // Whatever the service can: 300 a second, 540,000 in half an hour.
            (269_000, None, Severity::Go),
            (269_000, Some(Duration::from_micros(10)), Severity::Go),
            (541_000, Some(Duration::from_micros(10)), Severity::NoGo),
        ] {
            let largest = Some((&account, payments));
            let result = evaluate_largest_account(largest, latency, &a_million());
            assert_eq!(result.severity, severity, "{result:?}");
        }
        assert_eq!(evaluate_largest_account(None, None, &a_million()).severity, Severity::Go);
    }
}
