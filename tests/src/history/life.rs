//! The changes of one payment: which follow from which.

use domain::{Event, Status, transition};

use super::evidence::Change;
use super::findings::{Findings, Violation};

/// Every event.
const EVENTS: [Event; 10] = [
    Event::Claim,
    Event::Resume,
    Event::Settle,
    Event::Fail,
    Event::Replay,
    Event::Discard,
    Event::Cancel,
    Event::Withhold,
    Event::NotDone,
    Event::DeadLetter,
];

/// Whether some event leads from one status to the other. A write that changes nothing of the
/// status is allowed.
fn allowed(from: Status, to: Status) -> bool {
    from == to || EVENTS.into_iter().any(|event| transition(from, event) == Ok(to))
}

/// Checks one payment's records, in order, but for those that are `foreign`: what another
/// program wrote is not dueflow's doing.
pub(super) fn check(changes: &[&Change], foreign: &[bool], findings: &mut Findings) {
    let is_foreign = |place: usize| foreign.get(place).copied().unwrap_or_default();
    let Some(first) = changes.first() else { return };
    if first.status != Some(Status::Scheduled) && !is_foreign(0) {
        let status = shown(first.status);
        findings.found(Violation::NotBornScheduled, || {
            format!("{} of {} was inserted as {status}", first.payment, first.account)
        });
    }
    for (place, (before, after)) in changes.iter().zip(&changes[1..]).enumerate() {
        if is_foreign(place + 1) {
            continue;
        }
        match (before.status, after.status) {
            (Some(from), Some(to)) if !allowed(from, to) => {
                findings.found(Violation::ForbiddenChange, || {
                    format!("{} of {}: {from} to {to}", after.payment, after.account)
                });
            }
            (_, None) => findings.found(Violation::Removed, || {
                format!("{} of {}, {}", after.payment, after.account, shown(before.status))
            }),
            (None | Some(_), Some(_)) => {}
        }
        let lost = before.transaction_id.is_some() && before.transaction_id != after.transaction_id;
        if after.status.is_some() && (before.instruction != after.instruction || lost) {
            findings.found(Violation::Overwritten, || {
                format!(
                    "{}: {} {:?} became {} {:?}",
                    after.payment,
                    before.instruction,
                    before.transaction_id,
                    after.instruction,
                    after.transaction_id
                )
            });
        }
    }
}

fn shown(status: Option<Status>) -> &'static str {
    status.map_or("nothing", Status::as_str)
}
