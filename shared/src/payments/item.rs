//! How a payment lies in the table: attribute names, keys, and reading it back.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::domain::{
    AccountId, Amount, Attempt, BeneficiaryId, DataBlob, DueDate, Failure, Payment, PaymentRef,
    Status, TraceKey,
};

/// Attribute names. They are stored with every item and counted in its size.
pub mod attribute {
    /// Partition key, `ACCOUNT#<AccountID>`.
    pub const PK: &str = "PK";
    /// Sort key, `<ScheduledDate>#<PaymentID>`.
    pub const SK: &str = "SK";
    /// Partition key of the index `due`, `<ScheduledDate>#<shard>`.
    pub const DUE_SHARD: &str = "DueShard";
    /// Sort key of the index `due`, `<AccountID>#<PaymentID>`.
    pub const DUE_KEY: &str = "DueKey";
    /// The account.
    pub const ACCOUNT: &str = "AccountID";
    /// The payment's id.
    pub const ID: &str = "PaymentID";
    /// The day it is due.
    pub const DUE: &str = "ScheduledDate";
    /// Where it stands.
    pub const STATUS: &str = "Status";
    /// Minor units.
    pub const AMOUNT: &str = "Amount";
    /// ISO 4217 code.
    pub const CURRENCY: &str = "Currency";
    /// Who receives it.
    pub const BENEFICIARY: &str = "BeneficiaryID";
    /// What the bank attached.
    pub const DATA: &str = "DataBlob";
    /// Ties logs together.
    pub const TRACE_KEY: &str = "TraceKey";
    /// When it was inserted.
    pub const CREATED_AT: &str = "CreatedAt";
    /// When it last changed.
    pub const UPDATED_AT: &str = "UpdatedAt";
    /// How often it was attempted.
    pub const ATTEMPTS: &str = "Attempts";
    /// How often it had been attempted when it was last replayed.
    pub const ATTEMPTS_BEFORE: &str = "AttemptsBefore";
    /// When it was first claimed.
    pub const CLAIMED_AT: &str = "ClaimedAt";
    /// The transaction service's id, once PROCESSED.
    pub const TRANSACTION_ID: &str = "TransactionID";
    /// When the transaction service settled it.
    pub const SETTLED_AT: &str = "SettledAt";
    /// Why it FAILED: a code of the closed list.
    pub const FAILURE_CODE: &str = "FailureCode";
    /// Why it FAILED: the words.
    pub const FAILURE_REASON: &str = "FailureReason";
}

/// Partition key of an account's payments.
pub(super) fn partition_key(account: &AccountId) -> String {
    format!("ACCOUNT#{account}")
}

/// Sort key of one payment.
pub(super) fn sort_key(reference: &PaymentRef) -> String {
    format!("{}#{}", reference.due, reference.id)
}

/// Partition key of the index `due`.
pub(super) fn due_shard_key(due: DueDate, shard: u16) -> String {
    format!("{due}#{shard:02}")
}

/// Sort key of the index `due`.
pub(super) fn due_key(reference: &PaymentRef) -> String {
    format!("{}#{}", reference.account, reference.id)
}

/// The reference that the keys of an item (or of an entry of the index) stand for.
pub(super) fn reference_from(item: &impl Attributes) -> Result<PaymentRef, ItemError> {
    use attribute as a;
    let partition = text(item, a::PK)?;
    let account = partition.strip_prefix("ACCOUNT#").unwrap_or_default();
    let (due, id) = text(item, a::SK)?.split_once('#').unwrap_or_default();
    Ok(PaymentRef {
        account: parsed(a::PK, AccountId::parse(account))?,
        due: parsed(a::SK, due.parse())?,
        id: parsed(a::SK, id.parse())?,
    })
}

/// A DynamoDB item, from whichever of the SDK's crates it comes.
pub trait Attributes {
    /// The text of a string attribute; `None` when it is absent or of another type.
    fn text(&self, name: &str) -> Option<&str>;
    /// The digits of a number attribute; `None` when it is absent or of another type.
    fn digits(&self, name: &str) -> Option<&str>;
    /// Whether there is such an attribute, of whatever type.
    fn has(&self, name: &str) -> bool;
}

impl Attributes for HashMap<String, AttributeValue> {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_s().ok().map(String::as_str)
    }

    fn digits(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_n().ok().map(String::as_str)
    }

    fn has(&self, name: &str) -> bool {
        self.contains_key(name)
    }
}

/// An item that is no payment, with the attribute that shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// An attribute is absent or of another type.
    #[error("{attribute} is missing or not of the right type")]
    Missing {
        /// Its name.
        attribute: &'static str,
    },
    /// An attribute does not parse.
    #[error("{attribute} {reason}")]
    Invalid {
        /// Its name.
        attribute: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

fn text<'a>(item: &'a impl Attributes, attribute: &'static str) -> Result<&'a str, ItemError> {
    item.text(attribute).ok_or(ItemError::Missing { attribute })
}

fn digits<'a>(item: &'a impl Attributes, attribute: &'static str) -> Result<&'a str, ItemError> {
    item.digits(attribute).ok_or(ItemError::Missing { attribute })
}

fn parsed<T, E: std::fmt::Display>(
    attribute: &'static str,
    result: Result<T, E>,
) -> Result<T, ItemError> {
    result.map_err(|error| ItemError::Invalid { attribute, reason: error.to_string() })
}

/// Reads the payment of an item.
///
/// # Errors
/// [`ItemError`] names the first attribute that is missing or wrong.
pub fn payment_from(item: &impl Attributes) -> Result<Payment, ItemError> {
    use attribute as a;
    let data = match item.text(a::DATA) {
        Some(blob) => Some(parsed(a::DATA, DataBlob::new(blob))?),
        None if item.has(a::DATA) => return Err(ItemError::Missing { attribute: a::DATA }),
        None => None,
    };
    Ok(Payment {
        id: parsed(a::ID, text(item, a::ID)?.parse())?,
        account: parsed(a::ACCOUNT, AccountId::parse(text(item, a::ACCOUNT)?))?,
        due: parsed(a::DUE, text(item, a::DUE)?.parse())?,
        amount: parsed(a::AMOUNT, digits(item, a::AMOUNT)?.parse::<Amount>())?,
        currency: parsed(a::CURRENCY, text(item, a::CURRENCY)?.parse())?,
        beneficiary: parsed(a::BENEFICIARY, BeneficiaryId::parse(text(item, a::BENEFICIARY)?))?,
        data,
        trace_key: parsed(a::TRACE_KEY, TraceKey::parse(text(item, a::TRACE_KEY)?))?,
        created_at: parsed(a::CREATED_AT, text(item, a::CREATED_AT)?.parse())?,
    })
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
    /// When it was first claimed, UTC; nothing was submitted before.
    pub claimed_at: Option<Timestamp>,
    /// The transaction service's id, once PROCESSED.
    pub transaction_id: Option<String>,
    /// When the transaction service settled it, once PROCESSED.
    pub settled_at: Option<Timestamp>,
    /// Why it FAILED, if it did.
    pub failure: Option<Failure>,
}

impl StoredPayment {
    /// What is known of its attempts.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        Attempt {
            number: self.attempts,
            before_replay: self.attempts_before,
            claimed_at: self.claimed_at.unwrap_or(self.updated_at),
        }
    }

    /// Reads a whole item.
    ///
    /// # Errors
    /// [`ItemError`] names the first attribute that is missing or wrong.
    pub fn from_item(item: &impl Attributes) -> Result<Self, ItemError> {
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
            attempts_before: item
                .digits(a::ATTEMPTS_BEFORE)
                .map_or(Ok(0), |count| parsed(a::ATTEMPTS_BEFORE, count.parse()))?,
            claimed_at: item
                .text(a::CLAIMED_AT)
                .map(|at| parsed(a::CLAIMED_AT, at.parse()))
                .transpose()?,
            transaction_id: item.text(a::TRANSACTION_ID).map(str::to_owned),
            settled_at: item
                .text(a::SETTLED_AT)
                .map(|at| parsed(a::SETTLED_AT, at.parse()))
                .transpose()?,
            failure,
        })
    }
}

/// The attributes of a new item, in the order in which [`super::statement`] names them.
pub(super) fn new_item(payment: &Payment, shards: u16) -> Vec<(&'static str, AttributeValue)> {
    use attribute as a;
    let reference = payment.reference();
    let text = |value: String| AttributeValue::S(value);
    let created_at = time_text(payment.created_at);
    let mut item = vec![
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
    ];
    if let Some(data) = &payment.data {
        item.push((a::DATA, text(data.as_str().to_owned())));
    }
    item
}

/// UTC with milliseconds, of constant width so that texts sort as times.
pub(super) fn time_text(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::{FailureCode, MAX_PAYMENT_BYTES, PaymentId};

    pub(in crate::payments) fn longest_payment() -> Payment {
        Payment {
            id: PaymentId::generate(),
            account: AccountId::parse("A".repeat(64)).unwrap(),
            due: "2026-11-23".parse().unwrap(),
            amount: Amount::from_minor_units(Amount::MAX).unwrap(),
            currency: "EUR".parse().unwrap(),
            beneficiary: BeneficiaryId::parse("B".repeat(64)).unwrap(),
            data: None,
            trace_key: TraceKey::generate(),
            created_at: "2026-11-23T01:00:00.123Z".parse().unwrap(),
        }
    }

    fn as_map(payment: &Payment) -> HashMap<String, AttributeValue> {
        new_item(payment, 16).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn an_item_reads_back_as_the_payment_it_was_made_from() {
        let mut payment = longest_payment();
        payment.data = Some(DataBlob::new("{\"note\":\"rent\"}").unwrap());
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
    fn the_largest_blob_and_the_longest_everything_else_fit_into_the_limit() {
        let mut payment = longest_payment();
        payment.data =
            Some(DataBlob::new("x".repeat(MAX_PAYMENT_BYTES - DataBlob::RESERVED_BYTES)).unwrap());
        let size: usize = new_item(&payment, 16)
            .iter()
            .map(|(name, value)| name.len() + value.as_s().map_or(16, String::len))
            .sum();
        let settled = "TransactionID".len() + 64 + "SettledAt".len() + 24;
        let failed = "FailureCode".len()
            + FailureCode::MalformedMessage.as_str().len()
            + "FailureReason".len()
            + Failure::MAX_REASON_BYTES;
        let claimed = "ClaimedAt".len() + 24 + "AttemptsBefore".len() + 8;
        let most = size + claimed + settled.max(failed);
        assert!(most <= MAX_PAYMENT_BYTES, "{most}");
    }
}
