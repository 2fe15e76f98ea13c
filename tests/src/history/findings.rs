//! What was found wrong, and how it is shown.

use std::collections::BTreeMap;
use std::fmt;

use domain::Status;

/// Examples kept of each kind of violation.
const EXAMPLES: usize = 5;

/// A rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// Money moved more than once under one key.
    SettledTwice,
    /// Money moved under a key that is no payment's id.
    SettledUnderAnotherKey,
    /// Money moved with another amount, currency, beneficiary or account than the table holds.
    SettledOtherwise,
    /// PROCESSED, but the journal has no such transaction.
    ProcessedWithoutSettlement,
    /// Settled, but FAILED or CANCELLED, and nothing says so: neither does its failure say that
    /// the outcome is unknown, nor does a letter say that a settlement came all the same.
    SettledButNotProcessed,
    /// SCHEDULED or PENDING when everything should have ended.
    NotEnded,
    /// SCHEDULED or PENDING, and no message will ever move it on.
    Stranded,
    /// The first record of a payment is not its insertion as SCHEDULED.
    NotBornScheduled,
    /// A change of status that `transition` does not allow.
    ForbiddenChange,
    /// Amount, currency, beneficiary or a transaction id was overwritten.
    Overwritten,
    /// An item was removed.
    Removed,
    /// The table holds something else than the last record of the stream.
    StreamDisagrees,
    /// Settled before a payment of the same account that was due before it.
    OutOfOrder,
    /// FAILED without a dead letter.
    FailedWithoutDeadLetter,
    /// A dead letter of a payment that neither FAILED nor was PROCESSED later.
    DeadLetterWithoutFailure,
    /// SQS gave a message up by itself.
    GivenUpByQueue,
    /// Money moved before the payment's day had begun at the bank.
    PaidEarly,
    /// Money moved for a version of a payment that was neither inserted first nor approved by a
    /// person who replayed it.
    PaidUnapproved,
    /// What a person has to decide was taken up again before a person had decided.
    Undecided,
    /// Certainly rejected, though the transaction service did not say so in the contract's words.
    RejectedUncertain,
    /// It has not ended, no queue holds a message of it, no scan finds it, and no dead letter
    /// tells of it.
    OutOfSight,
    /// Payments that were inserted are nowhere, or some are there that nobody inserted.
    Residue,
}

/// Where the inserted payments are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// As their writer counted them.
    pub inserted: u64,
    /// SCHEDULED without a message.
    pub scheduled: u64,
    /// SCHEDULED with a message.
    pub queued: u64,
    /// PENDING.
    pub pending: u64,
    /// PROCESSED.
    pub processed: u64,
    /// FAILED.
    pub failed: u64,
    /// CANCELLED.
    pub cancelled: u64,
    /// Deleted by another program.
    pub removed: u64,
}

impl Balance {
    /// inserted − (scheduled + queued + pending + processed + failed + cancelled). Zero, or
    /// payments were lost (above) or made up (below).
    #[must_use]
    pub fn residue(&self) -> i128 {
        let found = [
            self.scheduled,
            self.queued,
            self.pending,
            self.processed,
            self.failed,
            self.cancelled,
            self.removed,
        ];
        i128::from(self.inserted) - found.into_iter().map(i128::from).sum::<i128>()
    }

    pub(super) fn enter(&mut self, status: Status, queued: super::check::Queued) {
        use super::check::Queued;
        match (status, queued) {
            (Status::Scheduled, Queued::Yes) => self.queued += 1,
            (Status::Scheduled, Queued::No) => self.scheduled += 1,
            (Status::Pending, _) => self.pending += 1,
            (Status::Processed, _) => self.processed += 1,
            (Status::Failed, _) => self.failed += 1,
            (Status::Cancelled, _) => self.cancelled += 1,
        }
    }
}

/// The verdict on a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Where the payments are.
    pub balance: Balance,
    /// Settlements in the journal.
    pub settlements: u64,
    /// Records of the stream.
    pub changes: u64,
    /// Dead letters.
    pub letters: u64,
    /// Pairs of payments of one account whose order was compared.
    pub compared: u64,
    /// Settled and not PROCESSED, and an operator is told.
    pub noticed: u64,
    /// Dead letters by their codes.
    pub codes: BTreeMap<String, u64>,
    pub(super) violations: BTreeMap<Violation, (u64, Vec<String>)>,
}

impl Findings {
    pub(super) fn found(&mut self, violation: Violation, example: impl FnOnce() -> String) {
        let (count, examples) = self.violations.entry(violation).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(example());
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// How often a rule was broken.
    #[must_use]
    pub fn count(&self, violation: Violation) -> u64 {
        self.violations.get(&violation).map_or(0, |(count, _)| *count)
    }

    /// How often any rule was broken.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.violations.values().map(|(count, _)| count).sum()
    }

    /// The rules that were broken.
    pub fn kinds(&self) -> impl Iterator<Item = Violation> + '_ {
        self.violations.keys().copied()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Balance { inserted, scheduled, queued, pending, processed, failed, .. } = self.balance;
        let Balance { cancelled, removed, .. } = self.balance;
        writeln!(
            f,
            "inserted {inserted} = scheduled {scheduled} + queued {queued} + pending {pending} \
             + processed {processed} + failed {failed} + cancelled {cancelled} + removed \
             {removed}, residue {}",
            self.balance.residue()
        )?;
        write!(
            f,
            "{} settlements, {} changes, {} dead letters {:?}, {} settled without PROCESSED and \
             noticed, {} pairs in order compared: {} violations",
            self.settlements,
            self.changes,
            self.letters,
            self.codes,
            self.noticed,
            self.compared,
            self.total()
        )?;
        for (violation, (count, examples)) in &self.violations {
            write!(f, "\n{violation:?}: {count}")?;
            for example in examples {
                write!(f, "\n    {example}")?;
            }
        }
        Ok(())
    }
}
