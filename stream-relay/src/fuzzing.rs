//! What a fuzz target needs of the judgement of records (`tests/fuzz`).

use aws_sdk_dynamodbstreams::types::Record;
use shared::domain::{DueDate, Payment};

use crate::record::{self, Verdict, as_json};

/// What is done with a record.
#[derive(Debug)]
pub enum Judged {
    /// It is queued.
    Forward(Box<Payment>),
    /// Nothing.
    Skip,
    /// It is dead-lettered, for this reason and with this text.
    Malformed(String, String),
}

/// Judges a record as of the bank's `today`.
#[must_use]
pub fn judge(record: &Record, today: DueDate) -> Judged {
    match record::judge(record, today) {
        Verdict::Forward(payment) => Judged::Forward(payment),
        Verdict::Skip(_) => Judged::Skip,
        Verdict::Malformed { reason } => Judged::Malformed(reason, as_json(record).to_string()),
    }
}
