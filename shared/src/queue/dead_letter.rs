//! The dead-letter queue: what an operator has to look at, whole and with a reason.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::api::OutgoingMessage;
use super::deduplication::{DeadLetterSource, DeduplicationId};
use super::producer::{Producer, SendError};
use crate::payments::StoredPayment;
use domain::{Failure, Payment};

/// Most bytes of an unreadable text in a dead letter. Escaped as JSON it may grow sixfold, and SQS
/// takes 1 MiB; a payment has at most 8 KB.
pub const MAX_RAW_BYTES: usize = 128 * 1024;

/// Body of a message in `payments-dlq.fifo` that a service wrote. (Messages that SQS moved
/// there itself after too many deliveries keep the body they had.)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Why it is here.
    #[serde(flatten)]
    pub failure: Failure,
    /// The service that gave it up.
    pub service: String,
    /// When, UTC.
    pub at: Timestamp,
    /// The payment, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment>,
    /// What was found instead, word for word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// The sending end of the dead-letter queue, for one service.
#[derive(Debug, Clone)]
pub struct DeadLetterQueue {
    producer: Producer,
    service: &'static str,
}

impl DeadLetterQueue {
    /// Dead letters from `service` go through `producer`.
    #[must_use]
    pub fn new(producer: Producer, service: &'static str) -> Self {
        Self { producer, service }
    }

    /// Puts a payment there that is FAILED, with the message that contradicts it if one does. One
    /// dead letter for each change to FAILED is what [`crate::dead_letters::dead_letter`] writes.
    ///
    /// # Errors
    /// [`SendError`]: the message must then not be acknowledged.
    pub async fn send_failed(
        &self,
        stored: &StoredPayment,
        failure: Failure,
        raw: Option<String>,
    ) -> Result<(), SendError> {
        let source = DeadLetterSource::Failed(stored.payment.id, stored.attempts);
        self.send_payment(source, &stored.payment, raw, failure).await
    }

    /// Puts one payment there, with the message that contradicts it if one does. The group is
    /// the account, so the order of its payments holds in the dead-letter queue too.
    ///
    /// # Errors
    /// [`SendError`]: the message must then not be acknowledged.
    pub async fn send_payment(
        &self,
        source: DeadLetterSource<'_>,
        payment: &Payment,
        raw: Option<String>,
        failure: Failure,
    ) -> Result<(), SendError> {
        let group = payment.account.to_string();
        self.send(group, source, failure, Some(payment.clone()), raw).await
    }

    /// Puts there, word for word, what could not be read as a payment (the first
    /// [`MAX_RAW_BYTES`] of it).
    ///
    /// # Errors
    /// [`SendError`]: what was read must then not be acknowledged.
    pub async fn send_unreadable(
        &self,
        source: DeadLetterSource<'_>,
        raw: String,
        failure: Failure,
    ) -> Result<(), SendError> {
        self.send("unreadable".to_owned(), source, failure, None, Some(raw)).await
    }

    async fn send(
        &self,
        group: String,
        source: DeadLetterSource<'_>,
        failure: Failure,
        payment: Option<Payment>,
        mut raw: Option<String>,
    ) -> Result<(), SendError> {
        if let Some(raw) = &mut raw {
            raw.truncate(raw.floor_char_boundary(MAX_RAW_BYTES));
        }
        let deduplication = DeduplicationId::DeadLetter(source, failure.code).to_string();
        let service = self.service.to_owned();
        let dead_letter = DeadLetter { failure, service, at: Timestamp::now(), payment, raw };
        let body = serde_json::to_string(&dead_letter)
            .unwrap_or_else(|_| unreachable!("a dead letter holds nothing that JSON lacks"));
        self.producer.send(&[OutgoingMessage { group, deduplication, body }]).await
    }
}
