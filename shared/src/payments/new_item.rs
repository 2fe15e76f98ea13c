//! The items of a new payment: its own, and that of its blob when the blob does not fit inside.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::attribute;
use super::keys::{blob_partition_key, due_key, due_shard_key, partition_key, sort_key};
use super::size::{blob_bytes, fits_inline, grown};
use domain::{Data, MAX_PAYMENT_BYTES, Payment, PaymentRef, Status};

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

/// The attributes of an item with their names, in the order in which [`super::statement`] names
/// them.
pub(super) type NewItem = Vec<(&'static str, AttributeValue)>;

/// The attributes of a new payment. A blob that does not fit is replaced by its digest.
pub(super) fn new_item(payment: &Payment, shards: u16) -> NewItem {
    let mut item = without_data(payment, shards);
    match &payment.data {
        None => {}
        Some(Data::Whole(blob)) if fits_inline(&item, blob) => {
            item.push((attribute::DATA, AttributeValue::S(blob.as_str().to_owned())));
        }
        Some(data) => {
            let digest = data.digest().to_string();
            item.push((attribute::BLOB_DIGEST, AttributeValue::S(digest)));
        }
    }
    item
}

/// Days after a payment's due date, or its insertion if that is later, for which its blob's
/// own item stays: longer than any payment may take, the year of its archive included.
const BLOB_DAYS: u64 = 400;

/// The attributes of the item of a new payment's blob; `None` when it needs none.
pub(super) fn blob_item(payment: &Payment) -> Option<NewItem> {
    let Some(Data::Whole(blob)) = &payment.data else { return None };
    if fits_inline(&without_data(payment, 1), blob) {
        return None;
    }
    let created_at = u64::try_from(payment.created_at.as_second()).unwrap_or_default();
    let counted_from = created_at.max(payment.due.utc_midnight_millis() / 1000);
    let expires_at = counted_from + BLOB_DAYS * 24 * 60 * 60;
    Some(vec![
        (attribute::PK, AttributeValue::S(blob_partition_key(&payment.account))),
        (attribute::SK, AttributeValue::S(sort_key(&payment.reference()))),
        (attribute::DATA, AttributeValue::S(blob.as_str().to_owned())),
        (attribute::EXPIRES_AT, AttributeValue::N(expires_at.to_string())),
    ])
}

/// The attributes of a new payment but for the blob. The number of shards (below 100) does not
/// change its size.
fn without_data(payment: &Payment, shards: u16) -> NewItem {
    use attribute as a;
    let reference = payment.reference();
    let text = |value: String| AttributeValue::S(value);
    let created_at = time_text(payment.created_at);
    vec![
        (a::PK, text(partition_key(&payment.account))),
        (a::SK, text(sort_key(&reference))),
        (a::DUE_SHARD, text(due_shard_key(payment.due, payment.id.due_shard(shards)))),
        (a::DUE_KEY, text(due_key(&reference))),
        (a::ACCOUNT, text(payment.account.to_string())),
        (a::ID, text(payment.id.to_string())),
        (a::DUE, text(payment.due.to_string())),
        (a::STATUS, text(Status::Scheduled.to_string())),
        (a::AMOUNT, AttributeValue::N(payment.amount.to_string())),
        (a::CURRENCY, text(payment.currency.to_string())),
        (a::BENEFICIARY, text(payment.beneficiary.to_string())),
        (a::TRACE_KEY, text(payment.trace_key.to_string())),
        (a::CREATED_AT, text(created_at.clone())),
        (a::UPDATED_AT, text(created_at)),
        (a::ATTEMPTS, AttributeValue::N("0".to_owned())),
    ]
}

/// UTC with milliseconds, of constant width so that texts sort as times.
pub(super) fn time_text(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::super::size::{MAX_INLINE_BYTES, bytes};
    use super::*;
    use crate::testing::longest_payment;
    use domain::DataBlob;

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
