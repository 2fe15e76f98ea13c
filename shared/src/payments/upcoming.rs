//! The payments of one account over a range of days, in the order in which they are due.
//!
//! One `Query` on the table's own key for each page. Blobs that lie beside their payment have
//! a partition of their own, so none of them is read here.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};

use super::attribute;
use super::cursor::{self, CursorError};
use super::error::PaymentsError;
use super::item::{ItemAttributes, ItemError};
use super::keys::{partition_key, sort_key};
use super::stored_payment::StoredPayment;
use super::table::PaymentsTable;
use crate::telemetry::calls;
use domain::{AccountId, DueDate, PaymentRef, Status};

/// Most items that one page looks at; `DynamoDB` ends a page at 1 MB too.
pub const UPCOMING_PAGE: u16 = 250;

/// What sorts behind every payment of a day: the sort key is `<ScheduledDate>#<PaymentID>`,
/// and `~` comes after `#`.
const DAYS_END: char = '~';

/// Name of the query in its cursors.
const KIND: &str = "upcoming";

/// One page of an account's payments.
#[derive(Debug, Clone, Default)]
pub struct UpcomingPage {
    /// In the order of due date and payment id. May be empty though more follow.
    pub payments: Vec<StoredPayment>,
    /// Items among them that are no payments.
    pub unreadable: Vec<Unreadable>,
    /// Where the next page starts; `None` ends them.
    pub next: Option<UpcomingCursor>,
}

/// An item that is no payment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the item {sort_key}: {error}")]
pub struct Unreadable {
    /// Its sort key.
    pub sort_key: String,
    /// What is wrong with it.
    #[source]
    pub error: ItemError,
}

/// Where a page of an account's payments starts. `Display` and `FromStr` turn it into a text
/// and back; the text is opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpcomingCursor {
    account: AccountId,
    /// Sort key of what was looked at last.
    after: String,
}

impl fmt::Display for UpcomingCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cursor::seal(KIND, &[self.account.as_str(), &self.after]))
    }
}

impl FromStr for UpcomingCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let [account, after] = cursor::open(KIND, text)?;
        let account = AccountId::parse(account).map_err(|_| CursorError::Unreadable)?;
        Ok(Self { account, after })
    }
}

impl UpcomingCursor {
    /// What follows a payment.
    #[must_use]
    pub fn behind(reference: &PaymentRef) -> Self {
        Self { account: reference.account.clone(), after: sort_key(reference) }
    }

    /// The key behind which the page starts.
    ///
    /// # Errors
    /// [`CursorError::OtherQuery`] when it was made for another account or other days.
    fn start(
        &self,
        account: &AccountId,
        from: &str,
        to: &str,
    ) -> Result<HashMap<String, AttributeValue>, CursorError> {
        if self.account != *account {
            return Err(CursorError::OtherQuery("the account is another one".to_owned()));
        }
        if self.after.as_str() < from || self.after.as_str() > to {
            return Err(CursorError::OtherQuery("it points outside the days".to_owned()));
        }
        let keys = [(attribute::PK, partition_key(account)), (attribute::SK, self.after.clone())];
        Ok(keys.map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).into())
    }
}

impl PaymentsTable {
    /// One page of the payments of `account` that are due on one of `days`, in the order of due
    /// date and payment id, optionally only those in `status`.
    ///
    /// The read is not consistent: what was written in the last second may be missing. A filter
    /// by status saves no read units, and may leave a page empty.
    ///
    /// # Errors
    /// [`PaymentsError::Account`] when the call fails, [`PaymentsError::Cursor`] when `after`
    /// belongs to another account or other days.
    pub async fn upcoming(
        &self,
        account: &AccountId,
        days: RangeInclusive<DueDate>,
        status: Option<Status>,
        after: Option<&UpcomingCursor>,
    ) -> Result<UpcomingPage, PaymentsError> {
        if days.is_empty() {
            return Ok(UpcomingPage::default());
        }
        let (from, to) = (days.start().to_string(), format!("{}{DAYS_END}", days.end()));
        let start = after.map(|cursor| cursor.start(account, &from, &to)).transpose()?;
        let text = AttributeValue::S;
        let mut query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
            .expression_attribute_names("#pk", attribute::PK)
            .expression_attribute_names("#sk", attribute::SK)
            .expression_attribute_values(":pk", text(partition_key(account)))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(to))
            .set_exclusive_start_key(start)
            .limit(UPCOMING_PAGE.into())
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if let Some(status) = status {
            query = query
                .filter_expression("#status = :status")
                .expression_attribute_names("#status", attribute::STATUS)
                .expression_attribute_values(":status", text(status.to_string()));
        }
        let output = query
            .send()
            .await
            .map_err(|error| PaymentsError::Account(Box::new(calls::noted("upcoming", error))))?;
        calls::read("upcoming", output.consumed_capacity());
        let mut page = UpcomingPage::default();
        for item in output.items() {
            match StoredPayment::from_item(item) {
                Ok(stored) => page.payments.push(stored),
                Err(error) => {
                    let sort_key = item.text(attribute::SK).unwrap_or_default().to_owned();
                    page.unreadable.push(Unreadable { sort_key, error });
                }
            }
        }
        let last = output.last_evaluated_key.as_ref().and_then(|key| key.text(attribute::SK));
        page.next =
            last.map(|after| UpcomingCursor { account: account.clone(), after: after.to_owned() });
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> UpcomingCursor {
        let account = AccountId::parse("ACC-1").unwrap();
        UpcomingCursor { account, after: "2026-11-24#019ab1f4".to_owned() }
    }

    #[test]
    fn a_cursor_reads_back_from_its_text() {
        assert_eq!(cursor().to_string().parse(), Ok(cursor()));
        assert_eq!("abc".parse::<UpcomingCursor>(), Err(CursorError::Unreadable));
    }

    #[test]
    fn a_cursor_of_another_account_or_other_days_is_refused() {
        let (one, two) = (AccountId::parse("ACC-1").unwrap(), AccountId::parse("ACC-2").unwrap());
        let start = |account, from, to| cursor().start(account, from, to).map(|key| key.len());
        assert_eq!(start(&one, "2026-11-24", "2026-11-24~"), Ok(2));
        for refused in [
            start(&two, "2026-11-24", "2026-11-24~"),
            start(&one, "2026-11-25", "2026-12-25~"),
            start(&one, "2026-11-01", "2026-11-23~"),
        ] {
            assert!(matches!(refused, Err(CursorError::OtherQuery(_))), "{refused:?}");
        }
    }

    #[test]
    fn the_end_of_a_day_lies_behind_its_payments_and_before_the_next_day() {
        let end = format!("2026-11-24{DAYS_END}");
        assert!(*"2026-11-24#ffffffff-ffff-7fff-bfff-ffffffffffff" < *end);
        assert!(*end < *"2026-11-25#00000000-0000-7000-8000-000000000000");
    }
}
