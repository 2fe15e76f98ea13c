//! One line of the journal.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    acceptance::Acceptance,
    instruction::{Fingerprint, IdempotencyKey, Instruction},
    settled_at::SettledAt,
};

/// One settlement: money that has moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// The transaction's own id, made by the service (UUIDv7).
    pub transaction_id: Uuid,
    /// The key of the request; dueflow sends the payment id.
    pub idempotency_key: String,
    /// The account the money left.
    pub account_id: String,
    /// Who received it.
    pub beneficiary_id: String,
    /// How much, in minor units of the currency.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// The date the payment was scheduled for, as YYYY-MM-DD.
    pub scheduled_date: String,
    /// When it was settled.
    pub settled_at: SettledAt,
}

/// An [`JournalEntry`] as the service writes it, with the digest of the whole body, so
/// that a restart does not forget what a key was settled for. A reader of the
/// journal passes over it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JournalRecord {
    #[serde(flatten)]
    pub(crate) entry: JournalEntry,
    pub(crate) body: Fingerprint,
    /// The payment's id where it is not the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payment_id: Option<Box<str>>,
}

impl JournalRecord {
    /// Settles the instruction in name: a new transaction id, at this moment.
    pub(crate) fn new(key: &IdempotencyKey, instruction: Instruction) -> Self {
        let body = instruction.fingerprint();
        let payment_id = unless_key(&instruction.payment_id, key.as_str());
        let entry = JournalEntry {
            transaction_id: Uuid::now_v7(),
            idempotency_key: key.as_str().to_owned(),
            account_id: instruction.account_id,
            beneficiary_id: instruction.beneficiary_id,
            amount: instruction.amount,
            currency: instruction.currency,
            scheduled_date: instruction.scheduled_date,
            settled_at: SettledAt::now(),
        };
        Self { entry, body, payment_id }
    }

    /// Settles in name what was accepted earlier: its transaction id, at this
    /// moment.
    pub(crate) fn of(accepted: &Acceptance) -> Self {
        let accepted = accepted.clone();
        let payment_id = unless_key(&accepted.payment_id, &accepted.idempotency_key);
        let entry = JournalEntry {
            transaction_id: accepted.transaction_id,
            idempotency_key: accepted.idempotency_key,
            account_id: accepted.account_id,
            beneficiary_id: accepted.beneficiary_id,
            amount: accepted.amount,
            currency: accepted.currency,
            scheduled_date: accepted.scheduled_date,
            settled_at: SettledAt::now(),
        };
        Self { entry, body: accepted.body, payment_id }
    }
}

fn unless_key(payment_id: &str, key: &str) -> Option<Box<str>> {
    (payment_id != key).then(|| payment_id.into())
}
