//! From the index to the queue: what all sweeps have in common.

use std::sync::Arc;
use std::time::Duration;

use shared::domain::DueDate;
use shared::payments::{DuePayments, DueTable, PaymentsError, StoredPayment};
use shared::queue::Dispatch;
use shared::retry;
use shared::shutdown::Shutdown;

use super::interleave::Interleave;
use crate::burial::{Burials, Malformed, Open};
use crate::events;
use crate::forwarder::{Forwarder, Stopped};
use crate::lanes::Due;

/// Hands on what a sweep finds.
#[derive(Debug, Clone)]
pub(crate) struct Hand {
    pub(crate) table: Arc<dyn DueTable>,
    pub(crate) forwarder: Forwarder,
    pub(crate) burials: Burials,
}

impl Hand {
    /// The SCHEDULED payments of a day, those of each account in order.
    pub(super) fn scheduled(&self, day: DueDate) -> Interleave {
        Interleave::new(Arc::clone(&self.table), day)
    }

    /// What of them lies behind a place.
    pub(super) fn scheduled_behind(&self, day: DueDate, place: &str) -> Interleave {
        Interleave::behind(Arc::clone(&self.table), day, place)
    }

    /// The next batch of a day. Every call is tried until it succeeds.
    pub(super) async fn read(
        &self,
        day: &mut Interleave,
        shutdown: &Shutdown,
    ) -> Result<Option<DuePayments>, Stopped> {
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            let error = match shutdown.unless_requested(day.next()).await.ok_or(Stopped)? {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            self.failed(&error, pauses.next().unwrap_or_default(), shutdown).await?;
        }
    }

    /// Says that a call failed, and waits.
    pub(super) async fn failed(
        &self,
        error: &PaymentsError,
        pause: Duration,
        shutdown: &Shutdown,
    ) -> Result<(), Stopped> {
        events::sweep_failed(error);
        if shutdown.pause(pause).await { Err(Stopped) } else { Ok(()) }
    }

    /// Queues what `which` picks, in order; returns how many once all are queued. What is no
    /// payment begins to be buried: it is `open` then, as a part of `page`.
    pub(super) async fn hand_on(
        &self,
        found: DuePayments,
        which: impl Fn(&StoredPayment) -> Option<Dispatch>,
        page: u64,
        open: &mut Open,
        shutdown: &Shutdown,
    ) -> Result<usize, Stopped> {
        let mut due = Vec::with_capacity(found.len());
        for (reference, stored) in found {
            match stored {
                Ok(stored) => {
                    if let Some(dispatch) = which(&stored) {
                        due.push(Due { payment: stored.payment, dispatch });
                    }
                }
                Err(error) => {
                    let source = format!("{}-{}", reference.due, reference.id);
                    let reason = error.to_string();
                    events::swept_malformed(&source, &reason);
                    // The item itself stays in the table, under this reference.
                    let malformed = Malformed { source, raw: reference.to_string(), reason };
                    self.burials.start(malformed, page, open, shutdown).await?;
                }
            }
        }
        let count = due.len();
        self.forwarder.send(due, shutdown).await?;
        Ok(count)
    }
}
