//! Payments whose day has not begun at the bank, whoever queued them: they are never claimed
//! (INV-14).

use shared::domain::{Attempt, DueDate, Status, Timing};
use shared::payments::{Change, ChangeError, met};
use std::time::Duration;

use crate::events;
use crate::job::{Claimed, Job};
use crate::verdict::judge;
use crate::worker::Worker;

/// What a release adds to the time until a day begins: SQS counts whole seconds, and a message
/// that comes a moment too early would only be given back once more.
const A_MOMENT: Duration = Duration::from_secs(1);

impl Worker {
    /// The jobs whose day has begun. One that begins within the tolerance of clocks comes back
    /// when it does. One that lies farther ahead goes, so that it blocks nobody in its account
    /// until then, and the opening of its day sends it; what is wrong with it is said now.
    /// Returned beside the due ones are those that are PENDING all the same: they may have been
    /// settled, and are asked for.
    pub(crate) async fn due(&self, jobs: Vec<Job>) -> (Vec<Job>, Vec<Claimed>) {
        let (mut due, mut soon, mut asked) =
            (Vec::with_capacity(jobs.len()), Vec::new(), Vec::new());
        for job in jobs {
            match self.timing(job.payment.due) {
                Timing::Begun => due.push(job),
                Timing::BeginsIn(rest) => {
                    events::early(&job.payment, "delayed");
                    soon.push((job.received.delivery, rest + A_MOMENT));
                }
                Timing::Ahead => asked.extend(self.ahead(job).await),
            }
        }
        self.release(soon).await;
        (due, asked)
    }

    fn timing(&self, due: DueDate) -> Timing {
        due.timing(self.clock.now(), &self.group.attempts.past.zone)
    }

    /// Deals with a payment whose day lies far ahead, by what the table holds.
    async fn ahead(&self, job: Job) -> Option<Claimed> {
        let now = self.clock.now();
        let result = match self.store.get(&job.payment.reference()).await {
            Ok(Some(stored)) => met(&Change::Claim(&job.payment), stored),
            Ok(None) => Err(ChangeError::Missing),
            Err(error) => {
                events::error("claim", &error);
                self.give_back(vec![job.received]).await;
                return None;
            }
        };
        if let Err(ChangeError::InStatus(stored)) = &result
            && stored.status == Status::Scheduled
        {
            events::early(&job.payment, "left");
            self.queue.acknowledge(vec![job.received.delivery]).await;
            return None;
        }
        let made = Attempt { number: 1, before_replay: 0, not_done: 0, claimed_at: now };
        let verdict = judge(result, made);
        let mut claimed = self.carry_out(vec![(job, verdict)]).await;
        claimed.pop()
    }
}
