//! The sweep of one partition of one day.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shared::domain::{DueDate, Found, Status};
use shared::payments::{DuePayments, StoredPayment};
use shared::queue::{MAX_BATCH, Outgoing, Producer};
use shared::shutdown::Shutdown;
use tokio::task::JoinSet;

use super::plan::{Step, is_stuck, step};
use super::{Interrupted, Sweeper};
use crate::events;

/// Questions without an answer, one after the other, after which the sweep ends: the service
/// is down, and asking it for a million payments helps nobody.
const UNANSWERED: usize = 3;

/// Sweeps one partition.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) sweeper: Sweeper,
    pub(super) stop: Shutdown,
    /// Questions without an answer since the last answer, in the whole sweep.
    pub(super) unanswered: Arc<AtomicUsize>,
}

impl Part {
    pub(super) async fn sweep(&self, day: DueDate, shard: u16) -> Result<(), Interrupted> {
        let mut cursor = None;
        loop {
            let page = self.sweeper.table.page(day, shard, Status::Pending, cursor);
            match self.stop.unless_requested(page).await.ok_or(Interrupted)? {
                Ok((found, next)) => {
                    for stuck in self.stuck(found).chunks(MAX_BATCH) {
                        self.settle(stuck).await?;
                    }
                    if next.is_none() {
                        return Ok(());
                    }
                    cursor = next;
                }
                // The next sweep looks again.
                Err(error) => {
                    events::error("sweep", &error);
                    return Ok(());
                }
            }
        }
    }

    fn stuck(&self, found: DuePayments) -> Vec<StoredPayment> {
        let now = self.sweeper.clock.now();
        let mut stuck = Vec::new();
        for (reference, stored) in found {
            match stored {
                Ok(stored) if is_stuck(&stored, now, self.sweeper.limit()) => stuck.push(stored),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%reference, %error, "an item of the payments table is no payment");
                    events::error("sweep", &error);
                }
            }
        }
        stuck
    }

    /// Asks for up to ten payments at once and sends what follows, in their order.
    async fn settle(&self, stuck: &[StoredPayment]) -> Result<(), Interrupted> {
        let answers = self.stop.unless_requested(self.ask(stuck)).await.ok_or(Interrupted)?;
        let (mut reports, mut again) = (Vec::new(), Vec::new());
        for (stored, found) in stuck.iter().zip(answers) {
            let label = match step(stored, found) {
                Step::Report(label, message) => {
                    reports.push(message);
                    label
                }
                Step::Requeue(message) => {
                    again.push(message);
                    "requeued"
                }
                Step::Leave => "under_way",
                Step::NoAnswer(reason) => {
                    events::unanswered(stored, &reason);
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            };
            events::stuck(stored, label);
            self.unanswered.store(0, Ordering::Relaxed);
        }
        send(&self.sweeper.confirmations, &reports).await?;
        send(&self.sweeper.payments, &again).await?;
        if self.unanswered.load(Ordering::Relaxed) >= UNANSWERED {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }

    /// The answers in the order of the payments.
    async fn ask(&self, stuck: &[StoredPayment]) -> Vec<Found> {
        let mut asking = JoinSet::new();
        for (index, stored) in stuck.iter().enumerate() {
            let (transactions, id) = (self.sweeper.transactions.clone(), stored.payment.id);
            asking.spawn(async move { (index, transactions.find(id).await) });
        }
        let panicked = || Found::NoAnswer { retry_after: None, reason: "asking failed".to_owned() };
        let mut answers: Vec<Found> = stuck.iter().map(|_| panicked()).collect();
        while let Some(ended) = asking.join_next().await {
            if let Ok((index, found)) = ended {
                answers[index] = found;
            }
        }
        answers
    }
}

async fn send(queue: &Producer, messages: &[Outgoing]) -> Result<(), Interrupted> {
    queue.send(messages).await.map_err(|unsent| {
        events::error("sweep", &unsent);
        Interrupted
    })
}
