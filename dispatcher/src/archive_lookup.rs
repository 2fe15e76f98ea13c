//! Archive lookup: was a payment whose day is over settled, and archived, before?
//!
//! An archived payment's key in the payments table is free, so a program that inserts
//! yesterday's payments again brings them back as SCHEDULED, and the transaction service may
//! have forgotten their ids. Only days that are over are archived, so only payments that are
//! overdue are looked for, before each attempt (ADR-14).

use std::sync::Arc;

use domain::{DueDate, Failure, FailureCode, Payment, Settlement, Status};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::payments::archive::ArchiveLookup;
use shared::payments::{PaymentsError, StoredPayment};

/// Looks payments up in the archive.
#[derive(Debug, Clone)]
pub(crate) struct ArchiveCheck {
    pub(crate) archive: Arc<dyn ArchiveLookup>,
    /// The bank's, which decides when a day is over.
    pub(crate) zone: TimeZone,
}

/// What the archive holds of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArchiveFinding {
    /// Nothing.
    NotArchived,
    /// The same payment, settled.
    Settled(Settlement),
    /// Something under its key that is not this payment, settled.
    Contradicted(Failure),
}

impl ArchiveCheck {
    /// Looks for a payment if its day is over at `now`.
    pub(crate) async fn of_overdue(
        &self,
        payment: &Payment,
        now: Timestamp,
    ) -> Result<ArchiveFinding, PaymentsError> {
        if payment.due >= DueDate::today(now, &self.zone) {
            return Ok(ArchiveFinding::NotArchived);
        }
        self.of(payment).await
    }

    /// Looks for a payment.
    pub(crate) async fn of(&self, payment: &Payment) -> Result<ArchiveFinding, PaymentsError> {
        Ok(judge(self.archive.find(&payment.reference()).await?, payment))
    }
}

fn judge(archived: Option<StoredPayment>, payment: &Payment) -> ArchiveFinding {
    let Some(stored) = archived else { return ArchiveFinding::NotArchived };
    let contradicted =
        |reason| ArchiveFinding::Contradicted(Failure::new(FailureCode::Mismatch, reason));
    if !stored.payment.same_instruction(payment) {
        return contradicted("the archive holds another payment under this id");
    }
    match (stored.status, stored.transaction_id) {
        (Status::Processed, Some(transaction_id)) => {
            let settled_at = stored.settled_at.unwrap_or(stored.updated_at);
            ArchiveFinding::Settled(Settlement { transaction_id, settled_at })
        }
        (
            Status::Scheduled
            | Status::Pending
            | Status::Processed
            | Status::Failed
            | Status::Cancelled,
            _,
        ) => contradicted("the archive holds this payment without a settlement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use domain::{AccountId, Amount, PaymentId, PaymentRef, TraceKey};
    use shared::testing::{sample_payment, scheduled};

    fn payment() -> Payment {
        Payment {
            id: PaymentId::generate(),
            account: AccountId::parse("ACC").unwrap(),
            due: "2026-11-23".parse().unwrap(),
            amount: Amount::from_minor_units(1).unwrap(),
            created_at: "2026-11-23T01:00:00Z".parse().unwrap(),
            ..sample_payment()
        }
    }

    fn archived(payment: &Payment) -> StoredPayment {
        StoredPayment {
            status: Status::Processed,
            attempts: 1,
            transaction_id: Some("T".to_owned()),
            ..scheduled(payment.clone())
        }
    }

    /// An archive of one payment.
    #[derive(Debug)]
    struct Holds(StoredPayment);

    #[async_trait]
    impl ArchiveLookup for Holds {
        async fn find(&self, _: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
            Ok(Some(self.0.clone()))
        }
    }

    #[test]
    fn the_same_payment_inserted_again_has_the_settlement_that_is_archived() {
        let first = payment();
        let again = Payment {
            trace_key: TraceKey::generate(),
            created_at: "2026-11-26T01:00:00Z".parse().unwrap(),
            ..first.clone()
        };
        let settled = Settlement { transaction_id: "T".to_owned(), settled_at: first.created_at };
        assert_eq!(judge(Some(archived(&first)), &again), ArchiveFinding::Settled(settled));
        assert_eq!(judge(None, &again), ArchiveFinding::NotArchived);
    }

    #[test]
    fn what_contradicts_the_archive_is_never_taken_for_settled_or_new() {
        let first = payment();
        let dearer = Payment { amount: Amount::from_minor_units(2).unwrap(), ..first.clone() };
        assert!(matches!(judge(Some(archived(&first)), &dearer), ArchiveFinding::Contradicted(_)));
        let mut nobodys = archived(&first);
        nobodys.transaction_id = None;
        assert!(matches!(judge(Some(nobodys), &first), ArchiveFinding::Contradicted(_)));
        for status in [Status::Scheduled, Status::Pending, Status::Failed, Status::Cancelled] {
            let open = StoredPayment { status, ..archived(&first) };
            assert!(
                matches!(judge(Some(open), &first), ArchiveFinding::Contradicted(_)),
                "{status}"
            );
        }
    }

    #[tokio::test]
    async fn only_payments_whose_day_is_over_at_the_bank_are_looked_for() {
        let due = payment();
        let zone = TimeZone::get("Europe/Madrid").unwrap();
        let past = ArchiveCheck { archive: Arc::new(Holds(archived(&due))), zone };
        let at = |now: &str| past.of_overdue(&due, now.parse().unwrap());
        let its_day = at("2026-11-23T22:59:59Z").await.unwrap();
        assert_eq!(its_day, ArchiveFinding::NotArchived);
        let the_next = at("2026-11-23T23:00:00Z").await.unwrap();
        assert!(matches!(the_next, ArchiveFinding::Settled(_)));
    }
}
