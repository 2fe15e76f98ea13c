//! What the transaction service reports by itself can refuse thousands of payments too, of
//! which the dispatchers saw only that they were taken. So it is counted here as answers are
//! there, and dispatching is stopped in the same way: what was taken is written as it is
//! reported, but no more is submitted.

use std::sync::{Arc, Mutex, PoisonError};

use shared::clock::Clock;
use shared::dispatch_stop::{
    DispatchStop, DispatchStops, ObservedAnswer, RefusalTracker, StopLimits, StopTrigger,
};
use shared::queue::{Confirmation, ReportedResult};
use shared::retry;
use tokio::sync::mpsc;

use crate::events;

/// Counts results that were written.
#[derive(Debug, Clone)]
pub(crate) struct RefusalMonitor {
    refusals: Arc<Mutex<RefusalTracker>>,
    trips: mpsc::Sender<StopTrigger>,
}

impl RefusalMonitor {
    /// A trigger that has counted nothing, and where [`store`] takes what it calls for.
    pub(crate) fn new(limits: StopLimits) -> (Self, mpsc::Receiver<StopTrigger>) {
        let (trips, tripped) = mpsc::channel(1);
        (Self { refusals: Arc::new(Mutex::new(RefusalTracker::new(limits))), trips }, tripped)
    }

    /// Notes a result that this write has made: one that was written before counts no more.
    pub(crate) fn note(&self, confirmation: &Confirmation) {
        let account = &confirmation.payment.account;
        let answer = match &confirmation.result {
            ReportedResult::Settled(_) => ObservedAnswer::Taken(account),
            ReportedResult::Rejected(failure) => {
                let code = failure.reason.split(':').next().unwrap_or_default();
                ObservedAnswer::Rejected { account, code }
            }
        };
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trip) = refusals.note(answer) {
            refusals.forget();
            drop(refusals);
            // One that waits to be stored already says the same.
            let _ = self.trips.try_send(trip);
        }
    }
}

/// Stores the stops that are called for, until nobody can call for one any more.
pub(crate) async fn store(
    stops: Arc<dyn DispatchStops>,
    mut trips: mpsc::Receiver<StopTrigger>,
    clock: Clock,
    name: String,
) {
    while let Some(StopTrigger { cause, reason, count }) = trips.recv().await {
        let reason = format!("reported by the transaction service: {reason}");
        let own = DispatchStop::new(cause, &reason, &name, count, clock.now());
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            match stops.place(&own).await {
                Ok(stands) if stands.id == own.id => {
                    events::stopped(&own);
                    break;
                }
                // Dispatching is stopped already.
                Ok(_) => break,
                Err(error) => {
                    events::error("stop", &error);
                    tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AccountId, Failure, FailureCode, PaymentId, PaymentRef, Settlement};
    use jiff::Timestamp;
    use shared::dispatch_stop::{StopCause, StopInMemory};

    const LIMITS: StopLimits =
        StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };

    fn reported(account: usize, result: ReportedResult) -> Confirmation {
        let payment = PaymentRef {
            account: AccountId::parse(format!("ACC-{account}")).unwrap(),
            due: "2026-11-23".parse().unwrap(),
            id: PaymentId::generate(),
        };
        Confirmation { payment, result, money: None, trace_key: None }
    }

    fn refused() -> ReportedResult {
        ReportedResult::Rejected(Failure::new(FailureCode::Refused, "account_closed: x"))
    }

    fn settled() -> ReportedResult {
        let at = Timestamp::UNIX_EPOCH;
        ReportedResult::Settled(Settlement { transaction_id: "T1".to_owned(), settled_at: at })
    }

    /// What is stored after these results.
    async fn stop_after(results: impl Iterator<Item = Confirmation>) -> Option<DispatchStop> {
        let stops = Arc::new(StopInMemory::default());
        let (trigger, trips) = RefusalMonitor::new(LIMITS);
        results.for_each(|result| trigger.note(&result));
        drop(trigger);
        let clock = Clock::new(|| Timestamp::UNIX_EPOCH);
        store(Arc::clone(&stops) as Arc<dyn DispatchStops>, trips, clock, "me".to_owned()).await;
        stops.read().await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_reported_after_202s_stop_dispatching_as_answers_do() {
        let stop = stop_after((0..20).map(|n| reported(n, refused()))).await.unwrap();
        assert_eq!((stop.cause, stop.count), (StopCause::Rejected, 20));
        assert!(stop.reason.contains("account_closed"), "{stop:?}");
        assert_eq!(stop_after((0..19).map(|n| reported(n, refused()))).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_among_settlements_stop_nobody() {
        let mixed = (0..1_000).map(|n| {
            let result = if n % 3 == 0 { refused() } else { settled() };
            reported(n, result)
        });
        assert_eq!(stop_after(mixed).await, None);
    }
}
