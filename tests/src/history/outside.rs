//! What comes from outside: other writers of the table, answers of the transaction service or of
//! a gateway, clocks. Each rule is an invariant of ARCHITECTURE.md.

use std::collections::{HashMap, HashSet};

use domain::{DueDate, FailureCode, Status};
use jiff::tz::{Offset, TimeZone};

use super::evidence::{Change, Evidence, Settled};
use super::findings::{Findings, Violation};

/// Where each day begins first.
const FIRST_OFFSET_HOURS: i8 = 14;

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    early(evidence, findings);
    unapproved(evidence, findings);
    undecided(evidence, findings);
    uncertain(evidence, findings);
    out_of_sight(evidence, findings);
}

/// Payments that another program has written over or deleted.
pub(super) fn touched(evidence: &Evidence) -> HashSet<&str> {
    let places = evidence.foreign.iter().filter_map(|place| evidence.stream.get(*place));
    places.map(|change| change.payment.as_str()).collect()
}

/// Payments that another program has deleted, and nobody has put again.
pub(super) fn removed(evidence: &Evidence) -> HashSet<&str> {
    let touched = touched(evidence);
    let mut last: HashMap<&str, bool> = HashMap::new();
    for change in &evidence.stream {
        last.insert(&change.payment, change.status.is_none());
    }
    let gone = last.into_iter().filter(|(payment, gone)| *gone && touched.contains(payment));
    gone.map(|(payment, _)| payment).collect()
}

/// Every change of each payment, with its place in the stream.
fn lives(evidence: &Evidence) -> HashMap<&str, Vec<(usize, &Change)>> {
    let mut lives: HashMap<&str, Vec<_>> = HashMap::new();
    for (place, change) in evidence.stream.iter().enumerate() {
        lives.entry(&change.payment).or_default().push((place, change));
    }
    lives
}

/// Nothing is paid before its day has begun at the bank (INV-14).
fn early(evidence: &Evidence, findings: &mut Findings) {
    let lives = lives(evidence);
    let anywhere = TimeZone::fixed(Offset::constant(FIRST_OFFSET_HOURS));
    let zone = evidence.zone.as_ref().unwrap_or(&anywhere);
    for Settled { key, at, .. } in &evidence.journal {
        let due = lives.get(key.as_str()).and_then(|changes| changes[0].1.due);
        let (Some(at), Some(due)) = (*at, due) else { continue };
        if DueDate::today(at, zone) < due {
            findings.found(Violation::PaidEarly, || format!("{key} of {due} was paid at {at}"));
        }
    }
}

/// Whether a person sends a payment again: a replay leaves its attempts above zero.
fn is_replay(before: &Change, after: &Change) -> bool {
    before.status == Some(Status::Failed)
        && after.status == Some(Status::Scheduled)
        && after.attempts.is_none_or(|attempts| attempts > 0)
}

/// Money moves for the version of a payment that was inserted, or for one that a person has
/// replayed, and never for what another program made of it.
fn unapproved(evidence: &Evidence, findings: &mut Findings) {
    let touched = touched(evidence);
    let lives = lives(evidence);
    for entry in &evidence.journal {
        let Some(changes) = lives.get(entry.key.as_str()) else { continue };
        if !touched.contains(entry.key.as_str()) {
            continue;
        }
        let paid = format!("{} {} {}", entry.amount, entry.currency, entry.beneficiary);
        let replayed = changes.windows(2).filter(|pair| {
            !evidence.foreign.contains(&pair[1].0) && is_replay(pair[0].1, pair[1].1)
        });
        let mut approved = replayed.map(|pair| &pair[1].1.instruction);
        if changes[0].1.instruction != paid && !approved.any(|version| *version == paid) {
            findings.found(Violation::PaidUnapproved, || {
                format!(
                    "{} was paid as {paid}, approved was {}",
                    entry.key, changes[0].1.instruction
                )
            });
        }
    }
}

/// What is FAILED without an attempt waits for a person (INV-16).
fn undecided(evidence: &Evidence, findings: &mut Findings) {
    for changes in lives(evidence).values() {
        let mut waits = false;
        for pair in changes.windows(2) {
            let ((_, before), (place, after)) = (pair[0], pair[1]);
            if evidence.foreign.contains(&place) {
                // Whoever writes over it takes the decision away, until it is withheld again:
                // what is paid meanwhile is judged above, and the alarm is another rule's.
                waits &= after.status != Some(Status::Scheduled);
                continue;
            }
            let taken_up = matches!(after.status, Some(Status::Pending | Status::Scheduled));
            if before.status == Some(Status::Scheduled) && after.status == Some(Status::Failed) {
                waits = true;
            } else if is_replay(before, after) {
                waits = false;
            } else if waits && taken_up {
                findings.found(Violation::Undecided, || {
                    format!("{} of {} was taken up again", after.payment, after.account)
                });
            }
        }
    }
}

/// `rejected` says that nothing was settled for certain: only the contract's words say so, a
/// status and a code (INV-15).
fn uncertain(evidence: &Evidence, findings: &mut Findings) {
    for stored in &evidence.table {
        let Some(failure) = &stored.failure else { continue };
        let rejected = stored.status == Status::Failed && failure.code == FailureCode::Rejected;
        if rejected && !has_code(&failure.reason) {
            findings.found(Violation::RejectedUncertain, || {
                format!("{}: {}", stored.payment.reference(), failure.reason)
            });
        }
    }
}

/// Whether words are those of the contract: `422 limit: daily limit reached`.
fn has_code(reason: &str) -> bool {
    let Some((status, rest)) = reason.split_once(' ') else { return false };
    let Some((code, _)) = rest.split_once(':') else { return false };
    status.len() == 3
        && status.bytes().all(|byte| byte.is_ascii_digit())
        && !code.is_empty()
        && code
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// What has not ended has a message, is found by a scan, or has a dead letter (INV-17).
fn out_of_sight(evidence: &Evidence, findings: &mut Findings) {
    let told: HashSet<_> = evidence.letters.iter().filter_map(|letter| letter.payment).collect();
    for stored in &evidence.table {
        let id = stored.payment.id.to_string();
        let open = matches!(stored.status, Status::Scheduled | Status::Pending);
        let seen = !evidence.hidden.contains(&id)
            || evidence.queued.contains(&id)
            || told.contains(&stored.payment.id);
        if open && !seen {
            findings.found(Violation::OutOfSight, || {
                format!("{} is {}", stored.payment.reference(), stored.status)
            });
        }
    }
    let lives = lives(evidence);
    for payment in removed(evidence) {
        let ended = lives[payment].iter().rev().find_map(|(_, change)| change.status);
        let open = matches!(ended, Some(Status::Scheduled | Status::Pending));
        let told =
            told.iter().any(|id| id.to_string() == payment) || evidence.alarms.contains(payment);
        if open && !told {
            findings.found(Violation::OutOfSight, || format!("{payment} was deleted"));
        }
    }
}
