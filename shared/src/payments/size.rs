//! How large a payment is, as `DynamoDB` counts: names and values, in bytes. What is above
//! 1 KB costs a write unit more with each change, so a large blob lies in an item of its own
//! (ADR-12).

use aws_sdk_dynamodb::types::AttributeValue;

use super::attribute;
use domain::DataBlob;

/// Largest item whose change costs one write unit (`DynamoDB`: units of 1 KB).
pub(super) const MAX_INLINE_BYTES: usize = 1024;

/// Bytes of a time, in UTC with milliseconds.
const TIME_BYTES: usize = 24;
/// Bytes of a count of attempts of up to four digits.
const COUNT_BYTES: usize = 3;
/// Longest transaction id that is taken (`docs/transaction-service.yaml`).
const TRANSACTION_ID_BYTES: usize = 64;

/// What an item gets, at the most, until it is PROCESSED.
const GROWTH_BYTES: usize = attribute::CLAIMED_AT.len()
    + attribute::TRANSACTION_ID.len()
    + attribute::SETTLED_AT.len()
    + attribute::ATTEMPTS_BEFORE.len()
    + attribute::ATTEMPTS_NOT_DONE.len()
    + attribute::DEAD_LETTERS.len()
    + attribute::DEAD_LETTERED_AT.len()
    + 3 * TIME_BYTES
    + TRANSACTION_ID_BYTES
    + 3 * COUNT_BYTES
    // Attempts, which is 0 at first and then two bytes long.
    + COUNT_BYTES
    - 2;

/// Whether `blob` may lie in the same item as `rest`, so that no change of the payment until
/// it is PROCESSED costs more than one write unit in the table.
pub(super) fn fits_inline(rest: &[(&'static str, AttributeValue)], blob: &DataBlob) -> bool {
    grown(rest) + blob_bytes(blob) <= MAX_INLINE_BYTES
}

pub(super) fn blob_bytes(blob: &DataBlob) -> usize {
    attribute::DATA.len() + blob.as_str().len()
}

/// Bytes of an item with all it may get until it is PROCESSED.
pub(super) fn grown(item: &[(&'static str, AttributeValue)]) -> usize {
    bytes(item) + GROWTH_BYTES
}

/// Bytes of an item that holds texts and whole numbers. (Trailing zeros of a number count for
/// less at `DynamoDB`.)
pub(super) fn bytes(item: &[(&'static str, AttributeValue)]) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => 1 + digits.len().div_ceil(2),
        other => unreachable!("no payment has an attribute such as {other:?}"),
    };
    item.iter().map(|(name, of)| name.len() + value(of)).sum()
}
