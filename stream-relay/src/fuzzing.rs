//! What fuzz targets and the simulation need of the classification of records.

use aws_sdk_dynamodbstreams::types::Record;
use domain::{DueDate, Failure, Payment, PaymentRef};
use jiff::Timestamp;

use crate::forward::record::{self, ObservedStatus, RecordAction, RecordRules, record_json};

/// What is done with a record.
#[derive(Debug)]
pub enum ClassifiedRecord {
    /// It is queued.
    Forward(Box<Payment>),
    /// Nothing.
    Skip,
    /// An item is gone: counted.
    Removed(PaymentRef),
    /// It is dead-lettered.
    DeadLetter {
        /// Why.
        failure: Failure,
        /// The record, whole.
        raw: String,
        /// The item that becomes FAILED before that, if it is SCHEDULED and was never attempted.
        withheld: Option<PaymentRef>,
    },
}

/// Classifies a record as of the bank's `today`, with 16 partitions of the index; `now` is when it
/// was written, if it does not say so itself.
#[must_use]
pub fn classify(record: &Record, today: DueDate, now: Timestamp) -> ClassifiedRecord {
    match record::classify(record, RecordRules { today, shards: 16, now }) {
        RecordAction::Forward(payment) => ClassifiedRecord::Forward(payment),
        RecordAction::Skip(_) => ClassifiedRecord::Skip,
        RecordAction::Removed(reference) => ClassifiedRecord::Removed(reference),
        RecordAction::DeadLetter(fault) => {
            let untried = fault.mark.filter(|mark| mark.seen == ObservedStatus::Scheduled(0));
            ClassifiedRecord::DeadLetter {
                failure: fault.failure,
                raw: record_json(record).to_string(),
                withheld: untried.map(|mark| mark.reference),
            }
        }
    }
}
