//! What is known of a run: plain data, in the order in which it happened.

use std::collections::HashSet;

use domain::{DueDate, PaymentId, Status};
use jiff::Timestamp;
use jiff::tz::TimeZone;
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
    pub letters: Vec<DeadLetterEvidence>,
    /// Payments of which the payments queue or the confirmations queue holds a message.
    pub queued: HashSet<String>,
    /// Payments that came into the queue behind later ones of their account, because SQS took
    /// a part of a batch and refused them: out of the comparison of orders (INV-5).
    pub overtaken: HashSet<String>,
    /// The bank's zone. Where it is not known, a payment counts as paid early only if its day had
    /// begun nowhere on earth.
    pub zone: Option<TimeZone>,
    /// The bank's day at the end: what is due later may wait. `None` when all are due.
    pub today: Option<DueDate>,
    /// Places in `stream` of what another program has written: nothing of it is dueflow's doing.
    pub foreign: HashSet<usize>,
    /// Payments of which a relay has said that another program has deleted them.
    pub alarms: HashSet<String>,
    /// Payments that no scan finds, because the keys of the index are not theirs.
    pub hidden: HashSet<String>,
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
    /// When, by the clock of whoever keeps the journal.
    pub at: Option<Timestamp>,
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
    /// How often it had been attempted, if the item says so.
    pub attempts: Option<u32>,
    /// Amount, currency, beneficiary: what never changes.
    pub instruction: String,
    /// Its transaction id, if it has one.
    pub transaction_id: Option<String>,
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterEvidence {
    /// The payment it is about, if it could be read.
    pub payment: Option<PaymentId>,
    /// Its reason's code; `redriven` for a message that SQS moved there itself.
    pub code: String,
}
