//! Keeps the call limiter and the stored stop together: stores the stop that this dispatcher calls
//! for, and reads, again and again, whether one stands.

use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::dispatch_stop::{DispatchStop, DispatchStops, StopError};
use shared::retry;
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Readiness;
use tokio::time::Instant;

use crate::calls::limiter::CallLimiter;
use crate::events;

/// Keeps the call limiter and the stored stop together.
#[derive(Debug)]
pub(crate) struct StopMonitor {
    pub(crate) stops: Arc<dyn DispatchStops>,
    pub(crate) limiter: CallLimiter,
    pub(crate) clock: Clock,
    /// Who this dispatcher is, for people.
    pub(crate) name: String,
    /// Time between two readings.
    pub(crate) interval: Duration,
    /// The call limiter's own stop, made once, so that a repeated write is recognised.
    own: Option<DispatchStop>,
}

impl StopMonitor {
    /// A monitor that has read nothing yet.
    pub(crate) fn new(
        stops: Arc<dyn DispatchStops>,
        limiter: CallLimiter,
        clock: Clock,
        name: String,
        interval: Duration,
    ) -> Self {
        Self { stops, limiter, clock, name, interval, own: None }
    }

    /// Watches until shutdown, and is ready after the first reading. A stop that is not stored
    /// by then is still tried until the caller's drain deadline.
    pub(crate) async fn run(mut self, readiness: Readiness, shutdown: Shutdown) {
        let calls = readiness.watch("reading whether dispatching is stopped");
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            let result = self.step().await;
            calls.note(&result);
            match result {
                Ok(()) => {
                    events::succeeded("stop_check");
                    readiness.ready();
                    pauses = retry::NEVER_GIVE_UP.pauses();
                    if shutdown.is_requested() && self.limiter.unstored_stop().is_none() {
                        return;
                    }
                    tokio::select! {
                        () = shutdown.requested() => {}
                        _ = self.limiter.until_tripped() => {}
                        () = tokio::time::sleep(self.interval) => {}
                    }
                }
                Err(error) => {
                    events::stop_error(&error);
                    if shutdown.is_requested() && self.limiter.unstored_stop().is_none() {
                        return;
                    }
                    // What is not stored holds nobody else up, and what cannot be read holds
                    // this dispatcher up: neither waits for longer than a reading does.
                    let pause = pauses.next().unwrap_or_default().min(self.interval);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Stores the call limiter's own stop, or reads.
    async fn step(&mut self) -> Result<(), StopError> {
        let Some(trip) = self.limiter.unstored_stop() else {
            self.own = None;
            let at = Instant::now();
            let found = self.stops.read().await?;
            self.limiter.stop_read(found, at);
            return Ok(());
        };
        let (name, now) = (&self.name, self.clock.now());
        let own = self.own.get_or_insert_with(|| {
            DispatchStop::new(trip.cause, &trip.reason, name, trip.count, now)
        });
        let stands = self.stops.place(own).await?;
        self.own = None;
        self.limiter.stop_stored(stands);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use domain::AccountId;
    use jiff::Timestamp;
    use shared::dispatch_stop::{
        LiftResult, ObservedAnswer, StopCause, StopId, StopInMemory, StopLimits,
    };

    use super::*;
    use crate::calls::concurrency_limit::{CallHealth, ConcurrencyBounds};
    use crate::calls::limiter::CallPurpose;
    use crate::calls::settings::CallLimiterSettings;

    const INTERVAL: Duration = Duration::from_secs(2);

    fn limiter() -> CallLimiter {
        let settings = CallLimiterSettings {
            bounds: ConcurrencyBounds { least: 4, most: 4 },
            per_second: None,
            stop: StopLimits {
                rejected_accounts: 20,
                out_of_contract: 1,
                share_percent: 50,
                window: 200,
            },
            validity: 5 * INTERVAL,
        };
        CallLimiter::new(settings, Timestamp::UNIX_EPOCH)
    }

    /// A stop that cannot be read so many times more.
    #[derive(Debug)]
    struct Unreadable {
        failures: AtomicU32,
        stops: StopInMemory,
    }

    #[async_trait]
    impl DispatchStops for Unreadable {
        async fn read(&self) -> Result<Option<DispatchStop>, StopError> {
            let left = |failures: u32| failures.checked_sub(1);
            match self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left) {
                Ok(_) => Err(StopError::Read { table: "t".to_owned(), reason: "503".to_owned() }),
                Err(_) => self.stops.read().await,
            }
        }

        async fn place(&self, stop: &DispatchStop) -> Result<DispatchStop, StopError> {
            self.stops.place(stop).await
        }

        async fn lift(&self, id: StopId) -> Result<LiftResult, StopError> {
            self.stops.lift(id).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_that_could_not_be_read_for_a_while_is_read_again() {
        let stops = Arc::new(Unreadable { failures: 0.into(), stops: StopInMemory::default() });
        let (limiter, port) = (limiter(), Arc::clone(&stops) as Arc<dyn DispatchStops>);
        let clock = Clock::new(|| Timestamp::UNIX_EPOCH);
        let monitor = StopMonitor::new(port, limiter.clone(), clock, "me".to_owned(), INTERVAL);
        let shutdown = Shutdown::new(Duration::from_secs(25));
        let running = tokio::spawn(monitor.run(Readiness::default(), shutdown.clone()));
        tokio::time::sleep(INTERVAL).await;
        limiter.acquire(CallPurpose::Submit).await.unwrap();
        stops.failures.store(20, Ordering::Relaxed);
        let by_hand = DispatchStop::new(StopCause::ByHand, "x", "ana", 1, Timestamp::UNIX_EPOCH);
        stops.place(&by_hand).await.unwrap();
        tokio::time::sleep(60 * INTERVAL).await;
        assert!(limiter.is_stopped(), "nobody reads any more");
        stops.lift(by_hand.id).await.unwrap();
        tokio::time::sleep(2 * INTERVAL).await;
        limiter.acquire(CallPurpose::Submit).await.unwrap();
        shutdown.request();
        running.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_that_the_answers_call_for_is_stored_once_and_holds_until_it_is_removed() {
        let (stops, limiter) = (Arc::new(StopInMemory::default()), limiter());
        let clock = Clock::new(|| Timestamp::UNIX_EPOCH);
        let port = Arc::clone(&stops) as Arc<dyn DispatchStops>;
        let name = "me".to_owned();
        let monitor = StopMonitor::new(port, limiter.clone(), clock, name, INTERVAL);
        let shutdown = Shutdown::new(Duration::from_secs(25));
        let running = tokio::spawn(monitor.run(Readiness::default(), shutdown.clone()));
        let permit = limiter.acquire(CallPurpose::Submit).await.unwrap();
        let account = AccountId::parse("ACC").unwrap();
        let answer = ObservedAnswer::OutOfContract { account: &account, words: "400" };
        let _ = permit.ended(CallHealth::Answered, Some(answer));
        tokio::time::sleep(INTERVAL).await;
        let stored = stops.read().await.unwrap().unwrap();
        assert_eq!((stored.cause, stored.by.as_str()), (StopCause::OutOfContract, "me"));
        tokio::time::sleep(10 * INTERVAL).await;
        assert!(limiter.is_stopped(), "it holds");
        stops.lift(stored.id).await.unwrap();
        tokio::time::sleep(2 * INTERVAL).await;
        assert!(!limiter.is_stopped(), "an operator has removed it");
        assert_eq!(stops.read().await.unwrap(), None, "it was stored again");
        shutdown.request();
        running.await.unwrap();
    }
}
