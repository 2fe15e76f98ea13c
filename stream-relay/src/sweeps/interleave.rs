//! A day's payments, account after account, but no account whole when it has many.
//!
//! SQS looks for messages that may be delivered among the first 120,000 of a FIFO queue. An
//! account is one group, delivered one after the other; were one of 150,000 payments queued whole,
//! everybody behind it would wait until most of it is paid. So an account that fills a batch is
//! put off: the others go on, and the accounts that were put off take turns of one batch each when
//! the day has no others, or when so many are put off that they fill what SQS looks through
//! ([`MAX_DEFERRED`] × 1,000 = 100,000).
//!
//! Each account's payments stay in the order of their ids (INV-5): what is put off goes on behind
//! what was taken of it. The place says where both the day and each account that was put off
//! stand, so that nothing is read twice or left out after a crash. Memory is bounded by the
//! accounts that are put off.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::{AccountId, DueDate, PaymentRef, Status};
use shared::payments::{DueDay, DuePayments, DueTable, PaymentsError};

/// Most accounts that are put off at the same time.
const MAX_DEFERRED: usize = 100;
/// A batch of one account with at least so many payments, of the 1,000 of a full one, puts the
/// account off: fewer are the last of their day, as far as the table holds them.
const MANY: usize = 500;
/// Between the parts of a place; neither an account nor an id holds it.
const SEPARATOR: char = '|';

/// Reads the SCHEDULED payments of a day.
#[derive(Debug)]
pub(crate) struct InterleavedDay {
    table: Arc<dyn DueTable>,
    day: DueDate,
    place: DayCursor,
    /// The day behind `place.day`; `None` until it is read, and after its end.
    rest: Option<DueDay>,
    /// The turn that has begun, of the first account that was put off.
    turn: Option<DueDay>,
}

/// How far a day is read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DayCursor {
    at: MainCursor,
    /// The last payment that was taken of each account that was put off, in the order of turns.
    deferred: VecDeque<PaymentRef>,
}

/// How far a day is read, apart from what was put off.
#[derive(Debug, Clone, PartialEq, Eq)]
enum MainCursor {
    Start,
    /// Behind this payment.
    After(PaymentRef),
    /// Behind this account.
    Past(AccountId),
    End,
}

impl InterleavedDay {
    /// A whole day. Nothing is read yet.
    pub(crate) fn new(table: Arc<dyn DueTable>, day: DueDate) -> Self {
        let place = DayCursor { at: MainCursor::Start, deferred: VecDeque::new() };
        Self { table, day, place, rest: None, turn: None }
    }

    /// What of a day lies behind a place that [`InterleavedDay::place`] gave; the whole day when it is
    /// of another form, which would be another release's.
    pub(crate) fn behind(table: Arc<dyn DueTable>, day: DueDate, place: &str) -> Self {
        let mut all = Self::new(table, day);
        if let Some(place) = DayCursor::read(place, day) {
            all.place = place;
        }
        all
    }

    /// Which day it is.
    pub(crate) fn day(&self) -> DueDate {
        self.day
    }

    /// Behind what was given out last. Of it, the day's opening writes down what SQS has taken.
    pub(crate) fn place(&self) -> String {
        self.place.to_string()
    }

    /// The next payments of the day, up to 1,000; `None` after the last. They may be in another
    /// status by now, and a batch may be empty though more follow.
    ///
    /// After an error, and when the call is abandoned, the next call goes on at the same place.
    ///
    /// # Errors
    /// [`PaymentsError`] when a call fails.
    pub(crate) async fn next(&mut self) -> Result<Option<DuePayments>, PaymentsError> {
        loop {
            if self.place.at != MainCursor::End && self.place.deferred.len() < MAX_DEFERRED {
                if let Some(found) = self.next_of_day().await? {
                    return Ok(Some(found));
                }
            } else if let Some(last) = self.place.deferred.front().cloned() {
                return self.turn(last).await.map(Some);
            } else {
                return Ok(None);
            }
        }
    }

    async fn next_of_day(&mut self) -> Result<Option<DuePayments>, PaymentsError> {
        let (table, day, scheduled) = (&self.table, self.day, Status::Scheduled);
        let at = &self.place.at;
        let rest = self.rest.get_or_insert_with(|| match at {
            MainCursor::Start | MainCursor::End => DueDay::new(Arc::clone(table), day, scheduled),
            MainCursor::After(last) => DueDay::after(Arc::clone(table), day, scheduled, last),
            MainCursor::Past(account) => DueDay::past(Arc::clone(table), day, scheduled, account),
        });
        let Some(found) = rest.next().await? else {
            (self.place.at, self.rest) = (MainCursor::End, None);
            return Ok(None);
        };
        if let (Some((first, _)), Some((last, _))) = (found.first(), found.last()) {
            if first.account == last.account && found.len() >= MANY {
                self.place.at = MainCursor::Past(last.account.clone());
                self.place.deferred.push_back(last.clone());
                self.rest = None;
            } else {
                self.place.at = MainCursor::After(last.clone());
            }
        }
        Ok(Some(found))
    }

    /// One batch of the account that was put off first.
    async fn turn(&mut self, last: PaymentRef) -> Result<DuePayments, PaymentsError> {
        let (table, day, scheduled) = (&self.table, self.day, Status::Scheduled);
        let turn = self
            .turn
            .get_or_insert_with(|| DueDay::after(Arc::clone(table), day, scheduled, &last));
        let found = turn.next().await?;
        self.turn = None;
        self.place.deferred.pop_front();
        let mut found = found.unwrap_or_default();
        let whole = found.last().is_some_and(|(next, _)| next.account == last.account);
        found.retain(|(reference, _)| reference.account == last.account);
        if let (true, Some((last, _))) = (whole, found.last()) {
            self.place.deferred.push_back(last.clone());
        }
        Ok(found)
    }
}

impl std::fmt::Display for DayCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.at {
            MainCursor::Start => write!(f, "#")?,
            MainCursor::After(last) => write!(f, "{}#{}", last.account, last.id)?,
            MainCursor::Past(account) => write!(f, "{account}#")?,
            MainCursor::End => write!(f, "$")?,
        }
        self.deferred
            .iter()
            .try_for_each(|last| write!(f, "{SEPARATOR}{}#{}", last.account, last.id))
    }
}

impl DayCursor {
    fn read(text: &str, due: DueDate) -> Option<Self> {
        let payment = |text: &str| {
            let (account, id) = text.split_once('#')?;
            let account = AccountId::parse(account).ok()?;
            Some(PaymentRef { account, due, id: id.parse().ok()? })
        };
        let mut parts = text.split(SEPARATOR);
        let at = match parts.next()? {
            "$" => MainCursor::End,
            "#" => MainCursor::Start,
            past if past.ends_with('#') => {
                MainCursor::Past(AccountId::parse(past.strip_suffix('#')?).ok()?)
            }
            after => MainCursor::After(payment(after)?),
        };
        Some(Self { at, deferred: parts.map(payment).collect::<Option<_>>()? })
    }
}

#[cfg(test)]
#[path = "interleave_tests.rs"]
mod tests;
