//! The books: the table and the dead-letter queue against the transaction service's own
//! journal.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use domain::{PaymentId, Status};
use serde::Serialize;
use shared::aws::Aws;
use shared::config::{Names, Receiving};
use shared::payments::{PaymentsTable, StoredPayment};
use shared::queue::{Consumer, DeadLetter};
use shared::reconciliation::{
    DeadLetterEvidence, Difference, JournalEvidence, JournalSettlement, JournalSettlements,
    differences,
};

use super::timing::Times;

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
    dead_letters: &HashMap<PaymentId, u32>,
    scheduled: u64,
) -> anyhow::Result<(Books, Times)> {
    let mut settlements = read_journal(journal)?;
    let mut books = Books { dead_letters: dead_letters.len() as u64, ..Books::default() };
    let mut times = Times::default();
    let mut seen = 0;
    let mut cursor = None;
    loop {
        let (page, next) = table.scan_page(cursor).await?;
        for stored in page {
            seen += 1;
            let settlement = settlements.take(stored.payment.id);
            books.enter(&stored, settlement.as_ref(), dead_letters);
            match stored.status {
                Status::Processed => {
                    let claimed = stored.claimed_at.unwrap_or(stored.updated_at);
                    times.processed(stored.payment.created_at, claimed, stored.updated_at);
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
    for (_, settlement) in settlements.remaining() {
        books.unknown_settlements += 1;
        books.settled_twice += u64::from(settlement.times > 1);
    }
    Ok((books, times))
}

impl Books {
    fn enter(
        &mut self,
        stored: &StoredPayment,
        settlement: Option<&JournalSettlement>,
        dead_letters: &HashMap<PaymentId, u32>,
    ) {
        *self.by_status.entry(stored.status.to_string()).or_default() += 1;
        let found = differences(
            stored,
            JournalEvidence::of(settlement),
            dead_letter_of(stored.payment.id, dead_letters),
        );
        self.settled_once += u64::from(stored.status == Status::Processed && found.is_empty());
        for difference in found {
            *match difference {
                Difference::SettledMoreThanOnce => &mut self.settled_twice,
                Difference::NoTransactionId
                | Difference::NotInJournal
                | Difference::SettlementDiffers => &mut self.amounts_differ,
                Difference::SettledButNotProcessed => &mut self.settled_but_not_processed,
                Difference::NotEnded => &mut self.lost,
                Difference::NoDeadLetter => &mut self.failed_without_letter,
                Difference::NotInTable | Difference::UndatedNotOfDay => {
                    &mut self.unknown_settlements
                }
            } += 1;
        }
    }
}

/// Whether a payment has a dead letter, when all were read.
pub(super) fn dead_letter_of(
    payment: PaymentId,
    dead_letters: &HashMap<PaymentId, u32>,
) -> DeadLetterEvidence {
    if dead_letters.contains_key(&payment) {
        DeadLetterEvidence::Present
    } else {
        DeadLetterEvidence::Missing
    }
}

pub(super) fn read_journal(journal: &Path) -> anyhow::Result<JournalSettlements> {
    let context = || format!("reading the transaction service's journal {}", journal.display());
    let file = File::open(journal).with_context(context)?;
    JournalSettlements::read(BufReader::new(file)).with_context(context)
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
    let mut dead_letters = HashMap::new();
    loop {
        let deliveries = queue.receive().await?;
        if deliveries.is_empty() {
            return Ok(dead_letters);
        }
        for delivery in &deliveries {
            let dead_letter: DeadLetter =
                serde_json::from_str(&delivery.body).with_context(|| {
                    format!("a message in the dead-letter queue: {}", delivery.body)
                })?;
            if let Some(payment) = dead_letter.payment {
                *dead_letters.entry(payment.id).or_default() += 1;
            }
        }
        queue.acknowledge(deliveries).await;
    }
}
