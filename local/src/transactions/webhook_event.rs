//! The result of a payment, as it is sent.

use axum::body::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::acceptance::Acceptance;
use super::{refusal::Refusal, settled_at::SettledAt};

/// One callback: the same id and the same bytes on every attempt, after a
/// restart as well, because both follow from what is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebhookEvent {
    pub(crate) transaction_id: Uuid,
    pub(crate) body: Bytes,
}

impl WebhookEvent {
    /// Says that the money has moved.
    pub(crate) fn settled(accepted: &Acceptance, at: SettledAt) -> Self {
        let data = json!({
            "payment_id": accepted.payment_id,
            "account_id": accepted.account_id,
            "scheduled_date": accepted.scheduled_date,
            "amount": accepted.amount,
            "currency": accepted.currency,
            "transaction_id": accepted.transaction_id,
            "settled_at": at,
        });
        Self::new(accepted, "transaction.settled", at, &data)
    }

    /// Says that the money will not move.
    pub(crate) fn rejected(accepted: &Acceptance, at: SettledAt) -> Self {
        let refusal = Refusal::RejectedByBeneficiaryBank;
        let data = json!({
            "payment_id": accepted.payment_id,
            "account_id": accepted.account_id,
            "scheduled_date": accepted.scheduled_date,
            "amount": accepted.amount,
            "currency": accepted.currency,
            "code": refusal.code(),
            "reason": refusal.to_string(),
        });
        Self::new(accepted, "transaction.rejected", at, &data)
    }

    fn new(accepted: &Acceptance, event: &str, at: SettledAt, data: &Value) -> Self {
        let body = json!({ "type": event, "timestamp": at, "data": data }).to_string();
        Self { transaction_id: accepted.transaction_id, body: body.into() }
    }

    /// The `webhook-id`, by which the receiver knows a repeated event.
    pub(crate) fn webhook_id(&self) -> String {
        format!("msg_{}", self.transaction_id.simple())
    }
}
