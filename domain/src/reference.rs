//! `<AccountID>/<ScheduledDate>/<PaymentID>`: what locates a payment without an index.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AccountId, DateError, DueDate, IdError, PaymentId, PaymentIdError};

/// Why a text is not a payment reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Not three parts.
    #[error("{text:?} is not <AccountID>/<ScheduledDate>/<PaymentID>")]
    Shape {
        /// What was given.
        text: String,
    },
    /// The first part is no account.
    #[error("the AccountID of the reference {0}")]
    Account(#[source] IdError),
    /// The second part is no date.
    #[error("the ScheduledDate of the reference: {0}")]
    Date(#[source] DateError),
    /// The third part is no payment id.
    #[error("the PaymentID of the reference: {0}")]
    Id(#[source] PaymentIdError),
}

/// Where one payment lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PaymentRef {
    /// The account it leaves from.
    pub account: AccountId,
    /// The day it is due.
    pub due: DueDate,
    /// Its id.
    pub id: PaymentId,
}

impl PaymentRef {
    /// A number that tells this item from another, also from one with the same id. It is the same
    /// in one process only.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.account, self.due, self.id)
    }
}

/// The same of the parts.
pub(super) fn fingerprint(account: &AccountId, due: DueDate, id: PaymentId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (account, due, id).hash(&mut hasher);
    hasher.finish()
}

impl FromStr for PaymentRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let parts: Vec<&str> = text.split('/').collect();
        let [account, due, id] = parts[..] else {
            return Err(ReferenceError::Shape { text: text.to_owned() });
        };
        Ok(Self {
            account: AccountId::parse(account).map_err(ReferenceError::Account)?,
            due: due.parse().map_err(ReferenceError::Date)?,
            id: id.parse().map_err(ReferenceError::Id)?,
        })
    }
}

impl TryFrom<String> for PaymentRef {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<PaymentRef> for String {
    fn from(reference: PaymentRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for PaymentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.due, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_back_as_written() {
        let text = "ACC-1/2026-11-23/019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
        let reference: PaymentRef = text.parse().unwrap();
        assert_eq!(reference.to_string(), text);
        assert_eq!(String::from(reference), text);
    }

    #[test]
    fn fingerprints_tell_items_apart_by_each_part_of_their_key() {
        let id = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
        let other = "019ab1f4-5c1e-7d3a-8b2f-0123456789ac";
        let fingerprint = |text: String| text.parse::<PaymentRef>().unwrap().fingerprint();
        let fingerprints: std::collections::BTreeSet<_> = [
            format!("ACC-1/2026-11-23/{id}"),
            format!("ACC-2/2026-11-23/{id}"),
            format!("ACC-1/2026-11-24/{id}"),
            format!("ACC-1/2026-11-23/{other}"),
        ]
        .map(fingerprint)
        .into();
        assert_eq!(fingerprints.len(), 4);
    }

    #[test]
    fn a_broken_reference_says_which_part_is_wrong() {
        let error = |text: &str| text.parse::<PaymentRef>().unwrap_err().to_string();
        assert!(error("ACC-1/2026-11-23").contains("<AccountID>/<ScheduledDate>/<PaymentID>"));
        assert!(error("A#/2026-11-23/x").contains("AccountID"));
        assert!(error("A/2026-13-23/x").contains("ScheduledDate"));
        assert!(error("A/2026-11-23/x").contains("PaymentID"));
    }
}
