//! Which rows are accepted, and under which id.

use domain::{DueDate, Payment};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::content_hash::ContentHash;
use super::duplicate_rows::{DuplicateFilter, DuplicateRows, IdUse, RowHash};
use crate::file::{Column, Row};

/// Longest reason in characters: a reason quotes the field, and a field may be long.
const MAX_REASON: usize = 300;

/// The rules that a row must keep beyond its syntax.
#[derive(Debug, Clone)]
pub(crate) struct RowRules {
    /// The name that ids are made from.
    pub(crate) batch: String,
    /// The bank's day.
    pub(crate) today: DueDate,
    /// Whether rows whose day has passed are accepted.
    pub(crate) allow_past: bool,
    /// The last due date that is accepted, if there is one.
    pub(crate) latest: Option<DueDate>,
}

impl RowRules {
    /// Checks a row in the first pass: whether it is a payment. Its final id is not made yet.
    pub(crate) fn check(
        &self,
        row: &Row,
        filter: &mut DuplicateFilter,
        content: &mut ContentHash,
    ) -> Result<Payment, String> {
        let digest = row.digest(&self.batch);
        let payment = row.payment(&digest, 0, Timestamp::now());
        if let Some(payment) = payment.as_ref().ok().filter(|_| !row.has_id()) {
            content.add(&content_key(payment));
        }
        let payment = self.allowed(payment)?;
        filter.add(&if row.has_id() { id_key(&payment) } else { digest });
        Ok(payment)
    }

    /// Checks a row in the second pass: the payment that is scheduled. Rows must come in the order
    /// of the file, each once.
    pub(crate) fn payment(
        &self,
        row: &Row,
        line: u64,
        duplicates: &mut DuplicateRows,
    ) -> Result<Payment, String> {
        let digest = row.digest(&self.batch);
        let before = duplicates.before(&digest);
        let payment = self.allowed(row.payment(&digest, before, Timestamp::now()))?;
        if !row.has_id() {
            duplicates.count(&digest);
            return Ok(payment);
        }
        // It takes no turn among its equals: giving a row an id, or correcting one, must not
        // change the ids of the others.
        match duplicates.take_id(&id_key(&payment), line, || content_key(&payment)) {
            IdUse::Free => Ok(payment),
            IdUse::Taken(first) => Err(format!(
                "{}: {} is another payment on line {first}",
                Column::Id.name(),
                payment.id
            )),
        }
    }

    fn allowed(&self, payment: Result<Payment, String>) -> Result<Payment, String> {
        let payment = payment.map_err(|reason| shortened(&reason))?;
        let due = |reason| Err(format!("{}: {} {reason}", Column::Due.name(), payment.due));
        if !self.allow_past && payment.due < self.today {
            return due(format!(
                "has passed, today is {}; it would be paid at once (--allow-past)",
                self.today
            ));
        }
        // One that is overdue is paid today, in what is money today.
        for day in [payment.due, payment.due.max(self.today)] {
            payment
                .currency
                .check_payable_on(day)
                .map_err(|reason| format!("{}: {reason}", Column::Currency.name()))?;
        }
        match self.latest {
            Some(latest) if payment.due > latest => due(format!("is after {latest} (--latest)")),
            Some(_) | None => Ok(payment),
        }
    }
}

/// The reason, if it is not too long to print.
pub(crate) fn shortened(reason: &str) -> String {
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

fn id_key(payment: &Payment) -> RowHash {
    Sha256::digest(format!("PaymentID {}", payment.id)).into()
}

/// Equal for payments that say the same, however their rows are written.
fn content_key(payment: &Payment) -> RowHash {
    // A row's payment has its blob whole; a digest tells blobs apart as well.
    let data = payment.data.as_ref().map(|data| data.digest().to_string()).unwrap_or_default();
    let mut hash = Sha256::new();
    let fields = [
        payment.account.as_str(),
        &payment.due.to_string(),
        &payment.amount.to_string(),
        payment.currency.code(),
        payment.beneficiary.as_str(),
        &data,
    ];
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().into()
}
