//! One scheduled payment, as it travels from the table through the queue.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    AccountId, Amount, BeneficiaryId, BlobDigest, Currency, Data, DataBlob, DueDate, PaymentId,
    PaymentRef,
};

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

/// A scheduled payment: what it is, without where it stands.
///
/// Its JSON form, with the bank's attribute names, is the body of a message in
/// `payments.fifo`: with the blob, or with its digest when the blob lies in an item of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PaymentBody")]
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
    #[serde(flatten)]
    pub data: Option<Data>,
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

    /// Whether both lie in the same place.
    #[must_use]
    pub fn same_item(&self, other: &Self) -> bool {
        self.id == other.id && self.account == other.account && self.due == other.due
    }

    /// Whether both say the same of account, day, amount, currency, beneficiary and blob.
    /// Trace key and creation time are dueflow's own and do not count.
    #[must_use]
    pub fn same_instruction(&self, other: &Self) -> bool {
        self.same_item(other)
            && self.amount == other.amount
            && self.currency == other.currency
            && self.beneficiary == other.beneficiary
            && match (&self.data, &other.data) {
                (None, None) => true,
                (Some(one), Some(other)) => one.same_blob(other),
                (Some(_), None) | (None, Some(_)) => false,
            }
    }

    /// The digest of the blob, if that lies in an item of its own.
    #[must_use]
    pub fn blob_beside(&self) -> Option<BlobDigest> {
        match self.data {
            Some(Data::Beside(digest)) => Some(digest),
            Some(Data::Whole(_)) | None => None,
        }
    }
}

/// A payment's JSON form as it is read: each member by itself, so that a bad one is an error
/// and not taken for an absent one.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PaymentBody {
    #[serde(rename = "PaymentID")]
    id: PaymentId,
    #[serde(rename = "AccountID")]
    account: AccountId,
    #[serde(rename = "ScheduledDate")]
    due: DueDate,
    amount: Amount,
    currency: Currency,
    #[serde(rename = "BeneficiaryID")]
    beneficiary: BeneficiaryId,
    data_blob: Option<DataBlob>,
    blob_digest: Option<BlobDigest>,
    trace_key: TraceKey,
    created_at: Timestamp,
}

/// A payment with both a blob and a digest: nobody writes that.
#[derive(Debug, thiserror::Error)]
#[error("there is both a DataBlob and a BlobDigest")]
struct BlobTwice;

impl TryFrom<PaymentBody> for Payment {
    type Error = BlobTwice;

    fn try_from(body: PaymentBody) -> Result<Self, BlobTwice> {
        let data = match (body.data_blob, body.blob_digest) {
            (None, None) => None,
            (Some(blob), None) => Some(Data::Whole(blob)),
            (None, Some(digest)) => Some(Data::Beside(digest)),
            (Some(_), Some(_)) => return Err(BlobTwice),
        };
        Ok(Self {
            id: body.id,
            account: body.account,
            due: body.due,
            amount: body.amount,
            currency: body.currency,
            beneficiary: body.beneficiary,
            data,
            trace_key: body.trace_key,
            created_at: body.created_at,
        })
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
    fn a_trace_key_reads_back_as_written() {
        let trace_key = example().trace_key;
        assert_eq!(TraceKey::parse(&trace_key.to_string()).unwrap(), trace_key);
    }

    #[test]
    fn an_instruction_is_the_same_only_if_everything_that_is_paid_is() {
        let blob = |text| Data::Whole(DataBlob::new(text).unwrap());
        let beside = |text| Data::Beside(BlobDigest::of(&DataBlob::new(text).unwrap()));
        let one = Payment { data: Some(blob("note")), ..example() };
        let others = [
            Payment { id: PaymentId::generate(), ..one.clone() },
            Payment { account: AccountId::parse("ACC-000018").unwrap(), ..one.clone() },
            Payment { due: "2026-11-24".parse().unwrap(), ..one.clone() },
            Payment { amount: Amount::from_minor_units(1251).unwrap(), ..one.clone() },
            Payment { currency: "USD".parse().unwrap(), ..one.clone() },
            Payment { beneficiary: BeneficiaryId::parse("BEN-8").unwrap(), ..one.clone() },
            Payment { data: None, ..one.clone() },
            Payment { data: Some(blob("other")), ..one.clone() },
            Payment { data: Some(beside("other")), ..one.clone() },
        ];
        for other in &others {
            assert!(!one.same_instruction(other) && !other.same_instruction(&one), "{other:?}");
        }
        let own = TraceKey::generate();
        let sent = Payment { data: Some(beside("note")), trace_key: own, ..one.clone() };
        assert!(one.same_instruction(&sent) && sent.same_instruction(&one));
        assert!(example().same_instruction(&example()));
        let digest = BlobDigest::of(&DataBlob::new("note").unwrap());
        assert_eq!([&one, &example(), &sent].map(Payment::blob_beside), [None, None, Some(digest)]);
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
    fn a_body_carries_the_blob_or_its_digest_and_a_bad_one_does_not_parse() {
        let blob = DataBlob::new("note").unwrap();
        let digest = BlobDigest::of(&blob);
        for (data, member) in [
            (Data::Whole(blob), r#","DataBlob":"note","#.to_owned()),
            (Data::Beside(digest), format!(r#","BlobDigest":"{digest}","#)),
        ] {
            let payment = Payment { data: Some(data), ..example() };
            let body = serde_json::to_string(&payment).unwrap();
            assert!(body.contains(&member), "{body}");
            assert_eq!(serde_json::from_str::<Payment>(&body).unwrap(), payment);
            let twice =
                body.replace(&member, &format!(r#","DataBlob":"x","BlobDigest":"{digest}","#));
            assert!(serde_json::from_str::<Payment>(&twice).is_err());
        }
        let body = serde_json::to_string(&example()).unwrap();
        for bad in [r#"{"DataBlob":7,"#, r#"{"BlobDigest":"short","#, r#"{"DataBlob":{},"#] {
            let bad = body.replacen('{', bad, 1);
            assert!(serde_json::from_str::<Payment>(&bad).is_err(), "{bad}");
        }
    }
}
