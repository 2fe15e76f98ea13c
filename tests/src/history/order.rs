//! The order within an account.
//!
//! Of two payments of one account the one that is due first, and of one day the one with the
//! lower id, is settled first. Compared are payments that
//!
//! - were inserted in that order too, by the stream: what is read later comes later,
//! - went straight through, that is, were never FAILED: a rejected payment holds nobody up,
//!   and a replayed one comes when its operator sends it,
//! - were not refused by SQS in a batch that took a later one of the account: what is sent
//!   again lies behind it. The fault proxy sees exactly which these are.

use std::collections::{HashMap, HashSet};

use domain::{DueDate, Status};

use super::evidence::{Change, Evidence};
use super::findings::{Findings, Violation};

/// A payment whose order is compared.
#[derive(Debug, Clone, Copy)]
struct Placed<'a> {
    id: &'a str,
    due: DueDate,
    /// Where its insertion stands in the stream.
    inserted: usize,
}

/// Compares the first settlements of each account's payments with the order that is due.
pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let placed = placed(evidence);
    let mut settled: HashMap<&str, Vec<Placed<'_>>> = HashMap::new();
    let mut seen = HashSet::new();
    for entry in &evidence.journal {
        if let Some(placed) = placed.get(entry.key.as_str())
            && seen.insert(&entry.key)
        {
            settled.entry(&entry.account).or_default().push(*placed);
        }
    }
    for (account, payments) in settled {
        for (index, later) in payments.iter().enumerate() {
            // Whatever was settled before it must not belong behind it.
            for earlier in &payments[..index] {
                findings.compared += 1;
                let belongs_first = (later.due, later.id) < (earlier.due, earlier.id);
                if belongs_first && later.inserted < earlier.inserted {
                    findings.found(Violation::OutOfOrder, || {
                        format!(
                            "{account}: {} of {} was settled before {} of {}",
                            earlier.id, earlier.due, later.id, later.due
                        )
                    });
                    break;
                }
            }
        }
    }
}

fn placed(evidence: &Evidence) -> HashMap<&str, Placed<'_>> {
    let mut placed = HashMap::new();
    let mut failed: HashSet<&str> = HashSet::new();
    for (index, Change { payment, due, status, .. }) in evidence.stream.iter().enumerate() {
        if *status == Some(Status::Failed) {
            failed.insert(payment);
        }
        if let Some(due) = *due {
            let here = Placed { id: payment.as_str(), due, inserted: index };
            placed.entry(payment.as_str()).or_insert(here);
        }
    }
    placed.retain(|id, _| !failed.contains(id) && !evidence.overtaken.contains(*id));
    placed
}
