//! Sweeps under virtual time, against a table, a transaction service and queues in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    AccountId, Amount, Failure, FailureCode, KeyQuery, KeyStatus, Outcome, Payment, PaymentId,
    Settlement, Status,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::clock::Clock;
use shared::config::SweptDays;
use shared::payments::StoredPayment;
use shared::queue::{Confirmation, OutgoingMessage, Producer, ReportedResult};
use shared::shutdown::Shutdown;
use shared::testing::{
    CallFault, PaymentsCall, PaymentsInMemory, QueueCall, QueueInMemory, sample_payment, scheduled,
};
use shared::transaction::TransactionService;
use tokio::time::Instant;

use super::day_sweep::SweepPorts;
use super::memory::{SweepInterrupted, SweepMemory, SweepRange};
use super::sweeper::Sweeper;
use crate::config::SweepSettings;

mod unanswered;

const SHARDS: u16 = 4;
const INTERVAL: Duration = Duration::from_secs(300);
const LIMIT: Duration = Duration::from_secs(900);
const OLD: Duration = Duration::from_secs(6 * 3600);
const START: &str = "2026-11-23T12:00:00Z";

fn start() -> Timestamp {
    START.parse().unwrap()
}

/// A payment that is PENDING since the start.
pub(crate) fn stored(account: u32) -> StoredPayment {
    let payment = Payment {
        id: PaymentId::generate(),
        account: AccountId::parse(format!("ACC-{account}")).unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(1).unwrap(),
        created_at: start(),
        ..sample_payment()
    };
    let (status, claimed_at) = (Status::Pending, Some(start()));
    StoredPayment { status, attempts: 1, claimed_at, ..scheduled(payment) }
}

/// What is asked of the table, and whether it answers.
#[derive(Debug, Default)]
struct TableCalls {
    down: AtomicBool,
    pages: AtomicUsize,
    scans: AtomicUsize,
}

impl TableCalls {
    fn see(&self, call: &PaymentsCall<'_>) -> CallFault {
        let down = CallFault::not_sent_if(self.down.load(Ordering::Relaxed));
        match call {
            PaymentsCall::DuePage(_, shard) => {
                self.pages.fetch_add(1, Ordering::Relaxed);
                // The first partition is always the last to answer.
                let late = Duration::from_millis(10 + u64::from(SHARDS - shard));
                if down == CallFault::None { CallFault::Slow(late) } else { down }
            }
            PaymentsCall::DaysPage => {
                self.scans.fetch_add(1, Ordering::Relaxed);
                down
            }
            _ => CallFault::None,
        }
    }
}

/// Knows what it was told; of the rest, nothing was settled.
#[derive(Debug, Default)]
struct FakeBank {
    answers: Mutex<HashMap<PaymentId, KeyStatus>>,
    down: Mutex<bool>,
    asked: AtomicUsize,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

#[async_trait]
impl TransactionService for FakeBank {
    async fn submit(&self, payment: &Payment) -> Outcome {
        panic!("the sweep submitted {}", payment.id)
    }

    async fn find(&self, asked: KeyQuery) -> KeyStatus {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(now, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        if *self.down.lock().unwrap() {
            return KeyStatus::NoAnswer { retry_after: None, reason: "503".to_owned() };
        }
        self.answers.lock().unwrap().get(&asked.key).cloned().unwrap_or(KeyStatus::Nothing)
    }
}

/// So old is the number of messages that SQS tells.
const LAG: Duration = Duration::from_secs(60);

/// A sweeper that runs, and all that it knows.
struct World {
    table: Arc<TableCalls>,
    bank: Arc<FakeBank>,
    payments: Arc<QueueInMemory>,
    /// Whether the payments queue takes nothing.
    full: Arc<AtomicBool>,
    confirmations: Arc<QueueInMemory>,
    sweeper: Sweeper,
    memory: tokio::sync::Mutex<SweepMemory>,
}

impl World {
    fn new(payments: &[StoredPayment]) -> Self {
        let table = Arc::new(TableCalls::default());
        let calls = Arc::clone(&table);
        let items = PaymentsInMemory::new(SHARDS).on_call(move |call| calls.see(call));
        payments.iter().for_each(|stored| items.put(stored.clone()));
        let bank = Arc::new(FakeBank::default());
        let full = Arc::new(AtomicBool::new(false));
        let down = Arc::clone(&full);
        let to_dispatch =
            QueueInMemory::new("payments.fifo").counting_after(LAG).on_call(move |call| {
                let sends = matches!(call, QueueCall::Send(_));
                CallFault::not_sent_if(sends && down.load(Ordering::Relaxed))
            });
        let to_dispatch = Arc::new(to_dispatch);
        let confirmations = Arc::new(QueueInMemory::new("confirmations.fifo"));
        let started_at = Instant::now();
        let ports = SweepPorts {
            table: Arc::new(items),
            transactions: bank.clone(),
            payments: Producer::new(to_dispatch.clone()),
            confirmations: Producer::new(confirmations.clone()),
            clock: Clock::new(move || start() + started_at.elapsed()),
        };
        let sweeper = Sweeper {
            ports,
            waiting: to_dispatch.clone(),
            settings: SweepSettings { interval: INTERVAL, limit: LIMIT, old_interval: OLD },
            days: SweptDays { zone: TimeZone::UTC, before: 7 },
        };
        let memory = tokio::sync::Mutex::default();
        Self { table, bank, payments: to_dispatch, full, confirmations, sweeper, memory }
    }

    fn answer(&self, stored: &StoredPayment, found: KeyStatus) {
        self.bank.answers.lock().unwrap().insert(stored.payment.id, found);
    }

    fn asked(&self) -> usize {
        self.bank.asked.load(Ordering::Relaxed)
    }

    /// One sweep of today and yesterday, after the payments have become stuck.
    async fn sweep(&self) -> Result<(), SweepInterrupted> {
        tokio::time::sleep(LIMIT * 2).await;
        let memory = &mut self.memory.lock().await;
        self.sweeper
            .sweep(SweepRange::Back(1), memory, &Shutdown::new(Duration::from_secs(25)))
            .await
    }
}

fn settled() -> KeyStatus {
    KeyStatus::Settled(Settlement { transaction_id: "T1".to_owned(), settled_at: start() })
}

#[tokio::test(start_paused = true)]
async fn each_stuck_payment_goes_where_the_answer_sends_it() {
    let [paid, refused, under_way, unknown] = [1, 2, 3, 4].map(stored);
    let all = [paid.clone(), refused.clone(), under_way.clone(), unknown.clone()];
    let world = World::new(&all);
    world.answer(&paid, settled());
    world.answer(&refused, KeyStatus::Rejected { reason: "422 no".to_owned() });
    world.answer(&under_way, KeyStatus::UnderWay);
    world.sweep().await.unwrap();
    let read =
        |message: &OutgoingMessage| serde_json::from_str::<Confirmation>(&message.body).unwrap();
    let reports: Vec<_> = world.confirmations.sent().iter().map(read).collect();
    assert_eq!(reports.len(), 2);
    for report in reports {
        match report.result {
            ReportedResult::Settled(settlement) => {
                assert_eq!(report.payment, paid.payment.reference());
                assert_eq!(settlement.transaction_id, "T1");
            }
            ReportedResult::Rejected(failure) => {
                assert_eq!(report.payment, refused.payment.reference());
                assert_eq!(failure, Failure::new(FailureCode::Refused, "422 no"));
            }
        }
    }
    let again = world.payments.sent();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].group, "ACC-4");
    assert_eq!(serde_json::from_str::<Payment>(&again[0].body).unwrap(), unknown.payment);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_has_moved_on_or_is_young_is_not_asked_for() {
    let mut young = stored(1);
    young.updated_at = start() + LIMIT * 2;
    let mut ended = stored(2);
    ended.status = Status::Processed;
    let world = World::new(&[young, ended]);
    world.sweep().await.unwrap();
    assert_eq!(world.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn payments_of_an_account_are_queued_again_in_the_order_of_day_and_id() {
    // Three accounts in all partitions; every other payment was due the day before.
    let mut all: Vec<_> = (0..200).map(|number| stored(number % 3)).collect();
    for earlier in all.iter_mut().step_by(2) {
        earlier.payment.due = earlier.payment.due.days_before(1);
    }
    let world = World::new(&all);
    world.sweep().await.unwrap();
    let sent = world.payments.sent().into_iter();
    let sent: Vec<Payment> = sent.map(|m| serde_json::from_str(&m.body).unwrap()).collect();
    assert_eq!(sent.len(), all.len());
    let mut expected: Vec<_> = all.into_iter().map(|stored| stored.payment).collect();
    expected.sort_by_key(|payment| (payment.due, payment.account.clone(), payment.id));
    assert!(sent == expected, "out of order");
}

#[tokio::test(start_paused = true)]
async fn so_many_are_asked_for_at_once_and_no_more() {
    let all: Vec<_> = (0..400).map(stored).collect();
    let world = World::new(&all);
    world.sweep().await.unwrap();
    assert_eq!(world.asked(), 400);
    let most = world.bank.most_at_once.load(Ordering::Relaxed);
    assert!((20..=40).contains(&most), "{most} at once");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_nothing_ends_the_sweep_and_the_next_one_sends() {
    let world = World::new(&[stored(1)]);
    world.full.store(true, Ordering::Relaxed);
    world.sweep().await.unwrap_err();
    world.full.store(false, Ordering::Relaxed);
    world.sweep().await.unwrap();
    assert_eq!(world.payments.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_read_is_tried_until_it_can_or_shutdown_comes() {
    let world = World::new(&[stored(1)]);
    world.table.down.store(true, Ordering::Relaxed);
    let running = tokio::spawn({
        let sweeper = world.sweeper.clone();
        let shutdown = Shutdown::new(Duration::from_secs(25));
        async move { sweeper.sweep(SweepRange::Back(1), &mut SweepMemory::default(), &shutdown).await }
    });
    tokio::time::sleep(LIMIT * 2).await;
    assert!(!running.is_finished() && world.payments.sent().is_empty());
    world.table.down.store(false, Ordering::Relaxed);
    running.await.unwrap().unwrap();
    assert_eq!(world.payments.sent().len(), 1);

    world.table.down.store(true, Ordering::Relaxed);
    let shutdown = Shutdown::new(Duration::from_secs(25));
    let mut memory = SweepMemory::default();
    let (ended, ()) =
        tokio::join!(world.sweeper.sweep(SweepRange::Back(1), &mut memory, &shutdown), async {
            tokio::time::sleep(LIMIT).await;
            shutdown.request();
        });
    ended.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn the_first_sweep_comes_an_interval_after_the_start_and_shutdown_ends_the_waiting() {
    let world = World::new(&[]);
    let shutdown = Shutdown::new(Duration::from_secs(25));
    let running = tokio::spawn(world.sweeper.clone().run(shutdown.clone()));
    tokio::time::sleep(INTERVAL.mul_f64(0.7)).await;
    assert_eq!(world.table.pages.load(Ordering::Relaxed), 0);
    tokio::time::sleep(INTERVAL.mul_f64(0.6)).await;
    assert_eq!(world.table.pages.load(Ordering::Relaxed), 8 * usize::from(SHARDS));
    let asked_at = Instant::now();
    shutdown.request();
    running.await.unwrap();
    assert_eq!(asked_at.elapsed(), Duration::ZERO);
}

/// Confirmers that sweep by themselves, over the same table and queues.
fn confirmers(world: &World, count: usize) -> Shutdown {
    let shutdown = Shutdown::new(Duration::from_secs(25));
    for _ in 0..count {
        tokio::spawn(world.sweeper.clone().run(shutdown.clone()));
    }
    shutdown
}

#[tokio::test(start_paused = true)]
async fn two_thousand_payments_that_nobody_knows_of_leave_two_thousand_messages_and_few_more() {
    for count in [1, 2, 4] {
        let all: Vec<_> = (0..2_000).map(stored).collect();
        let world = World::new(&all);
        let shutdown = confirmers(&world, count);
        // The dispatchers are stopped for so long.
        tokio::time::sleep(Duration::from_secs(75 * 60)).await;
        let messages = world.payments.bodies().len();
        assert!(messages >= 2_000, "{messages} messages: some payments have none");
        assert!(messages <= 2_000 + 100 * count, "{messages} messages of {count} confirmers");
        shutdown.request();
    }
}

#[tokio::test(start_paused = true)]
async fn one_account_that_stands_still_hides_no_payment_whose_message_is_lost() {
    let lost: Vec<_> = (0..10).map(stored).collect();
    let world = World::new(&lost);
    // What SQS holds of another account.
    for number in 0..1_500 {
        let (group, deduplication, body) = ("ACC-X".to_owned(), number.to_string(), String::new());
        world.payments.put(&OutgoingMessage { group, deduplication, body }).unwrap();
    }
    world.sweep().await.unwrap();
    assert_eq!(world.payments.sent().len(), 10);
    for _ in 0..20 {
        world.sweep().await.unwrap();
    }
    assert_eq!(world.payments.sent().len(), 10, "once is enough");
}

#[tokio::test(start_paused = true)]
async fn what_is_pending_since_a_day_long_past_is_asked_for_every_few_hours() {
    let mut forgotten: Vec<_> = (0..30).map(|number| stored(number % 3)).collect();
    for (stored, days) in forgotten.iter_mut().zip([8, 40, 400].into_iter().cycle()) {
        stored.payment.due = stored.payment.due.days_before(days);
    }
    let world = World::new(&forgotten);
    let _shutdown = confirmers(&world, 1);
    tokio::time::sleep(OLD + INTERVAL * 3).await;
    let sent = world.payments.sent();
    let sent: Vec<Payment> = sent.iter().map(|m| serde_json::from_str(&m.body).unwrap()).collect();
    assert_eq!(sent.len(), forgotten.len());
    assert!(sent.is_sorted_by_key(|payment| (payment.due, payment.account.clone(), payment.id)));
    let scans = world.table.scans.load(Ordering::Relaxed);
    assert_eq!(scans, 2, "the whole index is read seldom");
}
