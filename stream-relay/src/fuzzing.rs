//! What a fuzz target needs of the judgement of records (`tests/fuzz`).

use aws_sdk_dynamodbstreams::types::Record;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use shared::domain::{DueDate, Payment};

use crate::record::{self, Standard, Verdict, as_json};

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
    let standard = Standard {
        today,
        shards: 16,
        now: today.start(&TimeZone::UTC) + SignedDuration::from_hours(24 * 3),
    };
    match record::judge(record, standard) {
        Verdict::Forward(payment) => Judged::Forward(payment),
        Verdict::Skip(_) | Verdict::Removed(_) => Judged::Skip,
        Verdict::Unfit(fault) => {
            Judged::Malformed(fault.failure.reason, as_json(record).to_string())
        }
    }
}
