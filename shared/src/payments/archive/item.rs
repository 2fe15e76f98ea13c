//! A payment as it is archived: its item as it was, with the blob inside.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::super::attribute;
use super::super::error::BlobError;
use super::super::item::ItemError;
use super::super::stored_payment::StoredPayment;
use domain::{Data, DataBlob, PaymentRef, Status};

/// Why a payment stays in the payments table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotArchivable {
    /// The item is no payment.
    #[error("the item is no payment: {0}")]
    NoPayment(#[source] ItemError),
    /// It has moved on, or back, since the index was read.
    #[error("the payment is {0}, not PROCESSED")]
    InStatus(Status),
    /// PROCESSED by nobody who knows the rules.
    #[error("it is PROCESSED without a transaction id")]
    NoTransaction,
    /// Its blob lies in an item of its own, and is not to be had.
    #[error(transparent)]
    Blob(BlobError),
    /// Somebody's own attribute, with a name that cannot be written in a statement.
    #[error("an attribute has a quotation mark in its name")]
    AttributeName,
}

/// A settled payment, with every attribute that its item has, also those that dueflow does
/// not know: an archive leaves nothing out.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchiveItem {
    stored: StoredPayment,
    transaction_id: String,
    attributes: HashMap<String, AttributeValue>,
}

/// What an archived payment has in common with one that is to be archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemComparison {
    /// Every attribute.
    Same,
    /// What was to be paid, and the transaction that paid it. It was inserted again after it
    /// was archived, and found settled (ADR-14): the archive holds the first one.
    Repeated,
    /// Another payment, or another transaction.
    Other,
}

impl ArchiveItem {
    /// Takes an item of the payments table, and its blob if that lies in an item of its own: the
    /// archive holds it inside.
    ///
    /// # Errors
    /// [`NotArchivable`] says why it stays there.
    pub(super) fn of(
        mut attributes: HashMap<String, AttributeValue>,
        blob: Option<Result<DataBlob, BlobError>>,
    ) -> Result<Self, NotArchivable> {
        let mut stored = StoredPayment::from_item(&attributes).map_err(NotArchivable::NoPayment)?;
        if stored.status != Status::Processed {
            return Err(NotArchivable::InStatus(stored.status));
        }
        let transaction_id = stored.transaction_id.clone().filter(|id| !id.is_empty());
        let transaction_id = transaction_id.ok_or(NotArchivable::NoTransaction)?;
        if attributes.keys().any(|name| name.contains(['\'', '"'])) {
            return Err(NotArchivable::AttributeName);
        }
        if stored.payment.blob_beside().is_some() {
            let blob = blob.unwrap_or(Err(BlobError::Missing)).map_err(NotArchivable::Blob)?;
            attributes.remove(attribute::BLOB_DIGEST);
            let text = AttributeValue::S(blob.as_str().to_owned());
            attributes.insert(attribute::DATA.to_owned(), text);
            stored.payment.data = Some(Data::Whole(blob));
        }
        Ok(Self { stored, transaction_id, attributes })
    }

    /// The payment.
    #[must_use]
    pub fn stored(&self) -> &StoredPayment {
        &self.stored
    }

    /// The transaction that settled it.
    #[must_use]
    pub fn transaction_id(&self) -> &str {
        &self.transaction_id
    }

    /// Where it lies, in both tables.
    #[must_use]
    pub fn reference(&self) -> PaymentRef {
        self.stored.payment.reference()
    }

    /// Its attributes, sorted by name, so that equal shapes make equal statements.
    pub(super) fn attributes(&self) -> Vec<(&str, &AttributeValue)> {
        let mut all: Vec<_> =
            self.attributes.iter().map(|(name, value)| (name.as_str(), value)).collect();
        all.sort_by_key(|(name, _)| *name);
        all
    }

    /// Compares it with what the archive holds under its key.
    #[must_use]
    pub fn likeness(&self, archived: &HashMap<String, AttributeValue>) -> ItemComparison {
        if self.attributes == *archived {
            return ItemComparison::Same;
        }
        let Ok(before) = StoredPayment::from_item(archived) else { return ItemComparison::Other };
        let repeated = before.status == Status::Processed
            && before.payment.same_instruction(&self.stored.payment)
            && before.transaction_id.as_deref() == Some(&self.transaction_id);
        if repeated { ItemComparison::Repeated } else { ItemComparison::Other }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::payments::new_item::new_item;
    use crate::testing::longest_payment;
    use domain::{Amount, BlobDigest};

    /// The item of a payment that transaction `T` has settled.
    pub(in super::super) fn settled() -> HashMap<String, AttributeValue> {
        let mut item: HashMap<_, _> = new_item(&longest_payment(), 16)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let text = |value: &str| AttributeValue::S(value.to_owned());
        item.insert(attribute::STATUS.to_owned(), text("PROCESSED"));
        item.insert(attribute::TRANSACTION_ID.to_owned(), text("T"));
        item.insert(attribute::SETTLED_AT.to_owned(), text("2026-11-23T01:00:02.000Z"));
        item
    }

    fn with(
        item: &HashMap<String, AttributeValue>,
        name: &str,
        value: AttributeValue,
    ) -> HashMap<String, AttributeValue> {
        let mut item = item.clone();
        item.insert(name.to_owned(), value);
        item
    }

    #[test]
    fn only_a_payment_that_is_processed_by_a_transaction_is_archived() {
        let item = settled();
        let changed = |name, value| ArchiveItem::of(with(&item, name, value), None);
        assert!(ArchiveItem::of(item.clone(), None).is_ok());
        for status in Status::ALL.into_iter().filter(|status| *status != Status::Processed) {
            let changed = changed(attribute::STATUS, AttributeValue::S(status.to_string()));
            assert_eq!(changed, Err(NotArchivable::InStatus(status)));
        }
        let without = changed(attribute::TRANSACTION_ID, AttributeValue::S(String::new()));
        assert_eq!(without, Err(NotArchivable::NoTransaction));
        let broken = changed(attribute::AMOUNT, AttributeValue::N("-1".to_owned()));
        assert!(matches!(broken, Err(NotArchivable::NoPayment(_))));
        let odd = changed("o'clock", AttributeValue::Bool(true));
        assert_eq!(odd, Err(NotArchivable::AttributeName));
    }

    #[test]
    fn whatever_attribute_differs_two_items_are_not_the_same() {
        let whole = settled();
        let item = ArchiveItem::of(whole.clone(), None).unwrap();
        assert_eq!(item.likeness(&whole), ItemComparison::Same);
        for name in whole.keys() {
            let mut archived = whole.clone();
            archived.remove(name);
            assert_ne!(item.likeness(&archived), ItemComparison::Same, "{name}");
        }
        let more = with(&whole, "Note", AttributeValue::S("ours".to_owned()));
        assert_ne!(item.likeness(&more), ItemComparison::Same);
    }

    #[test]
    fn a_payment_that_was_inserted_again_is_told_from_another_one() {
        let whole = settled();
        let item = ArchiveItem::of(whole.clone(), None).unwrap();
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let again = with(&whole, attribute::CREATED_AT, text("2026-11-25T01:00:00.000Z"));
        assert_eq!(item.likeness(&again), ItemComparison::Repeated);
        let other = AttributeValue::N((Amount::MAX - 1).to_string());
        assert_eq!(item.likeness(&with(&whole, attribute::AMOUNT, other)), ItemComparison::Other);
        let paid_again = with(&whole, attribute::TRANSACTION_ID, text("T2"));
        assert_eq!(item.likeness(&paid_again), ItemComparison::Other);
        assert_eq!(item.likeness(&HashMap::new()), ItemComparison::Other);
    }

    #[test]
    fn a_blob_in_an_item_of_its_own_is_archived_inside() {
        let blob = DataBlob::new("x".repeat(7_000)).unwrap();
        let digest = AttributeValue::S(BlobDigest::of(&blob).to_string());
        let beside = with(&settled(), attribute::BLOB_DIGEST, digest);
        let item = ArchiveItem::of(beside.clone(), Some(Ok(blob.clone()))).unwrap();
        let inside = with(&beside, attribute::DATA, AttributeValue::S("x".repeat(7_000)));
        assert_ne!(item.likeness(&inside), ItemComparison::Same, "the digest is left out");
        let mut inside = inside;
        inside.remove(attribute::BLOB_DIGEST);
        assert_eq!(item.likeness(&inside), ItemComparison::Same);
        assert_eq!(item.stored().payment.data, Some(Data::Whole(blob)));
        for blob in [None, Some(Err(BlobError::Missing))] {
            let without = ArchiveItem::of(beside.clone(), blob);
            assert_eq!(without, Err(NotArchivable::Blob(BlobError::Missing)));
        }
    }
}
