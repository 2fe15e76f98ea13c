//! A payment as the table holds it, read back from its item.

use jiff::Timestamp;

use super::attribute;
use super::item::{ItemAttributes, ItemError, count, digits, parsed, text, time};
use super::new_item::check_size;
use domain::{
    AccountId, Amount, Attempt, BeneficiaryId, Data, DataBlob, Failure, Payment, Status, TraceKey,
};

/// Reads the payment of an item.
///
/// # Errors
/// [`ItemError`] names the first attribute that is missing or wrong.
pub fn payment_from(item: &impl ItemAttributes) -> Result<Payment, ItemError> {
    use attribute as a;
    let payment = Payment {
        id: parsed(a::ID, text(item, a::ID)?.parse())?,
        account: parsed(a::ACCOUNT, AccountId::parse(text(item, a::ACCOUNT)?))?,
        due: parsed(a::DUE, text(item, a::DUE)?.parse())?,
        amount: parsed(a::AMOUNT, digits(item, a::AMOUNT)?.parse::<Amount>())?,
        currency: parsed(a::CURRENCY, text(item, a::CURRENCY)?.parse())?,
        beneficiary: parsed(a::BENEFICIARY, BeneficiaryId::parse(text(item, a::BENEFICIARY)?))?,
        data: data_from(item)?,
        trace_key: parsed(a::TRACE_KEY, TraceKey::parse(text(item, a::TRACE_KEY)?))?,
        created_at: parsed(a::CREATED_AT, text(item, a::CREATED_AT)?.parse())?,
    };
    parsed(a::DATA, check_size(&payment))?;
    Ok(payment)
}

fn data_from(item: &impl ItemAttributes) -> Result<Option<Data>, ItemError> {
    use attribute as a;
    let optional = |name| match item.text(name) {
        None if item.has(name) => Err(ItemError::Missing { attribute: name }),
        text => Ok(text),
    };
    match (optional(a::DATA)?, optional(a::BLOB_DIGEST)?) {
        (None, None) => Ok(None),
        (Some(blob), None) => Ok(Some(Data::Whole(parsed(a::DATA, DataBlob::new(blob))?))),
        (None, Some(digest)) => Ok(Some(Data::Beside(parsed(a::BLOB_DIGEST, digest.parse())?))),
        (Some(_), Some(_)) => Err(ItemError::Invalid {
            attribute: a::BLOB_DIGEST,
            reason: "stands beside a DataBlob".to_owned(),
        }),
    }
}

/// A payment and where it stands, as read from the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPayment {
    /// What it is.
    pub payment: Payment,
    /// Where it stands.
    pub status: Status,
    /// When that last changed, UTC.
    pub updated_at: Timestamp,
    /// How often it was attempted.
    pub attempts: u32,
    /// How often it had been attempted when it was last replayed.
    pub attempts_before: u32,
    /// How many attempts since then did nothing, for certain.
    pub not_done: u32,
    /// When it was first claimed, UTC; nothing was submitted before.
    pub claimed_at: Option<Timestamp>,
    /// The transaction service's id, once PROCESSED.
    pub transaction_id: Option<String>,
    /// When the transaction service settled it, once PROCESSED.
    pub settled_at: Option<Timestamp>,
    /// Why it FAILED, if it did.
    pub failure: Option<Failure>,
    /// The dead letters of its failures.
    pub dead_letters: DeadLetters,
}

/// What an item knows of its dead letters: one for each change to FAILED.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// How many were written.
    pub count: u32,
    /// When the last one was, UTC. A change to FAILED removes it: what is FAILED and has one
    /// has its dead letter.
    pub last: Option<Timestamp>,
}

impl StoredPayment {
    /// What is known of its attempts.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        Attempt {
            number: self.attempts,
            before_replay: self.attempts_before,
            not_done: self.not_done,
            claimed_at: self.claimed_at.unwrap_or(self.updated_at),
        }
    }

    /// Reads a whole item.
    ///
    /// # Errors
    /// [`ItemError`] names the first attribute that is missing or wrong.
    pub fn from_item(item: &impl ItemAttributes) -> Result<Self, ItemError> {
        use attribute as a;
        let failure = match (item.text(a::FAILURE_CODE), item.text(a::FAILURE_REASON)) {
            (Some(code), reason) => Some(Failure::new(
                parsed(a::FAILURE_CODE, code.parse())?,
                reason.unwrap_or_default(),
            )),
            (None, _) => None,
        };
        Ok(Self {
            payment: payment_from(item)?,
            status: parsed(a::STATUS, text(item, a::STATUS)?.parse())?,
            updated_at: parsed(a::UPDATED_AT, text(item, a::UPDATED_AT)?.parse())?,
            attempts: parsed(a::ATTEMPTS, digits(item, a::ATTEMPTS)?.parse())?,
            attempts_before: count(item, a::ATTEMPTS_BEFORE)?,
            not_done: count(item, a::ATTEMPTS_NOT_DONE)?,
            claimed_at: time(item, a::CLAIMED_AT)?,
            transaction_id: item.text(a::TRANSACTION_ID).map(str::to_owned),
            settled_at: time(item, a::SETTLED_AT)?,
            failure,
            dead_letters: DeadLetters {
                count: count(item, a::DEAD_LETTERS)?,
                last: time(item, a::DEAD_LETTERED_AT)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;
    use crate::payments::keys::{is_blob, reference_from};
    use crate::payments::new_item::{blob_item, new_item};
    use crate::testing::longest_payment;
    use domain::BlobDigest;

    fn as_map(payment: &Payment) -> HashMap<String, AttributeValue> {
        new_item(payment, 16).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn an_item_reads_back_as_the_payment_it_was_made_from() {
        let mut payment = longest_payment();
        payment.data = Some(Data::Whole(DataBlob::new("{\"note\":\"rent\"}").unwrap()));
        let stored = StoredPayment::from_item(&as_map(&payment)).unwrap();
        assert_eq!(stored.payment, payment);
        assert_eq!((stored.status, stored.attempts), (Status::Scheduled, 0));
        assert_eq!(reference_from(&as_map(&payment)), Ok(payment.reference()));
    }

    #[test]
    fn a_bad_item_names_the_attribute() {
        let mut item = as_map(&longest_payment());
        item.insert("Amount".to_owned(), AttributeValue::N("-3".to_owned()));
        assert!(payment_from(&item).unwrap_err().to_string().starts_with("Amount"));
        item.insert("Amount".to_owned(), AttributeValue::S("3".to_owned()));
        assert_eq!(payment_from(&item), Err(ItemError::Missing { attribute: "Amount" }));
        item.insert("SK".to_owned(), AttributeValue::S("2026-11-23".to_owned()));
        assert!(reference_from(&item).unwrap_err().to_string().starts_with("SK"));
    }

    #[test]
    fn an_item_with_a_digest_reads_back_as_such_and_one_with_both_does_not() {
        let mut payment = longest_payment();
        let blob = DataBlob::new("x".repeat(2_000)).unwrap();
        payment.data = Some(Data::Whole(blob.clone()));
        let mut item = as_map(&payment);
        let read = payment_from(&item).unwrap();
        assert_eq!(read.data, Some(Data::Beside(BlobDigest::of(&blob))));
        assert!(read.same_instruction(&payment));
        item.insert("DataBlob".to_owned(), AttributeValue::S("x".to_owned()));
        assert!(payment_from(&item).unwrap_err().to_string().starts_with("BlobDigest"));
    }

    #[test]
    fn the_item_of_a_blob_stays_400_days_after_the_payment_and_is_no_payment() {
        let mut payment = longest_payment();
        payment.data = Some(Data::Whole(DataBlob::new("x".repeat(2_000)).unwrap()));
        payment.due = "2026-12-31".parse().unwrap();
        let item: HashMap<_, _> = blob_item(&payment)
            .unwrap()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let expires_at: i64 = item["ExpiresAt"].as_n().unwrap().parse().unwrap();
        let expires_at = Timestamp::from_second(expires_at).unwrap();
        assert_eq!(expires_at.to_string(), "2028-02-04T00:00:00Z");
        assert!(is_blob(&item) && !is_blob(&as_map(&payment)));
        assert!(payment_from(&item).is_err());
        assert_eq!(item["SK"], as_map(&payment)["SK"]);
    }

    #[test]
    fn an_item_above_8_kb_is_no_payment() {
        let mut item = as_map(&longest_payment());
        item.insert("DataBlob".to_owned(), AttributeValue::S("x".repeat(7_800)));
        let error = payment_from(&item).unwrap_err().to_string();
        assert!(error.contains("at most 8192"), "{error}");
    }
}
