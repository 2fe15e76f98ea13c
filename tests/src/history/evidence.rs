//! What is known of a run: plain data, in the order in which it happened.

use std::collections::HashSet;

use shared::domain::{DueDate, PaymentId, Status};
use shared::payments::StoredPayment;

/// Everything the checker looks at.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// How many payments were inserted, as their writer counted them.
    pub inserted: u64,
    /// The transaction service's journal, in its order.
    pub journal: Vec<Settled>,
    /// The table as it stands.
    pub table: Vec<StoredPayment>,
    /// The table's stream from its beginning, in its order.
    pub stream: Vec<Change>,
    /// The dead-letter queue.
    pub letters: Vec<Letter>,
    /// Payments of which the payments queue or the confirmations queue holds a message.
    pub queued: HashSet<String>,
    /// Payments that came into the queue behind later ones of their account, because SQS took
    /// a part of a batch and refused them: out of the comparison of orders (INV-5).
    pub overtaken: HashSet<String>,
}

/// One settlement: money that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The idempotency key of the request.
    pub key: String,
    /// The transaction service's id of it.
    pub transaction_id: String,
    /// The account it left.
    pub account: String,
    /// Who received it.
    pub beneficiary: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
}

/// One record of the stream: how a payment looked after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its id, as stored.
    pub payment: String,
    /// The account it leaves from.
    pub account: String,
    /// The day it is due.
    pub due: Option<DueDate>,
    /// Its status after the change; `None` when the item was removed.
    pub status: Option<Status>,
    /// Amount, currency, beneficiary: what never changes.
    pub instruction: String,
    /// Its transaction id, if it has one.
    pub transaction_id: Option<String>,
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The payment it is about, if it could be read.
    pub payment: Option<PaymentId>,
    /// Its reason's code; `redriven` for a message that SQS moved there itself.
    pub code: String,
}
