//! The payments of a demo, and scheduling them.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::{AccountId, Amount, BeneficiaryId, DueDate, Payment, PaymentId, TraceKey};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::pacer::Pacer;
use shared::payments::{InsertResult, PaymentsTable};
use tokio::task::JoinSet;

/// Payments in one request.
const BATCH: u32 = 25;
/// Requests under way at once.
const WRITERS: u32 = 3;

/// How many of which accounts, how fast.
#[derive(Debug, Clone, Copy)]
pub struct SchedulePlan {
    /// Payments, all due today (UTC).
    pub payments: u32,
    /// Accounts they leave from, taking turns.
    pub accounts: u32,
    /// Payments per second; `None` for as fast as it goes.
    pub rate: Option<u32>,
}

/// The payment number `index`, due on `due`: accounts take turns, amounts differ.
pub(super) fn payment(index: u32, accounts: u32, due: DueDate) -> anyhow::Result<Payment> {
    let now = Timestamp::now();
    Ok(Payment {
        id: PaymentId::generate(),
        account: AccountId::parse(format!("ACC-{:06}", index % accounts))?,
        due,
        amount: Amount::from_minor_units(i64::from(index % 99_991) + 100)?,
        currency: "EUR".parse()?,
        beneficiary: BeneficiaryId::parse(format!("BEN-{:05}", index % 10_007))?,
        data: None,
        trace_key: TraceKey::generate(),
        created_at: now,
    })
}

/// Schedules all payments of the plan; `scheduled` counts along.
///
/// # Errors
/// A payment that could not be inserted.
pub async fn schedule(
    table: Arc<PaymentsTable>,
    plan: SchedulePlan,
    scheduled: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let SchedulePlan { payments, accounts, rate } = plan;
    let make =
        move |index| payment(index, accounts, DueDate::today(Timestamp::now(), &TimeZone::UTC));
    insert(table, payments, rate, make, scheduled).await
}

/// Inserts the payments 0 to `count` that `make` makes, several requests at a time, and at
/// most `rate` a second if one is given; `scheduled` counts along.
pub(super) async fn insert(
    table: Arc<PaymentsTable>,
    count: u32,
    rate: Option<u32>,
    make: impl Fn(u32) -> anyhow::Result<Payment> + Clone + Send + 'static,
    scheduled: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let pacer = Arc::new(rate.and_then(NonZeroU32::new).map(Pacer::new));
    let next = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (table, scheduled) = (Arc::clone(&table), Arc::clone(&scheduled));
        let (next, make, pacer) = (Arc::clone(&next), make.clone(), Arc::clone(&pacer));
        writers.spawn(async move {
            loop {
                let from = next.fetch_add(u64::from(BATCH), Ordering::Relaxed);
                let Some(from) = u32::try_from(from).ok().filter(|from| *from < count) else {
                    return anyhow::Ok(());
                };
                let to = from.saturating_add(BATCH).min(count);
                if let Some(pacer) = &*pacer {
                    pacer.turn((to - from) as usize).await;
                }
                let batch = (from..to).map(&make).collect::<Result<Vec<_>, _>>()?;
                let results = table.insert(&batch).await?;
                // What is there already was inserted by a try whose answer was lost.
                anyhow::ensure!(!results.contains(&InsertResult::Conflict), "an id was made twice");
                scheduled.fetch_add(results.len() as u64, Ordering::Relaxed);
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    Ok(())
}
