//! The call limiter before a service whose capacity is known, under virtual time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::AccountId;
use jiff::Timestamp;
use shared::dispatch_stop::{DispatchStop, ObservedAnswer, StopCause, StopLimits};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::calls::circuit_breaker::FAILURES;
use crate::calls::concurrency_limit::{CallHealth, ConcurrencyBounds};
use crate::calls::limiter::{AnswerTrust, CallLimiter, CallPurpose, DispatchStopped};
use crate::calls::settings::CallLimiterSettings;

#[path = "limiter_stop_tests.rs"]
mod stop;

const BOUNDS: ConcurrencyBounds = ConcurrencyBounds { least: 16, most: 256 };

/// A limiter for which the day has just begun.
fn limiter(bounds: ConcurrencyBounds, per_second: Option<u32>) -> CallLimiter {
    limiter_at(Timestamp::UNIX_EPOCH, bounds, per_second)
}

fn limiter_at(
    time_of_day: Timestamp,
    bounds: ConcurrencyBounds,
    per_second: Option<u32>,
) -> CallLimiter {
    let stop =
        StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };
    let settings = CallLimiterSettings { bounds, per_second, stop, validity: VALIDITY };
    let limiter = CallLimiter::new(settings, time_of_day);
    limiter.stop_read(None, Instant::now());
    limiter
}

/// Longer than any of these tests that does not read again.
const VALIDITY: Duration = Duration::from_secs(86_400);

/// A service with so many workers, each of which takes `latency` for a call; more calls queue.
#[derive(Debug)]
struct Service {
    workers: Semaphore,
    latency: Duration,
    /// Share of the latency by which calls differ from each other at most, evenly spread.
    spread: f64,
    down: Mutex<bool>,
    calls: AtomicU64,
}

impl Service {
    fn new(workers: usize, latency: Duration) -> Arc<Self> {
        Self::with_spread(workers, latency, 0.0)
    }

    /// `spread` above 0: calls do not all take the same time, as if they were in step.
    fn with_spread(workers: usize, latency: Duration, spread: f64) -> Arc<Self> {
        let (workers, down) = (Semaphore::new(workers), Mutex::new(false));
        Arc::new(Self { workers, latency, spread, down, calls: AtomicU64::new(0) })
    }

    fn is_down(&self) -> bool {
        *self.down.lock().unwrap()
    }

    async fn call(&self) -> CallHealth {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.is_down() {
            return CallHealth::Failed;
        }
        let _worker = self.workers.acquire().await.unwrap();
        // Multiples of the golden ratio are spread evenly.
        let place = (number as f64 * 0.618_033_988_75).fract() - 0.5;
        sleep(self.latency.mul_f64(1.0 + self.spread * place)).await;
        CallHealth::Settled
    }
}

/// Callers that always have another payment, and what their calls took.
struct Load {
    limiter: CallLimiter,
    answered: Arc<Mutex<Vec<(Instant, Duration)>>>,
    /// They end with it.
    _callers: JoinSet<()>,
}

impl Load {
    fn start(service: &Arc<Service>, limiter: CallLimiter, callers: usize) -> Self {
        let (answered, mut tasks) = (Arc::<Mutex<Vec<_>>>::default(), JoinSet::new());
        for _ in 0..callers {
            let (service, limiter) = (Arc::clone(service), limiter.clone());
            let answered = Arc::clone(&answered);
            tasks.spawn(async move {
                loop {
                    let permit = limiter.acquire(CallPurpose::Submit).await.unwrap();
                    let began = Instant::now();
                    let health = service.call().await;
                    believe(permit.ended(health, None));
                    match health {
                        CallHealth::Settled | CallHealth::Answered => {
                            let took = began.elapsed();
                            answered.lock().unwrap().push((Instant::now(), took));
                        }
                        CallHealth::Failed => sleep(Duration::from_millis(1)).await,
                    }
                }
            });
        }
        Self { limiter, answered, _callers: tasks }
    }

    /// Calls answered per second, and the 99th percentile of what they took, within `time`
    /// from now.
    async fn measure(&self, time: Duration) -> (f64, Duration) {
        let from = Instant::now();
        sleep(time).await;
        let answered = self.answered.lock().unwrap();
        let mut took: Vec<_> =
            answered.iter().filter(|(at, _)| *at > from).map(|(_, took)| *took).collect();
        took.sort_unstable();
        let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
        (took.len() as f64 / time.as_secs_f64(), p99)
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn when_capacity_halves_latency_is_back_within_30_seconds_and_capacity_is_used() {
    let latency = Duration::from_millis(50);
    let service = Service::new(80, latency);
    let load = Load::start(&service, limiter(BOUNDS, None), 256);
    sleep(30 * SECOND).await;
    let (rate, baseline) = load.measure(60 * SECOND).await;
    assert!(rate >= 0.9 * 80.0 / 0.05, "only {rate} of 1,600 calls per second");

    service.workers.acquire_many(40).await.unwrap().forget();
    sleep(30 * SECOND).await;
    let (rate, p99) = load.measure(120 * SECOND).await;
    assert!(rate >= 0.9 * 40.0 / 0.05, "only {rate} of 800 calls per second");
    assert!(p99 <= 2 * baseline, "{p99:?} after {baseline:?}");
}

/// A limiter that cuts its own limit alone, to see the base latency, still waits behind the calls
/// of the others: limiters that do not probe together bring calls to 138 ms and more.
#[tokio::test(start_paused = true)]
async fn limiters_that_share_a_service_do_not_drive_its_latency_up_together() {
    // Far from the next probe, and shortly before one, which is the worst that was found.
    for seconds_of_day in [0.0, 19.9] {
        let (rate, slowest) = of_four_limiters(Duration::from_secs_f64(seconds_of_day)).await;
        assert!(rate >= 0.9 * 80.0 / 0.05, "only {rate} of 1,600 calls per second");
        let most = Duration::from_millis(130);
        assert!(slowest <= most, "{slowest:?} for calls of 50 ms, from {seconds_of_day} on");
    }
}

/// Calls per second, and the worst 99th percentile, of four limiters of which the first starts at
/// this time of day.
async fn of_four_limiters(time_of_day: Duration) -> (f64, Duration) {
    let service = Service::with_spread(80, Duration::from_millis(50), 0.4);
    let (mut loads, began) = (Vec::new(), Instant::now());
    for _ in 0..4 {
        // As real ones, they start at different times.
        let time_of_day = Timestamp::UNIX_EPOCH + time_of_day + began.elapsed();
        loads.push(Load::start(&service, limiter_at(time_of_day, BOUNDS, None), 128));
        sleep(7 * SECOND).await;
    }
    sleep(45 * SECOND).await;
    let [a, b, c, d] = loads.as_slice() else { panic!("{} limiters", loads.len()) };
    let time = 60 * SECOND;
    let all = tokio::join!(a.measure(time), b.measure(time), c.measure(time), d.measure(time));
    let all = [all.0, all.1, all.2, all.3];
    (all.iter().map(|(rate, _)| rate).sum(), all.iter().map(|(_, p99)| *p99).max().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_longer_for_each_call_is_still_used_to_its_capacity() {
    let service = Service::new(40, Duration::from_millis(200));
    let load = Load::start(&service, limiter(BOUNDS, None), 256);
    sleep(60 * SECOND).await;
    let (rate, p99) = load.measure(120 * SECOND).await;
    assert!(rate >= 0.9 * 40.0 / 0.2, "only {rate} of 200 calls per second");
    assert!(p99 <= Duration::from_millis(400), "{p99:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unsaturated_service_is_given_all_that_is_asked_of_it() {
    let service = Service::new(1_000, Duration::from_millis(20));
    let load = Load::start(&service, limiter(BOUNDS, None), 100);
    sleep(10 * SECOND).await;
    let (rate, _) = load.measure(60 * SECOND).await;
    assert!(rate >= 0.95 * 100.0 / 0.02, "only {rate} of 5,000 calls per second");
}

#[tokio::test(start_paused = true)]
async fn while_the_service_is_down_nothing_goes_out_and_then_the_rate_is_back_in_30_seconds() {
    let service = Service::new(80, Duration::from_millis(50));
    let limiter = limiter(BOUNDS, None);
    let load = Load::start(&service, limiter, 256);
    sleep(30 * SECOND).await;
    let (before, _) = load.measure(30 * SECOND).await;

    *service.down.lock().unwrap() = true;
    load.limiter.until_open().await;
    sleep(SECOND).await;
    let calls = service.calls.load(Ordering::Relaxed);
    sleep(600 * SECOND).await;
    assert_eq!(service.calls.load(Ordering::Relaxed), calls, "calls went out while it was down");
    assert!(tokio::time::timeout(SECOND, load.limiter.until_receivable()).await.is_err());

    // A trial that fails is one call, and shuts the call limiter again.
    load.limiter.service_answers();
    load.limiter.until_open().await;
    sleep(SECOND).await;
    assert_eq!(service.calls.load(Ordering::Relaxed), calls + 1);

    *service.down.lock().unwrap() = false;
    load.limiter.service_answers();
    load.limiter.until_receivable().await;
    sleep(30 * SECOND).await;
    let (after, _) = load.measure(30 * SECOND).await;
    assert!(after >= 0.9 * before, "{after} after {before} calls per second");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_not_reached_does_not_grow() {
    let limiter = limiter(BOUNDS, None);
    for _ in 0..100 {
        let permit = limiter.acquire(CallPurpose::Submit).await.unwrap();
        sleep(Duration::from_millis(50)).await;
        believe(permit.ended(CallHealth::Settled, None));
    }
    let mut permits = Vec::new();
    for _ in 0..BOUNDS.least {
        permits.push(limiter.acquire(CallPurpose::Submit).await.unwrap());
    }
    let one_more = tokio::time::timeout(SECOND, limiter.acquire(CallPurpose::Submit)).await;
    assert!(one_more.is_err(), "the limit grew while one call was under way");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_kept_and_used() {
    let service = Service::new(1_000, Duration::from_millis(20));
    let load = Load::start(&service, limiter(BOUNDS, Some(100)), 200);
    sleep(2 * SECOND).await;
    let (rate, _) = load.measure(60 * SECOND).await;
    assert!((99.0..=101.0).contains(&rate), "{rate} calls per second");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_or_panics_makes_room_for_the_next() {
    let limiter = limiter(ConcurrencyBounds { least: 1, most: 1 }, None);
    let permit = limiter.acquire(CallPurpose::Submit).await.unwrap();
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { drop(limiter.acquire(CallPurpose::Submit).await) }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    let panicking = tokio::spawn(async move {
        let _pass = permit;
        panic!("on purpose");
    });
    assert!(panicking.await.is_err());
    tokio::time::timeout(SECOND, waiting).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_from_before_the_outage_that_fails_late_does_not_open_the_circuit_breaker_for_ever()
{
    let limiter = limiter(BOUNDS, None);
    let mut permits = Vec::new();
    for _ in 0..=FAILURES {
        permits.push(limiter.acquire(CallPurpose::Submit).await.unwrap());
    }
    let late = permits.pop().unwrap();
    permits.into_iter().for_each(|permit| believe(permit.ended(CallHealth::Failed, None)));
    limiter.until_open().await;
    limiter.service_answers();
    believe(late.ended(CallHealth::Failed, None));
    let trial = tokio::time::timeout(SECOND, limiter.acquire(CallPurpose::Submit)).await;
    believe(trial.unwrap().unwrap().ended(CallHealth::Failed, None));
    tokio::time::timeout(SECOND, limiter.until_open()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_a_trial_is_out_one_attempt_begins_and_the_next_once_it_is_over() {
    let limiter = limiter(BOUNDS, None);
    for _ in 0..FAILURES {
        let permit = limiter.acquire(CallPurpose::Submit).await.unwrap();
        believe(permit.ended(CallHealth::Failed, None));
    }
    limiter.until_open().await;
    limiter.service_answers();
    let attempt = limiter.acquire_attempt().await.unwrap();
    let next = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire_attempt().await.map(drop) }
    });
    sleep(SECOND).await;
    assert!(!next.is_finished(), "two attempts began during one trial");
    drop(attempt);
    tokio::time::timeout(SECOND, next).await.unwrap().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn quick_answers_to_questions_do_not_make_submissions_look_slow() {
    let service = Service::new(80, Duration::from_millis(50));
    let limiter = limiter(BOUNDS, None);
    for _ in 0..40 {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            loop {
                let permit = limiter.acquire(CallPurpose::Query).await.unwrap();
                sleep(Duration::from_millis(2)).await;
                believe(permit.ended(CallHealth::Answered, None));
                sleep(Duration::from_millis(200)).await;
            }
        });
    }
    sleep(SECOND).await;
    let load = Load::start(&service, limiter, 256);
    sleep(30 * SECOND).await;
    let (rate, _) = load.measure(30 * SECOND).await;
    assert!(rate >= 0.8 * 80.0 / 0.05, "only {rate} of 1,600 calls per second");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_second_does_not_go_out_after_the_service_went_down() {
    let limiter = limiter(BOUNDS, Some(1));
    let mut first = Vec::new();
    for _ in 0..FAILURES {
        first.push(limiter.acquire(CallPurpose::Submit).await.unwrap());
    }
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(CallPurpose::Submit).await }
    });
    tokio::task::yield_now().await;
    first.into_iter().for_each(|permit| believe(permit.ended(CallHealth::Failed, None)));
    sleep(60 * SECOND).await;
    assert!(!waiting.is_finished(), "a call went out while the service was down");
}

fn believe(trust: AnswerTrust) {
    assert_eq!(trust, AnswerTrust::Believed);
}

fn account(number: usize) -> AccountId {
    AccountId::parse(format!("ACC-{number}")).unwrap()
}

/// One submission for the account `number`, rejected for the same reason as all others.
async fn reject(limiter: &CallLimiter, number: usize) -> Result<AnswerTrust, DispatchStopped> {
    let permit = limiter.acquire(CallPurpose::Submit).await?;
    let account = account(number);
    let answer = ObservedAnswer::Rejected { account: &account, code: "limit" };
    Ok(permit.ended(CallHealth::Answered, Some(answer)))
}
