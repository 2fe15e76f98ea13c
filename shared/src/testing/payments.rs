//! Sample payments.

use crate::payments::{DeadLetters, StoredPayment};
use domain::{AccountId, Amount, BeneficiaryId, Payment, PaymentId, Status, TraceKey};

/// A payment of 12.50 EUR, due on 2026-11-23, without a blob, under an id of its own.
#[must_use]
pub fn sample_payment() -> Payment {
    Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("ACC-1").unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(1250).unwrap(),
        currency: "EUR".parse().unwrap(),
        beneficiary: BeneficiaryId::parse("B").unwrap(),
        data: None,
        trace_key: TraceKey::generate(),
        created_at: "2026-11-23T01:00:00Z".parse().unwrap(),
    }
}

/// A payment without a blob in which everything else is as long as it may be.
#[must_use]
pub fn longest_payment() -> Payment {
    Payment {
        account: AccountId::parse("A".repeat(64)).unwrap(),
        amount: Amount::from_minor_units(Amount::MAX).unwrap(),
        beneficiary: BeneficiaryId::parse("B".repeat(64)).unwrap(),
        created_at: "2026-11-23T01:00:00.123Z".parse().unwrap(),
        ..sample_payment()
    }
}

/// A payment as the table holds it once it is inserted.
#[must_use]
pub fn scheduled(payment: Payment) -> StoredPayment {
    StoredPayment {
        updated_at: payment.created_at,
        payment,
        status: Status::Scheduled,
        attempts: 0,
        attempts_before: 0,
        not_done: 0,
        claimed_at: None,
        transaction_id: None,
        settled_at: None,
        failure: None,
        dead_letters: DeadLetters::default(),
    }
}
