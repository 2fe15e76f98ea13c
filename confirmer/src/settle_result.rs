//! What the result of a confirmation's write means: pure.

use domain::{Failure, FailureCode, Payment, Status};
use shared::payments::{ApplyResult, ChangeError, StoredPayment};
use shared::queue::ReportedResult;

/// What to do with a confirmation after its write.
#[derive(Debug)]
pub(crate) enum SettleResult {
    /// The table says so, by this write or one before.
    Written(ApplyResult),
    /// The table contradicts it. Nothing is overwritten; an operator decides.
    Conflict {
        /// What is wrong.
        failure: Failure,
        /// The payment as it is stored, if it is.
        payment: Option<Box<Payment>>,
    },
    /// The table contradicts it, and the payment was never claimed: it may have been settled, so
    /// it is not paid before an operator has decided (INV-16).
    Withhold(Failure),
    /// The database could not say: deliver it again.
    Undecided {
        /// Its words.
        reason: String,
    },
}

/// What the table answers to a confirmation's write.
#[derive(Debug)]
pub(crate) enum TableResult {
    /// This follows.
    Decided(SettleResult),
    /// The table holds no such payment. The archive may; if not, this is what is wrong.
    Missing(Failure),
}

/// Judges the result of writing what was reported.
pub(crate) fn judge(
    result: Result<ApplyResult, ChangeError>,
    reported: &ReportedResult,
) -> TableResult {
    let decided = match result {
        Ok(applied) => SettleResult::Written(applied),
        Err(ChangeError::InStatus(stored))
            if stored.status == Status::Scheduled && stored.attempts == 0 =>
        {
            let words = words(reported);
            SettleResult::Withhold(conflict(format!("{words}, but the table has it never claimed")))
        }
        Err(ChangeError::InStatus(stored)) => contradicted(*stored, reported, "table"),
        Err(error @ ChangeError::Missing) => {
            let failure = conflict(format!("{}, but {error}", words(reported)));
            return TableResult::Missing(failure);
        }
        Err(error @ (ChangeError::Mismatch(_) | ChangeError::Item(_))) => {
            let failure = conflict(format!("{}, but {error}", words(reported)));
            SettleResult::Conflict { failure, payment: None }
        }
        Err(error @ ChangeError::Database { .. }) => {
            SettleResult::Undecided { reason: error.to_string() }
        }
    };
    TableResult::Decided(decided)
}

/// Judges what was reported of a payment that the table does not hold, from what the archive
/// holds of it: a settlement that comes twice may come after the payment was archived.
pub(crate) fn judge_missing(
    archived: Option<StoredPayment>,
    reported: &ReportedResult,
    failure: Failure,
) -> SettleResult {
    let Some(stored) = archived else {
        return SettleResult::Conflict { failure, payment: None };
    };
    let again = match reported {
        ReportedResult::Settled(settlement) => {
            stored.transaction_id.as_deref() == Some(&settlement.transaction_id)
        }
        ReportedResult::Rejected(_) => false,
    };
    if again {
        SettleResult::Written(ApplyResult::Before)
    } else {
        contradicted(stored, reported, "archive")
    }
}

fn contradicted(stored: StoredPayment, reported: &ReportedResult, holder: &str) -> SettleResult {
    let has = stored.transaction_id.as_deref().unwrap_or("no transaction id");
    let reason =
        format!("{}, but the {holder} has it {} with {has}", words(reported), stored.status);
    let (failure, payment) = (conflict(reason), Some(Box::new(stored.payment)));
    SettleResult::Conflict { failure, payment }
}

fn conflict(reason: String) -> Failure {
    Failure::new(FailureCode::Conflict, reason)
}

fn words(reported: &ReportedResult) -> String {
    match reported {
        ReportedResult::Settled(settlement) => format!("settled as {}", settlement.transaction_id),
        ReportedResult::Rejected(failure) => format!("rejected with {}", failure.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Settlement;

    fn settled(transaction: &str) -> ReportedResult {
        let settled_at = "2026-11-23T01:00:00Z".parse().unwrap();
        ReportedResult::Settled(Settlement { transaction_id: transaction.to_owned(), settled_at })
    }

    #[test]
    fn a_settlement_that_comes_again_after_its_payment_was_archived_is_no_conflict() {
        let archived = crate::sweep::simulation::stored(1);
        let archived = StoredPayment { transaction_id: Some("T".to_owned()), ..archived };
        let missing = judge(Err(ChangeError::Missing), &settled("T"));
        let TableResult::Missing(failure) = missing else { panic!("{missing:?}") };
        let judged = |archived, reported| judge_missing(archived, &reported, failure.clone());
        let again = judged(Some(archived.clone()), settled("T"));
        assert!(matches!(again, SettleResult::Written(ApplyResult::Before)), "{again:?}");
        let refused = ReportedResult::Rejected(Failure::new(FailureCode::Refused, "x"));
        for contradiction in [
            judged(Some(archived.clone()), settled("T2")),
            judged(Some(archived), refused.clone()),
            judged(None, settled("T")),
        ] {
            assert!(matches!(contradiction, SettleResult::Conflict { .. }), "{contradiction:?}");
        }
        assert_eq!(words(&settled("T2")), "settled as T2");
        assert_eq!(words(&refused), "rejected with x");
    }
}
