//! The decision on each request: replayed, rejected, settled, accepted, or settled
//! and never answered.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use super::journal_reader::{JournalError, TornLine};
use super::{
    accepted_payments::AcceptedStatus,
    answer::SettledBody,
    echo::Echo,
    faults::{Asynchronous, Faults},
    instruction::{IdempotencyKey, Instruction},
    refusal::Refusal,
    settled_keys::Insertion,
    store::{OpenedStore, PaymentResult, Store},
    timings::{RequestTiming, RequestTimings},
    webhook_event::WebhookEvent,
    worker_pool::{Worker, WorkerPool},
};

/// Payments ended in one go, each of which writes a line: requests wait no
/// longer than that for the store.
const ENDED_AT_ONCE: usize = 32;

/// A handler, the torn line that was cut off its journal, and the results nobody has received.
pub(crate) type OpenedHandler = (RequestHandler, Option<TornLine>, Vec<WebhookEvent>);

/// What all requests share. Its locks are held for microseconds and never
/// across an await.
#[derive(Debug)]
pub(crate) struct RequestHandler {
    store: Mutex<Store>,
    faults: RwLock<Faults>,
    pool: Arc<WorkerPool>,
    requests: AtomicU64,
    timings: RequestTimings,
    accepted: Notify,
}

/// A request that a worker serves.
#[derive(Debug)]
pub(crate) struct AdmittedRequest {
    pub(crate) faults: Faults,
    number: u64,
    arrived: Instant,
    started: Instant,
    /// Busy until the answer. Nobody in particular while there is no limit.
    _worker: Option<Worker>,
}

/// The result of a submission, and how the client learns of it.
#[derive(Debug)]
pub(crate) enum SubmissionResult {
    Settled(SettledBody),
    Replayed(SettledBody),
    /// Accepted, now or before: the result comes later.
    UnderWay(Echo),
    /// Settled or accepted now, but the client never hears of it.
    AnswerLost,
}

/// Where a payment stands that was not rejected.
#[derive(Debug)]
pub(crate) enum LookupResult {
    Settled(SettledBody),
    UnderWay(Echo),
}

impl RequestHandler {
    /// Opens the journal and recalls its keys.
    pub(crate) fn open(journal: &Path, faults: Faults) -> Result<OpenedHandler, JournalError> {
        let OpenedStore { store, torn, events } = Store::open(journal, &faults)?;
        let pool = Arc::new(WorkerPool::default());
        pool.set(faults.capacity);
        let handler = Self {
            store: Mutex::new(store),
            faults: RwLock::new(faults),
            pool,
            requests: AtomicU64::new(0),
            timings: RequestTimings::default(),
            accepted: Notify::new(),
        };
        Ok((handler, torn, events))
    }

    pub(crate) fn faults(&self) -> Faults {
        *self.faults.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.pool.set(faults.capacity);
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Settlements in the journal.
    pub(crate) fn settled(&self) -> u64 {
        self.store().settled()
    }

    /// Payments that were accepted and have not ended.
    pub(crate) fn under_way(&self) -> u64 {
        self.store().under_way() as u64
    }

    /// Requests that arrived so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Lets a request in, when there is a worker for it. The faults are those
    /// of the moment when a worker turns to it.
    pub(crate) async fn admit_request(&self) -> Result<AdmittedRequest, Refusal> {
        let (number, arrived) = (self.requests.fetch_add(1, Relaxed), Instant::now());
        let faults = self.faults();
        if faults.capacity.is_none() {
            return Ok(AdmittedRequest {
                faults,
                number,
                arrived,
                started: arrived,
                _worker: None,
            });
        }
        let worker = Some(self.pool.worker().await?);
        Ok(AdmittedRequest {
            faults: self.faults(),
            number,
            arrived,
            started: Instant::now(),
            _worker: worker,
        })
    }

    /// Notes that the answer to a request is ready.
    pub(crate) fn answered(&self, request: &AdmittedRequest) {
        let AdmittedRequest { arrived, started, .. } = *request;
        self.timings.note(RequestTiming { arrived, started, ended: Instant::now() });
    }

    /// Requests that were answered since this was last asked.
    pub(crate) fn request_timings(&self) -> Vec<RequestTiming> {
        self.timings.take()
    }

    /// Where the payment under the key stands.
    pub(crate) fn find(
        &self,
        faults: &Faults,
        key: &IdempotencyKey,
    ) -> Result<LookupResult, Refusal> {
        let mut store = self.store();
        if let Some(known) = store.recall(faults, key) {
            return Ok(LookupResult::Settled(known.settlement(key.as_str())));
        }
        match &store.payment(faults, key).ok_or(Refusal::UnknownKey)?.status {
            AcceptedStatus::UnderWay(accepted) => {
                Ok(LookupResult::UnderWay(Echo::from(&**accepted)))
            }
            AcceptedStatus::Rejected { echo, .. } => Err(Refusal::RejectedSince(echo.clone())),
        }
    }

    /// Settles or accepts the instruction, unless its key is known already. A key
    /// is looked up and settled under one lock: of two requests with one key,
    /// the second finds what the first has done.
    pub(crate) fn serve(
        &self,
        faults: &Faults,
        key: IdempotencyKey,
        instruction: Instruction,
    ) -> Result<SubmissionResult, Refusal> {
        let mut store = self.store();
        if let Some(known) = store.recall(faults, &key) {
            return if known.was_for(instruction.fingerprint()) {
                Ok(SubmissionResult::Replayed(known.settlement(key.as_str())))
            } else {
                Err(Refusal::KeyReused)
            };
        }
        if let Some(payment) = store.payment(faults, &key) {
            if !payment.was_for(instruction.fingerprint()) {
                return Err(Refusal::KeyReused);
            }
            return match &payment.status {
                AcceptedStatus::UnderWay(accepted) => {
                    Ok(SubmissionResult::UnderWay(Echo::from(&**accepted)))
                }
                AcceptedStatus::Rejected { echo, .. } => Err(Refusal::RejectedSince(echo.clone())),
            };
        }
        match &faults.asynchronous {
            None => settle(&mut store, faults, key, instruction),
            Some(asynchronous) => {
                let result = accept(&mut store, faults, asynchronous, &key, instruction)?;
                self.accepted.notify_one();
                Ok(result)
            }
        }
    }

    /// Waits until a payment was accepted.
    pub(crate) async fn accepted(&self) {
        self.accepted.notified().await;
    }

    /// When the next payment that was accepted ends.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.store().next_due()
    }

    /// Ends payments that are due by `now`, and returns the results that are to
    /// be sent. There may be more: [`Self::next_due`] tells.
    pub(crate) fn end_due(&self, now: Instant) -> Vec<WebhookEvent> {
        let faults = self.faults();
        let mut events = Vec::new();
        let mut store = self.store();
        for _ in 0..ENDED_AT_ONCE {
            match store.end_next(&faults, now) {
                None => break,
                Some(Ok(PaymentResult::Send(event))) => events.push(event),
                Some(Ok(PaymentResult::CallbackLost)) => {}
                Some(Err(error)) => log(&error),
            }
        }
        events
    }

    /// Notes that nothing more is sent of this payment.
    pub(crate) fn close(&self, transaction_id: Uuid) {
        let closed = self.store().close(transaction_id);
        if let Err(error) = closed {
            log(&error);
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AdmittedRequest {
    /// Draws the 503 that the request is answered with, if it is.
    pub(crate) fn draw_unavailable(&self) -> Result<(), Refusal> {
        if self.faults.unavailable_at(self.number) { Err(Refusal::Unavailable) } else { Ok(()) }
    }
}

fn settle(
    store: &mut Store,
    faults: &Faults,
    key: IdempotencyKey,
    instruction: Instruction,
) -> Result<SubmissionResult, Refusal> {
    if faults.rejects(key.as_str()) {
        return Err(Refusal::RejectedByBeneficiaryBank);
    }
    let is_answered = !faults.loses_answer(key.as_str());
    let (settlement, remembered) = store.settle(key, instruction)?;
    match (is_answered, remembered) {
        (false, Insertion::First) => Ok(SubmissionResult::AnswerLost),
        (true, _) | (false, Insertion::Again) => Ok(SubmissionResult::Settled(settlement)),
    }
}

fn accept(
    store: &mut Store,
    faults: &Faults,
    asynchronous: &Asynchronous,
    key: &IdempotencyKey,
    instruction: Instruction,
) -> Result<SubmissionResult, Refusal> {
    let is_answered = !faults.loses_answer(key.as_str());
    let echo = store.accept(key, instruction, asynchronous.due(faults))?;
    Ok(if is_answered { SubmissionResult::UnderWay(echo) } else { SubmissionResult::AnswerLost })
}

fn log(error: &JournalError) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "the accepted log or the journal cannot be written; the payment stays under way until the next start"
    );
}
