//! The file of what was accepted with 202, and what a start recalls from it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use tokio::time::Instant;
use uuid::Uuid;

use super::journal_reader::JournalError;
use super::{
    acceptance::{Acceptance, LogEntry},
    accepted_payments::AcceptedPayments,
    webhook_event::WebhookEvent,
};
use super::{journal::Journal, journal_entry::JournalRecord, settled_at::SettledAt};

/// An append-only file beside the journal (`journal.accepted.jsonl` beside
/// `journal.jsonl`), made when the first payment is accepted.
#[derive(Debug)]
pub(crate) struct AcceptedLog {
    path: PathBuf,
    file: Option<Journal>,
}

impl AcceptedLog {
    /// Opens the accepted log beside `journal`, if there is one, and reads it back. A
    /// torn last line was never answered and is cut off.
    pub(crate) fn open(journal: &Path) -> Result<(Self, LogReplay), JournalError> {
        let path = journal.with_extension("accepted.jsonl");
        let mut replay = LogReplay::default();
        if !path.exists() {
            return Ok((Self { path, file: None }, replay));
        }
        let (file, torn) = Journal::open(&path, |entry| replay.apply(entry))?;
        if let Some(torn) = torn {
            let bytes = torn.text.len();
            tracing::warn!(accepted_log = %path.display(), line = torn.line, bytes, "cut off a torn line");
        }
        Ok((Self { path, file: Some(file) }, replay))
    }

    /// Appends one entry.
    pub(crate) fn append(&mut self, entry: &LogEntry) -> Result<(), JournalError> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(Journal::open(&self.path, |_: LogEntry| {})?.0),
        };
        file.append(entry)
    }
}

/// What is read back at a start, the accepted log first and then the journal. It holds
/// no more than what was under way or not yet received, and the rejections.
#[derive(Debug, Default)]
pub(crate) struct LogReplay {
    undelivered: HashMap<Uuid, (Acceptance, ReplayedStatus)>,
    rejected: HashMap<Uuid, (Acceptance, SettledAt)>,
}

/// Where a payment stood when the service ended.
#[derive(Debug)]
enum ReplayedStatus {
    UnderWay,
    Settled(SettledAt),
    Rejected(SettledAt),
}

impl LogReplay {
    fn apply(&mut self, entry: LogEntry) {
        match entry {
            LogEntry::Accepted(accepted) => {
                self.undelivered
                    .insert(accepted.transaction_id, (accepted, ReplayedStatus::UnderWay));
            }
            LogEntry::Rejected { transaction_id, rejected_at } => {
                if let Some((accepted, status)) = self.undelivered.get_mut(&transaction_id) {
                    *status = ReplayedStatus::Rejected(rejected_at);
                    self.rejected.insert(transaction_id, (accepted.clone(), rejected_at));
                }
            }
            LogEntry::Closed { transaction_id } => {
                self.undelivered.remove(&transaction_id);
            }
        }
    }

    /// Takes note of a line of the journal.
    pub(crate) fn settled(&mut self, record: &JournalRecord) {
        if let Some((_, status)) = self.undelivered.get_mut(&record.entry.transaction_id) {
            *status = ReplayedStatus::Settled(record.entry.settled_at);
        }
    }

    /// What is to go on: payments under way end at `due`, and the events are
    /// those that nobody has received yet, oldest first.
    pub(crate) fn finish(self, due: Instant) -> (AcceptedPayments, Vec<WebhookEvent>) {
        let mut accepted_payments = AcceptedPayments::default();
        let mut rejected: Vec<_> = self.rejected.into_iter().collect();
        rejected.sort_unstable_by_key(|(transaction_id, _)| *transaction_id);
        for (_, (accepted, at)) in rejected {
            accepted_payments.recall_rejected(&accepted, at);
        }
        let mut undelivered: Vec<_> = self.undelivered.into_iter().collect();
        undelivered.sort_unstable_by_key(|(transaction_id, _)| *transaction_id);
        let mut events = Vec::new();
        for (_, (accepted, status)) in undelivered {
            match status {
                ReplayedStatus::UnderWay => accepted_payments.accept(accepted, due),
                ReplayedStatus::Settled(at) => events.push(WebhookEvent::settled(&accepted, at)),
                ReplayedStatus::Rejected(at) => events.push(WebhookEvent::rejected(&accepted, at)),
            }
        }
        (accepted_payments, events)
    }
}
