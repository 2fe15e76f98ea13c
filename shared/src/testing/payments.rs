//! Sample payments.

use domain::{AccountId, Amount, BeneficiaryId, Payment, PaymentId, TraceKey};

/// A payment without a blob in which everything else is as long as it may be.
#[must_use]
pub fn longest_payment() -> Payment {
    Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("A".repeat(64)).unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(Amount::MAX).unwrap(),
        currency: "EUR".parse().unwrap(),
        beneficiary: BeneficiaryId::parse("B".repeat(64)).unwrap(),
        data: None,
        trace_key: TraceKey::generate(),
        created_at: "2026-11-23T01:00:00.123Z".parse().unwrap(),
    }
}
