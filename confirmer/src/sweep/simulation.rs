//! Sweeps under virtual time, against a table, a transaction service and queues in memory.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    AccountId, Amount, DueDate, Failure, FailureCode, KeyQuery, KeyStatus, Outcome, Payment,
    PaymentId, PaymentRef, Settlement, Status,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::clock::Clock;
use shared::config::SweptDays;
use shared::payments::{Cursor, DuePayments, DueTable, PaymentsError, StoredPayment};
use shared::queue::{
    Confirmation, MessageCount, OutgoingMessage, Producer, QueueApi, QueueCallError,
    ReceivedMessage, RefusedEntry, ReportedResult, Visibility,
};
use shared::shutdown::Shutdown;
use shared::testing::sample_payment;
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
    StoredPayment {
        payment: Payment {
            id: PaymentId::generate(),
            account: AccountId::parse(format!("ACC-{account}")).unwrap(),
            due: "2026-11-23".parse().unwrap(),
            amount: Amount::from_minor_units(1).unwrap(),
            created_at: start(),
            ..sample_payment()
        },
        status: Status::Pending,
        updated_at: start(),
        attempts: 1,
        attempts_before: 0,
        not_done: 0,
        claimed_at: Some(start()),
        transaction_id: None,
        settled_at: None,
        failure: None,
        dead_letters: shared::payments::DeadLetters::default(),
    }
}

#[derive(Debug, Default)]
struct FakeTable {
    payments: Mutex<Vec<StoredPayment>>,
    down: Mutex<bool>,
    pages: AtomicUsize,
    scans: AtomicUsize,
}

#[async_trait]
impl DueTable for FakeTable {
    fn due_shards(&self) -> Range<u16> {
        0..SHARDS
    }

    async fn due_page(
        &self,
        day: DueDate,
        shard: u16,
        status: Status,
        cursor: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError> {
        self.pages.fetch_add(1, Ordering::Relaxed);
        // The first partition is always the last to answer.
        tokio::time::sleep(Duration::from_millis(10 + u64::from(SHARDS - shard))).await;
        if *self.down.lock().unwrap() {
            return Err(PaymentsError::Unread(1));
        }
        let payments = self.payments.lock().unwrap();
        let here = payments.iter().filter(|stored| {
            let payment = &stored.payment;
            payment.due == day && payment.id.due_shard(SHARDS) == shard && stored.status == status
        });
        let mut page: Vec<_> = here.map(|stored| stored.payment.reference()).collect();
        let key = |reference: &PaymentRef| format!("{}#{}", reference.account, reference.id);
        if let Some(place) = cursor.as_ref().and_then(Cursor::place) {
            page.retain(|reference| key(reference).as_str() > place);
        }
        page.sort_by(|one, other| (&one.account, one.id).cmp(&(&other.account, other.id)));
        Ok((page, None))
    }

    async fn days_page(
        &self,
        status: Status,
        _: Option<Cursor>,
    ) -> Result<(BTreeSet<DueDate>, Option<Cursor>), PaymentsError> {
        self.scans.fetch_add(1, Ordering::Relaxed);
        if *self.down.lock().unwrap() {
            return Err(PaymentsError::Unread(1));
        }
        let payments = self.payments.lock().unwrap();
        let open = payments.iter().filter(|stored| stored.status == status);
        Ok((open.map(|stored| stored.payment.due).collect(), None))
    }

    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        let payments = self.payments.lock().unwrap();
        let stored = |asked: &PaymentRef| payments.iter().find(|s| s.payment.id == asked.id);
        let found = references.iter().filter_map(stored);
        Ok(found.map(|stored| (stored.payment.reference(), Ok(stored.clone()))).collect())
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

#[derive(Debug, Default)]
struct FakeQueue {
    sent: Mutex<Vec<OutgoingMessage>>,
    held: Mutex<Vec<Instant>>,
    deduplicated: Mutex<HashMap<String, Instant>>,
    down: Mutex<bool>,
}

impl FakeQueue {
    fn sent(&self) -> Vec<OutgoingMessage> {
        self.sent.lock().unwrap().clone()
    }
}

#[async_trait]
impl QueueApi for FakeQueue {
    fn name(&self) -> &'static str {
        "fake.fifo"
    }

    async fn receive(
        &self,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        Err(QueueCallError::other("the sweep receives nothing"))
    }

    async fn delete(&self, _: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        Err(QueueCallError::other("the sweep deletes nothing"))
    }

    async fn change_visibility(
        &self,
        _: &[(&str, Duration)],
        _: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        Err(QueueCallError::other("the sweep holds nothing"))
    }

    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        if *self.down.lock().unwrap() {
            return Err(QueueCallError::other("down"));
        }
        messages.iter().for_each(|message| self.hold(message));
        self.sent.lock().unwrap().extend(messages.iter().map(|message| (*message).clone()));
        Ok(Vec::new())
    }
}

/// So old is the number of messages that SQS tells.
const LAG: Duration = Duration::from_secs(60);
/// For so long SQS drops what comes with the same deduplication id.
const DEDUPLICATION: Duration = Duration::from_secs(300);

#[async_trait]
impl MessageCount for FakeQueue {
    /// Nobody takes messages; what was dropped as a duplicate is not counted.
    async fn messages(&self) -> Result<u64, QueueCallError> {
        let held = self.held.lock().unwrap();
        Ok(held.iter().filter(|at| at.elapsed() >= LAG).count() as u64)
    }
}

impl FakeQueue {
    fn hold(&self, message: &OutgoingMessage) {
        let mut before = self.deduplicated.lock().unwrap();
        let known = before.get(&message.deduplication).copied();
        if known.is_none_or(|at: Instant| at.elapsed() >= DEDUPLICATION) {
            before.insert(message.deduplication.clone(), Instant::now());
            self.held.lock().unwrap().push(Instant::now());
        }
    }

    /// Messages in the queue.
    fn len(&self) -> usize {
        self.held.lock().unwrap().len()
    }
}

/// A sweeper that runs, and all that it knows.
struct World {
    table: Arc<FakeTable>,
    bank: Arc<FakeBank>,
    payments: Arc<FakeQueue>,
    confirmations: Arc<FakeQueue>,
    sweeper: Sweeper,
    memory: tokio::sync::Mutex<SweepMemory>,
}

impl World {
    fn new(payments: &[StoredPayment]) -> Self {
        let table = Arc::new(FakeTable::default());
        table.payments.lock().unwrap().extend_from_slice(payments);
        let bank = Arc::new(FakeBank::default());
        let (to_dispatch, confirmations) = <(Arc<FakeQueue>, Arc<FakeQueue>)>::default();
        let started_at = Instant::now();
        let ports = SweepPorts {
            table: table.clone(),
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
        Self { table, bank, payments: to_dispatch, confirmations, sweeper, memory }
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
    *world.payments.down.lock().unwrap() = true;
    world.sweep().await.unwrap_err();
    *world.payments.down.lock().unwrap() = false;
    world.sweep().await.unwrap();
    assert_eq!(world.payments.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_read_is_tried_until_it_can_or_shutdown_comes() {
    let world = World::new(&[stored(1)]);
    *world.table.down.lock().unwrap() = true;
    let running = tokio::spawn({
        let sweeper = world.sweeper.clone();
        let shutdown = Shutdown::new(Duration::from_secs(25));
        async move { sweeper.sweep(SweepRange::Back(1), &mut SweepMemory::default(), &shutdown).await }
    });
    tokio::time::sleep(LIMIT * 2).await;
    assert!(!running.is_finished() && world.payments.sent().is_empty());
    *world.table.down.lock().unwrap() = false;
    running.await.unwrap().unwrap();
    assert_eq!(world.payments.sent().len(), 1);

    *world.table.down.lock().unwrap() = true;
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
        let messages = world.payments.len();
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
    world.payments.held.lock().unwrap().extend([Instant::now(); 1_500]);
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
