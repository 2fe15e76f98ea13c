//! One scheduled payment, as it travels from the table through the queue.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AccountId, Amount, BeneficiaryId, Currency, DueDate, PaymentId, PaymentRef};

/// Largest payment in bytes, attribute names and values together (the mission's limit).
pub const MAX_PAYMENT_BYTES: usize = 8 * 1024;

/// Ties together what is logged for one payment across all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceKey(Uuid);

impl TraceKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Reads a key back.
    ///
    /// # Errors
    /// The text is no UUID.
    pub fn parse(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

impl fmt::Display for TraceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A blob that would make the payment too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the DataBlob makes the payment {bytes} bytes, at most {MAX_PAYMENT_BYTES} are allowed")]
pub struct DataBlobError {
    bytes: usize,
}

/// What the bank attaches to a payment; dueflow passes it on unread.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataBlob(String);

impl DataBlob {
    /// Bytes set aside for everything of a payment that is not its blob: attribute names,
    /// keys and values at their longest allowed (`payments::item` has a test).
    pub const RESERVED_BYTES: usize = 1024;

    /// Takes a blob.
    ///
    /// # Errors
    /// [`DataBlobError`] when a payment with it would exceed [`MAX_PAYMENT_BYTES`].
    pub fn new(text: impl Into<String>) -> Result<Self, DataBlobError> {
        let text = text.into();
        let bytes = text.len() + Self::RESERVED_BYTES;
        if bytes > MAX_PAYMENT_BYTES { Err(DataBlobError { bytes }) } else { Ok(Self(text)) }
    }

    /// The blob's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DataBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataBlob({} bytes)", self.0.len())
    }
}

/// A scheduled payment: what it is, without where it stands.
///
/// Its JSON form, with the bank's attribute names, is the body of a message in
/// `payments.fifo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Its id and idempotency key.
    #[serde(rename = "PaymentID")]
    pub id: PaymentId,
    /// The account it leaves from.
    #[serde(rename = "AccountID")]
    pub account: AccountId,
    /// The day it is due, in the bank's calendar.
    #[serde(rename = "ScheduledDate")]
    pub due: DueDate,
    /// How much, in minor units.
    #[serde(rename = "Amount")]
    pub amount: Amount,
    /// Of which currency.
    #[serde(rename = "Currency")]
    pub currency: Currency,
    /// Who receives it.
    #[serde(rename = "BeneficiaryID")]
    pub beneficiary: BeneficiaryId,
    /// What the bank attached.
    #[serde(rename = "DataBlob", default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataBlob>,
    /// Ties the logs together.
    #[serde(rename = "TraceKey")]
    pub trace_key: TraceKey,
    /// When it was inserted, UTC.
    #[serde(rename = "CreatedAt")]
    pub created_at: Timestamp,
}

impl Payment {
    /// Where it lies.
    #[must_use]
    pub fn reference(&self) -> PaymentRef {
        PaymentRef { account: self.account.clone(), due: self.due, id: self.id }
    }

    /// Whether both say the same of account, day, amount, currency, beneficiary and blob.
    /// Trace key and creation time are dueflow's own and do not count.
    #[must_use]
    pub fn same_instruction(&self, other: &Self) -> bool {
        self.id == other.id
            && self.account == other.account
            && self.due == other.due
            && self.amount == other.amount
            && self.currency == other.currency
            && self.beneficiary == other.beneficiary
            && self.data == other.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn example() -> Payment {
        Payment {
            id: "019ab1f4-5c1e-7d3a-8b2f-0123456789ab".parse().unwrap(),
            account: AccountId::parse("ACC-000017").unwrap(),
            due: "2026-11-23".parse().unwrap(),
            amount: Amount::from_minor_units(1250).unwrap(),
            currency: "EUR".parse().unwrap(),
            beneficiary: BeneficiaryId::parse("BEN-9").unwrap(),
            data: None,
            trace_key: TraceKey::parse("019ab1f4-0000-7000-8000-000000000001").unwrap(),
            created_at: "2026-11-23T01:00:00.123Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_message_body_has_the_banks_names_and_reads_back() {
        let body = serde_json::to_string(&example()).unwrap();
        assert_eq!(
            body,
            r#"{"PaymentID":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab","AccountID":"ACC-000017","ScheduledDate":"2026-11-23","Amount":1250,"Currency":"EUR","BeneficiaryID":"BEN-9","TraceKey":"019ab1f4-0000-7000-8000-000000000001","CreatedAt":"2026-11-23T01:00:00.123Z"}"#
        );
        assert_eq!(serde_json::from_str::<Payment>(&body).unwrap(), example());
    }

    #[test]
    fn a_body_with_a_bad_amount_does_not_parse() {
        let body = serde_json::to_string(&example()).unwrap();
        for amount in ["-1", "0", "1.5", "\"12\"", "9007199254740992"] {
            let bad = body.replace("1250", amount);
            assert!(serde_json::from_str::<Payment>(&bad).is_err(), "{amount} was accepted");
        }
    }

    #[test]
    fn the_blob_leaves_room_for_the_rest_of_the_item() {
        assert!(DataBlob::new("x".repeat(7 * 1024)).is_ok());
        assert!(DataBlob::new("x".repeat(7 * 1024 + 1)).is_err());
    }
}
