//! How a claimed payment may go on: pure. What was submitted before may have happened, so it
//! is asked for before it is submitted again, and never submitted once the transaction
//! service may have forgotten its key.

use std::time::Duration;

use jiff::Timestamp;

use super::reference::fingerprint;
use super::{
    Amount, Certainty, Currency, Failure, FailureCode, NextStep, Outcome, Payment, PaymentId,
    Settlement, next_step,
};

/// Attempts at asking alone, five minutes apart in the end: more than three hours.
const QUESTIONS: u32 = 40;

/// The bounds of trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptLimits {
    /// Attempts after which a payment is submitted no more.
    pub attempts: u32,
    /// How long the transaction service remembers a key, from its settlement on.
    pub key_retention: Duration,
}

/// What is known of the attempts at a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Attempts in all, this one included (the item's `Attempts`): the fence between workers,
    /// so it never starts anew.
    pub number: u32,
    /// Attempts before its last replay, which do not count against the limit.
    pub before_replay: u32,
    /// Attempts since then that did nothing, for certain: they do not count against it either.
    pub not_done: u32,
    /// When it was first claimed: nothing was submitted before.
    pub claimed_at: Timestamp,
}

impl Attempt {
    /// Attempts since its last replay: the pause before the next one grows with them.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.number.saturating_sub(self.before_replay)
    }

    /// Attempts that count against the limit: those that may have done something.
    #[must_use]
    pub fn counted(&self) -> u32 {
        self.tries().saturating_sub(self.not_done)
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self { number: self.number.saturating_add(1), ..self }
    }
}

/// What a worker may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Nothing was submitted yet: submit it.
    Submit,
    /// It may have been submitted: ask, and submit it if nothing is known of it.
    AskFirst,
    /// Ask, and give it up if nothing is known of it.
    AskOnly(GivenUp),
    /// Do not even ask any more: asking may be what kills the workers.
    GiveUp,
}

/// Why a payment is given up that nobody refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// Attempted too often. Nothing was settled under its key so far.
    Exhausted,
    /// It may have been settled, and nobody can say.
    Unknown,
    /// The table holds another instruction than the one that was submitted: a person has to
    /// decide. Nothing was settled under its key so far.
    Disputed,
}

impl GivenUp {
    /// As it is written on the item and in the dead letter.
    #[must_use]
    pub fn failure(self) -> Failure {
        match self {
            Self::Exhausted => Failure::new(
                FailureCode::Exhausted,
                "too many attempts; nothing was settled under its key so far",
            ),
            Self::Unknown => Failure::new(
                FailureCode::Unknown,
                "it may have been settled, and asking can no longer tell",
            ),
            Self::Disputed => Failure::new(
                FailureCode::Mismatch,
                "the table holds another amount, currency, beneficiary or blob than the message \
                 of this payment, which is PENDING; nothing was settled under its key so far",
            ),
        }
    }
}

impl AttemptLimits {
    /// What may be done at `now`.
    ///
    /// The first attempt is the claim's own, so nothing was submitted before it. Asking ends
    /// too, after 40 attempts more.
    #[must_use]
    pub fn course(&self, attempt: Attempt, now: Timestamp) -> Course {
        if attempt.counted() > self.attempts.saturating_add(QUESTIONS) {
            Course::GiveUp
        } else if !self.remembers(attempt.claimed_at, now) {
            Course::AskOnly(GivenUp::Unknown)
        } else if attempt.counted() > self.attempts {
            Course::AskOnly(GivenUp::Exhausted)
        } else if attempt.number <= 1 {
            Course::Submit
        } else {
            Course::AskFirst
        }
    }

    /// Whether the transaction service surely remembers at `now` what it settled for a
    /// payment that was first claimed at `claimed_at`. A quarter of the retention is set aside
    /// for clocks that differ, and for a submission that is stopped on its way.
    #[must_use]
    pub fn remembers(&self, claimed_at: Timestamp, now: Timestamp) -> bool {
        let age = Duration::try_from(now.duration_since(claimed_at)).unwrap_or_default();
        age < self.key_retention / 4 * 3
    }
}

/// What the transaction service is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The key.
    pub key: PaymentId,
    /// What a settlement under it must be of; `None` for a key that nobody has.
    pub money: Option<(Amount, Currency)>,
    /// Which item asks ([`super::PaymentRef::fingerprint`]): two may have one id.
    pub item: u64,
}

impl Asked {
    /// A key that nobody has: whether the service answers at all.
    #[must_use]
    pub fn nobody() -> Self {
        Self { key: PaymentId::generate(), money: None, item: 0 }
    }
}

impl From<&Payment> for Asked {
    fn from(payment: &Payment) -> Self {
        let item = fingerprint(&payment.account, payment.due, payment.id);
        Self { key: payment.id, money: Some((payment.amount, payment.currency)), item }
    }
}

/// What the transaction service says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Settled.
    Settled(Settlement),
    /// Taken for later settlement, and not ended.
    UnderWay,
    /// Taken, and then refused for good.
    Rejected {
        /// The service's words.
        reason: String,
    },
    /// Nothing was settled under it so far.
    Nothing,
    /// No answer that says anything.
    NoAnswer {
        /// The service's hint, as sent.
        retry_after: Option<Duration>,
        /// What was seen.
        reason: String,
    },
}

/// What follows from having asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterAsking {
    /// Submit it (again, under the same key).
    Submit,
    /// The question is answered.
    Step(NextStep),
}

/// What follows from the answer on a payment whose course was to ask. With `give_up` it fails
/// if nothing is known of it; without, it is submitted.
#[must_use]
pub fn after_asking(found: Found, give_up: Option<GivenUp>, tries: u32) -> AfterAsking {
    let step = match (found, give_up) {
        (Found::Nothing, None) => return AfterAsking::Submit,
        (Found::Nothing, Some(given_up)) => NextStep::Fail(given_up.failure()),
        (Found::Settled(settlement), _) => NextStep::Confirm(settlement),
        (Found::UnderWay, _) => NextStep::Await,
        (Found::Rejected { reason }, _) => {
            NextStep::Fail(Failure::new(FailureCode::Refused, reason))
        }
        (Found::NoAnswer { retry_after, reason }, _) => {
            let certainty = Certainty::Uncertain;
            next_step(Outcome::NotDone { certainty, retry_after, reason }, tries)
        }
    };
    AfterAsking::Step(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AttemptLimits =
        AttemptLimits { attempts: 20, key_retention: Duration::from_secs(86_400) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_392_000 + seconds).unwrap()
    }

    fn course(number: u32, now: i64) -> Course {
        LIMITS.course(Attempt { number, before_replay: 0, not_done: 0, claimed_at: at(0) }, at(now))
    }

    #[test]
    fn only_the_first_attempt_is_submitted_without_asking() {
        assert_eq!(course(1, 0), Course::Submit);
        assert_eq!(course(2, 0), Course::AskFirst);
        assert_eq!(course(20, 0), Course::AskFirst);
    }

    #[test]
    fn nothing_is_submitted_once_the_key_may_be_forgotten() {
        let last = 86_400 / 4 * 3;
        for number in [1, 2, 20, 21] {
            assert_ne!(course(number, last - 1), Course::AskOnly(GivenUp::Unknown));
            assert_eq!(course(number, last), Course::AskOnly(GivenUp::Unknown));
        }
    }

    #[test]
    fn attempts_are_bounded_and_so_is_asking() {
        assert_eq!(course(21, 0), Course::AskOnly(GivenUp::Exhausted));
        assert_eq!(course(60, 0), Course::AskOnly(GivenUp::Exhausted));
        assert_eq!(course(61, 0), Course::GiveUp);
    }

    #[test]
    fn a_replay_grants_new_attempts_but_never_one_without_asking() {
        let attempt = Attempt { number: 21, before_replay: 20, not_done: 0, claimed_at: at(0) };
        assert_eq!(LIMITS.course(attempt, at(0)), Course::AskFirst);
        let attempt = Attempt { number: 41, ..attempt };
        assert_eq!(LIMITS.course(attempt, at(0)), Course::AskOnly(GivenUp::Exhausted));
    }

    #[test]
    fn what_was_certainly_not_done_exhausts_no_payment_while_its_key_is_young() {
        let attempt = Attempt { number: 200, before_replay: 0, not_done: 199, claimed_at: at(0) };
        assert_eq!(LIMITS.course(attempt, at(64_000)), Course::AskFirst);
        let counted = Attempt { not_done: 179, ..attempt };
        assert_eq!(LIMITS.course(counted, at(0)), Course::AskOnly(GivenUp::Exhausted));
        let old = Course::AskOnly(GivenUp::Unknown);
        assert_eq!(LIMITS.course(attempt, at(86_400 / 4 * 3)), old);
        assert_eq!(attempt.tries(), 200, "the pause grows all the same");
    }

    #[test]
    fn a_clock_that_went_back_does_not_make_a_key_older() {
        assert_eq!(course(2, -3_600), Course::AskFirst);
    }

    #[test]
    fn a_service_that_does_not_answer_fails_no_payment() {
        for give_up in [None, Some(GivenUp::Exhausted), Some(GivenUp::Unknown)] {
            let found = Found::NoAnswer { retry_after: None, reason: "503".to_owned() };
            let after = after_asking(found, give_up, 3);
            assert!(matches!(after, AfterAsking::Step(NextStep::Redeliver(_))), "{after:?}");
        }
    }

    #[test]
    fn what_was_settled_is_confirmed_however_late() {
        let settlement = Settlement { transaction_id: "T1".to_owned(), settled_at: at(0) };
        let found = Found::Settled(settlement.clone());
        let after = after_asking(found, Some(GivenUp::Unknown), 99);
        assert_eq!(after, AfterAsking::Step(NextStep::Confirm(settlement)));
    }
}
