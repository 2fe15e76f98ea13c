//! Recording settlements: into the confirmer's queue, then the payments' own messages are deleted.
//!
//! Settlements of all groups are gathered into full batches, so that a payment that waits
//! for a slow answer keeps nobody else's.

use std::sync::Arc;
use std::time::Duration;

use domain::{Money, Settlement};
use shared::queue::{
    Confirmation, ConfirmationSource, Consumer, MAX_BATCH, OutgoingMessage, Producer,
    ReportedResult, SentMessages,
};
use shared::telemetry::admin::Calls;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use crate::events;
use crate::job::Job;

/// How long a settlement waits for others to share a request with.
const LINGER: Duration = Duration::from_millis(20);
/// Batches under way at once.
const FLUSHES: usize = 4;

/// A payment that the transaction service has dealt with.
#[derive(Debug)]
pub(crate) struct DispatchedPayment {
    pub(crate) job: Job,
    /// The number of the attempt that found out.
    pub(crate) attempt: u32,
    pub(crate) result: DispatchResult,
}

/// How the transaction service has dealt with a payment.
#[derive(Debug)]
pub(crate) enum DispatchResult {
    /// It is settled: the confirmer must hear of it before the message goes.
    Settled(Settlement),
    /// It was taken for later settlement: the result comes by callback, and the message has
    /// done its work.
    Accepted,
}

/// Both ends that recording needs.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    pub(crate) confirmations: Producer,
    pub(crate) payments: Consumer,
    pub(crate) recording: Calls,
    /// Settlements in the confirmer's queue.
    pub(crate) sent: SentMessages,
}

impl Recorder {
    /// Records until all senders of `done` are gone and everything is recorded.
    pub(crate) async fn run(self, mut done: mpsc::Receiver<DispatchedPayment>) {
        let flushes = TaskTracker::new();
        let slots = Arc::new(Semaphore::new(FLUSHES));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                break;
            };
            let batch = gather(&mut done).await;
            if batch.is_empty() {
                break;
            }
            let recorder = self.clone();
            flushes.spawn(async move {
                recorder.flush(batch).await;
                drop(slot);
            });
        }
        flushes.close();
        flushes.wait().await;
    }

    /// Records one batch. A process that dies before the send leaves the payment's message,
    /// which is delivered again and submitted again under the same key; one that dies after
    /// it leaves a leftover.
    async fn flush(&self, batch: Vec<DispatchedPayment>) {
        let settled = |(index, done): (usize, &DispatchedPayment)| {
            confirmation(done).map(|confirmation| (index, confirmation))
        };
        let (indices, messages): (Vec<_>, Vec<_>) =
            batch.iter().enumerate().filter_map(settled).unzip();
        let sent = self.confirmations.send(&messages).await;
        if !messages.is_empty() {
            self.recording.note(&sent);
        }
        let unsent: Vec<usize> = match sent {
            Ok(()) => Vec::new(),
            Err(unsent) => {
                events::error("record", &unsent);
                unsent.indices.iter().map(|&sent| indices[sent]).collect()
            }
        };
        let recorded = messages.len() - unsent.len();
        self.sent.add(recorded);
        let (mut done, mut open) = (Vec::new(), Vec::new());
        let mut permits = Vec::with_capacity(batch.len());
        for (index, DispatchedPayment { job, .. }) in batch.into_iter().enumerate() {
            let received = job.received;
            permits.push(received.permit);
            if unsent.contains(&index) {
                open.push(received.delivery);
            } else {
                done.push(received.delivery);
            }
        }
        self.payments.acknowledge(done).await;
        events::recorded(recorded);
        if !open.is_empty() {
            let count = open.len();
            self.payments.retry_later(open).await;
            events::released(count);
        }
    }
}

/// The next payments, up to a batch; empty when there will be no more.
async fn gather(done: &mut mpsc::Receiver<DispatchedPayment>) -> Vec<DispatchedPayment> {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    if done.recv_many(&mut batch, MAX_BATCH).await == 0 {
        return batch;
    }
    let _ = tokio::time::timeout(LINGER, async {
        while batch.len() < MAX_BATCH {
            let room = MAX_BATCH - batch.len();
            if done.recv_many(&mut batch, room).await == 0 {
                break;
            }
        }
    })
    .await;
    batch
}

/// What the confirmer has to hear, if anything.
fn confirmation(done: &DispatchedPayment) -> Option<OutgoingMessage> {
    let payment = &done.job.payment;
    match &done.result {
        DispatchResult::Settled(settlement) => {
            let confirmation = Confirmation {
                payment: payment.reference(),
                result: ReportedResult::Settled(settlement.clone()),
                money: Some(Money { amount: payment.amount, currency: payment.currency }),
                trace_key: Some(payment.trace_key),
            };
            Some(confirmation.message(ConfirmationSource::Attempt(done.attempt)))
        }
        DispatchResult::Accepted => None,
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
