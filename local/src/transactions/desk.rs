//! The decision on each request: known, rejected, settled, or settled and never
//! answered.

use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    answer::Settlement,
    entry::Record,
    faults::Faults,
    instruction::{IdempotencyKey, Instruction},
    journal::Journal,
    keys::{Keys, Known, Remembered},
    refusal::Refusal,
};
use crate::lines::{JournalError, TornLine};

/// What all requests share. Its locks are held for microseconds and never
/// across an await.
#[derive(Debug)]
pub(crate) struct Desk {
    book: Mutex<Book>,
    faults: RwLock<Faults>,
    requests: AtomicU64,
}

/// The journal and what is remembered of it: changed together or not at all.
#[derive(Debug)]
struct Book {
    journal: Journal,
    keys: Keys,
    settled: u64,
}

/// A settled payment, and how the client hears of it.
#[derive(Debug)]
pub(crate) enum Settled {
    Now(Settlement),
    Before(Settlement),
    /// Settled now, but the client never hears of it.
    Unheard,
}

impl Desk {
    /// Opens the journal and recalls its keys.
    pub(crate) fn open(
        journal: &Path,
        faults: Faults,
    ) -> Result<(Self, Option<TornLine>), JournalError> {
        let mut keys = Keys::default();
        let mut settled = 0;
        let (journal, torn) = Journal::open(journal, |record| {
            let known = Known::of(&record);
            keys.remember(record.entry.idempotency_key.into(), known);
            settled += 1;
        })?;
        let desk = Self {
            book: Mutex::new(Book { journal, keys, settled }),
            faults: RwLock::new(faults),
            requests: AtomicU64::new(0),
        };
        Ok((desk, torn))
    }

    pub(crate) fn faults(&self) -> Faults {
        *self.faults.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Settlements in the journal.
    pub(crate) fn settled(&self) -> u64 {
        self.book().settled
    }

    /// Lets a request in, or draws the 503 it is answered with.
    pub(crate) fn admit(&self, faults: &Faults) -> Result<(), Refusal> {
        let request = self.requests.fetch_add(1, Relaxed);
        if faults.unavailable_at(request) { Err(Refusal::Unavailable) } else { Ok(()) }
    }

    /// What was settled under the key.
    pub(crate) fn find(
        &self,
        faults: &Faults,
        key: &IdempotencyKey,
    ) -> Result<Settlement, Refusal> {
        let known = self.book().recall(faults, key).ok_or(Refusal::UnknownKey)?;
        Ok(known.settlement())
    }

    /// Settles the instruction, unless its key is settled already. A key is
    /// looked up and settled under one lock: of two requests with one key, the
    /// second finds what the first has done.
    pub(crate) fn settle(
        &self,
        faults: &Faults,
        key: IdempotencyKey,
        instruction: Instruction,
    ) -> Result<Settled, Refusal> {
        let mut book = self.book();
        if let Some(known) = book.recall(faults, &key) {
            return if known.was_for(instruction.fingerprint()) {
                Ok(Settled::Before(known.settlement()))
            } else {
                Err(Refusal::KeyReused)
            };
        }
        if faults.rejects(key.as_str()) {
            return Err(Refusal::RejectedByBeneficiaryBank);
        }
        let heard = !faults.loses_answer(key.as_str());
        let (settlement, remembered) = book.enter(key, instruction)?;
        match (heard, remembered) {
            (false, Remembered::First) => Ok(Settled::Unheard),
            (true, _) | (false, Remembered::Again) => Ok(Settled::Now(settlement)),
        }
    }

    /// A panic cannot leave the book half changed: the line is written before
    /// anything is remembered.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn recall(&self, faults: &Faults, key: &IdempotencyKey) -> Option<Known> {
        if faults.forget_keys { None } else { self.keys.get(key) }
    }

    /// Writes the settlement down, then remembers it.
    fn enter(
        &mut self,
        key: IdempotencyKey,
        instruction: Instruction,
    ) -> Result<(Settlement, Remembered), Refusal> {
        let record = Record::new(&key, instruction);
        self.journal.append(&record).map_err(Refusal::JournalUnwritable)?;
        self.settled += 1;
        let known = Known::of(&record);
        let remembered = self.keys.remember(key.into_text(), known);
        Ok((known.settlement(), remembered))
    }
}
