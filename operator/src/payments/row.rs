//! One row of a file, and the payment it asks for: pure.

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shared::domain::{
    AccountId, Amount, BeneficiaryId, Data, DataBlob, DueDate, Payment, PaymentId, TraceKey,
};
use shared::payments::check_size;

/// A row as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    #[serde(rename = "AccountID")]
    account: String,
    #[serde(rename = "ScheduledDate")]
    due: String,
    #[serde(rename = "Amount", deserialize_with = "number_or_text")]
    amount: String,
    #[serde(rename = "Currency")]
    currency: String,
    #[serde(rename = "BeneficiaryID")]
    beneficiary: String,
    #[serde(rename = "DataBlob", default)]
    data: Option<String>,
    #[serde(rename = "PaymentID", default)]
    id: Option<String>,
}

/// JSON writes amounts as numbers, CSV has only texts; both are checked as digits, so that
/// no number passes through a float.
fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum NumberOrText {
        Number(serde_json::Number),
        Text(String),
    }
    Ok(match NumberOrText::deserialize(deserializer)? {
        NumberOrText::Number(number) => number.to_string(),
        NumberOrText::Text(text) => text,
    })
}

impl Row {
    /// Columns that must be there.
    pub(super) const REQUIRED: [&str; 5] =
        ["AccountID", "ScheduledDate", "Amount", "Currency", "BeneficiaryID"];
    /// Columns that may be there.
    pub(super) const KNOWN: [&str; 7] = [
        "AccountID",
        "ScheduledDate",
        "Amount",
        "Currency",
        "BeneficiaryID",
        "DataBlob",
        "PaymentID",
    ];

    /// Whether it brings an id of its own.
    pub(super) fn has_id(&self) -> bool {
        self.id.as_ref().is_some_and(|id| !id.is_empty())
    }

    /// Takes the space around every field but the blob, which is passed on as written.
    pub(super) fn trim(&mut self) {
        let fields = [
            &mut self.account,
            &mut self.due,
            &mut self.amount,
            &mut self.currency,
            &mut self.beneficiary,
        ];
        for field in fields.into_iter().chain(&mut self.id) {
            *field = field.trim().to_owned();
        }
    }

    /// A digest of what the row says under `batch`; equal rows have equal digests.
    pub(super) fn digest(&self, batch: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        let fields = [
            batch,
            &self.account,
            &self.due,
            &self.amount,
            &self.currency,
            &self.beneficiary,
            self.data.as_deref().unwrap_or_default(),
        ];
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hash.finalize().into()
    }

    /// The payment it asks for. Without a PaymentID, the id comes from `digest` and from how
    /// many equal rows stood before it in the file, `occurrence`: the same file gives the
    /// same ids, also after a refused row was corrected or taken out.
    pub(super) fn payment(
        &self,
        digest: &[u8; 32],
        occurrence: u32,
        now: Timestamp,
    ) -> Result<Payment, String> {
        let field =
            |name: &'static str| move |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let due: DueDate = self.due.parse().map_err(|e| field("ScheduledDate")(&e))?;
        let id = match self.id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => id.parse().map_err(|e| field("PaymentID")(&e))?,
            None => derived_id(due, digest, occurrence),
        };
        let data = self.data.as_deref().filter(|data| !data.is_empty());
        let data = data.map(DataBlob::new).transpose().map_err(|e| field("DataBlob")(&e))?;
        let payment = Payment {
            id,
            due,
            account: AccountId::parse(self.account.as_str()).map_err(|e| field("AccountID")(&e))?,
            amount: self.amount.parse::<Amount>().map_err(|e| field("Amount")(&e))?,
            currency: self.currency.parse().map_err(|e| field("Currency")(&e))?,
            beneficiary: BeneficiaryId::parse(self.beneficiary.as_str())
                .map_err(|e| field("BeneficiaryID")(&e))?,
            data: data.map(Data::Whole),
            trace_key: TraceKey::generate(),
            created_at: now,
        };
        check_size(&payment).map_err(|e| field("DataBlob")(&e))?;
        Ok(payment)
    }
}

fn derived_id(due: DueDate, digest: &[u8; 32], occurrence: u32) -> PaymentId {
    let mut hash = Sha256::new();
    hash.update(digest);
    hash.update(occurrence.to_be_bytes());
    let hash = hash.finalize();
    let mut entropy = [0; 10];
    entropy.copy_from_slice(&hash[..10]);
    PaymentId::from_parts(due.utc_midnight_millis(), &entropy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        serde_json::from_str(json).unwrap()
    }

    const GOOD: &str = r#"{"AccountID":"ACC-1","ScheduledDate":"2026-11-23","Amount":1250,"Currency":"EUR","BeneficiaryID":"B1"}"#;

    fn payment(row: &Row, batch: &str, occurrence: u32) -> Result<Payment, String> {
        row.payment(&row.digest(batch), occurrence, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_same_row_of_the_same_batch_gets_the_same_id() {
        let id = |batch, occurrence| payment(&row(GOOD), batch, occurrence).unwrap().id;
        assert_eq!(id("monday", 0), id("monday", 0));
        assert_ne!(id("monday", 0), id("monday", 1), "two equal rows are two payments");
        assert_ne!(id("monday", 0), id("tuesday", 0));
    }

    #[test]
    fn fields_cannot_run_into_each_other() {
        let mut left = row(GOOD);
        let mut right = row(GOOD);
        (left.account, left.due) = ("AB".to_owned(), "C".to_owned());
        (right.account, right.due) = ("A".to_owned(), "BC".to_owned());
        assert_ne!(left.digest("x"), right.digest("x"));
    }

    #[test]
    fn a_given_id_is_kept() {
        let mut with_id = row(GOOD);
        with_id.id = Some("019ab1f4-5c1e-7d3a-8b2f-0123456789ab".to_owned());
        let id = payment(&with_id, "x", 0).unwrap().id;
        assert_eq!(id.to_string(), "019ab1f4-5c1e-7d3a-8b2f-0123456789ab");
    }

    #[test]
    fn a_bad_field_is_named() {
        for (field, value) in [
            ("AccountID", "\"\""),
            ("ScheduledDate", "\"2026-02-30\""),
            ("Amount", "-5"),
            ("Amount", "12.5"),
            ("Amount", "99999999999999999999"),
            ("Currency", "\"EURO\""),
            ("BeneficiaryID", "\"a b\""),
            ("PaymentID", "\"17\""),
        ] {
            let mut json: serde_json::Value = serde_json::from_str(GOOD).unwrap();
            json[field] = serde_json::from_str(value).unwrap();
            let row: Row = serde_json::from_value(json).unwrap();
            let error = payment(&row, "x", 0).unwrap_err();
            assert!(error.starts_with(field), "{field}={value} gave {error}");
        }
    }
}
