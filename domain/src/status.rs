//! The statuses of a payment and the one function that decides how they change.

use std::fmt;
use std::str::FromStr;

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waits for its day, or for a dispatcher.
    Scheduled,
    /// Claimed by a dispatcher: it may have reached the transaction service.
    Pending,
    /// Settled; the transaction id is on the item.
    Processed,
    /// Could not be paid; in the dead-letter queue with a reason.
    Failed,
    /// Ended without payment, by its owner or an operator.
    Cancelled,
}

/// What happens to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A dispatcher takes it to submit it.
    Claim,
    /// A dispatcher takes it up again, after one before it did not finish.
    Resume,
    /// The transaction service settled it.
    Settle,
    /// It cannot be paid.
    Fail,
    /// An operator sends a failed payment again.
    Replay,
    /// An operator gives a failed payment up.
    Discard,
    /// Its owner withdraws it before it is due.
    Cancel,
    /// It must not be paid before a person has decided, and is not claimed.
    Withhold,
    /// Its last attempt did nothing, for certain: it stays PENDING.
    NotDone,
    /// The dead letter of its failure is in the dead-letter queue: it stays FAILED.
    DeadLetter,
}

/// An event that the status does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payment that is {from} cannot take the event {event:?}")]
pub struct TransitionRefused {
    /// The status it was in.
    pub from: Status,
    /// What was asked.
    pub event: Event,
}

/// The status that `event` leads to (INV-9: every change of status in the product is this
/// function's, written by one conditional update).
///
/// # Errors
/// [`TransitionRefused`] when the status does not allow the event.
pub fn transition(from: Status, event: Event) -> Result<Status, TransitionRefused> {
    use Event::{
        Cancel, Claim, DeadLetter, Discard, Fail, NotDone, Replay, Resume, Settle, Withhold,
    };
    use Status::{Cancelled, Failed, Pending, Processed, Scheduled};
    match (from, event) {
        (Scheduled, Claim) | (Pending, Resume | NotDone) => Ok(Pending),
        (Pending, Settle) => Ok(Processed),
        (Pending, Fail) | (Scheduled, Withhold) | (Failed, DeadLetter) => Ok(Failed),
        (Failed, Replay) => Ok(Scheduled),
        (Failed, Discard) | (Scheduled, Cancel) => Ok(Cancelled),
        (Scheduled, Resume | Settle | Fail | Replay | Discard | NotDone | DeadLetter)
        | (Pending, Claim | Replay | Discard | Cancel | Withhold | DeadLetter)
        | (
            Processed | Cancelled,
            Claim | Resume | Settle | Fail | Replay | Discard | Cancel | Withhold | NotDone
            | DeadLetter,
        )
        | (Failed, Claim | Resume | Settle | Fail | Cancel | Withhold | NotDone) => {
            Err(TransitionRefused { from, event })
        }
    }
}

impl Status {
    /// Every status, in the order of a payment's life.
    pub const ALL: [Self; 5] =
        [Self::Scheduled, Self::Pending, Self::Processed, Self::Failed, Self::Cancelled];

    /// The name stored in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Pending => "PENDING",
            Self::Processed => "PROCESSED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl Event {
    /// The one status from which this event leads on, and the status it leads to.
    ///
    /// Written as a search over [`transition`], so that the conditions of the table's
    /// updates cannot disagree with it.
    #[must_use]
    pub fn edge(self) -> (Status, Status) {
        let mut edges = Status::ALL
            .into_iter()
            .filter_map(|from| transition(from, self).ok().map(|to| (from, to)));
        match (edges.next(), edges.next()) {
            (Some(edge), None) => edge,
            (None, _) | (Some(_), Some(_)) => unreachable!("each event leaves exactly one status"),
        }
    }
}

/// A text that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a status (SCHEDULED, PENDING, PROCESSED, FAILED, CANCELLED)")]
pub struct StatusError {
    text: String,
}

impl FromStr for Status {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| StatusError { text: text.to_owned() })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn each_event_leaves_exactly_one_status() {
        for event in EVENTS {
            let (from, to) = event.edge();
            assert_eq!(transition(from, event), Ok(to));
        }
    }

    #[test]
    fn nothing_leaves_processed_or_cancelled() {
        for event in EVENTS {
            assert!(transition(Status::Processed, event).is_err());
            assert!(transition(Status::Cancelled, event).is_err());
        }
    }

    #[test]
    fn a_payment_is_processed_only_from_pending() {
        let sources: Vec<_> = Status::ALL
            .into_iter()
            .flat_map(|from| EVENTS.map(|event| (from, transition(from, event))))
            .filter(|(_, to)| *to == Ok(Status::Processed))
            .map(|(from, _)| from)
            .collect();
        assert_eq!(sources, [Status::Pending]);
    }

    #[test]
    fn names_read_back() {
        for status in Status::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        assert!("scheduled".parse::<Status>().is_err());
    }
}
