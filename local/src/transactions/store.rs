//! The journal, what is accepted beside it, and what is remembered of both:
//! changed together or not at all.

use std::path::Path;

use tokio::time::Instant;
use uuid::Uuid;

use super::journal_reader::{JournalError, TornLine};
use super::{
    acceptance::{Acceptance, LogEntry},
    accepted_log::AcceptedLog,
    accepted_payments::{AcceptedPayment, AcceptedPayments, AcceptedStatus},
    answer::SettledBody,
    echo::Echo,
    faults::{Asynchronous, Faults},
    instruction::{IdempotencyKey, Instruction},
    journal::Journal,
    journal_entry::JournalRecord,
    refusal::Refusal,
    settled_at::SettledAt,
    settled_keys::{Insertion, SettledKey, SettledKeys},
    webhook_event::WebhookEvent,
};

/// Nothing is remembered before its line is written, so a panic cannot leave a
/// store half changed.
#[derive(Debug)]
pub(crate) struct Store {
    journal: Journal,
    accepted_log: AcceptedLog,
    keys: SettledKeys,
    accepted_payments: AcceptedPayments,
    settled: u64,
}

/// A store as it was opened.
#[derive(Debug)]
pub(crate) struct OpenedStore {
    pub(crate) store: Store,
    /// The line that was cut off the journal.
    pub(crate) torn: Option<TornLine>,
    /// Results that nobody has received yet.
    pub(crate) events: Vec<WebhookEvent>,
}

impl Store {
    /// Opens both files and recalls what is in them.
    pub(crate) fn open(path: &Path, faults: &Faults) -> Result<OpenedStore, JournalError> {
        let mut keys = SettledKeys::default();
        let mut settled = 0;
        let (accepted_log, mut replay) = AcceptedLog::open(path)?;
        let (journal, torn) = Journal::open(path, |record: JournalRecord| {
            let known = SettledKey::of(&record);
            replay.settled(&record);
            keys.forget_if(&record.entry.idempotency_key, |earlier| {
                faults.has_expired(earlier.settled_at(), || known.settled_at())
            });
            keys.remember(record.entry.idempotency_key.into(), known);
            settled += 1;
        })?;
        let (accepted_payments, events) = replay.finish(Instant::now());
        Ok(OpenedStore {
            store: Self { journal, accepted_log, keys, accepted_payments, settled },
            torn,
            events,
        })
    }

    /// Settlements in the journal.
    pub(crate) fn settled(&self) -> u64 {
        self.settled
    }

    pub(crate) fn under_way(&self) -> usize {
        self.accepted_payments.under_way()
    }

    /// What was settled under the key, unless that is forgotten.
    pub(crate) fn recall(&mut self, faults: &Faults, key: &IdempotencyKey) -> Option<SettledKey> {
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

    /// What was accepted under the key and is under way or rejected. Only a
    /// rejection can be forgotten.
    pub(crate) fn payment(
        &mut self,
        faults: &Faults,
        key: &IdempotencyKey,
    ) -> Option<&AcceptedPayment> {
        let forgotten = match self.accepted_payments.get(key.as_str())?.status {
            AcceptedStatus::UnderWay(_) => false,
            AcceptedStatus::Rejected { at, .. } => {
                faults.forget_keys || faults.has_expired(at, SettledAt::now)
            }
        };
        if forgotten {
            self.accepted_payments.forget(key.as_str());
        }
        self.accepted_payments.get(key.as_str())
    }

    /// Settles now: writes it down, then remembers it.
    pub(crate) fn settle(
        &mut self,
        key: IdempotencyKey,
        instruction: Instruction,
    ) -> Result<(SettledBody, Insertion), Refusal> {
        let record = JournalRecord::new(&key, instruction);
        self.record(&record, key.into_text()).map_err(Refusal::JournalUnwritable)
    }

    /// Accepts a payment that ends at `due`.
    pub(crate) fn accept(
        &mut self,
        key: &IdempotencyKey,
        instruction: Instruction,
        due: Instant,
    ) -> Result<Echo, Refusal> {
        if self.accepted_payments.is_full() {
            return Err(Refusal::Overloaded);
        }
        let accepted = Acceptance::new(key, instruction);
        let entry = LogEntry::Accepted(accepted.clone());
        self.accepted_log.append(&entry).map_err(Refusal::JournalUnwritable)?;
        let echo = Echo::from(&accepted);
        self.accepted_payments.accept(accepted, due);
        Ok(echo)
    }

    /// When the next payment that was accepted ends.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.accepted_payments.next_due()
    }

    /// Ends the next payment that is due by `now`, if there is one. What cannot
    /// be written down stays under way until the next start.
    pub(crate) fn end_next(
        &mut self,
        faults: &Faults,
        now: Instant,
    ) -> Option<Result<PaymentResult, JournalError>> {
        let accepted = self.accepted_payments.pop_due(now)?;
        Some(self.end(faults, &accepted))
    }

    fn end(
        &mut self,
        faults: &Faults,
        accepted: &Acceptance,
    ) -> Result<PaymentResult, JournalError> {
        let key = accepted.idempotency_key.as_str();
        let transaction_id = accepted.transaction_id;
        let event = if faults.rejects(key) {
            let rejected_at = SettledAt::now();
            self.accepted_log.append(&LogEntry::Rejected { transaction_id, rejected_at })?;
            self.accepted_payments.rejected(key, rejected_at);
            WebhookEvent::rejected(accepted, rejected_at)
        } else {
            let record = JournalRecord::of(accepted);
            self.record(&record, key.into())?;
            self.accepted_payments.settled(key);
            WebhookEvent::settled(accepted, record.entry.settled_at)
        };
        if faults.loses_callback(key) {
            self.close(transaction_id)?;
            return Ok(PaymentResult::CallbackLost);
        }
        Ok(PaymentResult::Send(event))
    }

    /// Notes that nothing more is sent of this payment.
    pub(crate) fn close(&mut self, transaction_id: Uuid) -> Result<(), JournalError> {
        self.accepted_log.append(&LogEntry::Closed { transaction_id })
    }

    fn record(
        &mut self,
        record: &JournalRecord,
        key: Box<str>,
    ) -> Result<(SettledBody, Insertion), JournalError> {
        self.journal.append(record)?;
        self.settled += 1;
        let known = SettledKey::of(record);
        let settlement = known.settlement(&key);
        let remembered = self.keys.remember(key, known);
        Ok((settlement, remembered))
    }
}

/// A payment that has ended, and how the client learns of it.
#[derive(Debug)]
pub(crate) enum PaymentResult {
    Send(WebhookEvent),
    /// The callback is lost on purpose.
    CallbackLost,
}

impl Asynchronous {
    /// When a payment that is accepted now ends.
    pub(crate) fn due(&self, faults: &Faults) -> Instant {
        Instant::now() + self.delay + faults.latency
    }
}
