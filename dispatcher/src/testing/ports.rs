//! The ports of a dispatcher in memory: a table, an archive, a transaction service and its queues,
//! each call of which can take its time.

use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    BlobDigest, DataBlob, KeyQuery, KeyStatus, Outcome, Payment, PaymentId, PaymentRef, Settlement,
    transition,
};
use jiff::Timestamp;
use shared::payments::archive::ArchiveLookup;
use shared::payments::{
    ApplyResult, BlobError, Change, ChangeError, DeadLetters, PaymentStore, PaymentsError,
    StoredPayment, refused_change,
};
use shared::queue::{
    DeadLetter, OutgoingMessage, QueueApi, QueueCallError, ReceivedMessage, RefusedEntry,
    Visibility,
};
use shared::transaction::TransactionService;

/// How long a message stays hidden. No heartbeat gets through here.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(60);

/// A call that can take its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Archive,
    Blobs,
    Write,
    Submit,
    Ask,
}

/// The ports.
#[derive(Debug)]
pub(crate) struct TestPorts {
    pub(crate) items: Mutex<HashMap<PaymentId, StoredPayment>>,
    /// The events that were written, in order.
    pub(crate) written: Mutex<Vec<(PaymentId, domain::Event)>>,
    pub(crate) submitted: Mutex<Vec<Payment>>,
    pub(crate) asked: Mutex<Vec<PaymentId>>,
    pub(crate) outcome: Mutex<Outcome>,
    pub(crate) found: Mutex<KeyStatus>,
    /// Calls that take long: as long as a message stays hidden, unless `takes` says otherwise.
    pub(crate) slow: Mutex<Vec<Call>>,
    pub(crate) takes: Mutex<Option<Duration>>,
    /// Messages that are to be received.
    pub(super) waiting: Mutex<Vec<ReceivedMessage>>,
    /// Messages that were deleted, by receipt.
    pub(crate) deleted: Mutex<Vec<String>>,
    /// Messages that were given back, by receipt, and for how long.
    pub(crate) released: Mutex<Vec<(String, Duration)>>,
    pub(crate) dead_letters: Mutex<Vec<DeadLetter>>,
    /// Whether the dead-letter queue takes nothing.
    pub(crate) no_dead_letters: Mutex<bool>,
    /// Payments that cannot be read.
    pub(crate) unreadable: Mutex<Vec<PaymentId>>,
    pub(super) skew: AtomicI64,
    /// Seconds that pass with each reading of the clock.
    pub(crate) passing: AtomicI64,
}

impl TestPorts {
    /// Everything is settled, and nothing is known of any key.
    pub(crate) fn new(now: Timestamp) -> Arc<Self> {
        let settled = Settlement { transaction_id: "T1".to_owned(), settled_at: now };
        Arc::new(Self {
            items: Mutex::default(),
            written: Mutex::default(),
            submitted: Mutex::default(),
            asked: Mutex::default(),
            outcome: Mutex::new(Outcome::Settled(settled)),
            found: Mutex::new(KeyStatus::Nothing),
            slow: Mutex::default(),
            takes: Mutex::default(),
            waiting: Mutex::default(),
            deleted: Mutex::default(),
            released: Mutex::default(),
            dead_letters: Mutex::default(),
            no_dead_letters: Mutex::default(),
            unreadable: Mutex::default(),
            skew: AtomicI64::new(0),
            passing: AtomicI64::new(0),
        })
    }

    async fn take_time(&self, call: Call) {
        let slow = self.slow.lock().unwrap().contains(&call);
        let long = self.takes.lock().unwrap().unwrap_or(VISIBILITY);
        tokio::time::sleep(if slow { long } else { Duration::ZERO }).await;
    }

    pub(crate) fn item(&self, payment: &Payment) -> StoredPayment {
        self.items.lock().unwrap()[&payment.id].clone()
    }

    fn write(&self, change: &Change<'_>, now: Timestamp) -> Result<ApplyResult, ChangeError> {
        let mut items = self.items.lock().unwrap();
        let Some(stored) = items.get_mut(&change.reference().id) else {
            return Err(ChangeError::Missing);
        };
        let same = |payment: &Payment| stored.payment.same_instruction(payment);
        let fits = match change {
            Change::Claim(payment) => stored.attempts == 0 && same(payment),
            Change::ClaimAgain(payment, seen) | Change::Resume(payment, seen) => {
                stored.attempts == *seen && same(payment)
            }
            Change::Fail(_, _, made)
            | Change::WithholdReplayed(_, _, made)
            | Change::NotDone(_, made, _)
            | Change::DeadLettered(_, made, _) => stored.attempts == *made,
            Change::Withhold(..) => stored.attempts == 0,
            other => panic!("a dispatcher does not make {other:?}"),
        };
        let Ok(status) = transition(stored.status, change.event()) else {
            return refused_change(change, stored.clone());
        };
        if !fits {
            return refused_change(change, stored.clone());
        }
        stored.status = status;
        self.written.lock().unwrap().push((stored.payment.id, change.event()));
        match change {
            Change::Claim(_) => {
                stored.attempts = 1;
                stored.claimed_at = Some(now);
            }
            Change::ClaimAgain(..) | Change::Resume(..) => stored.attempts += 1,
            Change::NotDone(_, _, count) => stored.not_done = *count,
            Change::DeadLettered(_, _, count) => {
                stored.dead_letters = DeadLetters { count: *count, last: Some(now) };
            }
            Change::Fail(_, failure, _)
            | Change::Withhold(_, failure)
            | Change::WithholdReplayed(_, failure, _) => {
                stored.failure = Some((*failure).clone());
                stored.dead_letters.last = None;
            }
            other => panic!("a dispatcher does not make {other:?}"),
        }
        Ok(ApplyResult::Now)
    }
}

#[async_trait]
impl PaymentStore for TestPorts {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        now: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        let results = changes.iter().map(|change| self.write(change, now)).collect();
        self.take_time(Call::Write).await;
        Ok(results)
    }

    async fn get(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        if self.unreadable.lock().unwrap().contains(&reference.id) {
            return Err(PaymentsError::Unread(1));
        }
        Ok(self.items.lock().unwrap().get(&reference.id).cloned())
    }

    async fn blobs(
        &self,
        wanted: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        self.take_time(Call::Blobs).await;
        Ok(wanted.iter().map(|_| Err(BlobError::Unread)).collect())
    }
}

#[async_trait]
impl ArchiveLookup for TestPorts {
    async fn find(&self, _: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        self.take_time(Call::Archive).await;
        Ok(None)
    }
}

#[async_trait]
impl TransactionService for TestPorts {
    async fn submit(&self, payment: &Payment) -> Outcome {
        self.submitted.lock().unwrap().push(payment.clone());
        self.take_time(Call::Submit).await;
        self.outcome.lock().unwrap().clone()
    }

    async fn find(&self, asked: KeyQuery) -> KeyStatus {
        self.asked.lock().unwrap().push(asked.key);
        self.take_time(Call::Ask).await;
        self.found.lock().unwrap().clone()
    }
}

/// The payments queue.
#[derive(Debug)]
pub(super) struct PaymentsQueue(pub(super) Arc<TestPorts>);

#[async_trait]
impl QueueApi for PaymentsQueue {
    fn name(&self) -> &'static str {
        "payments.fifo"
    }

    async fn receive(
        &self,
        wait: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        let received = std::mem::take(&mut *self.0.waiting.lock().unwrap());
        if received.is_empty() {
            tokio::time::sleep(wait).await;
        }
        Ok(received)
    }

    async fn delete(&self, receipts: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let receipts = receipts.iter().map(|receipt| (*receipt).to_owned());
        self.0.deleted.lock().unwrap().extend(receipts);
        Ok(Vec::new())
    }

    async fn change_visibility(
        &self,
        entries: &[(&str, Duration)],
        purpose: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        match purpose {
            Visibility::Extend => Err(QueueCallError::other("no heartbeat gets through")),
            Visibility::Release => {
                let entries = entries.iter().map(|(receipt, time)| ((*receipt).to_owned(), *time));
                self.0.released.lock().unwrap().extend(entries);
                Ok(Vec::new())
            }
        }
    }

    async fn send(&self, _: &[&OutgoingMessage]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        panic!("a dispatcher sends no payments")
    }
}

/// The dead-letter queue.
#[derive(Debug)]
pub(super) struct DeadLettersQueue(pub(super) Arc<TestPorts>);

#[async_trait]
impl QueueApi for DeadLettersQueue {
    fn name(&self) -> &'static str {
        "payments-dlq.fifo"
    }

    async fn receive(
        &self,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        panic!("a dispatcher reads no dead letters")
    }

    async fn delete(&self, _: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        panic!("a dispatcher deletes no dead letters")
    }

    async fn change_visibility(
        &self,
        _: &[(&str, Duration)],
        _: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        panic!("a dispatcher holds no dead letters")
    }

    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        if *self.0.no_dead_letters.lock().unwrap() {
            return Err(QueueCallError::other("down"));
        }
        let dead_letters =
            messages.iter().map(|message| serde_json::from_str(&message.body).unwrap());
        self.0.dead_letters.lock().unwrap().extend(dead_letters);
        Ok(Vec::new())
    }
}
