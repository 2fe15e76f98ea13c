//! What fuzz targets and the simulation need of the judgement of records.

use aws_sdk_dynamodbstreams::types::Record;
use domain::{DueDate, Failure, Payment, PaymentRef};
use jiff::Timestamp;

use crate::forward::record::{self, Seen, Standard, Verdict, as_json};

/// What is done with a record.
#[derive(Debug)]
pub enum Judged {
    /// It is queued.
    Forward(Box<Payment>),
    /// Nothing.
    Skip,
    /// An item is gone: counted.
    Removed(PaymentRef),
    /// It is dead-lettered.
    Unfit {
        /// Why.
        failure: Failure,
        /// The record, whole.
        raw: String,
        /// The item that becomes FAILED before that, if it is SCHEDULED and was never attempted.
        withheld: Option<PaymentRef>,
    },
}

/// Judges a record as of the bank's `today`, with 16 partitions of the index; `now` is when it
/// was written, if it does not say so itself.
#[must_use]
pub fn judge(record: &Record, today: DueDate, now: Timestamp) -> Judged {
    match record::judge(record, Standard { today, shards: 16, now }) {
        Verdict::Forward(payment) => Judged::Forward(payment),
        Verdict::Skip(_) => Judged::Skip,
        Verdict::Removed(reference) => Judged::Removed(reference),
        Verdict::Unfit(fault) => {
            let untried = fault.mark.filter(|mark| mark.seen == Seen::Scheduled(0));
            Judged::Unfit {
                failure: fault.failure,
                raw: as_json(record).to_string(),
                withheld: untried.map(|mark| mark.reference),
            }
        }
    }
}
