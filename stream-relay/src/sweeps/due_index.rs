//! From the index `due` to the queue: what all sweeps have in common.

use std::sync::Arc;
use std::time::Duration;

use domain::{DueDate, Failure, FailureCode};
use shared::payments::{DuePayments, DueTable, PaymentsError, StoredPayment};
use shared::queue::Dispatch;
use shared::retry;
use shared::shutdown::Shutdown;

use crate::events;
use crate::forward::dead_letter::{DeadLetterWriter, PageTasks, UnfitItem};
use crate::forward::forwarder::{Forwarder, SortedPage};
use crate::forward::partition::PaymentToQueue;
use crate::forward::queues::ShutdownRequested;
use crate::forward::record::{ItemToFail, ObservedStatus};
use crate::sweeps::interleave::InterleavedDay;
use crate::sweeps::item_check::skip_reason;

/// Reads the index `due` and forwards what a sweep finds.
#[derive(Debug, Clone)]
pub(crate) struct DueIndex {
    pub(crate) table: Arc<dyn DueTable>,
    pub(crate) forwarder: Forwarder,
    pub(crate) dead_letters: DeadLetterWriter,
}

impl DueIndex {
    /// The SCHEDULED payments of a day, those of each account in order.
    pub(super) fn scheduled(&self, day: DueDate) -> InterleavedDay {
        InterleavedDay::new(Arc::clone(&self.table), day)
    }

    /// What of them lies behind a place.
    pub(super) fn scheduled_behind(&self, day: DueDate, place: &str) -> InterleavedDay {
        InterleavedDay::behind(Arc::clone(&self.table), day, place)
    }

    /// The next batch of a day. Every call is tried until it succeeds.
    pub(super) async fn read(
        &self,
        day: &mut InterleavedDay,
        shutdown: &Shutdown,
    ) -> Result<Option<DuePayments>, ShutdownRequested> {
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            let error =
                match shutdown.unless_requested(day.next()).await.ok_or(ShutdownRequested)? {
                    Ok(found) => return Ok(found.map(|found| self.filter_items(day.day(), found))),
                    Err(error) => error,
                };
            self.failed(&error, pauses.next().unwrap_or_default(), shutdown).await?;
        }
    }

    /// Leaves out what does not belong to the day, or what only looks as if it waited. Each is
    /// counted and stays where it is.
    pub(super) fn filter_items(&self, day: DueDate, mut found: DuePayments) -> DuePayments {
        let now = self.forwarder.clock.now();
        found.retain(|(reference, stored)| {
            let why =
                stored.as_ref().ok().and_then(|stored| skip_reason(reference, stored, day, now));
            if let Some(why) = why {
                events::left(reference, day, why);
            }
            why.is_none()
        });
        found
    }

    /// The same for payments of several days.
    pub(super) fn filter_days(&self, days: &[DueDate], found: DuePayments) -> DuePayments {
        let of_a_day = found.into_iter().filter(|(reference, _)| days.contains(&reference.due));
        of_a_day.flat_map(|one| self.filter_items(one.0.due, vec![one])).collect()
    }

    /// Says that a call failed, and waits.
    pub(super) async fn failed(
        &self,
        error: &PaymentsError,
        pause: Duration,
        shutdown: &Shutdown,
    ) -> Result<(), ShutdownRequested> {
        events::sweep_failed(error);
        if shutdown.pause(pause).await { Err(ShutdownRequested) } else { Ok(()) }
    }

    /// Queues what `which` picks, in order; returns how many once all are queued. What is no
    /// payment begins to be dead-lettered: it is `open` then, as a part of `page`.
    pub(super) async fn forward(
        &self,
        found: DuePayments,
        which: impl Fn(&StoredPayment) -> Option<Dispatch>,
        page: u64,
        open: &mut PageTasks,
        shutdown: &Shutdown,
    ) -> Result<usize, ShutdownRequested> {
        let mut sorted = SortedPage::default();
        for (reference, stored) in found {
            match stored {
                Ok(stored) => {
                    if let Some(dispatch) = which(&stored) {
                        sorted.due.push(PaymentToQueue { payment: stored.payment, dispatch });
                    }
                }
                Err(error) => {
                    let source = format!("{}-{}", reference.due, reference.id);
                    let reason = error.to_string();
                    events::swept_malformed(&source, &reason);
                    // The item itself stays in the table, under this reference.
                    let failure = Failure::new(FailureCode::MalformedRecord, reason);
                    let raw = reference.to_string();
                    let mark = Some(ItemToFail { reference, seen: ObservedStatus::Scheduled(0) });
                    sorted.unfit.push(UnfitItem { source, raw, failure, payment: None, mark });
                }
            }
        }
        self.forwarder.forward(sorted, &self.dead_letters, page, open, shutdown).await
    }
}
