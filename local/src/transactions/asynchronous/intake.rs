//! The file of what was taken with 202, and what a start recalls from it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use tokio::time::Instant;
use uuid::Uuid;

use super::{Accepted, Cases, Letter, Step};
use crate::transactions::journal_reader::JournalError;
use crate::transactions::{answer::SettledAt, entry::Record, journal::Journal};

/// An append-only file beside the journal (`journal.accepted.jsonl` beside
/// `journal.jsonl`), made when the first payment is taken.
#[derive(Debug)]
pub(crate) struct Intake {
    path: PathBuf,
    file: Option<Journal>,
}

impl Intake {
    /// Opens the intake beside `journal`, if there is one, and reads it back. A
    /// torn last line was never answered and is cut off.
    pub(crate) fn open(journal: &Path) -> Result<(Self, Recall), JournalError> {
        let path = journal.with_extension("accepted.jsonl");
        let mut recall = Recall::default();
        if !path.exists() {
            return Ok((Self { path, file: None }, recall));
        }
        let (file, torn) = Journal::open(&path, |step| recall.step(step))?;
        if let Some(torn) = torn {
            let bytes = torn.text.len();
            tracing::warn!(intake = %path.display(), line = torn.line, bytes, "cut off a torn line");
        }
        Ok((Self { path, file: Some(file) }, recall))
    }

    /// Writes one step down.
    pub(crate) fn append(&mut self, step: &Step) -> Result<(), JournalError> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(Journal::open(&self.path, |_: Step| {})?.0),
        };
        file.append(step)
    }
}

/// What is recalled at a start, the intake first and then the journal. It holds
/// no more than what was under way or not yet received, and the rejections.
#[derive(Debug, Default)]
pub(crate) struct Recall {
    owed: HashMap<Uuid, (Accepted, Standing)>,
    rejected: HashMap<Uuid, (Accepted, SettledAt)>,
}

/// Where a payment stood when the service ended.
#[derive(Debug)]
enum Standing {
    UnderWay,
    Settled(SettledAt),
    Rejected(SettledAt),
}

impl Recall {
    fn step(&mut self, step: Step) {
        match step {
            Step::Accepted(accepted) => {
                self.owed.insert(accepted.transaction_id, (accepted, Standing::UnderWay));
            }
            Step::Rejected { transaction_id, rejected_at } => {
                if let Some((accepted, standing)) = self.owed.get_mut(&transaction_id) {
                    *standing = Standing::Rejected(rejected_at);
                    self.rejected.insert(transaction_id, (accepted.clone(), rejected_at));
                }
            }
            Step::Closed { transaction_id } => {
                self.owed.remove(&transaction_id);
            }
        }
    }

    /// Takes note of a line of the journal.
    pub(crate) fn settled(&mut self, record: &Record) {
        if let Some((_, standing)) = self.owed.get_mut(&record.entry.transaction_id) {
            *standing = Standing::Settled(record.entry.settled_at);
        }
    }

    /// What is to go on: payments under way end at `due`, and the letters are
    /// those that nobody has received yet, oldest first.
    pub(crate) fn finish(self, due: Instant) -> (Cases, Vec<Letter>) {
        let mut cases = Cases::default();
        let mut rejected: Vec<_> = self.rejected.into_iter().collect();
        rejected.sort_unstable_by_key(|(transaction_id, _)| *transaction_id);
        for (_, (accepted, at)) in rejected {
            cases.recall_rejected(&accepted, at);
        }
        let mut owed: Vec<_> = self.owed.into_iter().collect();
        owed.sort_unstable_by_key(|(transaction_id, _)| *transaction_id);
        let mut letters = Vec::new();
        for (_, (accepted, standing)) in owed {
            match standing {
                Standing::UnderWay => cases.take(accepted, due),
                Standing::Settled(at) => letters.push(Letter::settled(&accepted, at)),
                Standing::Rejected(at) => letters.push(Letter::rejected(&accepted, at)),
            }
        }
        (cases, letters)
    }
}
