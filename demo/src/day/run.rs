//! The day itself, part after part.

use std::collections::HashMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use domain::{DueDate, Payment, PaymentId, PaymentRef};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::payments::archive::PaymentsAndArchive;
use shared::payments::{Change, ChangeError, PaymentStore, PaymentsTable};
use shared::reconciliation::JournalSettlements;
use tokio::time::Instant;

use super::books::{Ledger, StoredIn};
use super::plan::{DemoDayPlan, Part, PlannedEnd, zone_in_which};
use super::report::{ArchiveReport, DayReport, PartReport};
use crate::generate::insert;
use crate::live::Live;
use crate::local_world::{Process, World};
use crate::options::DemoOptions;
use crate::progress::LiveLine;
use crate::reconcile::{read_dead_letters, read_journal};
use crate::services::{DUE_SHARDS, Ended, start_services, stop_services};
use crate::wait::{LOOK, STALLED, until_ended};
use shared::payments::archive::{Counters, DayPlan, archive_day};

/// The services start this long before midnight, and a second more for each so many payments
/// of the evening: the stream's backlog is read by then.
const BEFORE_MIDNIGHT: Duration = Duration::from_secs(8);
const READ_PER_SECOND: u32 = 4_000;
/// Through the day payments come in so many portions.
const PORTIONS: u32 = 20;
/// Of each portion every so many-th payment is cancelled right after it was scheduled, if it
/// is not on its way already.
const SECOND_THOUGHTS: usize = 50;
/// Partitions of the index that are archived at once.
const WRITERS: NonZeroU16 = NonZeroU16::new(4).unwrap();
/// Cancellations in one request.
const BATCH: usize = 25;

/// A day under way.
pub(crate) struct Day {
    world: World,
    options: DemoOptions,
    table: Arc<PaymentsTable>,
    plan: DemoDayPlan,
    ledger: Ledger,
    parts: Vec<PartReport>,
}

type Scheduled = Vec<(Payment, PlannedEnd)>;
type DeadLetterCounts = HashMap<PaymentId, u32>;

impl Day {
    pub(crate) fn new(world: World, options: DemoOptions, table: PaymentsTable) -> Self {
        // By the bank's own calendar, whose midnight comes once the evening is over.
        let day = DueDate::today(Timestamp::now(), &TimeZone::UTC).days_after(1);
        let plan = DemoDayPlan { day, night_batch: options.payments, accounts: options.accounts };
        let table = Arc::new(table);
        Self { world, options, table, plan, ledger: Ledger::default(), parts: Vec::new() }
    }

    /// Runs the day to its report.
    pub(crate) async fn run(mut self) -> anyhow::Result<DayReport> {
        let began = Instant::now();
        let night = self.plan.night_batch;
        let mut evening = 0;
        for part in Part::EVENING {
            let size = part.size(night);
            let scheduled = self.schedule(part, 0..size).await?;
            let unwanted =
                scheduled.iter().filter(|(_, planned)| *planned == PlannedEnd::Cancelled);
            let unwanted: Vec<_> = unwanted.map(|(payment, _)| payment.reference()).collect();
            let cancelled = self.cancel(&unwanted).await?.len();
            anyhow::ensure!(cancelled == unwanted.len(), "a payment was not cancelled in time");
            evening += size;
        }
        let reading = Duration::from_secs((evening / READ_PER_SECOND).into());
        let midnight = Timestamp::now() + BEFORE_MIDNIGHT + reading;
        let zone = zone_in_which(self.plan.day, midnight)?;
        self.world.move_to(&zone).await?;
        eprintln!("the services start; {} begins in a moment", self.plan.day);
        let settings = [("DUEFLOW_TIME_ZONE", zone), ("DUEFLOW_OPENING_DELAY", "1s".to_owned())];
        let mut processes = start_services(&self.world, &self.options, &settings).await?;
        let wait = Duration::try_from(midnight.duration_since(Timestamp::now()));
        tokio::time::sleep(wait.unwrap_or_default()).await;
        eprintln!("{} begins", self.plan.day);
        self.schedule(Part::NightBatch, 0..night).await?;
        let daytime = Part::Daytime.size(night);
        for portion in 0..PORTIONS {
            let from = daytime / PORTIONS * portion + (daytime % PORTIONS).min(portion);
            let size = daytime / PORTIONS + u32::from(portion < daytime % PORTIONS);
            let scheduled = self.schedule(Part::Daytime, from..from + size).await?;
            self.think_again(&scheduled).await?;
        }
        let mut problems = Vec::new();
        let total = self.ledger.count(PlannedEnd::Executed);
        let mut progress = LiveLine::new(total);
        if !until_ended(total, &mut processes, &mut progress).await {
            problems.push(format!("nothing moved for {STALLED:?}: see the services' logs"));
        }
        progress.finish();
        let leaving_seconds = began.elapsed().as_secs_f64();
        self.sum_up(processes, problems, leaving_seconds).await
    }

    /// Schedules the payments of these numbers of a part.
    async fn schedule(&mut self, part: Part, numbers: Range<u32>) -> anyhow::Result<Scheduled> {
        let scheduled = numbers.map(|number| self.plan.payment(part, number));
        let scheduled = scheduled.collect::<anyhow::Result<Scheduled>>()?;
        for (payment, planned) in &scheduled {
            self.ledger.expect(payment, *planned);
        }
        let payments: Arc<Vec<Payment>> =
            Arc::new(scheduled.iter().map(|(payment, _)| payment.clone()).collect());
        let count = u32::try_from(payments.len())?;
        let make = move |index: u32| Ok(payments[index as usize].clone());
        let (table, counter) = (Arc::clone(&self.table), Arc::new(AtomicU64::new(0)));
        let mut inserting =
            tokio::spawn(insert(table, count, self.options.rate, make, Arc::clone(&counter)));
        let mut progress = LiveLine::new(count.into());
        loop {
            match tokio::time::timeout(LOOK, &mut inserting).await {
                Ok(ended) => break ended??,
                Err(_) => {
                    let inserted = counter.load(Ordering::Relaxed);
                    progress.show(&Live { inserted, ..Live::default() });
                }
            }
        }
        progress.finish();
        self.count(part, u64::from(count));
        Ok(scheduled)
    }

    fn count(&mut self, part: Part, payments: u64) {
        match self.parts.iter_mut().find(|report| report.name == part.as_str()) {
            Some(report) => report.payments += payments,
            None => self.parts.push(PartReport { name: part.as_str(), payments }),
        }
    }

    /// Cancels payments; returns those for which it was not too late.
    async fn cancel(&self, unwanted: &[PaymentRef]) -> anyhow::Result<Vec<PaymentId>> {
        let mut cancelled = Vec::new();
        for some in unwanted.chunks(BATCH) {
            let changes: Vec<_> = some.iter().map(Change::Cancel).collect();
            let results = self.table.apply(&changes, Timestamp::now()).await?;
            for (reference, result) in some.iter().zip(results) {
                match result {
                    Ok(_) => cancelled.push(reference.id),
                    Err(ChangeError::InStatus(_)) => {}
                    Err(error) => return Err(error).context(reference.to_string()),
                }
            }
        }
        Ok(cancelled)
    }

    /// Owners who cancel what they have just scheduled for today: some are too late.
    async fn think_again(&mut self, scheduled: &Scheduled) -> anyhow::Result<()> {
        let due_today =
            scheduled.iter().rev().filter(|(_, planned)| *planned == PlannedEnd::Executed);
        let unwanted: Vec<_> =
            due_today.step_by(SECOND_THOUGHTS).map(|(payment, _)| payment.reference()).collect();
        for id in self.cancel(&unwanted).await? {
            self.ledger.change(id, PlannedEnd::Cancelled);
        }
        Ok(())
    }

    /// The end of the day.
    async fn archive(
        &self,
        tables: &Arc<PaymentsAndArchive>,
        problems: &mut Vec<String>,
    ) -> anyhow::Result<ArchiveReport> {
        eprintln!("the day is over; its payments move to the archive");
        let began = Instant::now();
        let counters = Arc::new(Counters::default());
        for day in self.days() {
            let plan = DayPlan { day, rate: NonZeroU32::MAX, writers: WRITERS };
            let summary = archive_day(Arc::clone(tables), plan, Arc::clone(&counters)).await?;
            let left = summary.named.iter().map(|left| format!("{}: {}", left.reference, left.why));
            problems.extend(left);
        }
        let moved = counters.moved.load(Ordering::Relaxed);
        Ok(ArchiveReport { moved, seconds: began.elapsed().as_secs_f64() })
    }

    /// The days whose payments have left.
    fn days(&self) -> [DueDate; 2] {
        [self.plan.day.days_before(1), self.plan.day]
    }

    async fn sum_up(
        mut self,
        processes: Vec<Process>,
        mut problems: Vec<String>,
        leaving_seconds: f64,
    ) -> anyhow::Result<DayReport> {
        let total = self.ledger.count(PlannedEnd::Executed);
        let Ended { used, problems: unruly, .. } = stop_services(processes, total).await?;
        problems.extend(unruly);
        let client = self.world.aws.dynamodb("archive");
        let tables = Arc::new(PaymentsAndArchive::new(&client, &self.world.names, DUE_SHARDS));
        let archive = self.archive(&tables, &mut problems).await?;
        let dead_letters = read_dead_letters(&self.world.aws, &self.world.names).await?;
        let mut journal = read_journal(self.world.local.journal())?;
        self.read_payments(&mut journal, &dead_letters).await?;
        self.read_archive(&tables, &mut journal, &dead_letters).await?;
        let books = self.ledger.close(&journal);
        self.world.local.stop().await?;
        Ok(DayReport {
            day: self.plan.day.to_string(),
            parts: self.parts,
            leaving_seconds,
            archive,
            processes: used,
            balanced: books.balance() && problems.is_empty(),
            books,
            problems,
        })
    }

    async fn read_payments(
        &mut self,
        journal: &mut JournalSettlements,
        dead_letters: &DeadLetterCounts,
    ) -> anyhow::Result<()> {
        let mut cursor = None;
        loop {
            let (page, next) = self.table.scan_page(cursor).await?;
            for stored in &page {
                self.ledger.found(StoredIn::Payments, stored, journal, dead_letters);
            }
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn read_archive(
        &mut self,
        tables: &PaymentsAndArchive,
        journal: &mut JournalSettlements,
        dead_letters: &DeadLetterCounts,
    ) -> anyhow::Result<()> {
        for day in self.days() {
            for shard in tables.due_shards() {
                let mut cursor = None;
                loop {
                    let page = tables.archive_entries(day, shard, cursor).await?;
                    let wanted: Vec<_> =
                        page.entries.into_iter().map(|entry| entry.reference).collect();
                    for (reference, stored) in tables.archived(&wanted).await? {
                        let stored = stored.with_context(|| reference.to_string())?;
                        self.ledger.found(StoredIn::Archive, &stored, journal, dead_letters);
                    }
                    match page.next {
                        Some(next) => cursor = Some(next),
                        None => break,
                    }
                }
            }
        }
        Ok(())
    }
}
