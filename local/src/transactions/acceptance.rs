//! What is written down on the way of a payment that was accepted with 202.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    echo::{CurrencyCode, Echo},
    instruction::{Fingerprint, IdempotencyKey, Instruction},
    settled_at::SettledAt,
};

/// One line of the accepted log. A settlement is not among them: money that has moved
/// is in the journal and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum LogEntry {
    /// Accepted. Written before the 202.
    Accepted(Acceptance),
    /// Ended without money moved. Written before the result is sent.
    Rejected {
        /// That of the acceptance.
        transaction_id: Uuid,
        /// When.
        rejected_at: SettledAt,
    },
    /// The result was received, or lost on purpose, or given up: nothing more
    /// is sent.
    Closed {
        /// That of the acceptance.
        transaction_id: Uuid,
    },
}

/// A payment that was accepted. Its transaction id is made now, so that the line
/// that settles it in the journal ends this acceptance and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acceptance {
    pub(crate) transaction_id: Uuid,
    pub(crate) idempotency_key: String,
    pub(crate) payment_id: String,
    pub(crate) account_id: String,
    pub(crate) beneficiary_id: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) scheduled_date: String,
    pub(crate) accepted_at: SettledAt,
    pub(crate) body: Fingerprint,
}

impl Acceptance {
    /// Accepts the instruction at this moment.
    pub(crate) fn new(key: &IdempotencyKey, instruction: Instruction) -> Self {
        let body = instruction.fingerprint();
        Self {
            transaction_id: Uuid::now_v7(),
            idempotency_key: key.as_str().to_owned(),
            payment_id: instruction.payment_id,
            account_id: instruction.account_id,
            beneficiary_id: instruction.beneficiary_id,
            amount: instruction.amount,
            currency: instruction.currency,
            scheduled_date: instruction.scheduled_date,
            accepted_at: SettledAt::now(),
            body,
        }
    }
}

impl From<&Acceptance> for Echo {
    fn from(accepted: &Acceptance) -> Self {
        Self {
            payment_id: accepted.payment_id.as_str().into(),
            amount: accepted.amount,
            currency: CurrencyCode::of(&accepted.currency),
        }
    }
}
