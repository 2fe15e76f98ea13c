//! What a fuzz target needs of the reading of imports (`tests/fuzz`).

use domain::Payment;
use jiff::Timestamp;

use super::lines::Cut;
use super::rows::{Entry, Rows};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// CSV by its grammar.
    Csv,
    /// CSV of which each line is a row.
    CsvLines,
    /// JSON lines.
    JsonLines,
}

/// The payments of a file, each row's, or why the row is refused. `None` when the file as a whole
/// is.
#[must_use]
pub fn payments(file: &[u8], form: Form) -> Option<Vec<Result<Payment, String>>> {
    let cut = match form {
        Form::Csv => Cut::Grammar,
        Form::CsvLines => Cut::CsvLines,
        Form::JsonLines => Cut::JsonLines,
    };
    let mut rows = Rows::open(file, cut).ok()?;
    let mut payments = Vec::new();
    while let Some((_, entry)) = rows.next().ok()? {
        match entry {
            Entry::Row(Ok(row)) => {
                payments.push(row.payment(&row.digest("fuzz"), 0, Timestamp::UNIX_EPOCH));
            }
            Entry::Row(Err(reason)) => payments.push(Err(reason)),
            Entry::Trailer(_) => {}
        }
    }
    Some(payments)
}
