//! Reading of a file for the fuzz target (`tests/fuzz`).

use domain::Payment;
use jiff::Timestamp;

use crate::RowSyntax;
use crate::file::{FileRecord, RecordReader};

/// The payment of each row, or why the row is rejected. `None` when the whole file is rejected.
#[must_use]
pub fn payments(file: &[u8], syntax: RowSyntax) -> Option<Vec<Result<Payment, String>>> {
    let mut reader = RecordReader::open(file, syntax).ok()?;
    let mut payments = Vec::new();
    while let Some((_, record)) = reader.next().ok()? {
        match record {
            FileRecord::Row(Ok(row)) => {
                payments.push(row.payment(&row.digest("fuzz"), 0, Timestamp::UNIX_EPOCH));
            }
            FileRecord::Row(Err(reason)) => payments.push(Err(reason)),
            FileRecord::Trailer(_) => {}
        }
    }
    Some(payments)
}
