//! What became of one submission to the transaction service, classed by its phase around
//! the side effect, and the one function that says what happens next.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Failure, FailureCode, RefusalCode};

/// A payment that the transaction service has settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Settlement {
    /// The id the transaction service gave.
    pub transaction_id: String,
    /// When it settled, UTC, by its own clock.
    pub settled_at: Timestamp,
}

impl Settlement {
    /// Longest transaction id that is accepted: it lies on the item.
    pub const MAX_TRANSACTION_ID_BYTES: usize = 64;

    /// A settlement, or `None` when its id is blank, too long or has control characters: it
    /// stands for the money in the bank's books, and on terminals.
    #[must_use]
    pub fn new(transaction_id: String, settled_at: Timestamp) -> Option<Self> {
        let usable = transaction_id.len() <= Self::MAX_TRANSACTION_ID_BYTES
            && !transaction_id.trim().is_empty()
            && !transaction_id.chars().any(char::is_control);
        usable.then_some(Self { transaction_id, settled_at })
    }
}

/// A settlement as a queue message has it.
#[derive(Deserialize)]
struct Unchecked {
    transaction_id: String,
    settled_at: Timestamp,
}

impl TryFrom<Unchecked> for Settlement {
    type Error = &'static str;

    fn try_from(read: Unchecked) -> Result<Self, Self::Error> {
        Self::new(read.transaction_id, read.settled_at)
            .ok_or("transaction_id: blank, too long or with control characters")
    }
}

/// What one submission came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The money moved (200, 201).
    Settled(Settlement),
    /// Taken for later settlement (202): the result comes by callback.
    Accepted,
    /// Another request under this key is under way (409): the result is not known yet.
    InProgress,
    /// Refused by decision, in the contract's words (400, 413, 422): this request moved no
    /// money, for certain.
    Rejected {
        /// The service's word for why.
        code: RefusalCode,
        /// Its words, status and code first.
        reason: String,
    },
    /// Taken before with 202 and refused since, as the service's own answer says: final.
    Refused {
        /// The service's word for why.
        code: RefusalCode,
        /// Its words, status and code first.
        reason: String,
    },
    /// Come back: too busy, or something is wrong with dueflow's address or credentials.
    NotDone {
        /// Whether this request did nothing for certain.
        certainty: Certainty,
        /// The service's hint, as sent.
        retry_after: Option<Duration>,
        /// What was said.
        reason: String,
    },
    /// It may have happened.
    Unknown {
        /// Of which kind the doubt is.
        doubt: UnknownCause,
        /// What was seen.
        reason: String,
    },
}

/// A refusal as the circuit breaker judges it: by its code, if it has the contract's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceRefusal<'a> {
    /// The service's code; `None` for a refusal without the contract's body, or with a status
    /// that the contract does not know.
    pub code: Option<&'a RefusalCode>,
    /// What was said, status first.
    pub reason: &'a str,
}

impl Outcome {
    /// The refusal that this is: certain with a code, uncertain without.
    #[must_use]
    pub fn refused(&self) -> Option<ServiceRefusal<'_>> {
        match self {
            Self::Rejected { code, reason } | Self::Refused { code, reason } => {
                Some(ServiceRefusal { code: Some(code), reason })
            }
            Self::Unknown { doubt: UnknownCause::Refusal, reason } => {
                Some(ServiceRefusal { code: None, reason })
            }
            Self::Settled(_)
            | Self::Accepted
            | Self::InProgress
            | Self::NotDone { .. }
            | Self::Unknown { .. } => None,
        }
    }
}

/// Whether a request that was turned away did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// It did nothing: it never left, or the service itself says so in the contract's body.
    Certain,
    /// Something on the way may have answered for it, and the service have settled it all the
    /// same: a gateway's bare 503 proves nothing.
    Uncertain,
}

/// Why nobody knows what became of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnknownCause {
    /// No answer, or only a part of one: timeout, broken connection.
    Lost,
    /// A status that tells nothing: 5xx, a redirect.
    Status,
    /// A refusal (4xx) that is not in the contract's words.
    Refusal,
    /// A success that is not what it should be.
    Answer,
    /// A settlement whose transaction id another payment has.
    Reused,
}

/// What to do with a payment after a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// Hand the settlement to the confirmer.
    Confirm(Settlement),
    /// The transaction service has taken it and reports the result by itself: the message
    /// has done its work. If the report never comes, the sweep for PENDING payments asks.
    Await,
    /// Mark it FAILED and dead-letter it.
    Fail(Failure),
    /// Leave it PENDING and let the queue deliver it again after this long; it is then asked
    /// for before it is submitted again.
    Redeliver(Duration),
}

/// Shortest and longest time before a payment is delivered again.
///
/// SQS counts visibility in whole seconds; five minutes keep a payment well inside the
/// mission's half hour.
const REDELIVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// What follows from an outcome. `tries` is how often this payment itself was tried, from 1;
/// the delay doubles with it. (How often its message was delivered says less: one that lies
/// behind a payment of its account that must wait is delivered with it every time.)
#[must_use]
pub fn next_step(outcome: Outcome, tries: u32) -> NextStep {
    match outcome {
        Outcome::Settled(settlement) => NextStep::Confirm(settlement),
        Outcome::Rejected { reason, .. } => {
            NextStep::Fail(Failure::new(FailureCode::Rejected, reason))
        }
        Outcome::Refused { reason, .. } => {
            NextStep::Fail(Failure::new(FailureCode::Refused, reason))
        }
        Outcome::Accepted => NextStep::Await,
        Outcome::InProgress | Outcome::Unknown { .. } => {
            NextStep::Redeliver(redelivery_pause(tries))
        }
        Outcome::NotDone { retry_after, .. } => {
            let hinted = retry_after.unwrap_or_default();
            NextStep::Redeliver(redelivery_pause(tries).max(hinted).min(REDELIVERY.1))
        }
    }
}

/// How long what was tried `tries` times without success stays away: one second, doubled each
/// time, at most five minutes.
#[must_use]
pub fn redelivery_pause(tries: u32) -> Duration {
    let doublings = tries.saturating_sub(1).min(16);
    (REDELIVERY.0 * 2_u32.pow(doublings)).min(REDELIVERY.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_done(retry_after: Option<u64>) -> Outcome {
        Outcome::NotDone {
            certainty: Certainty::Certain,
            retry_after: retry_after.map(Duration::from_secs),
            reason: "503".to_owned(),
        }
    }

    #[test]
    fn the_delay_doubles_with_each_delivery_up_to_five_minutes() {
        let delays: Vec<_> = (1..=12)
            .map(|count| match next_step(Outcome::InProgress, count) {
                NextStep::Redeliver(delay) => delay.as_secs(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn a_hint_lengthens_the_delay_but_never_beyond_the_longest() {
        assert_eq!(next_step(not_done(Some(20)), 1), NextStep::Redeliver(Duration::from_secs(20)));
        assert_eq!(next_step(not_done(Some(1)), 4), NextStep::Redeliver(Duration::from_secs(8)));
        assert_eq!(
            next_step(not_done(Some(86_400)), 1),
            NextStep::Redeliver(Duration::from_secs(300))
        );
    }

    #[test]
    fn a_refusal_is_certain_with_a_code_and_uncertain_without() {
        let codes = crate::RefusalCodes::parse("").unwrap();
        let (code, reason) = (codes.take("limit").unwrap(), "422 limit".to_owned());
        let certain = ServiceRefusal { code: Some(&code), reason: "422 limit" };
        let rejected = Outcome::Rejected { code: code.clone(), reason: reason.clone() };
        assert_eq!(rejected.refused(), Some(certain));
        let refused = Outcome::Refused { code: code.clone(), reason: reason.clone() };
        assert_eq!(refused.refused(), Some(certain));
        let uncertain = Outcome::Unknown { doubt: UnknownCause::Refusal, reason: reason.clone() };
        assert_eq!(uncertain.refused(), Some(ServiceRefusal { code: None, ..certain }));
        let lost = Outcome::Unknown { doubt: UnknownCause::Lost, reason };
        assert_eq!(lost.refused(), None);
        assert_eq!(Outcome::Accepted.refused(), None);
    }

    #[test]
    fn an_unknown_outcome_is_never_a_failure() {
        for doubt in [
            UnknownCause::Lost,
            UnknownCause::Status,
            UnknownCause::Refusal,
            UnknownCause::Answer,
            UnknownCause::Reused,
        ] {
            for count in [1, 5, 1_000, u32::MAX] {
                let step = next_step(Outcome::Unknown { doubt, reason: "x".to_owned() }, count);
                assert!(matches!(step, NextStep::Redeliver(_)));
            }
        }
    }
}
