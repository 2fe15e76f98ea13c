//! The messages of the queues: their bodies and groups.

use serde::{Deserialize, Serialize};

use super::api::OutgoingMessage;
use super::deduplication::{ConfirmationSource, DeduplicationId, Dispatch};
use domain::{Failure, Money, Payment, PaymentRef, Settlement, TraceKey};

impl Dispatch {
    /// The message that asks for it. The group is the account (INV-5).
    #[must_use]
    pub fn message(self, payment: &Payment) -> OutgoingMessage {
        payment_message(DeduplicationId::Dispatch(self, payment), payment)
    }
}

/// The message in `payments.fifo` that carries `payment`. The group is the account (INV-5).
#[must_use]
pub fn payment_message(id: DeduplicationId<'_>, payment: &Payment) -> OutgoingMessage {
    OutgoingMessage {
        group: payment.account.to_string(),
        deduplication: id.to_string(),
        body: serde_json::to_string(payment)
            .unwrap_or_else(|_| unreachable!("a payment holds nothing that JSON lacks")),
    }
}

/// Body of a message in `confirmations.fifo`: what the transaction service says of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Which payment.
    pub payment: PaymentRef,
    /// What became of it.
    #[serde(flatten)]
    pub result: ReportedResult,
    /// What was settled, as the transaction service names it: the table must hold the same.
    /// `None` where it names nothing yet (`DUEFLOW_TRANSACTION_ECHO`), and in messages of
    /// versions before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
    /// Ties the logs together; a callback does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_key: Option<TraceKey>,
}

/// What became of a payment, as the transaction service reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ReportedResult {
    /// The money moved.
    Settled(Settlement),
    /// It was taken and then refused for good.
    Rejected(Failure),
}

impl Confirmation {
    /// The message that carries it. The group is the payment: confirmations need no order
    /// among each other.
    #[must_use]
    pub fn message(&self, source: ConfirmationSource<'_>) -> OutgoingMessage {
        let result = match &self.result {
            ReportedResult::Settled(settlement) => &settlement.transaction_id,
            ReportedResult::Rejected(failure) => &failure.reason,
        };
        let id = self.payment.id;
        OutgoingMessage {
            group: id.to_string(),
            deduplication: DeduplicationId::Confirmation(id, source, result).to_string(),
            body: serde_json::to_string(self)
                .unwrap_or_else(|_| unreachable!("a confirmation holds nothing that JSON lacks")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_results_read_back_and_only_whole_ones_do() {
        let settled = r#"{"payment":"A/2026-11-23/019ab1f4-5c1e-7d3a-8b2f-0123456789ab","transaction_id":"T","settled_at":"2026-11-23T01:00:00Z"}"#;
        let read: Confirmation = serde_json::from_str(settled).unwrap();
        assert!(matches!(&read.result, ReportedResult::Settled(s) if s.transaction_id == "T"));
        assert_eq!(serde_json::to_string(&read).unwrap(), settled);
        let rejected = r#"{"payment":"A/2026-11-23/019ab1f4-5c1e-7d3a-8b2f-0123456789ab","code":"rejected","reason":"x: y"}"#;
        let read: Confirmation = serde_json::from_str(rejected).unwrap();
        assert!(matches!(read.result, ReportedResult::Rejected(_)));
        let named = settled.replace("}", r#","money":{"amount":1250,"currency":"EUR"}}"#);
        let read: Confirmation = serde_json::from_str(&named).unwrap();
        assert_eq!(read.money.unwrap().to_string(), "12.50 EUR");
        for wrong in ["\"T\"", "\" \"", "\"\\u001b\""] {
            let body = settled.replace("\"T\"", wrong);
            let usable = serde_json::from_str::<Confirmation>(&body).is_ok();
            assert_eq!(usable, wrong == "\"T\"", "{body}");
        }
        let half = settled.replace("transaction_id", "transaction");
        assert!(serde_json::from_str::<Confirmation>(&half).is_err());
    }
}
