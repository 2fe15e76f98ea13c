//! What an item must say beyond being a payment (docs/item-contract.md): pure.
//!
//! The table has other writers. A key that does not follow from the payment hides it from every
//! scan and query, and an attribute of dueflow's own tells a story that did not happen.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::attribute;
use super::item::ItemAttributes;
use super::keys::{due_key, due_shard_key, partition_key, sort_key};
use super::stored_payment::StoredPayment;
use domain::{DueDate, NotPayable, Payment, Status};

/// How far the clock of a writer may be ahead of the table's.
pub const CLOCK_MARGIN: SignedDuration = SignedDuration::from_mins(15);

/// Attributes that only dueflow writes. A new item has none of them.
pub const OWN_ATTRIBUTES: [&str; 10] = [
    attribute::ATTEMPTS_BEFORE,
    attribute::ATTEMPTS_NOT_DONE,
    attribute::CLAIMED_AT,
    attribute::TRANSACTION_ID,
    attribute::SETTLED_AT,
    attribute::FAILURE_CODE,
    attribute::FAILURE_REASON,
    attribute::DEAD_LETTERS,
    attribute::DEAD_LETTERED_AT,
    attribute::EXPIRES_AT,
];

/// Attributes that dueflow never leaves on a payment that waits or is being paid.
const OF_AN_END: [&str; 4] = [
    attribute::TRANSACTION_ID,
    attribute::SETTLED_AT,
    attribute::FAILURE_CODE,
    attribute::FAILURE_REASON,
];

/// What an item says against the contract. Its text may hold the account: it is for the item and
/// the dead letter, and not for logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// A key that does not follow from the payment.
    #[error("{attribute} is {}: it must be {expected}", shown(.found.as_deref()))]
    Key {
        /// Its name.
        attribute: &'static str,
        /// What it is; `None` when it is absent or no text.
        found: Option<String>,
        /// What follows from the payment.
        expected: String,
    },
    /// An attribute that only dueflow writes, where dueflow does not leave it.
    #[error("{0} is there: only dueflow writes it, and not on such an item")]
    Own(&'static str),
    /// An attribute that dueflow always writes with this status.
    #[error("{0} is missing: dueflow always writes it with this status")]
    WithoutOwn(&'static str),
    /// Another number of attempts than a new item has.
    #[error("Attempts is {0}: it must be 0")]
    Attempts(u32),
    /// Another status than a new item has.
    #[error("Status is {0}: it must be SCHEDULED")]
    Status(Status),
    /// A currency that nobody is paid in on the day of the payment.
    #[error("Currency: {0}")]
    Currency(NotPayable),
    /// Written later than the item.
    #[error("{attribute} {time} lies more than 15 minutes ahead of {at}")]
    Ahead {
        /// Its name.
        attribute: &'static str,
        /// What it says.
        time: Timestamp,
        /// When the item was written, or looked at.
        at: Timestamp,
    },
    /// `UpdatedAt` of a new item says another time than `CreatedAt`.
    #[error("UpdatedAt {updated} is not CreatedAt {created}")]
    Updated {
        /// `UpdatedAt`.
        updated: Timestamp,
        /// `CreatedAt`.
        created: Timestamp,
    },
}

impl Breach {
    /// The attribute that is wrong: what a log may say.
    #[must_use]
    pub const fn attribute(&self) -> &'static str {
        match self {
            Self::Key { attribute, .. }
            | Self::Own(attribute)
            | Self::WithoutOwn(attribute)
            | Self::Ahead { attribute, .. } => attribute,
            Self::Attempts(_) => attribute::ATTEMPTS,
            Self::Currency(_) => attribute::CURRENCY,
            Self::Status(_) => attribute::STATUS,
            Self::Updated { .. } => attribute::UPDATED_AT,
        }
    }
}

fn shown(found: Option<&str>) -> String {
    found.map_or_else(|| "missing or no text".to_owned(), |text| format!("{text:?}"))
}

/// Checks that the keys of an item follow from its payment, with so many `shards`.
///
/// # Errors
/// The first key that does not.
pub fn check_keys(
    item: &impl ItemAttributes,
    payment: &Payment,
    shards: u16,
) -> Result<(), Breach> {
    let reference = payment.reference();
    let expected = [
        (attribute::PK, partition_key(&payment.account)),
        (attribute::SK, sort_key(&reference)),
        (attribute::DUE_SHARD, due_shard_key(payment.due, payment.id.due_shard(shards))),
        (attribute::DUE_KEY, due_key(&reference)),
    ];
    for (attribute, expected) in expected {
        let found = item.text(attribute);
        if found != Some(&expected) {
            return Err(Breach::Key { attribute, found: found.map(str::to_owned), expected });
        }
    }
    Ok(())
}

/// Checks an item that was written at `at` and that dueflow has not touched: `stored` is what it
/// reads as.
///
/// # Errors
/// The first thing that the contract forbids.
pub fn check_new(
    item: &impl ItemAttributes,
    stored: &StoredPayment,
    shards: u16,
    at: Timestamp,
) -> Result<(), Breach> {
    check_keys(item, &stored.payment, shards)?;
    if stored.status != Status::Scheduled {
        return Err(Breach::Status(stored.status));
    }
    if stored.attempts != 0 {
        return Err(Breach::Attempts(stored.attempts));
    }
    if let Some(own) = OWN_ATTRIBUTES.into_iter().find(|own| item.has(own)) {
        return Err(Breach::Own(own));
    }
    check_currency(&stored.payment, at)?;
    let (created, updated) = (stored.payment.created_at, stored.updated_at);
    if created.duration_since(at) > CLOCK_MARGIN {
        return Err(Breach::Ahead { attribute: attribute::CREATED_AT, time: created, at });
    }
    if updated != created {
        return Err(Breach::Updated { updated, created });
    }
    Ok(())
}

/// Checks that the payment can be made in its currency: on its day, or on the day of `at` if that
/// is later. The bank's day may still be the one before.
fn check_currency(payment: &Payment, at: Timestamp) -> Result<(), Breach> {
    let earliest = DueDate::today(at, &TimeZone::UTC).days_before(1);
    for day in [payment.due, payment.due.max(earliest)] {
        payment.currency.check_payable_on(day).map_err(Breach::Currency)?;
    }
    Ok(())
}

/// Checks that dueflow itself may have written `status` with the rest of an item that is not new.
/// A payment that waits again was replayed, and one that is PENDING was claimed; neither has
/// ended.
///
/// # Errors
/// What dueflow never writes so.
pub fn check_own(item: &impl ItemAttributes, status: Status) -> Result<(), Breach> {
    let attempts = item.digits(attribute::ATTEMPTS).and_then(|digits| digits.parse().ok());
    match status {
        Status::Scheduled | Status::Pending
            if attempts.is_none_or(|attempts: u32| attempts == 0) =>
        {
            return Err(Breach::Attempts(0));
        }
        Status::Scheduled if !item.has(attribute::ATTEMPTS_BEFORE) => {
            return Err(Breach::WithoutOwn(attribute::ATTEMPTS_BEFORE));
        }
        Status::Scheduled | Status::Pending => {}
        Status::Processed | Status::Failed | Status::Cancelled => return Ok(()),
    }
    match OF_AN_END.into_iter().find(|own| item.has(own)) {
        Some(own) => Err(Breach::Own(own)),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "contract_tests.rs"]
mod tests;
