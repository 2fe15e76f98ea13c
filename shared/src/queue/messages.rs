//! The bodies of queue messages, and with which group and deduplication id they are sent.

use serde::{Deserialize, Serialize};

use super::api::OutgoingMessage;
use domain::{Failure, Money, Payment, PaymentRef, Settlement, TraceKey, fnv1a};

/// Which dispatch of a payment a message in `payments.fifo` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// The first.
    First,
    /// Another, after so many attempts, because its message is lost.
    Again(u32),
}

impl Dispatch {
    /// The message that asks for it. The group is the account (INV-5). The deduplication id is
    /// that of the item, so that a record read twice within 5 minutes is queued once, and an
    /// id used for two days is not swallowed but refused by the transaction service; another
    /// dispatch has another id, or SQS would drop what replaces a lost message (INV-7).
    #[must_use]
    pub fn message(self, payment: &Payment) -> OutgoingMessage {
        let item = format!("{}-{}", payment.due, payment.id);
        OutgoingMessage {
            group: payment.account.to_string(),
            deduplication: match self {
                Self::First => item,
                Self::Again(attempts) => format!("{item}-again-{attempts}"),
            },
            body: serde_json::to_string(payment)
                .unwrap_or_else(|_| unreachable!("a payment holds nothing that JSON lacks")),
        }
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
    /// among each other. The deduplication id holds the result, so that a second, different
    /// one of the same payment reaches the confirmer, which raises it; and the `occasion` (the
    /// attempt, or the callback), so that what one attempt sent in vain is not what swallows
    /// the next one's (INV-7).
    #[must_use]
    pub fn message(&self, occasion: &str) -> OutgoingMessage {
        let result = match &self.result {
            ReportedResult::Settled(settlement) => &settlement.transaction_id,
            ReportedResult::Rejected(failure) => &failure.reason,
        };
        let id = self.payment.id;
        OutgoingMessage {
            group: id.to_string(),
            deduplication: format!("{id}-{occasion}-{:016x}", fnv1a(result.as_bytes())),
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
