//! The deduplication ids of all messages (INV-7). SQS drops a message whose id it has taken within
//! five minutes. So the id names the occasion of a message: what is sent twice on one occasion is
//! dropped, and what another occasion sends is not.

use std::fmt;

use domain::{FailureCode, Payment, PaymentId, PaymentRef, fnv1a};

/// Which dispatch of a payment a message in `payments.fifo` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// The first.
    First,
    /// Another, after so many attempts, because its message is lost.
    Again(u32),
}

/// What brought the result that a confirmation reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmationSource<'a> {
    /// The dispatcher's attempt of this number.
    Attempt(u32),
    /// The confirmer's sweep, after so many attempts.
    Sweep(u32),
    /// The callback with this webhook id.
    Callback(&'a str),
    /// The replay of the dead letter with this message id.
    Replay(&'a str),
}

/// What a dead letter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterSource<'a> {
    /// A payment's change to FAILED after so many attempts. Between two of them it is attempted or
    /// decided about, so the attempts or the code differ.
    Failed(PaymentId, u32),
    /// The queue message with this id.
    Message(&'a str),
    /// The stream record with this sequence number.
    Record(&'a str),
    /// A confirmation, by its message group, that the table contradicts for this reason. However
    /// many confirmations say the same, it is one case.
    Conflict(&'a str, &'a str),
    /// An item that breaks the contract, found by an audit after so many attempts.
    Audit(&'a PaymentRef, u32),
}

/// Where a message comes from. `Display` writes its deduplication id, at most 128 characters
/// (`SendMessage` API reference).
#[derive(Debug, Clone, Copy)]
pub enum DeduplicationId<'a> {
    /// A dispatch. Its id is that of the item, so that a record read twice within five minutes is
    /// queued once. An id that two days use is not dropped, but the transaction service refuses it.
    Dispatch(Dispatch, &'a Payment),
    /// The replay of a payment after so many attempts, from the dead letter with this message id,
    /// or from the payment with this id.
    Replay(&'a str, u32),
    /// A confirmation of a payment with this result. A second, different result must reach the
    /// confirmer, which raises it; and what one attempt sent in vain must not swallow the next
    /// one's.
    Confirmation(PaymentId, ConfirmationSource<'a>, &'a str),
    /// A dead letter with this code: a crash and a redelivery write it once.
    DeadLetter(DeadLetterSource<'a>, FailureCode),
}

impl fmt::Display for DeduplicationId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ConfirmationSource as By;
        use DeadLetterSource as Of;
        let hash = |text: &str| fnv1a(text.as_bytes());
        match *self {
            Self::Dispatch(Dispatch::First, Payment { due, id, .. }) => write!(f, "{due}-{id}"),
            Self::Dispatch(Dispatch::Again(attempts), Payment { due, id, .. }) => {
                write!(f, "{due}-{id}-again-{attempts}")
            }
            Self::Replay(source, attempts) => write!(f, "replay-{source}-{attempts}"),
            Self::Confirmation(id, By::Attempt(number), result) => {
                write!(f, "{id}-{number}-{:016x}", hash(result))
            }
            Self::Confirmation(id, By::Sweep(attempts), result) => {
                write!(f, "{id}-sweep-{attempts}-{:016x}", hash(result))
            }
            Self::Confirmation(id, By::Callback(webhook), result) => {
                write!(f, "{id}-callback-{:016x}-{:016x}", hash(webhook), hash(result))
            }
            Self::Confirmation(id, By::Replay(letter), result) => {
                write!(f, "{id}-replay-{letter}-{:016x}", hash(result))
            }
            Self::DeadLetter(Of::Failed(id, attempts), code) => {
                write!(f, "{id}-{attempts}-{code}")
            }
            Self::DeadLetter(Of::Message(id) | Of::Record(id), code) => write!(f, "{id}-{code}"),
            Self::DeadLetter(Of::Conflict(group, reason), code) => {
                write!(f, "{group}-{:016x}-{code}", hash(reason))
            }
            Self::DeadLetter(Of::Audit(PaymentRef { due, id, .. }, attempts), code) => {
                write!(f, "audit-{due}-{id}-{attempts}-{code}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::longest_payment;

    #[test]
    fn every_origin_of_a_message_has_the_id_that_it_always_had() {
        let mut payment = longest_payment();
        payment.id = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab".parse().unwrap();
        let (id, reference) = (payment.id, payment.reference());
        let (code, conflict) = (FailureCode::Exhausted, FailureCode::Conflict);
        let confirmed = |source| DeduplicationId::Confirmation(id, source, "foobar");
        let dead = |source| DeduplicationId::DeadLetter(source, code);
        let group = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
        for (origin, text) in [
            (DeduplicationId::Dispatch(Dispatch::First, &payment), "2026-11-23-ID"),
            (DeduplicationId::Dispatch(Dispatch::Again(3), &payment), "2026-11-23-ID-again-3"),
            (DeduplicationId::Replay("m-1", 4), "replay-m-1-4"),
            (confirmed(ConfirmationSource::Attempt(2)), "ID-2-85944171f73967e8"),
            (confirmed(ConfirmationSource::Sweep(2)), "ID-sweep-2-85944171f73967e8"),
            (
                confirmed(ConfirmationSource::Callback("a")),
                "ID-callback-af63dc4c8601ec8c-85944171f73967e8",
            ),
            (confirmed(ConfirmationSource::Replay("m-1")), "ID-replay-m-1-85944171f73967e8"),
            (dead(DeadLetterSource::Failed(id, 21)), "ID-21-exhausted"),
            (dead(DeadLetterSource::Message("m-1")), "m-1-exhausted"),
            (dead(DeadLetterSource::Record("0042")), "0042-exhausted"),
            (
                DeduplicationId::DeadLetter(DeadLetterSource::Conflict(group, "foobar"), conflict),
                "ID-85944171f73967e8-conflict",
            ),
            (dead(DeadLetterSource::Audit(&reference, 1)), "audit-2026-11-23-ID-1-exhausted"),
        ] {
            assert_eq!(origin.to_string(), text.replace("ID", group));
        }
    }
}
