//! Payments whose day has not begun at the bank, whoever queued them: they are never claimed
//! (INV-14).

use domain::{Attempt, DueTiming, Status};
use jiff::Timestamp;
use shared::payments::{Change, ChangeError, refused_change};
use std::time::Duration;

use crate::claim_result::{Verdict, judge};
use crate::events;
use crate::job::{Claimed, Job};
use crate::receiver::Worker;

/// What a release adds to the time until a day begins: SQS counts whole seconds, and a message
/// that comes a moment too early would only be given back once more.
const A_MOMENT: Duration = Duration::from_secs(1);

impl Worker {
    /// The jobs whose day has begun. One that begins within the tolerance of clocks comes back
    /// when it does. One that lies farther ahead goes, so that it blocks nobody in its account
    /// until then, and the opening of its day sends it; what is wrong with it is said now.
    /// Returned beside the due ones are those that are PENDING all the same: they may have been
    /// settled, and are asked for. Nothing overtakes a payment of its account and day (INV-5).
    ///
    /// `now` is one moment for all of a receive: a day that begins between two payments of an
    /// account would let the second overtake the first.
    pub(crate) async fn due(&self, jobs: Vec<Job>, now: Timestamp) -> (Vec<Job>, Vec<Claimed>) {
        let (mut due, mut soon, mut ahead) =
            (Vec::with_capacity(jobs.len()), Vec::new(), Vec::new());
        for job in jobs {
            match job.payment.due.timing(now, &self.group.attempts.past.zone) {
                DueTiming::Begun => due.push(job),
                DueTiming::BeginsIn(rest) => soon.push((job, rest + A_MOMENT)),
                DueTiming::Ahead => ahead.push(job),
            }
        }
        // A later day than that of what comes back.
        let (behind, ahead): (Vec<_>, Vec<_>) = ahead
            .into_iter()
            .partition(|job| soon.iter().any(|(before, _)| before.same_group(job)));
        let behind = behind.into_iter().map(|job| (job.received.delivery, Duration::ZERO));
        let soon = soon.into_iter().map(|(job, pause)| {
            events::early(&job.payment, "delayed");
            (job.received.delivery, pause)
        });
        self.release(soon.chain(behind).collect()).await;
        (due, self.ahead(ahead, now).await)
    }

    /// Deals with payments whose day lies far ahead, by what the table holds. What follows an
    /// undecided one in its account goes back with it (INV-6).
    async fn ahead(&self, jobs: Vec<Job>, now: Timestamp) -> Vec<Claimed> {
        let mut judged = Vec::with_capacity(jobs.len());
        for job in jobs {
            let result = match self.store.get(&job.payment.reference()).await {
                Ok(Some(stored)) => refused_change(&Change::Claim(&job.payment), stored),
                Ok(None) => Err(ChangeError::Missing),
                Err(error) => {
                    events::error("claim", &error);
                    judged.push((job, Verdict::Retry { reason: error.to_string() }));
                    continue;
                }
            };
            if let Err(ChangeError::InStatus(stored)) = &result
                && stored.status == Status::Scheduled
            {
                events::early(&job.payment, "left_to_day_opening");
                self.queue.acknowledge(vec![job.received.delivery]).await;
                continue;
            }
            let made = Attempt { number: 1, before_replay: 0, not_done: 0, claimed_at: now };
            judged.push((job, judge(result, made)));
        }
        self.carry_out(judged).await
    }
}
