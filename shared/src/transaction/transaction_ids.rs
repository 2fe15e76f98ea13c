//! One transaction id is one payment's. A service that gives the same id for many would have
//! all of them marked PROCESSED, of which at most one was paid.
//!
//! On the way of a payment it is noticed within a window of what this process saw last: exact
//! knowledge would cost a write for each payment. `dueflow reconcile` finds the rest.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::TransactionService;
use crate::telemetry::calls;
use domain::{KeyQuery, KeyStatus, Outcome, Payment, PaymentId, PaymentRef, UnknownCause};

/// Ids of half a window. A whole one is some 65,000 ids, 100 to 200 bytes each: what a dispatcher
/// settles in two minutes at full speed, and what a service that repeats one gives again at once.
const HALF: usize = 32_768;

/// The transaction ids that a process has seen lately, and whose they are. Cloning it gives the
/// same ones.
#[derive(Clone, Default)]
pub struct TransactionIds(Arc<Mutex<RecentIds>>);

/// Two halves: when the younger one is full, the older one goes.
#[derive(Default)]
struct RecentIds {
    younger: HashMap<Box<str>, IdOwner>,
    older: HashMap<Box<str>, IdOwner>,
}

/// Whose an id is: two items may have one payment id, and only one of them was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct IdOwner {
    payment: PaymentId,
    item: u64,
}

impl IdOwner {
    fn of(KeyQuery { key: payment, item, .. }: KeyQuery) -> Self {
        Self { payment, item }
    }
}

/// Without the ids: there are too many.
impl fmt::Debug for TransactionIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionIds").finish_non_exhaustive()
    }
}

impl TransactionIds {
    /// Notes that a payment was settled under an id.
    ///
    /// # Errors
    /// The other payment that has this id. It is counted and logged; whose the id is in truth,
    /// nobody can say, so the one that came second stays as it is.
    pub fn note(&self, transaction_id: &str, payment: &PaymentRef) -> Result<(), PaymentId> {
        self.note_owner(
            transaction_id,
            IdOwner { payment: payment.id, item: payment.fingerprint() },
        )
    }

    fn note_owner(&self, transaction_id: &str, owner: IdOwner) -> Result<(), PaymentId> {
        // Each critical section changes a map and cannot panic in between.
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let RecentIds { younger, older } = &mut *window;
        let seen = younger.get(transaction_id).or_else(|| older.get(transaction_id)).copied();
        if let Some(other) = seen.filter(|other| *other != owner) {
            drop(window);
            calls::transaction_id_reused(transaction_id, owner.payment, other.payment);
            return Err(other.payment);
        }
        if younger.len() >= HALF {
            *older = std::mem::take(younger);
        }
        younger.insert(transaction_id.into(), owner);
        Ok(())
    }
}

/// A transaction service whose settlements are held against each other.
#[derive(Debug)]
pub struct UniqueTransactionIds {
    service: Arc<dyn TransactionService>,
    ids: TransactionIds,
}

impl UniqueTransactionIds {
    /// Holds the settlements of `service` against each other, and against the others in `ids`.
    #[must_use]
    pub fn over(
        service: Arc<dyn TransactionService>,
        ids: TransactionIds,
    ) -> Arc<dyn TransactionService> {
        Arc::new(Self { service, ids })
    }
}

fn reused(transaction_id: &str, other: PaymentId) -> String {
    format!("its transaction id {transaction_id} is that of payment {other}")
}

#[async_trait]
impl TransactionService for UniqueTransactionIds {
    async fn submit(&self, payment: &Payment) -> Outcome {
        let outcome = self.service.submit(payment).await;
        let Outcome::Settled(settlement) = &outcome else { return outcome };
        match self.ids.note_owner(&settlement.transaction_id, IdOwner::of(payment.into())) {
            Ok(()) => outcome,
            Err(other) => Outcome::Unknown {
                doubt: UnknownCause::Reused,
                reason: reused(&settlement.transaction_id, other),
            },
        }
    }

    async fn find(&self, asked: KeyQuery) -> KeyStatus {
        let found = self.service.find(asked).await;
        let KeyStatus::Settled(settlement) = &found else { return found };
        match self.ids.note_owner(&settlement.transaction_id, IdOwner::of(asked)) {
            Ok(()) => found,
            Err(other) => KeyStatus::NoAnswer {
                retry_after: None,
                reason: reused(&settlement.transaction_id, other),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sample_payment;
    use domain::{AccountId, Amount, Settlement};

    /// A service that gives one transaction id for everything.
    #[derive(Debug)]
    struct Stuck;

    fn settlement() -> Settlement {
        let settled_at = "2026-11-23T01:00:00Z".parse().unwrap();
        Settlement { transaction_id: "T1".to_owned(), settled_at }
    }

    #[async_trait]
    impl TransactionService for Stuck {
        async fn submit(&self, _: &Payment) -> Outcome {
            Outcome::Settled(settlement())
        }

        async fn find(&self, _: KeyQuery) -> KeyStatus {
            KeyStatus::Settled(settlement())
        }
    }

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

    #[tokio::test]
    async fn of_200_payments_with_one_transaction_id_one_counts_as_settled() {
        let service = UniqueTransactionIds::over(Arc::new(Stuck), TransactionIds::default());
        let payments: Vec<_> = (0..200).map(|_| payment()).collect();
        for again in 0..2 {
            for (number, payment) in payments.iter().enumerate() {
                let outcome = service.submit(payment).await;
                let found = service.find(payment.into()).await;
                if number == 0 {
                    assert_eq!(outcome, Outcome::Settled(settlement()), "{again}");
                    assert_eq!(found, KeyStatus::Settled(settlement()), "{again}");
                } else {
                    let doubt =
                        matches!(outcome, Outcome::Unknown { doubt: UnknownCause::Reused, .. });
                    assert!(doubt, "{outcome:?}");
                    assert!(matches!(found, KeyStatus::NoAnswer { .. }), "{found:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn of_two_items_with_one_payment_id_one_counts_as_settled() {
        let service = UniqueTransactionIds::over(Arc::new(Stuck), TransactionIds::default());
        let today = payment();
        let tomorrow = Payment { due: "2026-11-24".parse().unwrap(), ..today.clone() };
        assert_eq!(service.find((&today).into()).await, KeyStatus::Settled(settlement()));
        let found = service.find((&tomorrow).into()).await;
        assert!(matches!(found, KeyStatus::NoAnswer { .. }), "{found:?}");
        assert_eq!(service.submit(&today).await, Outcome::Settled(settlement()));
        assert!(matches!(service.submit(&tomorrow).await, Outcome::Unknown { .. }));
    }

    #[test]
    fn the_window_is_bounded_and_holds_the_latest() {
        let ids = TransactionIds::default();
        let (first, last) = (payment().reference(), payment().reference());
        ids.note("first", &first).unwrap();
        for number in 0..HALF * 2 {
            ids.note(&format!("T-{number}"), &payment().reference()).unwrap();
        }
        ids.note("last", &last).unwrap();
        assert_eq!(ids.note("last", &first), Err(last.id));
        // Forgotten: the memory of a process is bounded.
        assert_eq!(ids.note("first", &last), Ok(()));
        let window = ids.0.lock().unwrap();
        assert!(window.younger.len() + window.older.len() <= HALF * 2);
    }
}
