//! Dead-lettering of what must not be paid, beside the reading: a table or a dead-letter queue that
//! does not answer holds up nobody's payments.
//!
//! First the item becomes FAILED, so that no scan queues it and no dispatcher claims it, then the
//! dead letter is written and noted on the item, then the position may pass the record. Whoever
//! reads the record again after a crash in between finds the item FAILED for the same reason, and
//! writes the dead letter unless the item says that it has one.

use std::sync::Arc;

use domain::{Failure, Payment, PaymentRef, Status};
use shared::clock::Clock;
use shared::payments::{
    ApplyResult, Change, ChangeError, PaymentStore, PaymentsError, StoredPayment,
};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::events;
use crate::forward::queues::{RelayQueues, ShutdownRequested};
use crate::forward::record::{ItemToFail, ObservedStatus};

/// Most dead letters in progress in one relay. A record has at most 400 KB, so this bounds what
/// they keep in memory; when it is reached, shards with more of them wait.
const MAX_DEAD_LETTERS_IN_PROGRESS: usize = 64;

/// A record or item that is not queued, and why.
#[derive(Debug)]
pub(crate) struct UnfitItem {
    /// Tells it from all others.
    pub(crate) source: String,
    /// Itself, whole.
    pub(crate) raw: String,
    /// What is wrong with it.
    pub(crate) failure: Failure,
    /// The payment, if it reads as one.
    pub(crate) payment: Option<Payment>,
    /// The item that is to become FAILED.
    pub(crate) mark: Option<ItemToFail>,
}

/// Work that goes on beside the reading of a shard. Each yields the page it belongs to, or
/// nothing when shutdown came first.
pub(crate) type PageTasks = JoinSet<Option<u64>>;

/// Writes dead letters for one relay.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetterWriter {
    queues: Arc<dyn RelayQueues>,
    store: Arc<dyn PaymentStore>,
    clock: Clock,
    places: Arc<Semaphore>,
}

impl DeadLetterWriter {
    pub(crate) fn new(
        queues: Arc<dyn RelayQueues>,
        store: Arc<dyn PaymentStore>,
        clock: Clock,
    ) -> Self {
        Self {
            queues,
            store,
            clock,
            places: Arc::new(Semaphore::new(MAX_DEAD_LETTERS_IN_PROGRESS)),
        }
    }

    /// Starts to dead-letter `unfit`, found in `page`, and returns at once while there is a place. It is
    /// repeated until the table and the queue have it; after shutdown it is tried once more.
    pub(crate) async fn start(
        &self,
        unfit: UnfitItem,
        page: u64,
        open: &mut PageTasks,
        shutdown: &Shutdown,
    ) -> Result<(), ShutdownRequested> {
        let place = shutdown.unless_requested(Arc::clone(&self.places).acquire_owned()).await;
        let Some(Ok(place)) = place else { return Err(ShutdownRequested) };
        let (dead_letters, shutdown) = (self.clone(), shutdown.clone());
        open.spawn(async move {
            let _place = place;
            dead_letters.write_dead_letter(unfit, &shutdown).await.then_some(page)
        });
        Ok(())
    }

    async fn write_dead_letter(&self, unfit: UnfitItem, shutdown: &Shutdown) -> bool {
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            let last = shutdown.is_requested();
            if self.try_to_dead_letter(&unfit).await {
                return true;
            }
            if last {
                return false;
            }
            shutdown.pause(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Marks the item, then writes the dead letter; false when one of them failed.
    async fn try_to_dead_letter(&self, unfit: &UnfitItem) -> bool {
        let failure = match &unfit.mark {
            None => unfit.failure.clone(),
            Some(mark) => match self.fail(mark, &unfit.failure).await {
                Ok(Some(failure)) => failure,
                Ok(None) => return true,
                Err(TableUnavailable) => return false,
            },
        };
        let UnfitItem { source, raw, payment, .. } = unfit;
        match self.queues.write_dead_letter(source, payment.as_ref(), raw.clone(), failure).await {
            Ok(()) => match &unfit.mark {
                Some(mark) => self.note(mark).await.is_ok(),
                None => true,
            },
            Err(unsent) => {
                events::send_failed(&unsent);
                false
            }
        }
    }

    /// Notes on a FAILED item that it has its dead letter.
    async fn note(
        &self,
        ItemToFail { reference, seen }: &ItemToFail,
    ) -> Result<(), TableUnavailable> {
        let (ObservedStatus::Scheduled(attempts) | ObservedStatus::Pending(attempts)) = seen;
        let count = self.stored(reference).await?.map_or(0, |stored| stored.dead_letters.count);
        let change = Change::DeadLettered(reference, *attempts, count.saturating_add(1));
        match self.apply(change).await? {
            Err(error @ ChangeError::Database { .. }) => {
                events::mark_failed(&error);
                Err(TableUnavailable)
            }
            // It has moved on, or is gone.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The item, if it reads as a payment.
    async fn stored(
        &self,
        reference: &PaymentRef,
    ) -> Result<Option<StoredPayment>, TableUnavailable> {
        match self.store.get(reference).await {
            Ok(stored) => Ok(stored),
            Err(PaymentsError::Item(_)) => Ok(None),
            Err(error) => {
                events::mark_failed(&error);
                Err(TableUnavailable)
            }
        }
    }

    async fn apply(
        &self,
        change: Change<'_>,
    ) -> Result<Result<ApplyResult, ChangeError>, TableUnavailable> {
        match self.store.apply(&[change], self.clock.now()).await.map(|mut all| all.pop()) {
            Ok(Some(result)) => Ok(result),
            Ok(None) => Err(TableUnavailable),
            Err(error) => {
                events::mark_failed(&error);
                Err(TableUnavailable)
            }
        }
    }

    /// Makes the item FAILED. What the dead letter then says; nothing when a person has dealt
    /// with the item since.
    async fn fail(
        &self,
        mark: &ItemToFail,
        failure: &Failure,
    ) -> Result<Option<Failure>, TableUnavailable> {
        let ItemToFail { reference, seen } = mark;
        let change = match seen {
            ObservedStatus::Scheduled(0) => Change::Withhold(reference, failure),
            ObservedStatus::Scheduled(attempts) => {
                Change::WithholdReplayed(reference, failure, *attempts)
            }
            ObservedStatus::Pending(attempts) => Change::Fail(reference, failure, *attempts),
        };
        match self.apply(change).await? {
            Ok(ApplyResult::Now) => {
                events::withheld(failure.code);
                Ok(Some(failure.clone()))
            }
            // Before a crash.
            Ok(ApplyResult::Before) => {
                let has_one = |stored: StoredPayment| stored.dead_letters.last.is_some();
                let known = self.stored(reference).await?.is_some_and(has_one);
                Ok((!known).then(|| failure.clone()))
            }
            // The item is gone, or no payment: nothing will pay it.
            Err(ChangeError::Missing | ChangeError::Mismatch(_) | ChangeError::Item(_)) => {
                Ok(Some(failure.clone()))
            }
            Err(ChangeError::InStatus(stored)) => Ok(too_late(&stored, failure)),
            Err(error @ ChangeError::Database { .. }) => {
                events::mark_failed(&error);
                Err(TableUnavailable)
            }
        }
    }
}

/// The table did not answer, or not to the point.
#[derive(Debug)]
struct TableUnavailable;

/// What the dead letter says of an item that could not be marked, because it has moved on. It
/// is nobody's business any more when a person has replayed or cancelled it, or when it failed
/// for a reason of its own, which has a dead letter of its own.
fn too_late(stored: &StoredPayment, failure: &Failure) -> Option<Failure> {
    let replayed = stored.attempts_before > 0;
    match stored.status {
        Status::Pending | Status::Processed if !replayed => {
            let reason = format!("it is {} by now: {}", stored.status, failure.reason);
            Some(Failure::new(failure.code, reason))
        }
        Status::Failed if stored.failure.as_ref().is_some_and(|is| is.code == failure.code) => {
            stored.dead_letters.last.is_none().then(|| failure.clone())
        }
        Status::Scheduled
        | Status::Pending
        | Status::Processed
        | Status::Failed
        | Status::Cancelled => None,
    }
}
