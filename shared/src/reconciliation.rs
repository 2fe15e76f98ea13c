//! Reconciliation: what the tables say of a payment, against the transaction service's journal and
//! the dead letters: pure.
//!
//! It judges states at rest. The history checker of the tests judges histories, in which states
//! pass, and is apart from it.

use std::collections::HashMap;
use std::io::{self, BufRead};

use domain::{DueDate, PaymentId, Status};
use serde::{Deserialize, Serialize};

use crate::payments::StoredPayment;

/// What the transaction service's journal says of one idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSettlement {
    /// How often it was settled.
    pub times: u32,
    /// The amount of the first time, in minor units.
    pub amount: i64,
    /// Its currency, where the journal says it.
    pub currency: Option<String>,
    /// The transaction's id.
    pub transaction_id: String,
    /// The day for which the payment was scheduled, where the journal says it.
    pub due: Option<DueDate>,
}

/// A line of the journal: one settlement. Other fields are passed over.
#[derive(Debug, Deserialize)]
struct JournalLine {
    idempotency_key: String,
    transaction_id: String,
    amount: i64,
    currency: Option<String>,
    scheduled_date: Option<DueDate>,
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalReadError {
    /// The file cannot be read.
    #[error("line {line} cannot be read")]
    Read {
        /// Which line, from 1.
        line: u64,
        /// What the system says.
        source: io::Error,
    },
    /// A line is no settlement.
    #[error(
        "line {line} is no settlement: it must be a JSON object with idempotency_key, transaction_id and amount"
    )]
    Form {
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The settlements of a journal, by idempotency key: the payment's id.
#[derive(Debug, Clone, Default)]
pub struct JournalSettlements(HashMap<String, JournalSettlement>);

impl JournalSettlements {
    /// Reads a journal of JSON lines, one for each settlement.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn read(source: impl BufRead) -> Result<Self, JournalReadError> {
        let mut settlements = Self::default();
        for (line, text) in (1..).zip(source.lines()) {
            let text = text.map_err(|source| JournalReadError::Read { line, source })?;
            let JournalLine { idempotency_key, transaction_id, amount, currency, scheduled_date } =
                serde_json::from_str(&text)
                    .map_err(|source| JournalReadError::Form { line, source })?;
            let due = scheduled_date;
            let first = JournalSettlement { times: 1, amount, currency, transaction_id, due };
            let known = settlements.0.entry(idempotency_key);
            known.and_modify(|settlement| settlement.times += 1).or_insert(first);
        }
        Ok(settlements)
    }

    /// Takes a payment's settlement out.
    pub fn take(&mut self, payment: PaymentId) -> Option<JournalSettlement> {
        self.0.remove(&payment.to_string())
    }

    /// Those that were not taken out, by idempotency key.
    pub fn remaining(&self) -> impl Iterator<Item = (&str, &JournalSettlement)> {
        self.0.iter().map(|(key, settlement)| (key.as_str(), settlement))
    }
}

/// What the journal says of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalEvidence<'a> {
    /// There is no journal to compare with.
    NoJournal,
    /// The payment was not settled.
    NotSettled,
    /// It was.
    Settled(&'a JournalSettlement),
}

impl<'a> JournalEvidence<'a> {
    /// Of a journal that was read.
    #[must_use]
    pub fn of(settlement: Option<&'a JournalSettlement>) -> Self {
        settlement.map_or(Self::NotSettled, Self::Settled)
    }
}

/// Whether a payment has a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterEvidence {
    /// It has one.
    Present,
    /// It has none.
    Missing,
    /// Not every dead letter could be read, and none of it was seen.
    NotKnown,
}

/// How the records of one payment contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The journal settles it more than once.
    SettledMoreThanOnce,
    /// It is PROCESSED without a transaction id.
    NoTransactionId,
    /// It is PROCESSED, and the journal does not settle it.
    NotInJournal,
    /// It is PROCESSED with an amount, currency, date or transaction id that the journal does not
    /// have.
    SettlementDiffers,
    /// The journal settles it, and it is not PROCESSED.
    SettledButNotProcessed,
    /// It is SCHEDULED or PENDING.
    NotEnded,
    /// It is FAILED and has no dead letter.
    NoDeadLetter,
    /// The journal settles it, and no table holds it.
    NotInTable,
    /// The journal settles it without saying for which day, and it is no payment of this day.
    UndatedNotOfDay,
}

impl Difference {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SettledMoreThanOnce => "settled more than once in the journal",
            Self::NoTransactionId => "PROCESSED without a transaction id",
            Self::NotInJournal => "PROCESSED, and not settled in the journal",
            Self::SettlementDiffers => {
                "PROCESSED with an amount, currency, date or transaction id that the journal does not have"
            }
            Self::SettledButNotProcessed => "settled in the journal, and not PROCESSED",
            Self::NotEnded => "SCHEDULED or PENDING: not ended yet",
            Self::NoDeadLetter => "FAILED, without a dead letter",
            Self::NotInTable => "settled in the journal, and in neither table",
            Self::UndatedNotOfDay => {
                "settled in the journal without scheduled_date, and no payment of this day"
            }
        }
    }
}

/// Compares the records of one payment. None of them contradict each other when the list is empty.
#[must_use]
pub fn differences(
    stored: &StoredPayment,
    journal: JournalEvidence<'_>,
    dead_letter: DeadLetterEvidence,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut add = |is_so: bool, difference| differences.extend(is_so.then_some(difference));
    let settlement = match journal {
        JournalEvidence::NoJournal | JournalEvidence::NotSettled => None,
        JournalEvidence::Settled(settlement) => Some(settlement),
    };
    add(settlement.is_some_and(|one| one.times > 1), Difference::SettledMoreThanOnce);
    match stored.status {
        Status::Processed => {
            // A journal notices it by itself.
            let without_id = stored.transaction_id.as_deref().is_none_or(str::is_empty);
            let unnoticed = without_id && journal == JournalEvidence::NoJournal;
            add(unnoticed, Difference::NoTransactionId);
            add(journal == JournalEvidence::NotSettled, Difference::NotInJournal);
            let differs = settlement.is_some_and(|settlement| !is_of(settlement, stored));
            add(differs, Difference::SettlementDiffers);
        }
        Status::Scheduled | Status::Pending => {
            add(true, Difference::NotEnded);
            add(settlement.is_some(), Difference::SettledButNotProcessed);
        }
        Status::Failed => {
            add(settlement.is_some(), Difference::SettledButNotProcessed);
            add(dead_letter == DeadLetterEvidence::Missing, Difference::NoDeadLetter);
        }
        Status::Cancelled => add(settlement.is_some(), Difference::SettledButNotProcessed),
    }
    differences
}

fn is_of(settlement: &JournalSettlement, stored: &StoredPayment) -> bool {
    settlement.amount == stored.payment.amount.minor_units()
        && settlement.due.is_none_or(|due| due == stored.payment.due)
        && settlement.currency.as_deref().is_none_or(|code| code == stored.payment.currency.code())
        && stored.transaction_id.as_deref() == Some(&*settlement.transaction_id)
}

#[cfg(test)]
mod tests {
    use crate::testing::{sample_payment, scheduled};
    use domain::{AccountId, Amount, Payment};

    use super::*;

    fn stored(status: Status, transaction_id: Option<&str>) -> StoredPayment {
        let now = "2026-11-23T01:00:00Z".parse().unwrap();
        StoredPayment {
            status,
            attempts: 1,
            claimed_at: Some(now),
            transaction_id: transaction_id.map(ToOwned::to_owned),
            ..scheduled(Payment {
                id: "019ab1f4-5c1e-7d3a-8b2f-0123456789ab".parse().unwrap(),
                account: AccountId::parse("ACC").unwrap(),
                due: "2026-11-23".parse().unwrap(),
                amount: Amount::from_minor_units(100).unwrap(),
                created_at: now,
                ..sample_payment()
            })
        }
    }

    fn journal(lines: &[(&str, i64)]) -> JournalSettlements {
        let id = stored(Status::Processed, None).payment.id;
        let line = |(transaction, amount): &(&str, i64)| {
            format!(
                "{{\"idempotency_key\":\"{id}\",\"transaction_id\":\"{transaction}\",\"amount\":{amount},\"currency\":\"EUR\",\"scheduled_date\":\"2026-11-23\"}}\n"
            )
        };
        JournalSettlements::read(lines.iter().map(line).collect::<String>().as_bytes()).unwrap()
    }

    #[test]
    fn each_way_in_which_records_contradict_each_other_is_a_difference() {
        use Difference as D;
        for (status, lines, expected) in [
            (Status::Processed, &[("T", 100)][..], vec![]),
            (Status::Processed, &[], vec![D::NotInJournal]),
            (Status::Processed, &[("U", 100)], vec![D::SettlementDiffers]),
            (Status::Processed, &[("T", 99)], vec![D::SettlementDiffers]),
            (Status::Processed, &[("T", 100), ("T", 100)], vec![D::SettledMoreThanOnce]),
            (Status::Scheduled, &[], vec![D::NotEnded]),
            (Status::Pending, &[("T", 100)], vec![D::NotEnded, D::SettledButNotProcessed]),
            (Status::Failed, &[], vec![D::NoDeadLetter]),
            (Status::Cancelled, &[], vec![]),
            (Status::Cancelled, &[("T", 100)], vec![D::SettledButNotProcessed]),
        ] {
            let stored = stored(status, (status == Status::Processed).then_some("T"));
            let mut journal = journal(lines);
            let settlement = journal.take(stored.payment.id);
            let evidence = JournalEvidence::of(settlement.as_ref());
            let found = differences(&stored, evidence, DeadLetterEvidence::Missing);
            assert_eq!(found, expected, "{status} {lines:?}");
            assert_eq!(journal.remaining().count(), 0);
        }
    }

    #[test]
    fn without_a_journal_and_with_unread_dead_letters_only_the_status_is_judged() {
        for (status, expected) in [
            (Status::Processed, vec![Difference::NoTransactionId]),
            (Status::Failed, vec![]),
            (Status::Pending, vec![Difference::NotEnded]),
        ] {
            let evidence = (JournalEvidence::NoJournal, DeadLetterEvidence::NotKnown);
            assert_eq!(differences(&stored(status, None), evidence.0, evidence.1), expected);
        }
    }

    #[test]
    fn a_line_that_is_no_settlement_is_named_by_its_number() {
        let error = JournalSettlements::read("{}\n".as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("line 1 is no settlement"), "{error}");
    }
}
