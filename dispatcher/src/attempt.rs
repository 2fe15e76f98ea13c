//! One attempt at one payment: may it be submitted, must it be asked for, and what came of it.

use std::sync::Arc;

use domain::{
    Attempt, AttemptLimits, AttemptPlan, Failure, GiveUpReason, KeyStatus, NextStep, QueryDecision,
    after_query, next_step,
};
use jiff::Timestamp;
use shared::clock::Clock;
use shared::payments::{Change, PaymentStore};
use shared::shutdown::Shutdown;
use shared::transaction::TransactionService;
use tokio::time::Instant;

use crate::archive_lookup::{ArchiveCheck, ArchiveFinding};
use crate::calls::answers;
use crate::calls::limiter::{
    AnswerTrust, AttemptPermit, CallLimiter, CallPermit, CallPurpose, DispatchStopped,
};
use crate::claim_result::{ClaimResult, CloseReason};
use crate::early::{NotDue, check_due};
use crate::events;
use crate::job::{ClaimState, IncompletePayment, Job, PaymentBlob, Versions};

/// What an attempt came to.
#[derive(Debug)]
pub(crate) struct AttemptResult {
    pub(crate) attempt: Attempt,
    /// What is to be done with the payment.
    pub(crate) next: NextStep,
}

/// Why an attempt did not begin, or ended early.
#[derive(Debug)]
pub(crate) enum AttemptInterrupted {
    /// Another worker has ended the payment, or the table contradicts the message.
    Closed(CloseReason),
    /// The database could not say whether the attempt may begin, or the clock what time it is.
    Undecided,
    /// Shutdown, or a stop of dispatching, came first: nothing was sent, or the answer is not
    /// believed.
    Stopped,
    /// The message's visibility is lost: the worker that has the message acts on it.
    VisibilityLost,
    /// The day has not begun at the bank: nothing was submitted (INV-14).
    NotDue(NotDue),
}

impl From<DispatchStopped> for AttemptInterrupted {
    fn from(_: DispatchStopped) -> Self {
        Self::Stopped
    }
}

/// Makes attempts.
#[derive(Debug, Clone)]
pub(crate) struct AttemptRunner {
    pub(crate) store: Arc<dyn PaymentStore>,
    pub(crate) transactions: Arc<dyn TransactionService>,
    pub(crate) limiter: CallLimiter,
    pub(crate) archive: ArchiveCheck,
    pub(crate) limits: AttemptLimits,
    pub(crate) clock: Clock,
}

impl AttemptRunner {
    /// Begins the turn of a payment and makes one attempt at it.
    ///
    /// # Errors
    /// [`AttemptInterrupted`] says why there is no result.
    pub(crate) async fn run(
        &self,
        job: &Job,
        state: &ClaimState,
        shutdown: &Shutdown,
    ) -> Result<AttemptResult, AttemptInterrupted> {
        // Before its turn begins, so that waiting for its blob costs no attempt.
        if job.blob == PaymentBlob::Unread {
            return Err(AttemptInterrupted::Undecided);
        }
        let now = self.clock.sure().ok_or(AttemptInterrupted::Undecided)?;
        if matches!(state, ClaimState::Replayed(_)) {
            self.check_due(job, now)?;
        }
        // First, so that an archive that cannot be read costs no attempt. What it says does not
        // grow old: only PROCESSED payments are archived.
        let archived = match self.archive.of_overdue(&job.payment, now).await {
            Ok(archived) => archived,
            Err(error) => {
                events::error("archive", &error);
                return Err(AttemptInterrupted::Undecided);
            }
        };
        // The call's permit comes before the attempt: waiting for it costs none, however often
        // dispatching is stopped meanwhile.
        let (_turn, permit) = match state {
            ClaimState::New(_) => (None, None),
            ClaimState::Pending(_) | ClaimState::Replayed(_) | ClaimState::Disputed { .. } => {
                let (turn, permit) = self.take_turn(shutdown).await?;
                (Some(turn), Some(permit))
            }
        };
        let attempt = self.begin(job, state).await?;
        match archived {
            ArchiveFinding::NotArchived => {
                self.go_on(job, state.versions(), attempt, now, permit, shutdown).await
            }
            ArchiveFinding::Settled(settlement) => {
                events::archived(&job.payment);
                Ok(AttemptResult { attempt, next: NextStep::Confirm(settlement) })
            }
            ArchiveFinding::Contradicted(failure) => Ok(failed(attempt, failure)),
        }
    }

    fn check_due(&self, job: &Job, now: Timestamp) -> Result<(), AttemptInterrupted> {
        check_due(&job.payment, now, &self.archive.zone).map_err(AttemptInterrupted::NotDue)
    }

    /// Submits, or asks first, as far as the attempt may.
    async fn go_on(
        &self,
        job: &Job,
        versions: Versions,
        attempt: Attempt,
        now: Timestamp,
        permit: Option<CallPermit>,
        shutdown: &Shutdown,
    ) -> Result<AttemptResult, AttemptInterrupted> {
        let give_up = match self.limits.plan(attempt, now) {
            AttemptPlan::GiveUp => return Ok(failed(attempt, GiveUpReason::Unknown.failure())),
            AttemptPlan::Submit | AttemptPlan::AskFirst | AttemptPlan::AskOnly(_)
                if versions == Versions::Differ =>
            {
                Some(GiveUpReason::Disputed)
            }
            AttemptPlan::Submit => return self.submit(job, attempt, shutdown).await,
            AttemptPlan::AskFirst => None,
            AttemptPlan::AskOnly(given_up) => Some(given_up),
        };
        let permit = match permit {
            // The write before it may have taken long (INV-10).
            Some(_) if !job.received.delivery.is_held() => {
                return Err(AttemptInterrupted::VisibilityLost);
            }
            Some(permit) => permit,
            None => self.acquire(job, CallPurpose::Query, shutdown).await?,
        };
        let asked_at = Instant::now();
        let found = self.transactions.find((&job.payment).into()).await;
        let _ = job.times.lookup.set(asked_at.elapsed());
        let shown = answers::of_query(&job.payment.account, &found);
        let trust = permit.ended(answers::query_health(&found), shown);
        events::asked(&job.payment, &found);
        // Nothing that would fail the payment is believed then.
        let fails = answers::is_refusal_found(&found)
            || (give_up.is_some() && matches!(found, KeyStatus::Nothing));
        if trust == AnswerTrust::Distrusted && fails {
            return Err(AttemptInterrupted::Stopped);
        }
        // Nothing was submitted. Once it is only asked for, questions are bounded too.
        if matches!(found, KeyStatus::NoAnswer { .. }) && give_up.is_none() {
            self.not_done(job, attempt).await;
        }
        match after_query(found, give_up, attempt.tries()) {
            QueryDecision::Step(next) => Ok(AttemptResult { attempt, next }),
            QueryDecision::Submit => self.submit(job, attempt, shutdown).await,
        }
    }

    /// Writes one more attempt of a payment that was attempted before, under the condition
    /// that no other worker has done so since: of two that have it, one goes on.
    async fn begin(&self, job: &Job, state: &ClaimState) -> Result<Attempt, AttemptInterrupted> {
        let payment = &job.payment;
        let (change, attempt) = match state {
            ClaimState::New(attempt) => return Ok(*attempt),
            ClaimState::Pending(before) => (Change::Resume(payment, before.number), before.next()),
            ClaimState::Disputed { before, table } => {
                (Change::Resume(table, before.number), before.next())
            }
            ClaimState::Replayed(before) => {
                (Change::ClaimAgain(payment, before.number), before.next())
            }
        };
        if !job.received.delivery.is_held() {
            return Err(AttemptInterrupted::VisibilityLost);
        }
        let Some(now) = self.clock.sure() else { return Err(AttemptInterrupted::Undecided) };
        let began_at = Instant::now();
        let results = self.store.apply(&[change], now).await;
        let _ = job.times.claim.set(began_at.elapsed());
        let result = match results.map(|mut results| results.pop()) {
            Ok(Some(result)) => result,
            Ok(None) => return Err(AttemptInterrupted::Undecided),
            Err(error) => {
                events::error("resume", &error);
                return Err(AttemptInterrupted::Undecided);
            }
        };
        match ClaimResult::of(result, attempt) {
            ClaimResult::Work(ClaimState::New(attempt)) => Ok(attempt),
            // Another worker has begun a turn since the message was received, or the table has
            // changed: the next delivery decides.
            ClaimResult::Work(
                ClaimState::Pending(_) | ClaimState::Replayed(_) | ClaimState::Disputed { .. },
            ) => Err(AttemptInterrupted::Undecided),
            ClaimResult::Undecided { reason } => {
                events::turn_undecided(payment, &reason);
                Err(AttemptInterrupted::Undecided)
            }
            ClaimResult::Close(reason) => Err(AttemptInterrupted::Closed(reason)),
        }
    }

    /// Submits, unless the wait for its turn has taken the right to.
    async fn submit(
        &self,
        job: &Job,
        attempt: Attempt,
        shutdown: &Shutdown,
    ) -> Result<AttemptResult, AttemptInterrupted> {
        let payment = match job.whole() {
            Ok(payment) => payment,
            Err(IncompletePayment::Unread) => return Err(AttemptInterrupted::Undecided),
            Err(IncompletePayment::Unusable(failure)) => return Ok(failed(attempt, failure)),
        };
        let permit = match self.acquire(job, CallPurpose::Submit, shutdown).await {
            Ok(permit) => permit,
            Err(interrupted) => {
                if self.limiter.is_stopped() {
                    // However often dispatching is stopped, no payment is exhausted by it.
                    self.not_done(job, attempt).await;
                }
                return Err(interrupted);
            }
        };
        let Some(now) = self.clock.sure() else {
            self.not_done(job, attempt).await;
            return Err(AttemptInterrupted::Undecided);
        };
        self.check_due(job, now)?;
        match self.limits.plan(attempt, now) {
            AttemptPlan::Submit | AttemptPlan::AskFirst => {}
            // The key grew old while it waited: the next delivery asks only.
            AttemptPlan::AskOnly(_) | AttemptPlan::GiveUp => {
                return Err(AttemptInterrupted::Stopped);
            }
        }
        let submitted_at = Instant::now();
        let outcome = self.transactions.submit(&payment).await;
        let took = submitted_at.elapsed();
        let _ = job.times.submission.set(took);
        let shown = answers::of_submission(&job.payment.account, &outcome);
        let trust = permit.ended(answers::submission_health(&outcome), shown);
        events::submitted(&job.payment, &outcome, took);
        if answers::is_certainly_not_done(&outcome) {
            self.not_done(job, attempt).await;
        }
        if trust == AnswerTrust::Distrusted && answers::is_refusal(&outcome) {
            // It stays PENDING: a rejection is not bound to the key, so it is asked for and
            // submitted again once dispatching goes on.
            self.not_done(job, attempt).await;
            return Err(AttemptInterrupted::Stopped);
        }
        Ok(AttemptResult { attempt, next: next_step(outcome, attempt.tries()) })
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

    /// Waits until a payment that was attempted before may be asked for. The caller checks that
    /// the message is still this worker's before the write that comes next, and after it.
    async fn take_turn(
        &self,
        shutdown: &Shutdown,
    ) -> Result<(AttemptPermit, CallPermit), AttemptInterrupted> {
        let turn = shutdown.unless_requested(self.limiter.acquire_attempt()).await;
        let turn = turn.ok_or(AttemptInterrupted::Stopped)??;
        let permit = shutdown.unless_requested(self.limiter.acquire(CallPurpose::Query)).await;
        Ok((turn, permit.ok_or(AttemptInterrupted::Stopped)??))
    }

    /// Waits for the turn of a call; then the message must still be this worker's (INV-10).
    async fn acquire(
        &self,
        job: &Job,
        purpose: CallPurpose,
        shutdown: &Shutdown,
    ) -> Result<CallPermit, AttemptInterrupted> {
        if shutdown.is_requested() {
            return Err(AttemptInterrupted::Stopped);
        }
        match shutdown.unless_requested(self.limiter.acquire(purpose)).await {
            None | Some(Err(DispatchStopped)) => Err(AttemptInterrupted::Stopped),
            Some(_) if !job.received.delivery.is_held() => Err(AttemptInterrupted::VisibilityLost),
            Some(Ok(permit)) => Ok(permit),
        }
    }
}

fn failed(attempt: Attempt, failure: Failure) -> AttemptResult {
    AttemptResult { attempt, next: NextStep::Fail(failure) }
}
