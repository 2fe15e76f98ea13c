//! The journal, what is taken beside it, and what is remembered of both:
//! changed together or not at all.

use std::path::Path;

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    answer::{SettledAt, Settlement},
    asynchronous::{Accepted, Case, Cases, Intake, Letter, Standing, Step},
    echo::Echo,
    entry::Record,
    faults::{Asynchronous, Faults},
    instruction::{IdempotencyKey, Instruction},
    journal::Journal,
    keys::{Keys, Known, Remembered},
    refusal::Refusal,
};
use crate::transactions::journal_reader::{JournalError, TornLine};

/// Nothing is remembered before its line is written, so a panic cannot leave a
/// book half changed.
#[derive(Debug)]
pub(crate) struct Book {
    journal: Journal,
    intake: Intake,
    keys: Keys,
    cases: Cases,
    settled: u64,
}

/// What a start finds.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) book: Book,
    /// The line that was cut off the journal.
    pub(crate) torn: Option<TornLine>,
    /// Results that nobody has received yet.
    pub(crate) letters: Vec<Letter>,
}

impl Book {
    /// Opens both files and recalls what is in them.
    pub(crate) fn open(path: &Path, faults: &Faults) -> Result<Opened, JournalError> {
        let mut keys = Keys::default();
        let mut settled = 0;
        let (intake, mut recall) = Intake::open(path)?;
        let (journal, torn) = Journal::open(path, |record: Record| {
            let known = Known::of(&record);
            recall.settled(&record);
            keys.forget_if(&record.entry.idempotency_key, |earlier| {
                faults.has_expired(earlier.settled_at(), || known.settled_at())
            });
            keys.remember(record.entry.idempotency_key.into(), known);
            settled += 1;
        })?;
        let (cases, letters) = recall.finish(Instant::now());
        Ok(Opened { book: Self { journal, intake, keys, cases, settled }, torn, letters })
    }

    /// Settlements in the journal.
    pub(crate) fn settled(&self) -> u64 {
        self.settled
    }

    pub(crate) fn under_way(&self) -> usize {
        self.cases.under_way()
    }

    /// What was settled under the key, unless that is forgotten.
    pub(crate) fn recall(&mut self, faults: &Faults, key: &IdempotencyKey) -> Option<Known> {
        if faults.forget_keys {
            return None;
        }
        let known = self.keys.get(key.as_str())?.clone();
        if faults.has_expired(known.settled_at(), SettledAt::now) {
            self.keys.forget(key.as_str());
            return None;
        }
        Some(known)
    }

    /// What was taken under the key and is under way or rejected. Only a
    /// rejection can be forgotten.
    pub(crate) fn case(&mut self, faults: &Faults, key: &IdempotencyKey) -> Option<&Case> {
        let forgotten = match self.cases.get(key.as_str())?.standing {
            Standing::UnderWay(_) => false,
            Standing::Rejected { at, .. } => {
                faults.forget_keys || faults.has_expired(at, SettledAt::now)
            }
        };
        if forgotten {
            self.cases.forget(key.as_str());
        }
        self.cases.get(key.as_str())
    }

    /// Settles now: writes it down, then remembers it.
    pub(crate) fn settle(
        &mut self,
        key: IdempotencyKey,
        instruction: Instruction,
    ) -> Result<(Settlement, Remembered), Refusal> {
        let record = Record::new(&key, instruction);
        self.enter(&record, key.into_text()).map_err(Refusal::JournalUnwritable)
    }

    /// Takes a payment that ends at `due`.
    pub(crate) fn take(
        &mut self,
        key: &IdempotencyKey,
        instruction: Instruction,
        due: Instant,
    ) -> Result<Echo, Refusal> {
        if self.cases.is_full() {
            return Err(Refusal::Overloaded);
        }
        let accepted = Accepted::new(key, instruction);
        let step = Step::Accepted(accepted.clone());
        self.intake.append(&step).map_err(Refusal::JournalUnwritable)?;
        let echo = Echo::from(&accepted);
        self.cases.take(accepted, due);
        Ok(echo)
    }

    /// When the next payment that was taken ends.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.cases.next_due()
    }

    /// Ends the next payment that is due by `now`, if there is one. What cannot
    /// be written down stays under way until the next start.
    pub(crate) fn end_next(
        &mut self,
        faults: &Faults,
        now: Instant,
    ) -> Option<Result<Ended, JournalError>> {
        let accepted = self.cases.pop_due(now)?;
        Some(self.end(faults, &accepted))
    }

    fn end(&mut self, faults: &Faults, accepted: &Accepted) -> Result<Ended, JournalError> {
        let key = accepted.idempotency_key.as_str();
        let transaction_id = accepted.transaction_id;
        let letter = if faults.rejects(key) {
            let rejected_at = SettledAt::now();
            self.intake.append(&Step::Rejected { transaction_id, rejected_at })?;
            self.cases.rejected(key, rejected_at);
            Letter::rejected(accepted, rejected_at)
        } else {
            let record = Record::of(accepted);
            self.enter(&record, key.into())?;
            self.cases.settled(key);
            Letter::settled(accepted, record.entry.settled_at)
        };
        if faults.loses_callback(key) {
            self.close(transaction_id)?;
            return Ok(Ended::Unheard);
        }
        Ok(Ended::Told(letter))
    }

    /// Notes that nothing more is sent of this payment.
    pub(crate) fn close(&mut self, transaction_id: Uuid) -> Result<(), JournalError> {
        self.intake.append(&Step::Closed { transaction_id })
    }

    fn enter(
        &mut self,
        record: &Record,
        key: Box<str>,
    ) -> Result<(Settlement, Remembered), JournalError> {
        self.journal.append(record)?;
        self.settled += 1;
        let known = Known::of(record);
        let settlement = known.settlement(&key);
        let remembered = self.keys.remember(key, known);
        Ok((settlement, remembered))
    }
}

/// A payment that has ended, and how the client hears of it.
#[derive(Debug)]
pub(crate) enum Ended {
    Told(Letter),
    /// The callback is lost on purpose.
    Unheard,
}

impl Asynchronous {
    /// When a payment that is taken now ends.
    pub(crate) fn due(&self, faults: &Faults) -> Instant {
        Instant::now() + self.delay + faults.latency
    }
}
