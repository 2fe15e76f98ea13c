//! Replays by many receivers, over a FIFO queue and a table in memory, under virtual time.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use dispatcher::CallLimits;
use domain::{
    AccountId, Amount, AttemptLimits, Failure, FailureCode, KeyQuery, KeyStatus, Outcome, Payment,
    PaymentId, RefusalCodes, Status,
};
use shared::config::Receiving;
use shared::payments::StoredPayment;
use shared::queue::{Consumer, DeadLetter, OutgoingMessage, QueueApi};
use shared::shutdown::Shutdown;
use shared::testing::{CallFault, PaymentsInMemory, QueueInMemory, sample_payment, scheduled};

use super::super::filter::DlqFilter;
use super::super::reader::{QueueCounts, ReadEnd};
use super::super::versions::WhichVersion;
use super::*;

/// What each call takes.
const CALL: Duration = Duration::from_millis(10);

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// How long a received dead letter stays hidden.
const VISIBILITY: Duration = Duration::from_secs(120);

fn queue(name: &'static str) -> Arc<QueueInMemory> {
    Arc::new(QueueInMemory::new(name).on_call(|_| CallFault::Slow(CALL)))
}

/// Nothing was settled under any key.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl TransactionService for Nothing {
    async fn submit(&self, payment: &Payment) -> Outcome {
        panic!("a replay submitted {}", payment.id)
    }

    async fn find(&self, _: KeyQuery) -> KeyStatus {
        tokio::time::sleep(CALL).await;
        KeyStatus::Nothing
    }
}

/// A payment that FAILED with `code`.
fn failed(number: u64, account: usize, code: FailureCode) -> StoredPayment {
    let payment = Payment {
        id: PaymentId::from_parts(1_795_392_000_000 + number, &[0; 10]),
        account: AccountId::parse(format!("ACC-{account}")).unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(1).unwrap(),
        created_at: now(),
        ..sample_payment()
    };
    StoredPayment {
        status: Status::Failed,
        attempts: 2,
        claimed_at: Some(now()),
        failure: Some(Failure::new(code, "x")),
        ..scheduled(payment)
    }
}

/// A world with dead letters of so many payments, spread over so many accounts.
struct World {
    dead_letters: Arc<QueueInMemory>,
    payments: Arc<QueueInMemory>,
    table: PaymentsInMemory,
    shutdown: Shutdown,
}

impl World {
    fn new(payments: u64, accounts: usize) -> Self {
        let dead_letters = queue("payments-dlq.fifo");
        let table = PaymentsInMemory::default().on_call(|_| CallFault::Slow(CALL));
        for number in 0..payments {
            let account = usize::try_from(number).unwrap() % accounts;
            let stored = failed(number, account, FailureCode::Exhausted);
            let dead_letter = DeadLetter {
                failure: stored.failure.clone().unwrap(),
                service: "dispatcher".to_owned(),
                at: now() - Duration::from_secs(60),
                payment: Some(stored.payment.clone()),
                raw: None,
            };
            let message = OutgoingMessage {
                group: stored.payment.account.to_string(),
                deduplication: format!("letter-{number}"),
                body: serde_json::to_string(&dead_letter).unwrap(),
            };
            dead_letters.put(&message).unwrap();
            table.put(stored);
        }
        let shutdown = Shutdown::new(Duration::ZERO);
        Self { dead_letters, payments: queue("payments.fifo"), table, shutdown }
    }

    fn replay(&self) -> Arc<ReplayRun<PaymentsInMemory, Nothing>> {
        self.replay_of(DlqSelection::Filtered(DlqFilter::default()), QueueCounts::default())
    }

    fn replay_of(
        &self,
        selection: DlqSelection,
        counts: QueueCounts,
    ) -> Arc<ReplayRun<PaymentsInMemory, Nothing>> {
        let receiving = Receiving { visibility: VISIBILITY, wait: Duration::from_secs(2) };
        let calls = CallLimits { most: 64, least: 16, rate: None };
        let replayer = Replayer {
            store: self.table.clone(),
            transactions: Nothing,
            questions: QueryLimiter::new(calls, now()),
            payments: Producer::new(Arc::clone(&self.payments) as Arc<dyn QueueApi>),
            confirmations: Producer::new(queue("confirmations.fifo")),
            limits: AttemptLimits { attempts: 20, key_retention: Duration::from_secs(86_400) },
            clock: Clock::new(now),
            codes: RefusalCodes::Form,
            mode: ReplayMode::Execute,
            version: None,
            purpose: RunPurpose::Replay,
            actions: None,
            pacer: None,
            shutdown: self.shutdown.clone(),
            memory: Mutex::default(),
        };
        let dead_letters = Arc::clone(&self.dead_letters) as Arc<dyn QueueApi>;
        let reader = DeadLetterReader::of(
            Consumer::new(dead_letters, receiving),
            counts,
            self.shutdown.clone(),
        );
        let report = ReplayReport::new(ReplayMode::Execute, true, None).unseen();
        let state = RunState { selection, report, began: now() };
        Arc::new(ReplayRun { replayer, reader, state: Mutex::new(state) })
    }

    /// Payments whose messages were sent, in order.
    fn sent(&self) -> Vec<Payment> {
        let bodies = self.payments.bodies();
        bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    fn assert_sent_in_order(&self) {
        let mut latest: BTreeMap<AccountId, PaymentId> = BTreeMap::new();
        for payment in self.sent() {
            let before = latest.insert(payment.account.clone(), payment.id);
            assert!(before < Some(payment.id), "{} overtook in {}", payment.id, payment.account);
        }
    }

    /// A payment that is SCHEDULED again has a message, or its dead letter is still there.
    fn assert_nothing_is_lost(&self) {
        let sent: HashSet<_> = self.sent().into_iter().map(|payment| payment.id).collect();
        let lying = self.dead_letters.bodies();
        for stored in self.table.all() {
            let id = stored.payment.id;
            let has_dead_letter = lying.iter().any(|body| body.contains(&id.to_string()));
            assert!(sent.contains(&id) || has_dead_letter, "{id} is lost, {}", stored.status);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_receivers_replay_side_by_side_and_keep_the_order_of_each_account() {
    let world = World::new(2_000, 40);
    let began = tokio::time::Instant::now();
    let replay = world.replay();
    Arc::clone(&replay).receive_all().await.unwrap();
    assert_eq!(world.dead_letters.bodies().len(), 0);
    assert_eq!(world.sent().len(), 2_000);
    world.assert_sent_in_order();
    // One after the other, five calls for each would take 100 seconds.
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_exactly_as_many_as_one_run_reads_is_read_to_its_end() {
    for (letters, left, end) in [(20, 0, ReadEnd::Empty), (21, 1, ReadEnd::Full)] {
        let world = World::new(letters, 21);
        let receiving = Receiving { visibility: VISIBILITY, wait: Duration::from_secs(2) };
        let queue = Consumer::new(Arc::clone(&world.dead_letters) as Arc<dyn QueueApi>, receiving);
        let reader = DeadLetterReader::of(queue, QueueCounts::default(), world.shutdown.clone());
        let reader = reader.with_limit(20);
        while let Some(window) = reader.next().await.unwrap() {
            reader.settle(window.into_received(), Vec::new()).await;
        }
        assert_eq!((reader.end(), world.dead_letters.bodies().len()), (end, left), "{letters}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_account_of_many_dead_letters_is_replayed_whole_though_one_receiver_sees_it_at_a_time()
{
    let world = World::new(500, 1);
    let replay = world.replay();
    Arc::clone(&replay).receive_all().await.unwrap();
    assert_eq!((world.dead_letters.bodies().len(), world.sent().len()), (0, 500));
    world.assert_sent_in_order();
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_is_interrupted_anywhere_loses_nothing_and_the_next_finishes_it() {
    for millis in (20..150).step_by(10) {
        let world = World::new(300, 20);
        let replay = world.replay();
        let ending = world.shutdown.clone();
        let interrupt = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            ending.request();
        });
        Arc::clone(&replay).receive_all().await.unwrap();
        interrupt.await.unwrap();
        world.assert_nothing_is_lost();
        world.assert_sent_in_order();
        let left = world.dead_letters.bodies().len();
        assert!(left > 0, "it was done within {millis} ms");
        let next = World { shutdown: Shutdown::new(Duration::ZERO), ..world };
        // Its process ends, and its visibility timeouts.
        drop(replay);
        tokio::time::sleep(VISIBILITY).await;
        Arc::clone(&next.replay()).receive_all().await.unwrap();
        assert_eq!((next.dead_letters.bodies().len(), next.sent().len()), (0, 300));
        next.assert_sent_in_order();
    }
}

/// Every process may be killed: nothing after the instant happens.
#[tokio::test(start_paused = true)]
async fn a_replay_that_is_killed_anywhere_loses_nothing_and_the_next_finishes_it() {
    for millis in (15..150).step_by(10) {
        let world = World::new(300, 20);
        let killed = tokio::spawn(world.replay().receive_all());
        tokio::time::sleep(Duration::from_millis(millis)).await;
        killed.abort();
        assert!(killed.await.is_err(), "it was done within {millis} ms");
        world.assert_nothing_is_lost();
        // Its visibility timeouts end.
        tokio::time::sleep(VISIBILITY).await;
        Arc::clone(&world.replay()).receive_all().await.unwrap();
        assert_eq!(world.dead_letters.bodies().len(), 0);
        let sent: HashSet<_> = world.sent().into_iter().map(|payment| payment.id).collect();
        assert_eq!(sent.len(), 300);
    }
}

/// Its dead letter may say that the table's version is not the one that FAILED (INV-16).
#[tokio::test(start_paused = true)]
async fn a_named_payment_whose_dead_letter_another_command_may_have_is_sent_only_with_a_version() {
    let world = World::new(1, 1);
    let failed = world.table.all().remove(0);
    let reference = failed.payment.reference();
    for (counts, version, sent) in [
        (QueueCounts::elsewhere_only(1), None, 0),
        (QueueCounts::default(), None, 1),
        (QueueCounts::elsewhere_only(1), Some(WhichVersion::Table), 1),
    ] {
        let world = World::new(1, 1);
        world.dead_letters.drain();
        world.table.put(failed.clone());
        let named = DlqSelection::of_payments(vec![reference.clone()]);
        let mut replay = world.replay_of(named, counts);
        Arc::get_mut(&mut replay).unwrap().replayer.version = version;
        Arc::clone(&replay).receive_all().await.unwrap();
        replay.named_without_dead_letter().await.unwrap();
        assert_eq!(world.sent().len(), sent, "{counts:?}, {version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_dead_letters_of_one_payment_are_decided_one_after_the_other() {
    let world = World::new(1, 1);
    let body = world.dead_letters.bodies().remove(0);
    let (group, deduplication) = ("ACC-0".to_owned(), "letter-twin".to_owned());
    world.dead_letters.put(&OutgoingMessage { group, deduplication, body }).unwrap();
    let replay = world.replay();
    Arc::clone(&replay).receive_all().await.unwrap();
    assert_eq!(world.dead_letters.bodies().len(), 0);
    let actions = replay.state().report.actions();
    assert_eq!(actions, [("replay", 1), ("send again", 1)]);
}

#[path = "discard_run_tests.rs"]
mod discard;
