//! `dueflow reconcile --date`: the books of one day.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use domain::DueDate;
use indicatif::HumanCount;
use serde::Serialize;
use serde_json::json;
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::StoredPayment;
use shared::payments::archive::PaymentsAndArchive;
use shared::queue::{MessageCount, SqsQueue};
use shared::reconciliation::{
    DeadLetterEvidence, Difference, JournalEvidence, JournalSettlements, differences,
};
use shared::shutdown::Shutdown;
use shared::telemetry::Metrics;

use super::ReconcileOptions;
use crate::archive::{DayComparison, FoundIn, compare_day_with, units};
use crate::dlq::{DeadLetterPayments, dead_letter_payments};

/// Differences that are named; all of them are counted.
const MAX_NAMED: usize = 100;

/// One payment whose records contradict each other.
#[derive(Debug, Serialize)]
struct NamedDifference {
    payment: String,
    difference: &'static str,
}

/// What the day's payments are compared with, and what that shows.
#[derive(Debug)]
struct ReconciledDay {
    journal: Option<JournalSettlements>,
    dead_letters: DeadLetterPayments,
    /// How many payments were scheduled for the day, where the caller knows.
    expected: Option<u64>,
    by_status: BTreeMap<&'static str, u64>,
    settled_in_journal: u64,
    differences: BTreeMap<&'static str, u64>,
    named: Vec<NamedDifference>,
}

impl ReconciledDay {
    fn enter(&mut self, stored: &StoredPayment) {
        *self.by_status.entry(stored.status.as_str()).or_default() += 1;
        let id = stored.payment.id;
        let settlement = self.journal.as_mut().and_then(|journal| journal.take(id));
        self.settled_in_journal += u64::from(settlement.is_some());
        let journal = match &self.journal {
            None => JournalEvidence::NoJournal,
            Some(_) => JournalEvidence::of(settlement.as_ref()),
        };
        let dead_letter = if self.dead_letters.payments.contains(&id) {
            DeadLetterEvidence::Present
        } else if self.dead_letters.unread > 0 {
            DeadLetterEvidence::NotKnown
        } else {
            DeadLetterEvidence::Missing
        };
        for difference in differences(stored, journal, dead_letter) {
            self.differ(stored.payment.reference().to_string(), difference.words(), 1);
        }
    }

    fn differ(&mut self, payment: String, difference: &'static str, count: u64) {
        *self.differences.entry(difference).or_default() += count;
        if self.named.len() < MAX_NAMED {
            self.named.push(NamedDifference { payment, difference });
        }
    }

    /// Adds what is only seen once the whole day was read.
    fn close(&mut self, day: DueDate, comparison: &DayComparison) {
        let remaining = self.journal.take().unwrap_or_default();
        for (key, settlement) in remaining.remaining() {
            let difference = match settlement.due {
                Some(due) if due == day => Difference::NotInTable,
                Some(_) => continue,
                None => Difference::UndatedNotOfDay,
            };
            self.settled_in_journal += 1;
            self.differ(key.to_owned(), difference.words(), 1);
        }
        if self.expected.is_some_and(|expected| expected != comparison.count()) {
            *self.differences.entry("the number of payments is not --expect-count").or_default() +=
                1;
        }
        // PROCESSED and not archived yet is no difference: the archive comes later.
        let wrong = |place: &FoundIn| !place.is_right() && *place != FoundIn::Waiting;
        for (place, count) in comparison.places.iter().filter(|(place, _)| wrong(place)) {
            *self.differences.entry(place.words()).or_default() += count;
        }
        for finding in comparison.findings.iter().filter(|finding| wrong(&finding.place)) {
            if self.named.len() < MAX_NAMED {
                let (payment, difference) = (finding.reference.clone(), finding.place.words());
                self.named.push(NamedDifference { payment, difference });
            }
        }
    }

    /// Whether nothing differs, and everything could be read: a dead letter that nobody could read
    /// proves nothing.
    fn is_proved(&self) -> bool {
        self.differences.is_empty() && self.dead_letters.unread == 0
    }
}

/// Messages of the queues between the services; SQS calls the numbers approximate.
#[derive(Debug, Serialize)]
struct QueuedMessages {
    payments: u64,
    confirmations: u64,
}

/// The command, for one day.
pub(super) async fn reconcile_day(
    common: &Common,
    day: DueDate,
    options: &ReconcileOptions,
) -> anyhow::Result<ExitCode> {
    let metrics = Metrics::install(&[])?;
    let journal = options.journal.as_deref().map(read_journal).transpose()?;
    let with_journal = journal.is_some();
    let (aws, names) = (Aws::from_environment().await, &common.names);
    let queued = QueuedMessages {
        payments: messages(&aws, names.payments_queue()).await?,
        confirmations: messages(&aws, names.confirmations_queue()).await?,
    };
    let shutdown = Shutdown::new(Duration::ZERO).on_signals()?;
    let dead_letters = dead_letter_payments(&aws, names, &shutdown).await?;
    let books = Arc::new(Mutex::new(ReconciledDay {
        journal,
        dead_letters,
        expected: options.expect_count,
        by_status: BTreeMap::new(),
        settled_in_journal: 0,
        differences: BTreeMap::new(),
        named: Vec::new(),
    }));
    let tables = PaymentsAndArchive::new(&aws.dynamodb("reconcile"), names, common.due_shards);
    let entered = Arc::clone(&books);
    let enter = move |stored: &StoredPayment| {
        entered.lock().unwrap_or_else(PoisonError::into_inner).enter(stored);
    };
    let comparison = compare_day_with(Arc::new(tables), day, Arc::new(enter));
    let comparison = shutdown.unless_requested(comparison).await;
    let comparison = comparison.context("interrupted: nothing is proved")??;
    let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
    books.close(day, &comparison);
    let right = books.is_proved();
    if options.json {
        let settled = with_journal.then_some(books.settled_in_journal);
        let report = json!({
            "day": day, "right": right, "payments": comparison.count(),
            "by_status": books.by_status, "places": comparison.places,
            "settled_in_journal": settled, "dead_letters": books.dead_letters.payments.len(),
            "dead_letters_not_read": books.dead_letters.unread, "queued_messages": queued,
            "differences": books.differences, "named": books.named,
            "read_units": units(&metrics).1,
        });
        println!("{report}");
    } else {
        print(&books, day, &comparison, &queued, options);
    }
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(
    books: &ReconciledDay,
    day: DueDate,
    comparison: &DayComparison,
    queued: &QueuedMessages,
    options: &ReconcileOptions,
) {
    let by_status = books.by_status.iter();
    let by_status: Vec<_> =
        by_status.map(|(status, count)| format!("{} {status}", HumanCount(*count))).collect();
    let (count, statuses) = (HumanCount(comparison.count()), by_status.join(", "));
    println!("{day}: {count} payments in both tables: {statuses}");
    let archived = comparison.places.get(&FoundIn::Archived).copied().unwrap_or_default();
    println!("archive       {} payments", HumanCount(archived));
    match &options.journal {
        Some(file) => println!(
            "journal       {} settlements of the day in {}",
            HumanCount(books.settled_in_journal),
            file.display()
        ),
        None => println!("journal       not given (--journal)"),
    }
    println!(
        "dead letters  {} payments of any day have one; {} could not be read",
        HumanCount(books.dead_letters.payments.len() as u64),
        HumanCount(books.dead_letters.unread)
    );
    println!(
        "queues        about {} messages for dispatchers, {} for confirmers",
        HumanCount(queued.payments),
        HumanCount(queued.confirmations)
    );
    for (difference, count) in &books.differences {
        println!("DIFFERENCE    {} {difference}", HumanCount(*count));
    }
    for NamedDifference { payment, difference } in &books.named {
        println!("  {payment}: {difference}");
    }
    if books.is_proved() {
        println!("{day} is reconciled: nothing differs.");
    } else if books.differences.is_empty() {
        println!("{day} is not proved: some dead letters could not be read. Run it again.");
    } else {
        println!(
            "{day} IS NOT RECONCILED: docs/runbooks/dead-letters.md says what to do with a payment."
        );
    }
}

fn read_journal(file: &Path) -> anyhow::Result<JournalSettlements> {
    let context = || format!("reading the journal {}", file.display());
    let source = File::open(file).with_context(context)?;
    JournalSettlements::read(BufReader::new(source)).with_context(context)
}

async fn messages(aws: &Aws, queue: String) -> anyhow::Result<u64> {
    let context = format!("counting the messages of {queue}");
    let queue = SqsQueue::open(aws, queue, Duration::ZERO, "count").await?;
    queue.messages().await.context(context)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn books(journal: &str, unread: u64, expected: Option<u64>) -> ReconciledDay {
        let mut books = ReconciledDay {
            journal: Some(JournalSettlements::read(journal.as_bytes()).unwrap()),
            dead_letters: DeadLetterPayments { payments: HashSet::new(), unread },
            expected,
            by_status: BTreeMap::new(),
            settled_in_journal: 0,
            differences: BTreeMap::new(),
            named: Vec::new(),
        };
        books.close("2026-11-23".parse().unwrap(), &DayComparison::default());
        books
    }

    #[test]
    fn a_day_is_proved_only_when_all_was_read_and_counted_and_no_settlement_is_left_over() {
        let line =
            |date| format!(r#"{{"idempotency_key":"k","transaction_id":"T","amount":1{date}}}"#);
        let (undated, dated) = (line(""), line(r#","scheduled_date":"2026-11-23""#));
        let another = line(r#","scheduled_date":"2026-11-24""#);
        for (journal, unread, expected, proved) in [
            ("", 0, None, true),
            ("", 0, Some(0), true),
            ("", 0, Some(1), false),
            ("", 1, None, false),
            (&*undated, 0, None, false),
            (&*dated, 0, None, false),
            (&*another, 0, None, true),
        ] {
            let books = books(journal, unread, expected);
            assert_eq!(books.is_proved(), proved, "{journal} {unread} {expected:?}: {books:?}");
        }
    }
}
