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
pub enum AttemptPlan {
    /// Nothing was submitted yet: submit it.
    Submit,
    /// It may have been submitted: ask, and submit it if nothing is known of it.
    AskFirst,
    /// Ask, and give it up if nothing is known of it.
    AskOnly(GiveUpReason),
    /// Do not even ask any more: asking may be what kills the workers.
    GiveUp,
}

/// Why a payment is given up that nobody refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUpReason {
    /// Attempted too often. Nothing was settled under its key so far.
    Exhausted,
    /// It may have been settled, and nobody can say.
    Unknown,
    /// The table holds another instruction than the one that was submitted: a person has to
    /// decide. Nothing was settled under its key so far.
    Disputed,
}

impl GiveUpReason {
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
    pub fn plan(&self, attempt: Attempt, now: Timestamp) -> AttemptPlan {
        if attempt.counted() > self.attempts.saturating_add(QUESTIONS) {
            AttemptPlan::GiveUp
        } else if !self.remembers(attempt.claimed_at, now) {
            AttemptPlan::AskOnly(GiveUpReason::Unknown)
        } else if attempt.counted() > self.attempts {
            AttemptPlan::AskOnly(GiveUpReason::Exhausted)
        } else if attempt.number <= 1 {
            AttemptPlan::Submit
        } else {
            AttemptPlan::AskFirst
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
pub struct KeyQuery {
    /// The key.
    pub key: PaymentId,
    /// What a settlement under it must be of; `None` for a key that nobody has.
    pub money: Option<(Amount, Currency)>,
    /// Which item asks ([`super::PaymentRef::fingerprint`]): two may have one id.
    pub item: u64,
}

impl KeyQuery {
    /// A key that nobody has: whether the service answers at all.
    #[must_use]
    pub fn unknown_key() -> Self {
        Self { key: PaymentId::generate(), money: None, item: 0 }
    }
}

impl From<&Payment> for KeyQuery {
    fn from(payment: &Payment) -> Self {
        let item = fingerprint(&payment.account, payment.due, payment.id);
        Self { key: payment.id, money: Some((payment.amount, payment.currency)), item }
    }
}

/// What the transaction service says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStatus {
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
pub enum QueryDecision {
    /// Submit it (again, under the same key).
    Submit,
    /// The question is answered.
    Step(NextStep),
}

/// What follows from the answer on a payment whose plan was to ask. With `give_up` it fails
/// if nothing is known of it; without, it is submitted.
#[must_use]
pub fn after_query(found: KeyStatus, give_up: Option<GiveUpReason>, tries: u32) -> QueryDecision {
    let step = match (found, give_up) {
        (KeyStatus::Nothing, None) => return QueryDecision::Submit,
        (KeyStatus::Nothing, Some(given_up)) => NextStep::Fail(given_up.failure()),
        (KeyStatus::Settled(settlement), _) => NextStep::Confirm(settlement),
        (KeyStatus::UnderWay, _) => NextStep::Await,
        (KeyStatus::Rejected { reason }, _) => {
            NextStep::Fail(Failure::new(FailureCode::Refused, reason))
        }
        (KeyStatus::NoAnswer { retry_after, reason }, _) => {
            let certainty = Certainty::Uncertain;
            next_step(Outcome::NotDone { certainty, retry_after, reason }, tries)
        }
    };
    QueryDecision::Step(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AttemptLimits =
        AttemptLimits { attempts: 20, key_retention: Duration::from_secs(86_400) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_392_000 + seconds).unwrap()
    }

    fn plan(number: u32, now: i64) -> AttemptPlan {
        LIMITS.plan(Attempt { number, before_replay: 0, not_done: 0, claimed_at: at(0) }, at(now))
    }

    #[test]
    fn only_the_first_attempt_is_submitted_without_asking() {
        assert_eq!(plan(1, 0), AttemptPlan::Submit);
        assert_eq!(plan(2, 0), AttemptPlan::AskFirst);
        assert_eq!(plan(20, 0), AttemptPlan::AskFirst);
    }

    #[test]
    fn the_next_attempt_has_the_next_number_and_is_one_of_the_same_payment() {
        let attempt = Attempt { number: 7, before_replay: 3, not_done: 2, claimed_at: at(0) };
        assert_eq!(attempt.next(), Attempt { number: 8, ..attempt });
    }

    #[test]
    fn nothing_is_submitted_once_the_key_may_be_forgotten() {
        let last = 86_400 / 4 * 3;
        for number in [1, 2, 20, 21] {
            assert_ne!(plan(number, last - 1), AttemptPlan::AskOnly(GiveUpReason::Unknown));
            assert_eq!(plan(number, last), AttemptPlan::AskOnly(GiveUpReason::Unknown));
        }
    }

    #[test]
    fn attempts_are_bounded_and_so_is_asking() {
        assert_eq!(plan(21, 0), AttemptPlan::AskOnly(GiveUpReason::Exhausted));
        assert_eq!(plan(60, 0), AttemptPlan::AskOnly(GiveUpReason::Exhausted));
        assert_eq!(plan(61, 0), AttemptPlan::GiveUp);
    }

    #[test]
    fn a_replay_grants_new_attempts_but_never_one_without_asking() {
        let attempt = Attempt { number: 21, before_replay: 20, not_done: 0, claimed_at: at(0) };
        assert_eq!(LIMITS.plan(attempt, at(0)), AttemptPlan::AskFirst);
        let attempt = Attempt { number: 41, ..attempt };
        assert_eq!(LIMITS.plan(attempt, at(0)), AttemptPlan::AskOnly(GiveUpReason::Exhausted));
    }

    #[test]
    fn what_was_certainly_not_done_exhausts_no_payment_while_its_key_is_young() {
        let attempt = Attempt { number: 200, before_replay: 0, not_done: 199, claimed_at: at(0) };
        assert_eq!(LIMITS.plan(attempt, at(64_000)), AttemptPlan::AskFirst);
        let counted = Attempt { not_done: 179, ..attempt };
        assert_eq!(LIMITS.plan(counted, at(0)), AttemptPlan::AskOnly(GiveUpReason::Exhausted));
        let old = AttemptPlan::AskOnly(GiveUpReason::Unknown);
        assert_eq!(LIMITS.plan(attempt, at(86_400 / 4 * 3)), old);
        assert_eq!(attempt.tries(), 200, "the pause grows all the same");
    }

    #[test]
    fn a_clock_that_went_back_does_not_make_a_key_older() {
        assert_eq!(plan(2, -3_600), AttemptPlan::AskFirst);
    }

    #[test]
    fn a_service_that_does_not_answer_fails_no_payment() {
        for give_up in [None, Some(GiveUpReason::Exhausted), Some(GiveUpReason::Unknown)] {
            let found = KeyStatus::NoAnswer { retry_after: None, reason: "503".to_owned() };
            let after = after_query(found, give_up, 3);
            assert!(matches!(after, QueryDecision::Step(NextStep::Redeliver(_))), "{after:?}");
        }
    }

    #[test]
    fn what_was_settled_is_confirmed_however_late() {
        let settlement = Settlement { transaction_id: "T1".to_owned(), settled_at: at(0) };
        let found = KeyStatus::Settled(settlement.clone());
        let after = after_query(found, Some(GiveUpReason::Unknown), 99);
        assert_eq!(after, QueryDecision::Step(NextStep::Confirm(settlement)));
    }
}
