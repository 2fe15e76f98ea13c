//! Whether the batch that is scheduled already is spread well: over the partitions of the
//! index, and over accounts.

use std::time::Duration;

use domain::{AccountId, DueDate};

use super::counting::Counted;
use super::figures::{grouped, several, time};
use super::finding::{Check, Finding};
use super::load::Load;

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
pub(super) fn judge_turns(largest: Option<(&AccountId, u64)>) -> Finding {
    let check = Check::LargestAccount;
    let Some((account, payments)) = largest.filter(|(_, payments)| *payments > LOOKED_THROUGH)
    else {
        let figure = format!("no account has more than {}", several(LOOKED_THROUGH, "payment"));
        return Finding::go(check, figure, "");
    };
    let figure = format!("{account}: {} of a day", several(payments, "payment"));
    let needed = format!(
        "at most {}: SQS looks through so many messages and sees no account behind them",
        grouped(LOOKED_THROUGH)
    );
    let remedy = "insert them before their day: its opening lets the accounts take turns. On the \
                  day itself insert the other accounts' payments first";
    Finding::warn(check, figure, needed, remedy)
}

/// Whether the payments of `day` are spread evenly over the partitions.
pub(super) fn judge_skew(day: DueDate, partitions: &[Counted]) -> Finding {
    let check = Check::Skew;
    let Counted { payments, cut } = Counted::sum(partitions);
    let total = format!("{} SCHEDULED for {day}", several(payments, "payment"));
    let needed = format!("at most {SKEW} (largest partition over the mean)");
    if cut > 0 {
        let figure = format!("{total} at least, in {} partitions more than was counted", cut);
        let remedy = "count them with the AWS CLI if partitions are throttled";
        return Finding::warn(check, figure, needed, remedy);
    }
    let mean = payments as f64 / partitions.len().max(1) as f64;
    if mean < ENOUGH as f64 {
        return Finding::go(check, format!("{total}: too few to judge"), needed);
    }
    let most = partitions.iter().map(|counted| counted.payments).max().unwrap_or(0);
    let skew = most as f64 / mean;
    let figure = format!(
        "{total}: largest of {} partitions {}, mean {}: {skew:.2}",
        partitions.len(),
        grouped(most),
        grouped(mean.round() as u64)
    );
    if skew <= SKEW {
        return Finding::go(check, figure, needed);
    }
    let remedy = "see that all writers use DUEFLOW_DUE_SHARDS and the formula of ARCHITECTURE.md, \
                  and ids of version 7";
    Finding::warn(check, figure, needed, remedy)
}

/// Whether the payments of the largest account can pass one after the other: an account is
/// one group of the queue. `latency` is that of the transaction service, if it is known.
pub(super) fn judge_largest_account(
    largest: Option<(&AccountId, u64)>,
    latency: Option<Duration>,
    load: &Load,
) -> Finding {
    let check = Check::LargestAccount;
    let Some((account, payments)) = largest else {
        return Finding::go(check, "nothing is scheduled yet", "");
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
        Finding::go(check, figure, needed)
    } else if takes <= load.window {
        Finding::warn(check, figure, needed, remedy)
    } else {
        Finding::no_go(check, figure, needed, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::load::tests::a_million;
    use super::*;

    fn skew(partitions: &[u64]) -> Verdict {
        let whole = |payments: &u64| Counted { payments: *payments, cut: 0 };
        let counted: Vec<_> = partitions.iter().map(whole).collect();
        judge_skew("2026-11-24".parse().unwrap(), &counted).verdict
    }

    #[test]
    fn the_largest_partition_holds_at_most_a_fifth_more_than_the_mean() {
        assert_eq!(skew(&[62_500; 16]), Verdict::Go);
        assert_eq!(skew(&[1_200, 800]), Verdict::Go);
        assert_eq!(skew(&[1_201, 799]), Verdict::Warn);
        assert_eq!(skew(&[60, 0]), Verdict::Go, "too few to judge");
        assert_eq!(skew(&[0; 16]), Verdict::Go, "nothing scheduled yet");
    }

    #[test]
    fn what_was_not_counted_to_the_end_is_not_judged() {
        let counted = [Counted { payments: 5_000, cut: 1 }, Counted { payments: 5_000, cut: 0 }];
        let finding = judge_skew("2026-11-24".parse().unwrap(), &counted);
        assert_eq!(finding.verdict, Verdict::Warn);
        assert!(finding.figure.contains("at least"), "{finding:?}");
    }

    #[test]
    fn an_account_that_fills_what_sqs_looks_through_is_warned_of() {
        let account = AccountId::parse("ACC-1").unwrap();
        for (payments, verdict) in [(120_000, Verdict::Go), (120_001, Verdict::Warn)] {
            assert_eq!(judge_turns(Some((&account, payments))).verdict, verdict, "{payments}");
        }
        assert_eq!(judge_turns(None).verdict, Verdict::Go);
    }

    #[test]
    fn an_accounts_payments_pass_one_after_the_other_within_the_window() {
        let account = AccountId::parse("ACC-1").unwrap();
        // 1,800 s: at 20 ms each half of it are 45,000 payments, all of it 90,000.
        let twenty = Some(Duration::from_millis(20));
        for (payments, latency, verdict) in [
            (45_000, twenty, Verdict::Go),
            (45_001, twenty, Verdict::Warn),
            (90_000, twenty, Verdict::Warn),
            (90_001, twenty, Verdict::NoGo),
            // Whatever the service can: 300 a second, 540,000 in half an hour.
            (269_000, None, Verdict::Go),
            (269_000, Some(Duration::from_micros(10)), Verdict::Go),
            (541_000, Some(Duration::from_micros(10)), Verdict::NoGo),
        ] {
            let largest = Some((&account, payments));
            let finding = judge_largest_account(largest, latency, &a_million());
            assert_eq!(finding.verdict, verdict, "{finding:?}");
        }
        assert_eq!(judge_largest_account(None, None, &a_million()).verdict, Verdict::Go);
    }
}
