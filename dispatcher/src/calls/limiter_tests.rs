//! The gate before a service whose capacity is known, under virtual time.

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
use crate::calls::concurrency_limit::{Bounds, Health};
use crate::calls::limiter::{Gate, GateSettings, Purpose, Stopped};

const BOUNDS: Bounds = Bounds { least: 16, most: 256 };

/// A gate for which the day has just begun.
fn gate(bounds: Bounds, per_second: Option<u32>) -> Gate {
    gate_at(Timestamp::UNIX_EPOCH, bounds, per_second)
}

fn gate_at(time_of_day: Timestamp, bounds: Bounds, per_second: Option<u32>) -> Gate {
    let stop =
        StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };
    let settings = GateSettings { bounds, per_second, stop, validity: VALIDITY };
    let gate = Gate::new(settings, time_of_day);
    gate.read(None, Instant::now());
    gate
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
        let (workers, down) = (Semaphore::new(workers), Mutex::new(false));
        Arc::new(Self { workers, latency, spread: 0.0, down, calls: AtomicU64::new(0) })
    }

    /// One whose calls do not all take the same time, as if they were in step.
    fn uneven(workers: usize, latency: Duration) -> Arc<Self> {
        let (workers, down) = (Semaphore::new(workers), Mutex::new(false));
        Arc::new(Self { workers, latency, spread: 0.4, down, calls: AtomicU64::new(0) })
    }

    fn is_down(&self) -> bool {
        *self.down.lock().unwrap()
    }

    async fn call(&self) -> Health {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.is_down() {
            return Health::Failed;
        }
        let _worker = self.workers.acquire().await.unwrap();
        // Multiples of the golden ratio are spread evenly.
        let place = (number as f64 * 0.618_033_988_75).fract() - 0.5;
        sleep(self.latency.mul_f64(1.0 + self.spread * place)).await;
        Health::Settled
    }
}

/// Callers that always have another payment, and what their calls took.
struct Load {
    gate: Gate,
    answered: Arc<Mutex<Vec<(Instant, Duration)>>>,
    /// They end with it.
    _callers: JoinSet<()>,
}

impl Load {
    fn start(service: &Arc<Service>, gate: Gate, callers: usize) -> Self {
        let (answered, mut tasks) = (Arc::<Mutex<Vec<_>>>::default(), JoinSet::new());
        for _ in 0..callers {
            let (service, gate) = (Arc::clone(service), gate.clone());
            let answered = Arc::clone(&answered);
            tasks.spawn(async move {
                loop {
                    let pass = gate.enter(Purpose::Submit).await.unwrap();
                    let began = Instant::now();
                    let health = service.call().await;
                    pass.ended(health, None).unwrap();
                    match health {
                        Health::Settled | Health::Answered => {
                            let took = began.elapsed();
                            answered.lock().unwrap().push((Instant::now(), took));
                        }
                        Health::Failed => sleep(Duration::from_millis(1)).await,
                    }
                }
            });
        }
        Self { gate, answered, _callers: tasks }
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
    let load = Load::start(&service, gate(BOUNDS, None), 256);
    sleep(30 * SECOND).await;
    let (rate, baseline) = load.measure(60 * SECOND).await;
    assert!(rate >= 0.9 * 80.0 / 0.05, "only {rate} of 1,600 calls per second");

    service.workers.acquire_many(40).await.unwrap().forget();
    sleep(30 * SECOND).await;
    let (rate, p99) = load.measure(120 * SECOND).await;
    assert!(rate >= 0.9 * 40.0 / 0.05, "only {rate} of 800 calls per second");
    assert!(p99 <= 2 * baseline, "{p99:?} after {baseline:?}");
}

/// A gate that cuts its own limit alone, to see the base latency, still waits behind the calls
/// of the others: gates that do not look together bring calls to 138 ms and more.
#[tokio::test(start_paused = true)]
async fn gates_that_share_a_service_do_not_drive_its_latency_up_together() {
    // Far from the next look, and shortly before one, which is the worst that was found.
    for seconds_of_day in [0.0, 19.9] {
        let (rate, slowest) = of_four_gates(Duration::from_secs_f64(seconds_of_day)).await;
        assert!(rate >= 0.9 * 80.0 / 0.05, "only {rate} of 1,600 calls per second");
        let most = Duration::from_millis(130);
        assert!(slowest <= most, "{slowest:?} for calls of 50 ms, from {seconds_of_day} on");
    }
}

/// Calls per second, and the worst 99th percentile, of four gates of which the first starts at
/// this time of day.
async fn of_four_gates(time_of_day: Duration) -> (f64, Duration) {
    let service = Service::uneven(80, Duration::from_millis(50));
    let (mut loads, began) = (Vec::new(), Instant::now());
    for _ in 0..4 {
        // As real ones, they start at different times.
        let time_of_day = Timestamp::UNIX_EPOCH + time_of_day + began.elapsed();
        loads.push(Load::start(&service, gate_at(time_of_day, BOUNDS, None), 128));
        sleep(7 * SECOND).await;
    }
    sleep(45 * SECOND).await;
    let [a, b, c, d] = loads.as_slice() else { panic!("{} gates", loads.len()) };
    let time = 60 * SECOND;
    let all = tokio::join!(a.measure(time), b.measure(time), c.measure(time), d.measure(time));
    let all = [all.0, all.1, all.2, all.3];
    (all.iter().map(|(rate, _)| rate).sum(), all.iter().map(|(_, p99)| *p99).max().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_longer_for_each_call_is_still_used_to_its_capacity() {
    let service = Service::new(40, Duration::from_millis(200));
    let load = Load::start(&service, gate(BOUNDS, None), 256);
    sleep(60 * SECOND).await;
    let (rate, p99) = load.measure(120 * SECOND).await;
    assert!(rate >= 0.9 * 40.0 / 0.2, "only {rate} of 200 calls per second");
    assert!(p99 <= Duration::from_millis(400), "{p99:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unsaturated_service_is_given_all_that_is_asked_of_it() {
    let service = Service::new(1_000, Duration::from_millis(20));
    let load = Load::start(&service, gate(BOUNDS, None), 100);
    sleep(10 * SECOND).await;
    let (rate, _) = load.measure(60 * SECOND).await;
    assert!(rate >= 0.95 * 100.0 / 0.02, "only {rate} of 5,000 calls per second");
}

#[tokio::test(start_paused = true)]
async fn while_the_service_is_down_nothing_goes_out_and_then_the_rate_is_back_in_30_seconds() {
    let service = Service::new(80, Duration::from_millis(50));
    let gate = gate(BOUNDS, None);
    let load = Load::start(&service, gate, 256);
    sleep(30 * SECOND).await;
    let (before, _) = load.measure(30 * SECOND).await;

    *service.down.lock().unwrap() = true;
    load.gate.opened().await;
    sleep(SECOND).await;
    let calls = service.calls.load(Ordering::Relaxed);
    sleep(600 * SECOND).await;
    assert_eq!(service.calls.load(Ordering::Relaxed), calls, "calls went out while it was down");
    assert!(tokio::time::timeout(SECOND, load.gate.receivable()).await.is_err());

    // A trial that fails is one call, and shuts the gate again.
    load.gate.reachable();
    load.gate.decided().await;
    sleep(SECOND).await;
    assert_eq!(service.calls.load(Ordering::Relaxed), calls + 1);

    *service.down.lock().unwrap() = false;
    load.gate.reachable();
    load.gate.receivable().await;
    sleep(30 * SECOND).await;
    let (after, _) = load.measure(30 * SECOND).await;
    assert!(after >= 0.9 * before, "{after} after {before} calls per second");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_kept_and_used() {
    let service = Service::new(1_000, Duration::from_millis(20));
    let load = Load::start(&service, gate(BOUNDS, Some(100)), 200);
    sleep(2 * SECOND).await;
    let (rate, _) = load.measure(60 * SECOND).await;
    assert!((99.0..=101.0).contains(&rate), "{rate} calls per second");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_or_panics_makes_room_for_the_next() {
    let gate = gate(Bounds { least: 1, most: 1 }, None);
    let pass = gate.enter(Purpose::Submit).await.unwrap();
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { drop(gate.enter(Purpose::Submit).await) }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    let panicking = tokio::spawn(async move {
        let _pass = pass;
        panic!("on purpose");
    });
    assert!(panicking.await.is_err());
    tokio::time::timeout(SECOND, waiting).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_from_before_the_outage_that_fails_late_does_not_shut_the_gate_for_ever() {
    let gate = gate(BOUNDS, None);
    let mut passes = Vec::new();
    for _ in 0..=FAILURES {
        passes.push(gate.enter(Purpose::Submit).await.unwrap());
    }
    let late = passes.pop().unwrap();
    passes.into_iter().for_each(|pass| pass.ended(Health::Failed, None).unwrap());
    gate.opened().await;
    gate.reachable();
    late.ended(Health::Failed, None).unwrap();
    let trial = tokio::time::timeout(SECOND, gate.enter(Purpose::Submit)).await;
    trial.unwrap().unwrap().ended(Health::Failed, None).unwrap();
    tokio::time::timeout(SECOND, gate.decided()).await.unwrap();
    tokio::time::timeout(SECOND, gate.opened()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn quick_answers_to_questions_do_not_make_submissions_look_slow() {
    let service = Service::new(80, Duration::from_millis(50));
    let gate = gate(BOUNDS, None);
    for _ in 0..40 {
        let gate = gate.clone();
        tokio::spawn(async move {
            loop {
                let pass = gate.enter(Purpose::Ask).await.unwrap();
                sleep(Duration::from_millis(2)).await;
                pass.ended(Health::Answered, None).unwrap();
                sleep(Duration::from_millis(200)).await;
            }
        });
    }
    sleep(SECOND).await;
    let load = Load::start(&service, gate, 256);
    sleep(30 * SECOND).await;
    let (rate, _) = load.measure(30 * SECOND).await;
    assert!(rate >= 0.8 * 80.0 / 0.05, "only {rate} of 1,600 calls per second");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_second_does_not_go_out_after_the_service_went_down() {
    let gate = gate(BOUNDS, Some(1));
    let mut first = Vec::new();
    for _ in 0..FAILURES {
        first.push(gate.enter(Purpose::Submit).await.unwrap());
    }
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { gate.enter(Purpose::Submit).await }
    });
    tokio::task::yield_now().await;
    first.into_iter().for_each(|pass| pass.ended(Health::Failed, None).unwrap());
    sleep(60 * SECOND).await;
    assert!(!waiting.is_finished(), "a call went out while the service was down");
}

fn account(number: usize) -> AccountId {
    AccountId::parse(format!("ACC-{number}")).unwrap()
}

/// One submission for the account `number`, rejected for the same reason as all others.
async fn reject(gate: &Gate, number: usize) -> Result<(), Stopped> {
    let pass = gate.enter(Purpose::Submit).await?;
    let account = account(number);
    let answer = ObservedAnswer::Rejected { account: &account, code: "limit" };
    pass.ended(Health::Answered, Some(answer))
}

fn stop(cause: StopCause) -> DispatchStop {
    DispatchStop::new(cause, "x", "me", 1, Timestamp::UNIX_EPOCH)
}

#[tokio::test(start_paused = true)]
async fn a_service_that_rejects_everything_fails_fewer_payments_than_the_limit_however_many_are_out()
 {
    let gate = gate(BOUNDS, None);
    let mut passes = Vec::new();
    for _ in 0..BOUNDS.least {
        passes.push(gate.enter(Purpose::Submit).await.unwrap());
    }
    let mut believed = 0;
    for (number, pass) in passes.drain(..).enumerate() {
        let account = account(number);
        let answer = ObservedAnswer::Rejected { account: &account, code: "limit" };
        believed += usize::from(pass.ended(Health::Answered, Some(answer)).is_ok());
    }
    for number in BOUNDS.least..100 {
        passes.extend(gate.enter(Purpose::Submit).await);
        if let Some(pass) = passes.pop() {
            let account = account(number);
            let answer = ObservedAnswer::Rejected { account: &account, code: "limit" };
            believed += usize::from(pass.ended(Health::Answered, Some(answer)).is_ok());
        }
    }
    assert_eq!(believed, 19, "the twentieth stops, and is itself not believed any more");
    assert_eq!(gate.tripped().await.cause, StopCause::Rejected);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_was_under_way_when_dispatching_stopped_is_not_believed() {
    let gate = gate(BOUNDS, None);
    let late = gate.enter(Purpose::Submit).await.unwrap();
    let taken = gate.enter(Purpose::Submit).await.unwrap();
    let by_hand = gate.enter(Purpose::Submit).await.unwrap();
    gate.read(Some(stop(StopCause::ByHand)), Instant::now());
    let account = account(1);
    let answer = || Some(ObservedAnswer::Rejected { account: &account, code: "limit" });
    assert_eq!(by_hand.ended(Health::Answered, answer()), Ok(()), "an operator doubts no answer");
    gate.read(Some(stop(StopCause::Rejected)), Instant::now());
    assert_eq!(late.ended(Health::Answered, answer()), Err(Stopped));
    drop(taken);
}

#[tokio::test(start_paused = true)]
async fn whatever_waits_at_the_gate_goes_back_when_dispatching_stops() {
    let gate = gate(Bounds { least: 1, most: 1 }, None);
    let pass = gate.enter(Purpose::Submit).await.unwrap();
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { gate.enter(Purpose::Ask).await.map(drop) }
    });
    // Behind a trial, turns wait as well.
    tokio::task::yield_now().await;
    gate.read(Some(stop(StopCause::ByHand)), Instant::now());
    let ended = tokio::time::timeout(SECOND, waiting).await.unwrap().unwrap();
    assert_eq!(ended, Err(Stopped));
    assert_eq!(gate.turn().await.map(drop), Err(Stopped));
    assert!(gate.is_stopped());
    assert!(tokio::time::timeout(SECOND, gate.receivable()).await.is_err());
    drop(pass);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_second_does_not_go_out_after_dispatching_stopped() {
    let gate = gate(BOUNDS, Some(1));
    let first = gate.enter(Purpose::Submit).await.unwrap();
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { gate.enter(Purpose::Submit).await.map(drop) }
    });
    tokio::task::yield_now().await;
    gate.read(Some(stop(StopCause::ByHand)), Instant::now());
    assert_eq!(waiting.await.unwrap(), Err(Stopped));
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_submissions_go_out_one_at_a_time_until_one_is_taken() {
    let gate = gate(BOUNDS, None);
    gate.read(Some(stop(StopCause::Rejected)), Instant::now());
    gate.read(None, Instant::now());
    gate.receivable().await;
    // Each begins an attempt only when it may be the trial.
    let turn = gate.turn().await.unwrap();
    assert!(tokio::time::timeout(SECOND, gate.turn()).await.is_err(), "two began");
    for number in 0..10 {
        let trial = gate.enter(Purpose::Submit).await.unwrap();
        let second = tokio::time::timeout(SECOND, gate.enter(Purpose::Submit)).await;
        assert!(second.is_err(), "two calls are out");
        let account = account(number);
        let answer = ObservedAnswer::Rejected { account: &account, code: "limit" };
        assert_eq!(trial.ended(Health::Answered, Some(answer)), Ok(()));
    }
    drop(turn);
    let trial = gate.enter(Purpose::Submit).await.unwrap();
    trial.ended(Health::Settled, Some(ObservedAnswer::Taken(&account(1)))).unwrap();
    let (_one, _two) = (gate.turn().await.unwrap(), gate.turn().await.unwrap());
    let _calls = (gate.enter(Purpose::Submit).await, gate.enter(Purpose::Submit).await);
    for number in 0..19 {
        assert_eq!(reject(&gate, number).await, Ok(()), "the counts did not begin anew");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_strange_answer_after_a_stop_stops_again() {
    let gate = gate(BOUNDS, None);
    gate.read(Some(stop(StopCause::OutOfContract)), Instant::now());
    gate.read(None, Instant::now());
    let trial = gate.enter(Purpose::Submit).await.unwrap();
    let account = account(1);
    let answer = ObservedAnswer::OutOfContract { account: &account, words: "400" };
    assert_eq!(trial.ended(Health::Failed, Some(answer)), Err(Stopped));
    assert_eq!(gate.tripped().await.count, 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_reading_that_counts_nothing_goes_out_and_nothing_is_given_back() {
    let gate = gate(BOUNDS, None);
    tokio::time::advance(VALIDITY).await;
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { gate.enter(Purpose::Submit).await.map(drop) }
    });
    sleep(3_600 * SECOND).await;
    assert!(!waiting.is_finished());
    assert!(tokio::time::timeout(SECOND, gate.turn()).await.is_err());
    assert!(tokio::time::timeout(SECOND, gate.receivable()).await.is_err());
    gate.read(None, Instant::now());
    assert_eq!(tokio::time::timeout(SECOND, waiting).await.unwrap().unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_failed_trial_after_a_stop_waits_for_the_service_as_after_any_outage() {
    let gate = gate(BOUNDS, None);
    gate.read(Some(stop(StopCause::ByHand)), Instant::now());
    gate.read(None, Instant::now());
    let trial = gate.enter(Purpose::Submit).await.unwrap();
    trial.ended(Health::Failed, None).unwrap();
    gate.opened().await;
    gate.reachable();
    let trial = gate.enter(Purpose::Submit).await.unwrap();
    trial.ended(Health::Settled, Some(ObservedAnswer::Taken(&account(1)))).unwrap();
    gate.receivable().await;
}
