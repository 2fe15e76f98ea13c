//! The decision on each request: known, rejected, settled, taken, or settled
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

use super::{
    answer::Settlement,
    asynchronous::{Letter, Standing},
    book::{Book, Ended, Opened},
    echo::Echo,
    faults::{Asynchronous, Faults},
    gate::{Gate, Worker},
    instruction::{IdempotencyKey, Instruction},
    keys::Remembered,
    refusal::Refusal,
    stopwatch::{Serving, Stopwatch},
};
use crate::transactions::journal_reader::{JournalError, TornLine};

/// Payments ended in one go, each of which writes a line: requests wait no
/// longer than that for the book.
const ENDED_AT_ONCE: usize = 32;

/// What all requests share. Its locks are held for microseconds and never
/// across an await.
#[derive(Debug)]
pub(crate) struct Desk {
    book: Mutex<Book>,
    faults: RwLock<Faults>,
    gate: Arc<Gate>,
    requests: AtomicU64,
    stopwatch: Stopwatch,
    taken: Notify,
}

/// What a start finds, beside the desk.
#[derive(Debug)]
pub(crate) struct Found {
    /// The line that was cut off the journal.
    pub(crate) torn: Option<TornLine>,
    /// Results that nobody has received yet.
    pub(crate) letters: Vec<Letter>,
}

/// A request that was let in.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) faults: Faults,
    number: u64,
    came: Instant,
    began: Instant,
    /// Busy until the answer. Nobody in particular while there is no limit.
    _worker: Option<Worker>,
}

/// A payment that was seen to, and how the client hears of it.
#[derive(Debug)]
pub(crate) enum Served {
    SettledNow(Settlement),
    SettledBefore(Settlement),
    /// Taken, now or before: the result comes later.
    UnderWay(Echo),
    /// Settled or taken now, but the client never hears of it.
    Unheard,
}

/// Where a payment stands that was not rejected.
#[derive(Debug)]
pub(crate) enum Sought {
    Settled(Settlement),
    UnderWay(Echo),
}

impl Desk {
    /// Opens the journal and recalls its keys.
    pub(crate) fn open(journal: &Path, faults: Faults) -> Result<(Self, Found), JournalError> {
        let Opened { book, torn, letters } = Book::open(journal, &faults)?;
        let gate = Arc::new(Gate::default());
        gate.set(faults.capacity);
        let desk = Self {
            book: Mutex::new(book),
            faults: RwLock::new(faults),
            gate,
            requests: AtomicU64::new(0),
            stopwatch: Stopwatch::default(),
            taken: Notify::new(),
        };
        Ok((desk, Found { torn, letters }))
    }

    pub(crate) fn faults(&self) -> Faults {
        *self.faults.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.gate.set(faults.capacity);
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Settlements in the journal.
    pub(crate) fn settled(&self) -> u64 {
        self.book().settled()
    }

    /// Payments that were taken and have not ended.
    pub(crate) fn under_way(&self) -> u64 {
        self.book().under_way() as u64
    }

    /// Requests that came so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Lets a request in, when there is a worker for it. The faults are those
    /// of the moment when a worker turns to it.
    pub(crate) async fn let_in(&self) -> Result<Visit, Refusal> {
        let (number, came) = (self.requests.fetch_add(1, Relaxed), Instant::now());
        let faults = self.faults();
        if faults.capacity.is_none() {
            return Ok(Visit { faults, number, came, began: came, _worker: None });
        }
        let worker = Some(self.gate.worker().await?);
        Ok(Visit { faults: self.faults(), number, came, began: Instant::now(), _worker: worker })
    }

    /// Notes that the answer to a request is ready.
    pub(crate) fn answered(&self, visit: &Visit) {
        let Visit { came, began, .. } = *visit;
        self.stopwatch.note(Serving { came, began, ended: Instant::now() });
    }

    /// Requests that were answered since this was last asked.
    pub(crate) fn servings(&self) -> Vec<Serving> {
        self.stopwatch.take()
    }

    /// Where the payment under the key stands.
    pub(crate) fn find(&self, faults: &Faults, key: &IdempotencyKey) -> Result<Sought, Refusal> {
        let mut book = self.book();
        if let Some(known) = book.recall(faults, key) {
            return Ok(Sought::Settled(known.settlement(key.as_str())));
        }
        match &book.case(faults, key).ok_or(Refusal::UnknownKey)?.standing {
            Standing::UnderWay(accepted) => Ok(Sought::UnderWay(Echo::from(&**accepted))),
            Standing::Rejected { echo, .. } => Err(Refusal::RejectedSince(echo.clone())),
        }
    }

    /// Settles or takes the instruction, unless its key is known already. A key
    /// is looked up and settled under one lock: of two requests with one key,
    /// the second finds what the first has done.
    pub(crate) fn serve(
        &self,
        faults: &Faults,
        key: IdempotencyKey,
        instruction: Instruction,
    ) -> Result<Served, Refusal> {
        let mut book = self.book();
        if let Some(known) = book.recall(faults, &key) {
            return if known.was_for(instruction.fingerprint()) {
                Ok(Served::SettledBefore(known.settlement(key.as_str())))
            } else {
                Err(Refusal::KeyReused)
            };
        }
        if let Some(case) = book.case(faults, &key) {
            if !case.was_for(instruction.fingerprint()) {
                return Err(Refusal::KeyReused);
            }
            return match &case.standing {
                Standing::UnderWay(accepted) => Ok(Served::UnderWay(Echo::from(&**accepted))),
                Standing::Rejected { echo, .. } => Err(Refusal::RejectedSince(echo.clone())),
            };
        }
        match &faults.asynchronous {
            None => settle(&mut book, faults, key, instruction),
            Some(asynchronous) => {
                let served = take(&mut book, faults, asynchronous, &key, instruction)?;
                self.taken.notify_one();
                Ok(served)
            }
        }
    }

    /// Waits until a payment was taken.
    pub(crate) async fn taken(&self) {
        self.taken.notified().await;
    }

    /// When the next payment that was taken ends.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.book().next_due()
    }

    /// Ends payments that are due by `now`, and returns the results that are to
    /// be sent. There may be more: [`Self::next_due`] tells.
    pub(crate) fn end_due(&self, now: Instant) -> Vec<Letter> {
        let faults = self.faults();
        let mut letters = Vec::new();
        let mut book = self.book();
        for _ in 0..ENDED_AT_ONCE {
            match book.end_next(&faults, now) {
                None => break,
                Some(Ok(Ended::Told(letter))) => letters.push(letter),
                Some(Ok(Ended::Unheard)) => {}
                Some(Err(error)) => log(&error),
            }
        }
        letters
    }

    /// Notes that nothing more is sent of this payment.
    pub(crate) fn close(&self, transaction_id: Uuid) {
        let closed = self.book().close(transaction_id);
        if let Err(error) = closed {
            log(&error);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit {
    /// Draws the 503 that the request is answered with, if it is.
    pub(crate) fn admit(&self) -> Result<(), Refusal> {
        if self.faults.unavailable_at(self.number) { Err(Refusal::Unavailable) } else { Ok(()) }
    }
}

fn settle(
    book: &mut Book,
    faults: &Faults,
    key: IdempotencyKey,
    instruction: Instruction,
) -> Result<Served, Refusal> {
    if faults.rejects(key.as_str()) {
        return Err(Refusal::RejectedByBeneficiaryBank);
    }
    let heard = !faults.loses_answer(key.as_str());
    let (settlement, remembered) = book.settle(key, instruction)?;
    match (heard, remembered) {
        (false, Remembered::First) => Ok(Served::Unheard),
        (true, _) | (false, Remembered::Again) => Ok(Served::SettledNow(settlement)),
    }
}

fn take(
    book: &mut Book,
    faults: &Faults,
    asynchronous: &Asynchronous,
    key: &IdempotencyKey,
    instruction: Instruction,
) -> Result<Served, Refusal> {
    let heard = !faults.loses_answer(key.as_str());
    let echo = book.take(key, instruction, asynchronous.due(faults))?;
    Ok(if heard { Served::UnderWay(echo) } else { Served::Unheard })
}

fn log(error: &JournalError) {
    tracing::error!(error = error as &dyn std::error::Error, "a payment that was taken");
}
