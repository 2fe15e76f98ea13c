//! One attempt at one payment: may it be submitted, must it be asked for, and what came of it.

use std::sync::Arc;

use domain::{
    Attempt, AttemptLimits, AttemptPlan, Certainty, DueTiming, GiveUpReason, KeyStatus, NextStep,
    Outcome, QueryDecision, after_query, next_step,
};
use jiff::Timestamp;
use shared::clock::Clock;
use shared::payments::{Change, PaymentStore};
use shared::shutdown::Shutdown;
use shared::transaction::TransactionService;
use tokio::time::Instant;

use crate::archive_lookup::{Before, Past};
use crate::calls::answers;
use crate::calls::limiter::{Gate, Pass, Purpose, Stopped, TurnPass};
use crate::claim_result::{Verdict, judge};
use crate::events;
use crate::job::{Blob, Claim, Incomplete, Job};

/// What an attempt came to.
#[derive(Debug)]
pub(crate) enum Finding {
    /// What is to be done with the payment, by whoever made the attempt.
    Step(NextStep, Attempt),
    /// Somebody has ended it, or what the table holds contradicts the message.
    Ended(Verdict),
    /// The database could not say whether its turn may begin, or the clock what time it is.
    Undecided,
    /// Shutdown, or a stop of dispatching, came first: nothing was sent, or what came back is
    /// not to be believed.
    Stopped,
    /// The message may be somebody else's by now: whoever has it acts on it.
    Withdrawn,
    /// Its day has not begun at the bank: nothing was submitted (INV-14).
    Early(DueTiming),
}

/// Makes attempts.
#[derive(Debug, Clone)]
pub(crate) struct Attempts {
    pub(crate) store: Arc<dyn PaymentStore>,
    pub(crate) transactions: Arc<dyn TransactionService>,
    pub(crate) gate: Gate,
    pub(crate) past: Past,
    pub(crate) limits: AttemptLimits,
    pub(crate) clock: Clock,
}

impl Attempts {
    /// Begins the turn of a payment and makes one attempt at it.
    pub(crate) async fn make(&self, job: &Job, claim: Claim, shutdown: &Shutdown) -> Finding {
        // Before its turn begins, so that waiting for its blob costs no attempt.
        if job.blob == Blob::Unread {
            return Finding::Undecided;
        }
        let Some(now) = self.clock.sure() else { return Finding::Undecided };
        let timing = self.timing(job, now);
        if matches!(claim, Claim::Replayed(_)) && timing != DueTiming::Begun {
            return Finding::Early(timing);
        }
        // First, so that an archive that cannot be read costs no attempt. What it says does not
        // grow old: nobody archives a payment that is not PROCESSED.
        let before = match self.past.of_overdue(&job.payment, now).await {
            Ok(before) => before,
            Err(error) => {
                events::error("archive", &error);
                return Finding::Undecided;
            }
        };
        // The way out comes before the attempt: waiting for it costs none, however often
        // dispatching is stopped meanwhile.
        let (_turn, pass) = match claim {
            Claim::Made(_) => (None, None),
            Claim::Found(_) | Claim::Replayed(_) | Claim::Disputed(_) => {
                match self.take_turn(shutdown).await {
                    Ok((turn, pass)) => (Some(turn), Some(pass)),
                    Err(finding) => return finding,
                }
            }
        };
        let attempt = match self.begin(job, claim).await {
            Ok(attempt) => attempt,
            Err(finding) => return finding,
        };
        match before {
            Before::Nothing => self.go_on(job, attempt, now, pass, shutdown).await,
            Before::Settled(settlement) => {
                events::archived(&job.payment);
                Finding::Step(NextStep::Confirm(settlement), attempt)
            }
            Before::Contradicted(failure) => Finding::Step(NextStep::Fail(failure), attempt),
        }
    }

    /// Where the payment's day stands at the bank.
    fn timing(&self, job: &Job, now: Timestamp) -> DueTiming {
        job.payment.due.timing(now, &self.past.zone)
    }

    /// Submits, or asks first, as far as the attempt may.
    async fn go_on(
        &self,
        job: &Job,
        attempt: Attempt,
        now: Timestamp,
        pass: Option<Pass>,
        shutdown: &Shutdown,
    ) -> Finding {
        let give_up = match self.limits.plan(attempt, now) {
            AttemptPlan::GiveUp => {
                let failure = GiveUpReason::Unknown.failure();
                return Finding::Step(NextStep::Fail(failure), attempt);
            }
            AttemptPlan::Submit | AttemptPlan::AskFirst | AttemptPlan::AskOnly(_)
                if job.table.is_some() =>
            {
                Some(GiveUpReason::Disputed)
            }
            AttemptPlan::Submit => return self.submit(job, attempt, shutdown).await,
            AttemptPlan::AskFirst => None,
            AttemptPlan::AskOnly(given_up) => Some(given_up),
        };
        let pass = match pass {
            // The write before it may have taken long (INV-10).
            Some(_) if !job.received.delivery.is_held() => return Finding::Withdrawn,
            Some(pass) => pass,
            None => match self.enter(job, Purpose::Ask, shutdown).await {
                Ok(pass) => pass,
                Err(finding) => return finding,
            },
        };
        let found = self.transactions.find((&job.payment).into()).await;
        let shown = answers::of_question(&job.payment.account, &found);
        let believed = pass.ended(answers::health_of_answer(&found), shown);
        events::asked(&job.payment, &found);
        // Nothing that would fail the payment is believed then.
        let fails = answers::is_refusal_found(&found)
            || (give_up.is_some() && matches!(found, KeyStatus::Nothing));
        if believed.is_err() && fails {
            return Finding::Stopped;
        }
        // Nothing was submitted. Once it is only asked for, questions are bounded too.
        if matches!(found, KeyStatus::NoAnswer { .. }) && give_up.is_none() {
            self.not_done(job, attempt).await;
        }
        match after_query(found, give_up, attempt.tries()) {
            QueryDecision::Step(step) => Finding::Step(step, attempt),
            QueryDecision::Submit => self.submit(job, attempt, shutdown).await,
        }
    }

    /// Writes one more attempt of a payment that was attempted before, under the condition
    /// that no other worker has done so since: of two that have it, one goes on.
    async fn begin(&self, job: &Job, claim: Claim) -> Result<Attempt, Finding> {
        let payment = &job.payment;
        let (change, attempt) = match claim {
            Claim::Made(attempt) => return Ok(attempt),
            Claim::Found(before) => (Change::Resume(payment, before.number), before.next()),
            Claim::Disputed(before) => {
                let table = job.table.as_deref().unwrap_or(payment);
                (Change::Resume(table, before.number), before.next())
            }
            Claim::Replayed(before) => (Change::ClaimAgain(payment, before.number), before.next()),
        };
        if !job.received.delivery.is_held() {
            return Err(Finding::Withdrawn);
        }
        let Some(now) = self.clock.sure() else { return Err(Finding::Undecided) };
        let results = self.store.apply(&[change], now).await;
        let result = match results.map(|mut results| results.pop()) {
            Ok(Some(result)) => result,
            Ok(None) => return Err(Finding::Undecided),
            Err(error) => {
                events::error("resume", &error);
                return Err(Finding::Undecided);
            }
        };
        match judge(result, attempt) {
            Verdict::Work(Claim::Made(attempt)) => Ok(attempt),
            // Another worker has begun a turn since it was looked at.
            Verdict::Work(Claim::Found(_) | Claim::Replayed(_) | Claim::Disputed(_)) => {
                Err(Finding::Undecided)
            }
            Verdict::Retry { reason } => {
                tracing::warn!(payment_id = %payment.id, reason, "a turn could not begin");
                Err(Finding::Undecided)
            }
            ended @ (Verdict::Leftover(_)
            | Verdict::DeadLetter(_)
            | Verdict::Withhold(_)
            | Verdict::Disputed(_)
            | Verdict::Absent(_)
            | Verdict::Contradicted(_)) => Err(Finding::Ended(ended)),
        }
    }

    /// Submits, unless the wait for its turn has taken the right to.
    async fn submit(&self, job: &Job, attempt: Attempt, shutdown: &Shutdown) -> Finding {
        let payment = match job.whole() {
            Ok(payment) => payment,
            Err(Incomplete::Unread) => return Finding::Undecided,
            Err(Incomplete::Unusable(failure)) => {
                return Finding::Step(NextStep::Fail(failure), attempt);
            }
        };
        let pass = match self.enter(job, Purpose::Submit, shutdown).await {
            Ok(pass) => pass,
            Err(finding) => {
                if self.gate.is_stopped() {
                    // However often dispatching is stopped, no payment is exhausted by it.
                    self.not_done(job, attempt).await;
                }
                return finding;
            }
        };
        let Some(now) = self.clock.sure() else {
            self.not_done(job, attempt).await;
            return Finding::Undecided;
        };
        match self.timing(job, now) {
            DueTiming::Begun => {}
            early @ (DueTiming::BeginsIn(_) | DueTiming::Ahead) => return Finding::Early(early),
        }
        match self.limits.plan(attempt, now) {
            AttemptPlan::Submit | AttemptPlan::AskFirst => {}
            // The key grew old while it waited: the next delivery asks only.
            AttemptPlan::AskOnly(_) | AttemptPlan::GiveUp => return Finding::Stopped,
        }
        let asked_at = Instant::now();
        let outcome = self.transactions.submit(&payment).await;
        let shown = answers::of_submission(&job.payment.account, &outcome);
        let believed = pass.ended(answers::health(&outcome), shown);
        events::submitted(&job.payment, &outcome, asked_at.elapsed());
        if is_certainly_not_done(&outcome) {
            self.not_done(job, attempt).await;
        }
        if believed.is_err() && answers::is_refusal(&outcome) {
            // It stays PENDING: a rejection is not bound to the key, so it is asked for and
            // submitted again once dispatching goes on.
            self.not_done(job, attempt).await;
            return Finding::Stopped;
        }
        Finding::Step(next_step(outcome, attempt.tries()), attempt)
    }

    /// Notes that an attempt did nothing, for certain, so that it does not count against the
    /// limit. A note that is lost costs the payment one try.
    async fn not_done(&self, job: &Job, attempt: Attempt) {
        let reference = job.payment.reference();
        let count = attempt.not_done.saturating_add(1);
        let note = [Change::NotDone(&reference, attempt.number, count)];
        match self.store.apply(&note, self.clock.now()).await {
            Ok(results) => {
                for error in results.into_iter().filter_map(Result::err) {
                    events::error("not_done", &error);
                }
            }
            Err(error) => events::error("not_done", &error),
        }
    }

    /// Waits until a payment that was attempted before may be asked for. Whether its message is
    /// still this worker's is looked at before the write that comes next, and after it.
    async fn take_turn(&self, shutdown: &Shutdown) -> Result<(TurnPass, Pass), Finding> {
        let turn = shutdown.unless_requested(self.gate.turn()).await;
        let Some(Ok(turn)) = turn else { return Err(Finding::Stopped) };
        let pass = shutdown.unless_requested(self.gate.enter(Purpose::Ask)).await;
        let Some(Ok(pass)) = pass else { return Err(Finding::Stopped) };
        Ok((turn, pass))
    }

    /// Waits for the turn of a call; then the message must still be this worker's (INV-10).
    async fn enter(
        &self,
        job: &Job,
        purpose: Purpose,
        shutdown: &Shutdown,
    ) -> Result<Pass, Finding> {
        if shutdown.is_requested() {
            return Err(Finding::Stopped);
        }
        match shutdown.unless_requested(self.gate.enter(purpose)).await {
            None | Some(Err(Stopped)) => Err(Finding::Stopped),
            Some(_) if !job.received.delivery.is_held() => Err(Finding::Withdrawn),
            Some(Ok(pass)) => Ok(pass),
        }
    }
}

/// Whether a submission did nothing, for certain.
fn is_certainly_not_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::NotDone { certainty: Certainty::Certain, .. })
}
