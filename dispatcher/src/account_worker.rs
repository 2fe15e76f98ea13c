//! The claimed payments of one account, worked on one after the other.

use std::time::Duration;

use domain::{Attempt, Failure, FailureCode, NextStep, Settlement, redelivery_pause};
use shared::shutdown::Shutdown;
use tokio::sync::mpsc;

use crate::attempt::{AttemptInterrupted, AttemptResult, AttemptRunner};
use crate::closing::{MessageCloser, Redelivery};
use crate::early::NotDue;
use crate::events;
use crate::job::{ClaimedPayment, InHandMessage, Job, Versions};
use crate::recorder::{DispatchResult, DispatchedPayment};

/// What working on the payments of an account needs.
#[derive(Debug, Clone)]
pub(crate) struct AccountWorker {
    pub(crate) attempts: AttemptRunner,
    pub(crate) closer: MessageCloser,
    pub(crate) recorder: mpsc::Sender<DispatchedPayment>,
    pub(crate) shutdown: Shutdown,
}

impl AccountWorker {
    /// Works on payments in order. A rejected payment does not hold up those after it; one
    /// that must be delivered again takes the rest of its account back with it (INV-6).
    pub(crate) async fn work(self, claimed: Vec<ClaimedPayment>) {
        let mut rest = claimed.into_iter();
        while let Some(ClaimedPayment { job, state }) = rest.next() {
            let attempted = self.attempts.run(&job, &state, &self.shutdown).await;
            let number = attempted.as_ref().ok().map(|result| result.attempt.number);
            events::attempted(&job.payment, &job.times, number, outcome_class(&attempted));
            let worked = match attempted {
                Ok(result) => self.follow(job, state.versions(), result).await,
                Err(AttemptInterrupted::Closed(reason)) => self.closer.close(job, reason).await,
                Err(AttemptInterrupted::Undecided) => Err(Redelivery::undecided(job.received)),
                Err(AttemptInterrupted::Stopped) => {
                    Err(Redelivery { received: job.received, pause: Duration::ZERO })
                }
                Err(AttemptInterrupted::NotDue(NotDue::BeginsIn(pause))) => {
                    events::early(&job.payment, "delayed");
                    Err(Redelivery { received: job.received, pause })
                }
                Err(AttemptInterrupted::NotDue(NotDue::Ahead)) => {
                    // The opening of its day, or the sweep for PENDING payments, sends it.
                    self.closer.queue.acknowledge(vec![job.received.delivery]).await;
                    events::early(&job.payment, "left_to_day_opening");
                    Ok(())
                }
                Err(AttemptInterrupted::VisibilityLost) => {
                    events::visibility_lost(&job.payment);
                    // Another worker may have this one; the queue holds back the rest.
                    drop(job);
                    let Some(ClaimedPayment { job, .. }) = rest.next() else { return };
                    return self.give_back(job.received, Duration::ZERO, rest).await;
                }
            };
            if let Err(Redelivery { received, pause }) = worked {
                return self.give_back(received, pause, rest).await;
            }
        }
    }

    /// Does what follows from an attempt.
    async fn follow(
        &self,
        job: Job,
        versions: Versions,
        AttemptResult { attempt, next }: AttemptResult,
    ) -> Result<(), Redelivery> {
        match next {
            NextStep::Confirm(settlement) => {
                self.record_settled(job, versions, attempt, settlement).await
            }
            // The message is the only one that knows of the other version.
            NextStep::Await if versions == Versions::Differ => {
                let pause = redelivery_pause(attempt.tries());
                Err(Redelivery { received: job.received, pause })
            }
            NextStep::Await => {
                self.record(job, attempt, DispatchResult::Accepted).await;
                Ok(())
            }
            NextStep::Fail(failure) => self.closer.fail(job, versions, failure, attempt).await,
            NextStep::Redeliver(pause) => Err(Redelivery { received: job.received, pause }),
        }
    }

    async fn record(&self, job: Job, attempt: Attempt, result: DispatchResult) {
        // The recorder ends only after all workers.
        let _ =
            self.recorder.send(DispatchedPayment { job, attempt: attempt.number, result }).await;
    }

    /// Hands a settlement to the recorder. When the table holds another instruction than was
    /// submitted, a person hears of it first: money has moved, and the table says otherwise.
    async fn record_settled(
        &self,
        job: Job,
        versions: Versions,
        attempt: Attempt,
        settlement: Settlement,
    ) -> Result<(), Redelivery> {
        match versions {
            Versions::Same => {}
            Versions::Differ => {
                let reason = format!(
                    "settled as {}, and the table holds another instruction than the message",
                    settlement.transaction_id
                );
                let failure = Failure::new(FailureCode::Mismatch, reason);
                if self.closer.send_whole(&job.received.delivery, failure).await.is_err() {
                    return Err(Redelivery::undecided(job.received));
                }
            }
        }
        self.record(job, attempt, DispatchResult::Settled(settlement)).await;
        Ok(())
    }

    /// Gives a payment back after `pause` and the rest of its account at once. The account stays
    /// blocked until the first of them is visible again, so none overtakes it.
    async fn give_back(
        &self,
        received: InHandMessage,
        pause: Duration,
        rest: impl Iterator<Item = ClaimedPayment>,
    ) {
        let rest = rest.map(|claimed| (claimed.job.received.delivery, Duration::ZERO));
        let first = std::iter::once((received.delivery, pause));
        let all: Vec<_> = first.chain(rest).collect();
        self.closer.release(all).await;
    }
}

/// What an attempt came to, in a word.
fn outcome_class(attempted: &Result<AttemptResult, AttemptInterrupted>) -> &'static str {
    match attempted {
        Ok(AttemptResult { next: NextStep::Confirm(_), .. }) => "settled",
        Ok(AttemptResult { next: NextStep::Await, .. }) => "accepted",
        Ok(AttemptResult { next: NextStep::Fail(failure), .. }) => failure.code.as_str(),
        Ok(AttemptResult { next: NextStep::Redeliver(_), .. }) => "redelivered",
        Err(AttemptInterrupted::Closed(_)) => "closed",
        Err(AttemptInterrupted::Undecided) => "undecided",
        Err(AttemptInterrupted::Stopped) => "stopped",
        Err(AttemptInterrupted::VisibilityLost) => "visibility_lost",
        Err(AttemptInterrupted::NotDue(_)) => "not_due",
    }
}
