//! The proofs. Pure: what was read goes in, what is wrong comes out.

use std::collections::{HashMap, HashSet};

use domain::{FailureCode, Status};
use shared::payments::StoredPayment;

use super::evidence::{Evidence, Settled};
use super::findings::{Findings, Violation};
use super::{life, order, outside};

/// When the evidence was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// In the middle of a run: payments may be open.
    Open,
    /// At its end: all payments that are due have ended.
    Ended,
}

/// Whether the payments queue holds a message of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queued {
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// Failure codes that say that nobody knows whether money moved.
const OUTCOME_UNKNOWN: [FailureCode; 2] = [FailureCode::Unknown, FailureCode::Exhausted];
/// The code of a letter about a settlement that the table contradicts.
const CONFLICT: &str = "conflict";

/// Judges a run by its evidence.
#[must_use]
pub fn check(evidence: &Evidence, expect: Expect) -> Findings {
    let mut findings = Findings {
        settlements: evidence.journal.len() as u64,
        changes: evidence.stream.len() as u64,
        letters: evidence.letters.len() as u64,
        ..Findings::default()
    };
    let mut settled: HashMap<&str, Vec<&Settled>> = HashMap::new();
    for entry in &evidence.journal {
        settled.entry(&entry.key).or_default().push(entry);
    }
    for (key, entries) in &settled {
        if entries.len() > 1 {
            findings.found(Violation::SettledTwice, || {
                format!("{key} of {} was settled {} times", entries[0].account, entries.len())
            });
        }
    }
    table(evidence, expect, settled, &mut findings);
    stream(evidence, &mut findings);
    letters(evidence, &mut findings);
    order::check(evidence, &mut findings);
    outside::check(evidence, &mut findings);
    findings
}

/// Each payment of the table against the journal, and what the journal has beyond them.
fn table(
    evidence: &Evidence,
    expect: Expect,
    mut settled: HashMap<&str, Vec<&Settled>>,
    findings: &mut Findings,
) {
    findings.balance.inserted = evidence.inserted;
    let conflicts = evidence.letters.iter().filter(|letter| letter.code == CONFLICT);
    let conflicts: HashSet<_> = conflicts.filter_map(|letter| letter.payment).collect();
    let told: HashSet<_> = evidence.letters.iter().filter_map(|letter| letter.payment).collect();
    let (touched, removed) = (outside::touched(evidence), outside::removed(evidence));
    findings.balance.removed = removed.len() as u64;
    for stored in &evidence.table {
        let id = stored.payment.id.to_string();
        let queued = if evidence.queued.contains(&id) { Queued::Yes } else { Queued::No };
        findings.balance.enter(stored.status, queued);
        let entries = settled.remove(id.as_str()).unwrap_or_default();
        let untouched = entries.iter().filter(|_| !touched.contains(id.as_str()));
        for entry in untouched.filter(|entry| !same_instruction(stored, entry)) {
            findings.found(Violation::SettledOtherwise, || {
                format!("{} was settled as {entry:?}", stored.payment.reference())
            });
        }
        match stored.status {
            Status::Processed => processed(stored, &entries, findings),
            // What another program has written over is for a person, who has been told.
            _ if touched.contains(id.as_str()) && told.contains(&stored.payment.id) => {
                findings.noticed += u64::from(!entries.is_empty());
            }
            Status::Failed | Status::Cancelled if !entries.is_empty() => {
                let code = stored.failure.as_ref().map(|failure| failure.code);
                let unknown = code.is_some_and(|code| OUTCOME_UNKNOWN.contains(&code));
                if unknown || conflicts.contains(&stored.payment.id) {
                    findings.noticed += 1;
                } else {
                    findings.found(Violation::SettledButNotProcessed, || {
                        format!("{} ({code:?}) and settled", shown(stored))
                    });
                }
            }
            Status::Failed | Status::Cancelled => {}
            Status::Scheduled if evidence.today.is_some_and(|day| stored.payment.due > day) => {}
            Status::Scheduled | Status::Pending => match (expect, queued) {
                (Expect::Ended, Queued::Yes) => {
                    findings.found(Violation::NotEnded, || shown(stored));
                }
                (Expect::Ended, Queued::No) => {
                    findings.found(Violation::Stranded, || shown(stored));
                }
                (Expect::Open, Queued::Yes | Queued::No) => {}
            },
        }
    }
    for (key, entries) in settled.into_iter().filter(|(key, _)| !removed.contains(key)) {
        findings.found(Violation::SettledUnderAnotherKey, || {
            format!("{key} of {} is no payment of the table", entries[0].account)
        });
    }
    let residue = findings.balance.residue();
    if residue != 0 {
        findings
            .found(Violation::Residue, || format!("{residue} (above zero: lost; below: made up)"));
    }
}

fn shown(stored: &StoredPayment) -> String {
    format!("{} is {}", stored.payment.reference(), stored.status)
}

fn processed(stored: &StoredPayment, entries: &[&Settled], findings: &mut Findings) {
    let id = stored.transaction_id.as_deref();
    if !entries.iter().any(|entry| Some(entry.transaction_id.as_str()) == id) {
        findings.found(Violation::ProcessedWithoutSettlement, || {
            format!("{} with {id:?}", shown(stored))
        });
    }
}

fn same_instruction(stored: &StoredPayment, entry: &Settled) -> bool {
    let payment = &stored.payment;
    payment.amount.minor_units() == entry.amount
        && payment.currency.code() == entry.currency
        && payment.beneficiary.as_str() == entry.beneficiary
        && payment.account.as_str() == entry.account
}

/// Each payment's records, and the last of them against the table.
fn stream(evidence: &Evidence, findings: &mut Findings) {
    let mut lives: HashMap<&str, Vec<_>> = HashMap::new();
    let mut foreign: HashMap<&str, Vec<_>> = HashMap::new();
    for (place, change) in evidence.stream.iter().enumerate() {
        lives.entry(&change.payment).or_default().push(change);
        foreign.entry(&change.payment).or_default().push(evidence.foreign.contains(&place));
    }
    for (payment, changes) in &lives {
        life::check(changes, &foreign[payment], findings);
    }
    for stored in &evidence.table {
        let id = stored.payment.id.to_string();
        let last = lives.remove(id.as_str()).and_then(|changes| changes.last()?.status);
        if last != Some(stored.status) {
            findings.found(Violation::StreamDisagrees, || {
                let last = last.map_or("not there", Status::as_str);
                format!("{id} is {} in the table and {last} in the stream", stored.status)
            });
        }
    }
}

/// Dead letters against FAILED payments, both ways.
fn letters(evidence: &Evidence, findings: &mut Findings) {
    let mut dead_lettered = HashSet::new();
    for letter in &evidence.letters {
        dead_lettered.extend(letter.payment);
        *findings.codes.entry(letter.code.clone()).or_default() += 1;
        if letter.code == super::queues::REDRIVEN {
            findings.found(Violation::GivenUpByQueue, || format!("{letter:?}"));
        }
    }
    let touched = outside::touched(evidence);
    let outsiders = evidence.table.iter().map(|stored| stored.payment.id);
    let outsiders: HashSet<_> = outsiders
        .filter(|id| {
            let id = id.to_string();
            touched.contains(id.as_str()) || evidence.hidden.contains(&id)
        })
        .collect();
    for stored in &evidence.table {
        let letter = dead_lettered.remove(&stored.payment.id);
        let reference = || shown(stored);
        match (stored.status, letter) {
            (Status::Failed, false) => {
                findings.found(Violation::FailedWithoutDeadLetter, reference)
            }
            // PROCESSED later, or discarded: the letter stays until an operator takes it.
            (Status::Failed | Status::Processed | Status::Cancelled, _) => {}
            // A replay leaves its letter behind too.
            // Somebody else's doing, of which a person is told.
            (Status::Scheduled | Status::Pending, true)
                if outsiders.contains(&stored.payment.id) => {}
            (Status::Scheduled | Status::Pending, true) if !failed_before(evidence, stored) => {
                findings.found(Violation::DeadLetterWithoutFailure, reference);
            }
            (Status::Scheduled | Status::Pending, _) => {}
        }
    }
    let removed = outside::removed(evidence);
    for payment in dead_lettered.into_iter().filter(|id| !removed.contains(id.to_string().as_str()))
    {
        findings.found(Violation::DeadLetterWithoutFailure, || {
            format!("{payment} is no payment of the table")
        });
    }
}

fn failed_before(evidence: &Evidence, stored: &StoredPayment) -> bool {
    let id = stored.payment.id.to_string();
    let mut changes = evidence.stream.iter().filter(|change| change.payment == id);
    changes.any(|change| change.status == Some(Status::Failed))
}
