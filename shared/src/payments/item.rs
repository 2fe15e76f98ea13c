//! How a payment lies in the table: attribute names, keys, and reading it back.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::size::{check_size, fits_inline};
use domain::{
    AccountId, Amount, Attempt, BeneficiaryId, Data, DataBlob, DueDate, Failure, Payment,
    PaymentRef, Status, TraceKey,
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
    /// SHA-256 of what the bank attached, when that lies in an item of its own.
    pub const BLOB_DIGEST: &str = "BlobDigest";
    /// When a blob's own item may be deleted, seconds since 1970: the table's time to live.
    pub const EXPIRES_AT: &str = "ExpiresAt";
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
    /// How many attempts since it was last replayed did nothing, for certain.
    pub const ATTEMPTS_NOT_DONE: &str = "AttemptsNotDone";
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
    /// How many dead letters were written of it.
    pub const DEAD_LETTERS: &str = "DeadLetters";
    /// When the last of them was written; while it is FAILED, that of this failure.
    pub const DEAD_LETTERED_AT: &str = "DeadLetteredAt";
}

/// Partition key of an account's payments.
pub(super) fn partition_key(account: &AccountId) -> String {
    format!("ACCOUNT#{account}")
}

/// What the partition keys of blobs' own items begin with.
const BLOB_PREFIX: &str = "BLOB#";

/// Partition key of an account's blobs: another one than its payments have, so that reading
/// these never reads blobs (ADR-12).
pub(super) fn blob_partition_key(account: &AccountId) -> String {
    format!("{BLOB_PREFIX}{account}")
}

/// Whether an item of the table is a blob's own, and so no payment.
#[must_use]
pub fn is_blob(item: &impl Attributes) -> bool {
    item.text(attribute::PK).is_some_and(|key| key.starts_with(BLOB_PREFIX))
}

/// Sort key of one payment, and of its blob's own item.
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

/// The reference that the keys of an item (or of an entry of the index) stand for, whatever its
/// other attributes say.
///
/// # Errors
/// [`ItemError`] when a key is missing or of another form.
pub fn reference_from(item: &impl Attributes) -> Result<PaymentRef, ItemError> {
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

impl ItemError {
    /// The attribute that is wrong: what a log may say.
    #[must_use]
    pub const fn attribute(&self) -> &'static str {
        match self {
            Self::Missing { attribute } | Self::Invalid { attribute, .. } => attribute,
        }
    }
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

fn data_from(item: &impl Attributes) -> Result<Option<Data>, ItemError> {
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

/// A count that is 0 while it is absent.
fn count(item: &impl Attributes, attribute: &'static str) -> Result<u32, ItemError> {
    item.digits(attribute).map_or(Ok(0), |count| parsed(attribute, count.parse()))
}

/// A time that may be absent.
fn time(item: &impl Attributes, attribute: &'static str) -> Result<Option<Timestamp>, ItemError> {
    item.text(attribute).map(|at| parsed(attribute, at.parse())).transpose()
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
pub(super) fn without_data(payment: &Payment, shards: u16) -> NewItem {
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
pub(crate) mod tests {
    use super::*;
    use domain::{BlobDigest, PaymentId};

    pub(crate) fn longest_payment() -> Payment {
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
