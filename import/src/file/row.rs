//! One row of a file, and the payment it asks for: pure.

use domain::{
    AccountId, Amount, BeneficiaryId, Currency, Data, DataBlob, DueDate, Payment, PaymentId,
    TraceKey,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use shared::payments::check_size;

/// A column of a CSV file, or a field of a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Account,
    Due,
    Amount,
    Currency,
    Beneficiary,
    Data,
    Id,
}

impl Column {
    pub(crate) const ALL: [Self; 7] = [
        Self::Account,
        Self::Due,
        Self::Amount,
        Self::Currency,
        Self::Beneficiary,
        Self::Data,
        Self::Id,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Account => "AccountID",
            Self::Due => "ScheduledDate",
            Self::Amount => "Amount",
            Self::Currency => "Currency",
            Self::Beneficiary => "BeneficiaryID",
            Self::Data => "DataBlob",
            Self::Id => "PaymentID",
        }
    }

    /// Whether a file without it is rejected.
    pub(crate) const fn required(self) -> bool {
        match self {
            Self::Account | Self::Due | Self::Amount | Self::Currency | Self::Beneficiary => true,
            Self::Data | Self::Id => false,
        }
    }
}

/// What is wrong with a row, field first.
fn rejected(column: Column, reason: impl std::fmt::Display) -> String {
    format!("{}: {reason}", column.name())
}

/// A row as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    account: String,
    due: String,
    amount: String,
    currency: String,
    beneficiary: String,
    data: Option<String>,
    id: Option<String>,
}

/// Fields as JSON holds them, so that an amount passes through no float and a wrong type is
/// said of the field it was found in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow<'a> {
    #[serde(rename = "AccountID", borrow)]
    account: Option<&'a RawValue>,
    #[serde(rename = "ScheduledDate", borrow)]
    due: Option<&'a RawValue>,
    #[serde(rename = "Amount", borrow)]
    amount: Option<&'a RawValue>,
    #[serde(rename = "Currency", borrow)]
    currency: Option<&'a RawValue>,
    #[serde(rename = "BeneficiaryID", borrow)]
    beneficiary: Option<&'a RawValue>,
    #[serde(rename = "DataBlob", borrow)]
    data: Option<&'a RawValue>,
    #[serde(rename = "PaymentID", borrow)]
    id: Option<&'a RawValue>,
}

/// An amount in the one form from which ids are made: leading zeros do not make another payment
/// of it. A sign is left to be rejected.
fn one_form(amount: &str) -> String {
    let digits = Some(amount).filter(|amount| !amount.starts_with('+'));
    let number = digits.and_then(|digits| digits.parse::<u64>().ok());
    number.map_or_else(|| amount.to_owned(), |number| number.to_string())
}

impl Row {
    /// A row of CSV; `field` gives the text of a column, or nothing when the file lacks it. The
    /// space around every field but the blob, which is passed on as written, is taken away.
    pub(crate) fn from_csv<'a>(field: impl Fn(Column) -> Option<&'a str>) -> Self {
        let text = |column| field(column).unwrap_or_default();
        let trimmed = |column| text(column).trim().to_owned();
        Self {
            account: trimmed(Column::Account),
            due: trimmed(Column::Due),
            amount: one_form(text(Column::Amount).trim()),
            currency: trimmed(Column::Currency),
            beneficiary: trimmed(Column::Beneficiary),
            data: field(Column::Data).map(str::to_owned),
            id: field(Column::Id).map(|id| id.trim().to_owned()),
        }
    }

    /// A row of JSON lines.
    pub(crate) fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        let row: JsonRow<'_> = serde_json::from_str(text)?;
        let text = |column, value: Option<&RawValue>| -> Result<String, serde_json::Error> {
            let value = value.ok_or_else(|| custom(column, "is missing"))?;
            serde_json::from_str(value.get()).map_err(|_| custom(column, "must be a JSON text"))
        };
        let amount = match row.amount.map(RawValue::get) {
            Some(number) if number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                number.to_owned()
            }
            Some(_) | None => one_form(&text(Column::Amount, row.amount)?),
        };
        let optional = |column, value: Option<_>| value.map(|v| text(column, Some(v))).transpose();
        Ok(Self {
            account: text(Column::Account, row.account)?,
            due: text(Column::Due, row.due)?,
            amount,
            currency: text(Column::Currency, row.currency)?,
            beneficiary: text(Column::Beneficiary, row.beneficiary)?,
            data: optional(Column::Data, row.data)?,
            id: optional(Column::Id, row.id)?,
        })
    }

    /// Whether it brings an id of its own.
    pub(crate) fn has_id(&self) -> bool {
        self.id.as_ref().is_some_and(|id| !id.is_empty())
    }

    /// What it counts for in the control sums, whether or not it is a payment: its amount in
    /// minor units, and of which currency.
    pub(crate) fn stated(&self) -> Option<(&'static str, i64)> {
        let currency: Currency = self.currency.parse().ok()?;
        Some((currency.code(), self.amount.parse().ok()?))
    }

    /// A digest of what the row says under `batch`; equal rows have equal digests.
    pub(crate) fn digest(&self, batch: &str) -> [u8; 32] {
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
    /// same ids, also after a rejected row was corrected or taken out.
    pub(crate) fn payment(
        &self,
        digest: &[u8; 32],
        occurrence: u32,
        now: Timestamp,
    ) -> Result<Payment, String> {
        let due: DueDate = self.due.parse().map_err(|e| rejected(Column::Due, e))?;
        let id = match self.id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => id.parse().map_err(|e| rejected(Column::Id, e))?,
            None => derived_id(due, digest, occurrence),
        };
        let data = self.data.as_deref().filter(|data| !data.is_empty());
        let data = data.map(DataBlob::new).transpose().map_err(|e| rejected(Column::Data, e))?;
        let payment = Payment {
            id,
            due,
            account: AccountId::parse(self.account.as_str())
                .map_err(|e| rejected(Column::Account, e))?,
            amount: self.amount.parse::<Amount>().map_err(|e| rejected(Column::Amount, e))?,
            currency: self.currency.parse().map_err(|e| rejected(Column::Currency, e))?,
            beneficiary: BeneficiaryId::parse(self.beneficiary.as_str())
                .map_err(|e| rejected(Column::Beneficiary, e))?,
            data: data.map(Data::Whole),
            trace_key: TraceKey::generate(),
            created_at: now,
        };
        check_size(&payment).map_err(|e| rejected(Column::Data, e))?;
        Ok(payment)
    }
}

fn custom(column: Column, reason: &str) -> serde_json::Error {
    serde::de::Error::custom(rejected(column, reason))
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

    const GOOD: &str = r#"{"AccountID":"ACC-1","ScheduledDate":"2026-11-23","Amount":1250,"Currency":"EUR","BeneficiaryID":"B1"}"#;

    fn payment(row: &Row, batch: &str, occurrence: u32) -> Result<Payment, String> {
        row.payment(&row.digest(batch), occurrence, Timestamp::UNIX_EPOCH)
    }

    fn csv(amount: &str, data: &str) -> Row {
        Row::from_csv(|column| match column {
            Column::Account => Some(" ACC-1"),
            Column::Due => Some("2026-11-23 "),
            Column::Amount => Some(amount),
            Column::Currency => Some("EUR"),
            Column::Beneficiary => Some("B1"),
            Column::Data => Some(data),
            Column::Id => Some(""),
        })
    }

    /// Worked out beside this program, from the definition: an id that changes would schedule
    /// again what was scheduled by an earlier version.
    #[test]
    fn ids_never_change_from_one_version_to_the_next() {
        let text = GOOD.replacen("1250", "\"01250\"", 1);
        let rows = [
            Row::from_json(GOOD).unwrap(),
            Row::from_json(&text).unwrap(),
            csv("1250", ""),
            csv("01250", ""),
            csv(" 01250 ", ""),
        ];
        for row in &rows {
            for (occurrence, id) in [
                (0, "01a205b3-d000-72ca-bd24-0deb7c80b789"),
                (1, "01a205b3-d000-7829-93f2-486c34230813"),
            ] {
                assert_eq!(payment(row, "monday", occurrence).unwrap().id.to_string(), id);
            }
        }
        let with_blob = payment(&csv(" 1250 ", "Rent, \"Nov\""), "monday", 0).unwrap();
        assert_eq!(with_blob.id.to_string(), "01a205b3-d000-7c58-8f24-a0bd14691874");
    }

    #[test]
    fn another_batch_gets_other_ids() {
        let row = Row::from_json(GOOD).unwrap();
        assert_ne!(payment(&row, "monday", 0).unwrap().id, payment(&row, "tuesday", 0).unwrap().id);
    }

    #[test]
    fn fields_cannot_run_into_each_other() {
        let mut left = Row::from_json(GOOD).unwrap();
        let mut right = left.clone();
        (left.account, left.due) = ("AB".to_owned(), "C".to_owned());
        (right.account, right.due) = ("A".to_owned(), "BC".to_owned());
        assert_ne!(left.digest("x"), right.digest("x"));
    }

    #[test]
    fn a_given_id_is_kept() {
        let id = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
        let text = GOOD.replace('}', &format!(",\"PaymentID\":\"{id}\"}}"));
        let row = Row::from_json(&text).unwrap();
        assert_eq!(payment(&row, "x", 0).unwrap().id.to_string(), id);
    }
}
