//! The books: the table and the dead-letter queue against the transaction service's own
//! journal.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use domain::{PaymentId, Status};
use local::transactions::Journal;
use serde::Serialize;
use shared::aws::Aws;
use shared::config::{Names, Receiving};
use shared::payments::{PaymentsTable, StoredPayment};
use shared::queue::{Consumer, DeadLetter};

use super::timing::Times;

/// What the transaction service's journal says of one idempotency key.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) times: u32,
    pub(super) amount: i64,
    pub(super) transaction_id: String,
}

/// The result of the comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Books {
    /// Payments in the table by status.
    pub by_status: BTreeMap<String, u64>,
    /// PROCESSED, and settled once in the journal with this amount and transaction id.
    pub settled_once: u64,
    /// Settled more than once in the journal.
    pub settled_twice: u64,
    /// Scheduled, but neither PROCESSED nor FAILED nor CANCELLED in the end, or not in the
    /// table at all.
    pub lost: u64,
    /// PROCESSED with an amount or transaction id that the journal does not have.
    pub amounts_differ: u64,
    /// Settled in the journal but not PROCESSED in the table.
    pub settled_but_not_processed: u64,
    /// Settled in the journal, though nobody scheduled it.
    pub unknown_settlements: u64,
    /// Payments in the dead-letter queue.
    pub dead_letters: u64,
    /// FAILED without a message in the dead-letter queue.
    pub failed_without_letter: u64,
}

impl Books {
    /// Whether every payment is where it should be.
    #[must_use]
    pub fn balance(&self) -> bool {
        let failed = self.by_status.get(Status::Failed.as_str()).copied().unwrap_or_default();
        let wrong = [
            self.settled_twice,
            self.lost,
            self.amounts_differ,
            self.settled_but_not_processed,
            self.unknown_settlements,
            self.failed_without_letter,
        ];
        wrong.iter().all(|count| *count == 0) && self.dead_letters == failed
    }
}

/// Compares everything; `scheduled` payments were inserted. Returns the times as well.
///
/// # Errors
/// The table or the journal cannot be read.
pub async fn reconcile(
    table: &PaymentsTable,
    journal: &Path,
    letters: &HashMap<PaymentId, u32>,
    scheduled: u64,
) -> anyhow::Result<(Books, Times)> {
    let mut settled = read_journal(journal)?;
    let mut books = Books { dead_letters: letters.len() as u64, ..Books::default() };
    let mut times = Times::default();
    let mut seen = 0;
    let mut cursor = None;
    loop {
        let (page, next) = table.scan_page(cursor).await?;
        for stored in page {
            seen += 1;
            let settled = settled.remove(&stored.payment.id.to_string());
            books.enter(&stored, settled.as_ref(), letters);
            match stored.status {
                Status::Processed => {
                    times.processed(stored.payment.created_at, stored.updated_at);
                }
                Status::Failed | Status::Cancelled => times.ended_at(stored.updated_at),
                Status::Scheduled | Status::Pending => {}
            }
        }
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    books.lost += scheduled.saturating_sub(seen);
    books.unknown_settlements = settled.len() as u64;
    books.settled_twice += settled.values().filter(|settled| settled.times > 1).count() as u64;
    Ok((books, times))
}

impl Books {
    fn enter(
        &mut self,
        stored: &StoredPayment,
        settled: Option<&Settled>,
        letters: &HashMap<PaymentId, u32>,
    ) {
        *self.by_status.entry(stored.status.to_string()).or_default() += 1;
        if settled.is_some_and(|settled| settled.times > 1) {
            self.settled_twice += 1;
        }
        match (stored.status, settled) {
            (Status::Processed, Some(settled)) => {
                let same = settled.amount == stored.payment.amount.minor_units()
                    && stored.transaction_id.as_deref() == Some(&settled.transaction_id);
                match (same, settled.times) {
                    (true, 1) => self.settled_once += 1,
                    (true, _) => {}
                    (false, _) => self.amounts_differ += 1,
                }
            }
            (Status::Processed, None) => self.amounts_differ += 1,
            (Status::Scheduled | Status::Pending, settled) => {
                self.lost += 1;
                self.settled_but_not_processed += u64::from(settled.is_some());
            }
            (Status::Failed | Status::Cancelled, settled) => {
                self.settled_but_not_processed += u64::from(settled.is_some());
                let letter = letters.contains_key(&stored.payment.id);
                self.failed_without_letter += u64::from(stored.status == Status::Failed && !letter);
            }
        }
    }
}

pub(super) fn read_journal(journal: &Path) -> anyhow::Result<HashMap<String, Settled>> {
    let mut settled: HashMap<String, Settled> = HashMap::new();
    for entry in Journal::read(journal) {
        let entry = entry.context("reading the transaction service's journal")?;
        settled.entry(entry.idempotency_key).and_modify(|settled| settled.times += 1).or_insert(
            Settled {
                times: 1,
                amount: entry.amount,
                transaction_id: entry.transaction_id.to_string(),
            },
        );
    }
    Ok(settled)
}

/// Empties the dead-letter queue and counts its letters by payment.
///
/// # Errors
/// The queue cannot be read, or holds what no service wrote.
pub async fn read_dead_letters(
    aws: &Aws,
    names: &Names,
) -> anyhow::Result<HashMap<PaymentId, u32>> {
    let receiving = Receiving { visibility: Duration::from_secs(60), wait: Duration::from_secs(1) };
    let queue = Consumer::open(aws, names.dead_letter_queue(), receiving).await?;
    let mut letters = HashMap::new();
    loop {
        let deliveries = queue.receive().await?;
        if deliveries.is_empty() {
            return Ok(letters);
        }
        for delivery in &deliveries {
            let letter: DeadLetter = serde_json::from_str(&delivery.body).with_context(|| {
                format!("a message in the dead-letter queue: {}", delivery.body)
            })?;
            if let Some(payment) = letter.payment {
                *letters.entry(payment.id).or_default() += 1;
            }
        }
        queue.acknowledge(deliveries).await;
    }
}
