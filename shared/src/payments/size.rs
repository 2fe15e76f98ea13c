//! How large a payment is, as `DynamoDB` counts: names and values, in bytes. What is above
//! 1 KB costs a write unit more with each change, so a large blob lies in an item of its own
//! (ADR-12).

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{attribute, without_data};
use domain::{Data, DataBlob, MAX_PAYMENT_BYTES, Payment, PaymentRef};

/// Largest item whose change costs one write unit (`DynamoDB`: units of 1 KB).
const MAX_INLINE_BYTES: usize = 1024;

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

/// A payment that is larger than 8 KB.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the payment {reference} has {bytes} bytes with its DataBlob and all it gets until it is PROCESSED, at most {MAX_PAYMENT_BYTES} are allowed"
)]
pub struct TooLarge {
    /// Which one.
    pub reference: PaymentRef,
    /// Its size.
    pub bytes: usize,
}

/// Bytes of a whole payment as it would lie in one item with its blob, with all it may get
/// until it is PROCESSED.
///
/// # Errors
/// [`TooLarge`] when these are more than [`MAX_PAYMENT_BYTES`].
pub fn check_size(payment: &Payment) -> Result<usize, TooLarge> {
    let blob = match &payment.data {
        Some(Data::Whole(blob)) => blob_bytes(blob),
        // Its blob was judged when it was inserted.
        Some(Data::Beside(_)) | None => 0,
    };
    let bytes = grown(&without_data(payment, 1)) + blob;
    if bytes > MAX_PAYMENT_BYTES {
        Err(TooLarge { reference: payment.reference(), bytes })
    } else {
        Ok(bytes)
    }
}

/// Whether `blob` may lie in the same item as `rest`, so that no change of the payment until
/// it is PROCESSED costs more than one write unit in the table.
pub(super) fn fits_inline(rest: &[(&'static str, AttributeValue)], blob: &DataBlob) -> bool {
    grown(rest) + blob_bytes(blob) <= MAX_INLINE_BYTES
}

fn blob_bytes(blob: &DataBlob) -> usize {
    attribute::DATA.len() + blob.as_str().len()
}

fn grown(item: &[(&'static str, AttributeValue)]) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::item::tests::longest_payment;
    use crate::payments::item::{blob_item, new_item};

    /// A payment that is exactly so large.
    fn of_size(bytes: usize) -> Payment {
        let mut payment = longest_payment();
        payment.account = domain::AccountId::parse("ACC-000017").unwrap();
        payment.data = Some(Data::Whole(DataBlob::new("").unwrap()));
        let rest = check_size(&payment).unwrap();
        payment.data = Some(Data::Whole(DataBlob::new("x".repeat(bytes - rest)).unwrap()));
        payment
    }

    fn has(payment: &Payment, name: &str) -> bool {
        new_item(payment, 16).iter().any(|(has, _)| *has == name)
    }

    #[test]
    fn a_payment_of_1024_bytes_lies_in_one_item_and_one_of_1025_in_two() {
        let one = of_size(1024);
        assert_eq!(check_size(&one), Ok(1024));
        assert!(has(&one, "DataBlob") && !has(&one, "BlobDigest"));
        assert_eq!(blob_item(&one), None);
        let two = of_size(1025);
        assert!(has(&two, "BlobDigest") && !has(&two, "DataBlob"));
        let blob = blob_item(&two).unwrap();
        assert!(blob.iter().any(|(name, _)| *name == "DataBlob"));
        let rest = new_item(&two, 16);
        assert!(grown(&rest) <= MAX_INLINE_BYTES, "{}", grown(&rest));
    }

    #[test]
    fn a_payment_of_8192_bytes_is_taken_and_one_byte_more_is_refused() {
        assert_eq!(check_size(&of_size(MAX_PAYMENT_BYTES)), Ok(MAX_PAYMENT_BYTES));
        let error = check_size(&of_size(MAX_PAYMENT_BYTES + 1)).unwrap_err();
        assert!(error.to_string().contains("8193 bytes"), "{error}");
        assert!(error.to_string().contains("at most 8192"), "{error}");
    }

    #[test]
    fn the_longest_everything_else_fits_beside_a_digest_and_the_blob_into_its_own_item() {
        let mut payment = longest_payment();
        let rest = check_size(&payment).unwrap();
        let blob = "x".repeat(MAX_PAYMENT_BYTES - rest - "DataBlob".len());
        payment.data = Some(Data::Whole(DataBlob::new(blob).unwrap()));
        assert_eq!(check_size(&payment), Ok(MAX_PAYMENT_BYTES));
        assert!(grown(&new_item(&payment, 16)) <= MAX_INLINE_BYTES);
        assert!(bytes(&blob_item(&payment).unwrap()) <= MAX_PAYMENT_BYTES);
    }
}
